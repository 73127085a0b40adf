package tlsfiles

import "errors"

// ErrFiles is in every error of this package: what the files hold, or which of them are given, is of no use.
var ErrFiles = errors.New("TLS files")
