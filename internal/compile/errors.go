package compile

import "errors"

// Errors of numbering.
var (
	// ErrNumbers means that a numbering contradicts itself, or belongs to other documents.
	ErrNumbers = errors.New("the numbers cannot be used")
	// ErrNoNumber means that there are more names of one kind than numbers.
	ErrNoNumber = errors.New("no number is left")
)

// ErrUnknownSwitch means that the inventory does not have a switch.
var ErrUnknownSwitch = errors.New("unknown switch")
