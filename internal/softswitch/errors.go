package softswitch

import "errors"

var (
	// ErrPort is returned for a port number that is taken or that a v1model program cannot name.
	ErrPort = errors.New("the port cannot be used")
	// ErrClosed is returned once the switch has been closed.
	ErrClosed = errors.New("switch closed")
)
