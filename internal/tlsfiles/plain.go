package tlsfiles

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
)

// ErrExposed is returned by Plain if other hosts can reach the address.
var ErrExposed = errors.New("plain text on an address that other hosts can reach")

// Plain checks the address of a service that uses plain text. It returns ErrExposed unless the address is a loopback address. The error message
// ends with remedy. An address that is not host:port is not checked, because listening on it fails anyway.
func Plain(service, addr, remedy string) error {
	if host, _, err := net.SplitHostPort(addr); err == nil && !Loopback(host) {
		return fmt.Errorf("%s on %s: %w: %s", service, addr, ErrExposed, remedy)
	}
	return nil
}

// Loopback reports whether host is "localhost" or a loopback address. It returns false for any other name, because the name may resolve to any
// address.
func Loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.Unmap().IsLoopback()
}
