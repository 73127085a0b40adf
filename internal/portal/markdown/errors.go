package markdown

import "errors"

var (
	// ErrMarkdown means that a document uses Markdown that the portal does not support, or a name that does not exist.
	ErrMarkdown = errors.New("invalid document of the portal")
	// ErrRuby means that a line has a brace that does not belong to ruby.
	ErrRuby = errors.New("invalid ruby")
	// ErrValue means that the portal has no value for a name that a document uses.
	ErrValue = errors.New("no value for a name in a document")
)
