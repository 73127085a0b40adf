package tlsfiles

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
)

// ErrExposed is returned by Plain for an address that other machines can reach.
var ErrExposed = errors.New("plain text on an address that other machines can reach")

// Plain checks an address on which a service is to be served in plain text: it must be loopback. remedy says what else can be done. What is not
// host:port is not checked: it cannot be listened on.
func Plain(service, addr, remedy string) error {
	if host, _, err := net.SplitHostPort(addr); err == nil && !Loopback(host) {
		return fmt.Errorf("%s on %s: %w: %s", service, addr, ErrExposed, remedy)
	}
	return nil
}

// Loopback says whether only this machine can reach a host. A name other than localhost may stand for anything.
func Loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.Unmap().IsLoopback()
}
