package mailbox

import "errors"

var (
	// ErrAddress is returned for an invalid mail address.
	ErrAddress = errors.New("not a mail address")
	// ErrDirectory is a provider directory that can be read but contradicts itself.
	ErrDirectory = errors.New("invalid provider directory")
)
