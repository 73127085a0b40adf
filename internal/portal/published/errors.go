package published

import "errors"

var (
	// ErrPublication is returned if a publication cannot be used.
	ErrPublication = errors.New("invalid publication")
	// ErrState is returned if the state file cannot be used.
	ErrState = errors.New("invalid state file of the portal")
	// errSilent is the cause of the end of a stream on which the controller sent nothing for too long.
	errSilent = errors.New("the controller sent no sign of life")
)
