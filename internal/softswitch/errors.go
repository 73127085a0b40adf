package softswitch

import "errors"

var (
	// ErrPort is returned for a port number that a v1model program cannot name, or that is taken.
	ErrPort = errors.New("not a port that can be attached")
	// ErrClosed is returned once the switch has been closed.
	ErrClosed = errors.New("switch closed")
)
