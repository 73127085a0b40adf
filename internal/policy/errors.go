package policy

import "errors"

// Reading.
var (
	// ErrDate is a text that is not a date.
	ErrDate = errors.New("not a date")
	// ErrOffset is a text that is not a distance from UTC.
	ErrOffset = errors.New("not a UTC offset")
)

// Making sense.
var (
	// ErrInvalid is a policy or an inventory that can be read but must not be put in force.
	ErrInvalid = errors.New("invalid policy or inventory")
)

// Time.
var (
	// ErrNoPrevious is a scope in which there is no activation to undo.
	ErrNoPrevious = errors.New("no phase to go back to")
)

// Phases in force.
var (
	// ErrUnknownPhase is a phase that the policy does not have.
	ErrUnknownPhase = errors.New("unknown phase")
	// ErrUnknownGroup is a line group that the policy does not have.
	ErrUnknownGroup = errors.New("unknown line group")
)
