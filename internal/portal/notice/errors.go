package notice

import "errors"

// ErrNotice means that a notice is well-formed, but that its name or its front matter is invalid.
var ErrNotice = errors.New("invalid notice")
