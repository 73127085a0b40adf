package check

import "errors"

var (
	// ErrQuestion is returned for an invalid question, such as one without a line or a server, or with port 0.
	ErrQuestion = errors.New("invalid question")
	// ErrUnknownLine is returned for a line that is not in the inventory.
	ErrUnknownLine = errors.New("unknown line")
	// ErrShared is returned for an address that several lines share.
	ErrShared = errors.New("address of more than one line")
	// ErrFamily is returned if line and server have no address family in common.
	ErrFamily = errors.New("no address of the same family")
	// ErrNoPhase is returned for a time before the first phase on the line's switch.
	ErrNoPhase = errors.New("no phase in force")
	// ErrResolve is returned for a host whose addresses could not be found.
	ErrResolve = errors.New("host not found")
	// ErrLoad is returned if the pipeline rejects a compiled policy. No valid policy causes it.
	ErrLoad = errors.New("the pipeline rejects the compiled policy")
)
