package guide

import "errors"

// ErrGuide means that a settings guide is well-formed, but contains invalid values.
var ErrGuide = errors.New("invalid settings guide")
