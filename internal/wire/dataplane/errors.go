package dataplane

import "errors"

var (
	// ErrStreamEnded is returned by Port and by a port's Serve and Send after the packet stream has ended. The message gives the reason.
	ErrStreamEnded = errors.New("packet stream ended")
	// ErrPortInUse is returned by Port for a port number that already has a link.
	ErrPortInUse = errors.New("port already has a link")
	// ErrNoStream is returned by Server.Send while no client is connected.
	ErrNoStream = errors.New("no packet stream")
)
