package agent

import (
	"context"

	"op25b/internal/openconfig"
	"op25b/internal/openconfig/p4source"
)

// Links are the names of the interfaces that the kernel knows; what it says of them is served. Any other port is up, as far as anyone
// here can tell, and has no interface counters.
type Links map[string]bool

var _ p4source.Links = Links{}

// Link asks the kernel for the interfaces that it knows.
func (l Links) Link(ctx context.Context, name string) (p4source.Link, bool, error) {
	if !l[name] {
		return p4source.Link{Oper: openconfig.OperUp}, true, nil
	}
	return p4source.Kernel{}.Link(ctx, name)
}

// Watch is the kernel's own.
func (l Links) Watch(ctx context.Context, changed func()) error {
	return p4source.Kernel{}.Watch(ctx, changed)
}
