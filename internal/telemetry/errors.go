package telemetry

import "errors"

// Errors of a call or a session.
var (
	// ErrNoEncoding is returned for a target that offers none of PROTO, JSON_IETF and JSON.
	ErrNoEncoding = errors.New("no common encoding")
	// ErrNotSynced is returned by Once if the answer ends before its sync response, and so may be incomplete.
	ErrNotSynced = errors.New("the answer ended before its sync response")
	// ErrSilent ends a session if no samples arrive although samples are due.
	ErrSilent = errors.New("no samples")
	// ErrTooMuch ends a session, or Once, if a target reports more interfaces and ACL entries than any switch has.
	ErrTooMuch = errors.New("too many interfaces and ACL entries")
)

// Errors of the caller's input.
var (
	// ErrInterval is returned by Stream for an interval that is not positive.
	ErrInterval = errors.New("bad sample interval")
)
