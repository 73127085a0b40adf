package agent

import (
	"context"

	"op25b/internal/openconfig"
	"op25b/internal/openconfig/p4source"
)

// Links holds the names of the interfaces that the kernel has. Their state and counters are read from the kernel. Every other port is
// reported as up and has no interface counters.
type Links map[string]bool

var _ p4source.Links = Links{}

// Link returns the kernel's state and counters of an interface.
func (l Links) Link(ctx context.Context, name string) (p4source.Link, bool, error) {
	if !l[name] {
		return p4source.Link{Oper: openconfig.OperUp}, true, nil
	}
	return p4source.Kernel{}.Link(ctx, name)
}

// Watch calls changed at the start and after every change of a link in the kernel.
func (l Links) Watch(ctx context.Context, changed func()) error {
	return p4source.Kernel{}.Watch(ctx, changed)
}
