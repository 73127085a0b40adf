package article

import "errors"

// ErrArticle means that a folder of texts has a file that replaces no text of the portal.
var ErrArticle = errors.New("not a text of the portal")
