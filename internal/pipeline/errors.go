package pipeline

import "errors"

var (
	// ErrMismatch means that a P4Info belongs to a program or version that this package does not support.
	ErrMismatch = errors.New("the P4Info is not the one that this build of op25b writes for")
	// ErrInvalid means that the pipeline cannot hold a state, for example because a number is too large or a priority is 0.
	ErrInvalid = errors.New("not a state that the pipeline can hold")
	// ErrForeign means that no State can produce an entity, so another controller or another version of the program wrote it.
	ErrForeign = errors.New("not an entry of this pipeline")
)
