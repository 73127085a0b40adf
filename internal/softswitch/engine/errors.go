package engine

import "errors"

// Errors of Load.
var (
	// ErrProgram is returned for JSON that is not a complete v1model program, or that contradicts itself.
	ErrProgram = errors.New("bad program")
	// ErrUnsupported is returned for an operation, primitive, extern or type that this engine does not support.
	ErrUnsupported = errors.New("not supported")
)

// Errors of the control side. A method that returns one of them has changed nothing.
var (
	// ErrExists is returned if an entry, member, group or session with this key already exists.
	ErrExists = errors.New("already exists")
	// ErrNotFound is returned if no object with this name, key or index exists.
	ErrNotFound = errors.New("not found")
	// ErrFull is returned if a table or action profile is full.
	ErrFull = errors.New("full")
	// ErrConst is returned for a write to entries or a default action that the program declares const.
	ErrConst = errors.New("const in the program")
	// ErrInvalid is returned for an invalid value, such as a value that is too wide, a missing match, or an action that the table does not
	// have.
	ErrInvalid = errors.New("invalid")
	// ErrInUse is returned by a deletion of a member or group that an entry or group still refers to.
	ErrInUse = errors.New("in use")
)
