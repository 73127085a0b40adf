package tlsfiles

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
)

// ErrExposed is returned by Plain for an address that other hosts can reach.
var ErrExposed = errors.New("plain text on an address that other hosts can reach")

// Plain checks the address of a service in plain text: it must be loopback. The error ends with remedy. An address that is not host:port is not
// checked, because listening on it fails.
func Plain(service, addr, remedy string) error {
	if host, _, err := net.SplitHostPort(addr); err == nil && !Loopback(host) {
		return fmt.Errorf("%s on %s: %w: %s", service, addr, ErrExposed, remedy)
	}
	return nil
}

// Loopback reports whether host is a loopback address or localhost. Any other name may resolve to any address.
func Loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.Unmap().IsLoopback()
}
