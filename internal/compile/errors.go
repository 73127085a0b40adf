package compile

import "errors"

// Numbering.
var (
	// ErrNumbers is a numbering that contradicts itself, or is not of the documents that it is used with.
	ErrNumbers = errors.New("the numbers cannot be used")
	// ErrNoNumber is more names of one kind than a switch has numbers for.
	ErrNoNumber = errors.New("no number is left")
)

// ErrUnknownSwitch is a switch that the inventory does not have.
var ErrUnknownSwitch = errors.New("unknown switch")
