package publication

import "errors"

var (
	// ErrTooLarge means that the switches and lines differ in so many ways that the publication would be too large.
	ErrTooLarge = errors.New("the publication is too large")
	// ErrNoAddress means that the remote classes and lines leave no documentation prefix for a published line.
	ErrNoAddress = errors.New("no documentation address is left for a published line")
)
