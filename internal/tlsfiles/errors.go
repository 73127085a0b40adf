package tlsfiles

import "errors"

// ErrFiles is wrapped by every error about a missing or invalid file.
var ErrFiles = errors.New("TLS files")
