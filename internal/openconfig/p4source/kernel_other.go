//go:build !linux

package p4source

import (
	"context"
	"errors"
)

// Kernel implements Links for interfaces of a Linux machine. On other systems, its methods return
// errors.
type Kernel struct{}

var _ Links = Kernel{}

// Link returns errors.ErrUnsupported.
func (Kernel) Link(context.Context, string) (Link, bool, error) {
	return Link{}, false, errors.ErrUnsupported
}

// Watch returns errors.ErrUnsupported.
func (Kernel) Watch(context.Context, func()) error { return errors.ErrUnsupported }
