package history

import "errors"

// Errors of Open and of an open store.
var (
	// ErrConfig is returned for an invalid configuration.
	ErrConfig = errors.New("invalid history configuration")
	// ErrInUse is returned by Open if another process has the file open.
	ErrInUse = errors.New("history file in use")
	// ErrClosed is returned after Close.
	ErrClosed = errors.New("history is closed")
	// ErrDamaged is wrapped by errors about a file that is not a valid history. The file is set aside.
	ErrDamaged = errors.New("damaged history file")
	// ErrLater is wrapped by errors about a file of a later format. The file is set aside.
	ErrLater = errors.New("history file of a later version")
	// ErrTime is returned by Record for a time outside the range of a history.
	ErrTime = errors.New("invalid time of a record")
)

// Errors of a query.
var (
	// ErrQuery is returned by Range for an invalid query.
	ErrQuery = errors.New("invalid query")
	// ErrBound is returned by Range for a query whose answer would be too large. The message names the bound.
	ErrBound = errors.New("query too large")
	// ErrPrometheus is returned if Prometheus refuses a query, fails, or returns an answer that cannot be read.
	ErrPrometheus = errors.New("prometheus")
)
