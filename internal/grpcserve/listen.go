package grpcserve

import (
	"errors"
	"fmt"
	"net"
	"syscall"
)

// Listen listens on addr, which has the form host:port. Port 0 means any free port. An error names the service and the address,
// and tells the user what to do.
func Listen(service, addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s on %s: %w: another process listens there; choose another port, or 0 for any", service, addr, syscall.EADDRINUSE)
	case err != nil:
		return nil, fmt.Errorf("%s on %q: %w; must be host:port, such as 127.0.0.1:9559", service, addr, err)
	}
	return l, nil
}
