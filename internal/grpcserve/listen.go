package grpcserve

import (
	"errors"
	"fmt"
	"net"
	"syscall"
)

// Listen listens on addr, host:port; a port of 0 takes any that is free. The error names the service, the address and what to do.
func Listen(service, addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s on %s: %w: another process listens there; choose another port, or 0 for any", service, addr, syscall.EADDRINUSE)
	case err != nil:
		return nil, fmt.Errorf("%s on %q: %w; want host:port, such as 127.0.0.1:9559", service, addr, err)
	}
	return l, nil
}
