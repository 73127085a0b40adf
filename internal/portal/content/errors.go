package content

import "errors"

// ErrContent means that the content folder lacks the site file, or has an entry that the portal does not read.
var ErrContent = errors.New("invalid content folder")
