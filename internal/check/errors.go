package check

import "errors"

var (
	// ErrQuestion is returned for a question that cannot be asked: no line and no address, no server, port 0, an address that no server has.
	ErrQuestion = errors.New("invalid question")
	// ErrUnknownLine is returned for a line that the inventory does not have.
	ErrUnknownLine = errors.New("unknown line")
	// ErrShared is returned for a subscriber's address that stands for more than one line.
	ErrShared = errors.New("address of more than one line")
	// ErrFamily is returned where line and server have no family of addresses in common.
	ErrFamily = errors.New("no address of the same family")
	// ErrNoPhase is returned for a moment before the first phase on the line's switch.
	ErrNoPhase = errors.New("no phase in force")
	// ErrResolve is returned for a host whose addresses could not be found.
	ErrResolve = errors.New("host not found")
	// ErrLoad is returned for a compiled policy that the pipeline does not take. No valid policy compiles to one.
	ErrLoad = errors.New("the pipeline rejects the compiled policy")
)
