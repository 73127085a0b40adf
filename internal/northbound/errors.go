package northbound

import "errors"

// These are the errors of a call. The caller receives them as UNAVAILABLE.
var (
	// ErrNotCurrent means that the switch's counters are not collected at the moment, or are too old.
	ErrNotCurrent = errors.New("the counters are not current")
	// ErrNoOwner means that no controller can serve the switch at the moment.
	ErrNoOwner = errors.New("no controller serves the switch now")
)
