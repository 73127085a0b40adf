package prove

import "errors"

var (
	// ErrDisproved means that the pipeline, the documents or the words of the plan judge a packet differently.
	ErrDisproved = errors.New("the proof on the twin has failed")
	// ErrUnproved means that a proof could not be finished. What is not proved is refused like what is disproved.
	ErrUnproved = errors.New("not proved on the twin")
)
