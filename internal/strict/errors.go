package strict

import "errors"

var (
	// ErrSyntax means that a document is not valid YAML, or uses a feature of YAML that is not supported.
	ErrSyntax = errors.New("not a readable document")
	// ErrDecode means that a document has an unknown, missing or repeated key, or a value of the wrong type.
	ErrDecode = errors.New("not the form of the document")
	// ErrDocuments means that files contain too few or too many documents.
	ErrDocuments = errors.New("documents missing or repeated")
)
