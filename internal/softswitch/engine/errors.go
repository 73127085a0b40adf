package engine

import "errors"

// Errors of Load.
var (
	// ErrProgram is returned for JSON that is not a complete v1model program, or that contradicts itself.
	ErrProgram = errors.New("bad program")
	// ErrUnsupported is returned for an operation, primitive, extern or type that this engine does not know.
	ErrUnsupported = errors.New("not supported")
)

// Errors of the control side. Nothing has changed when one of them is returned.
var (
	// ErrExists is returned when an entry, member, group or session with this key is already there.
	ErrExists = errors.New("already exists")
	// ErrNotFound is returned when nothing has this name, key or index.
	ErrNotFound = errors.New("not found")
	// ErrFull is returned when a table or action profile has no room left.
	ErrFull = errors.New("full")
	// ErrConst is returned for a write to what the program declares const.
	ErrConst = errors.New("const in the program")
	// ErrInvalid is returned for a value that does not fit: too wide, a missing match, an action that the table does not have.
	ErrInvalid = errors.New("invalid")
	// ErrInUse is returned when a member or group is deleted that an entry or a group still refers to.
	ErrInUse = errors.New("in use")
)
