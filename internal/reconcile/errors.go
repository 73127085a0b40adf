package reconcile

import "errors"

var (
	// ErrNoRoom is returned before anything is written when a table cannot hold the desired entries.
	ErrNoRoom = errors.New("no room")
	// ErrNotConverged is returned when the entries read back from the switch still differ from the entries written to it.
	ErrNotConverged = errors.New("the switch does not hold what was written to it")
)
