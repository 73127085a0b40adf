package strict

import "errors"

var (
	// ErrSyntax is a document that is not YAML, or not the part of YAML that is read here.
	ErrSyntax = errors.New("not a readable document")
	// ErrDecode is a document with an unknown, missing or repeated key, or a value of the wrong type.
	ErrDecode = errors.New("not the form of the document")
	// ErrDocuments is a set of files with too few or too many documents.
	ErrDocuments = errors.New("documents missing or repeated")
)
