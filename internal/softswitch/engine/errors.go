package engine

import "errors"

// Errors that Load returns.
var (
	// ErrProgram is returned for JSON that contradicts itself or is not a complete v1model program.
	ErrProgram = errors.New("bad program")
	// ErrUnsupported is returned for an operation, primitive, extern or type that this engine does not support.
	ErrUnsupported = errors.New("not supported")
)

// Errors that the control side returns. A method that returns one of them has changed nothing.
var (
	// ErrExists is returned if an entry, member, group or session with this key already exists.
	ErrExists = errors.New("already exists")
	// ErrNotFound is returned if no object with this name, key or index exists.
	ErrNotFound = errors.New("not found")
	// ErrFull is returned if a table or action profile is full.
	ErrFull = errors.New("full")
	// ErrConst is returned for a write to entries or a default action that the program declares const.
	ErrConst = errors.New("const in the program")
	// ErrInvalid is returned for an invalid value. Examples are a value that is too wide, a missing match, or an action that the table
	// does not have.
	ErrInvalid = errors.New("invalid")
	// ErrInUse is returned if a member or group cannot be deleted because an entry or group still refers to it.
	ErrInUse = errors.New("in use")
)
