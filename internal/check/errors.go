package check

import "errors"

var (
	// ErrQuestion is returned if a question is invalid. For example, it names neither a line nor an address,
	// its port is 0, or its server is not a valid host.
	ErrQuestion = errors.New("invalid question")
	// ErrUnknownLine is returned if a question names a line that is not in the inventory.
	ErrUnknownLine = errors.New("unknown line")
	// ErrShared is returned if a question names only an address, and several lines may have that address.
	ErrShared = errors.New("address of more than one line")
	// ErrFamily is returned if the line and the server have no address family in common.
	ErrFamily = errors.New("no address of the same family")
	// ErrNoPhase is returned if no phase is in force on the line's switch at the time of the question.
	ErrNoPhase = errors.New("no phase in force")
	// ErrResolve is returned if the addresses of a host cannot be found.
	ErrResolve = errors.New("host not found")
	// ErrLoad is returned if the pipeline rejects the entries of a compiled policy. This cannot happen for a
	// valid policy.
	ErrLoad = errors.New("the pipeline rejects the compiled policy")
)
