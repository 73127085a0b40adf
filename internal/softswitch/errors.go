package softswitch

import "errors"

var (
	// ErrPort is returned for a port number that is in use or that a v1model program cannot use for a link.
	ErrPort = errors.New("the port cannot be used")
	// ErrClosed is returned once the switch has been closed.
	ErrClosed = errors.New("switch closed")
)
