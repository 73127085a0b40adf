package mailbox

import "errors"

var (
	// ErrAddress is returned if a mail address is invalid.
	ErrAddress = errors.New("not a mail address")
	// ErrProvider is returned if a question names a provider that is not in the directory.
	ErrProvider = errors.New("unknown provider")
	// ErrDirectory is returned if a provider directory can be decoded but contains invalid values.
	ErrDirectory = errors.New("invalid provider directory")
)
