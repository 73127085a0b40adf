package dataplane

import "errors"

var (
	// ErrStreamEnded is returned by Port, and by Serve of a port, after the switch has ended the packet stream; the message has the reason.
	ErrStreamEnded = errors.New("packet stream ended")
	// ErrPortInUse is returned by Port for a port number that already has a link.
	ErrPortInUse = errors.New("port already has a link")
	// ErrNoStream is returned by Server.Send while no client is connected.
	ErrNoStream = errors.New("no packet stream")
)
