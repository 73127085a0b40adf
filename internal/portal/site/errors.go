package site

import "errors"

// ErrSite means that a site file is well-formed but contains invalid values.
var ErrSite = errors.New("invalid site file")
