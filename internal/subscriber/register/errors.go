package register

import "errors"

var (
	// ErrKey is returned if the file with the key of the sessions cannot be used.
	ErrKey = errors.New("session key")
	// ErrNotReady is returned for an event before the documents and the sessions were read.
	ErrNotReady = errors.New("the inventory or the sessions have not been read yet")
	// ErrFull is returned for the start of a session if MaxSessions lines have one.
	ErrFull = errors.New("too many sessions")
	// errBusy is returned if other controllers change the same session all the time.
	errBusy = errors.New("the session changes too often")
)
