package tlsfiles

import "errors"

// ErrFiles is wrapped by the errors about missing or invalid files.
var ErrFiles = errors.New("TLS files")
