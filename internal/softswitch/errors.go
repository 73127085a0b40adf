package softswitch

import "errors"

var (
	// ErrPort is returned by Attach and Name for a port number that is in use or that a v1model program
	// cannot use.
	ErrPort = errors.New("the port cannot be used")
	// ErrClosed is returned once the switch has been closed.
	ErrClosed = errors.New("switch closed")
)
