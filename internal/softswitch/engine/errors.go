package engine

import "errors"

// Errors of Load.
var (
	// ErrProgram is returned for JSON that is not a complete v1model program, or that contradicts itself.
	ErrProgram = errors.New("bad program")
	// ErrUnsupported is returned for an operation, primitive, extern or type that this engine does not support.
	ErrUnsupported = errors.New("not supported")
)

// Errors of the control side. If one of them is returned nothing has changed.
var (
	// ErrExists is returned if there is an entry, member, group or session with this key already.
	ErrExists = errors.New("already exists")
	// ErrNotFound is returned if there is none with this name, key or index.
	ErrNotFound = errors.New("not found")
	// ErrFull is returned if a table or action profile has no room left.
	ErrFull = errors.New("full")
	// ErrConst is returned for a write to a const declaration of the program.
	ErrConst = errors.New("const in the program")
	// ErrInvalid is returned for an invalid value: too wide, a missing match, an action that the table does not have.
	ErrInvalid = errors.New("invalid")
	// ErrInUse is returned when a member or group is deleted that an entry or a group still refers to.
	ErrInUse = errors.New("in use")
)
