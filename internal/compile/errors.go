package compile

import "errors"

// Errors of numbering.
var (
	// ErrNumbers means that a Numbers is inconsistent, or belongs to other documents.
	ErrNumbers = errors.New("the numbers cannot be used")
	// ErrNoNumber means that the documents have more names of one kind than there are numbers.
	ErrNoNumber = errors.New("no number is left")
)

// ErrUnknownSwitch means that the inventory does not have the named switch.
var ErrUnknownSwitch = errors.New("unknown switch")
