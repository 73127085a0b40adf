package mailbox

import "errors"

var (
	// ErrAddress is returned if a mail address is invalid.
	ErrAddress = errors.New("not a mail address")
	// ErrDirectory is returned if a provider directory can be decoded but contains invalid values.
	ErrDirectory = errors.New("invalid provider directory")
)
