package match

import "errors"

// Errors of New.
var (
	// ErrFields is returned for an impossible key: no size, a width below one bit, an unknown kind, or two LPM fields, whose longest prefix
	// is undefined.
	ErrFields = errors.New("invalid table key")
)

// Errors of Insert, Delete and Get. After any of them the table is unchanged.
var (
	// ErrKey is returned for a match that its field does not allow: a wrong number of fields or words, bits outside the width or the mask,
	// a range whose low is above its high, a prefix length outside the field, a wildcard in an exact field.
	ErrKey = errors.New("bad match key")
	// ErrPriority is returned for a priority other than 0 in a table without priorities (exact, LPM).
	ErrPriority = errors.New("bad priority")
	// ErrExists is returned by Insert when the table has an entry of the same match and priority.
	ErrExists = errors.New("entry exists")
	// ErrFull is returned by Insert when the table is full.
	ErrFull = errors.New("table full")
	// ErrNotFound is returned by Delete when the table has no entry of this match and priority.
	ErrNotFound = errors.New("no such entry")
)
