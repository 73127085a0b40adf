package pipeline

import "errors"

var (
	// ErrMismatch is returned by Check for the P4Info of another program, or of another version.
	ErrMismatch = errors.New("the P4Info is not the one that this build of op25b writes for")
	// ErrInvalid is returned for a state that the pipeline cannot hold: a number beyond its width, a priority of 0.
	ErrInvalid = errors.New("not a state that the pipeline can hold")
	// ErrForeign is returned for an entity that no State can produce: another controller wrote it, or another version.
	ErrForeign = errors.New("not an entry of this pipeline")
)
