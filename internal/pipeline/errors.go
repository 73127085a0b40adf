package pipeline

import "errors"

var (
	// ErrMismatch is returned by Check and NewContract for the P4Info of a program or version that this package does not support.
	ErrMismatch = errors.New("the P4Info is not the one that this build of op25b writes for")
	// ErrInvalid is returned for a state that the pipeline cannot hold, such as a number wider than its field or a priority of 0.
	ErrInvalid = errors.New("not a state that the pipeline can hold")
	// ErrForeign is returned for an entity that no State can produce. Another controller or another version of the program wrote it.
	ErrForeign = errors.New("not an entry of this pipeline")
)
