package mailbox

import "errors"

var (
	// ErrAddress is returned for an invalid mail address.
	ErrAddress = errors.New("not a mail address")
	// ErrDirectory is returned for a provider directory that can be decoded but has invalid values.
	ErrDirectory = errors.New("invalid provider directory")
)
