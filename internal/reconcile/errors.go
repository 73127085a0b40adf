package reconcile

import "errors"

var (
	// ErrNoRoom means that a table cannot hold the desired entries. It is usually returned before anything is written.
	ErrNoRoom = errors.New("no room")
	// ErrNotConverged means that the entries read back from the switch still differ from the desired entries.
	ErrNotConverged = errors.New("the switch does not hold what was written to it")
)
