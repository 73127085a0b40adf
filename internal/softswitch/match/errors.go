package match

import "errors"

// Errors that New returns.
var (
	// ErrFields is returned for an invalid size or key. A key is invalid if a width is below one bit, a kind is unknown, or a table
	// without priorities has two LPM fields, for which the longest prefix is undefined.
	ErrFields = errors.New("invalid table key")
)

// Errors that Insert, Delete and Get return. After any of them, the table is unchanged.
var (
	// ErrKey is returned for an invalid match. A match is invalid if it has a wrong number of fields or words, bits outside the width
	// or the mask, a range whose low bound is above its high bound, a prefix length outside the field, or a wildcard in an exact field.
	ErrKey = errors.New("bad match key")
	// ErrPriority is returned for a priority other than 0 in a table without priorities, which has only exact and LPM fields.
	ErrPriority = errors.New("bad priority")
	// ErrExists is returned by Insert if an entry with the same match and priority exists.
	ErrExists = errors.New("entry exists")
	// ErrFull is returned by Insert if the table is full.
	ErrFull = errors.New("table full")
	// ErrNotFound is returned by Delete if no entry has this match and priority.
	ErrNotFound = errors.New("no such entry")
)
