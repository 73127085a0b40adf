package policy

import (
	"fmt"
	"slices"
	"time"
)

// An Activation puts a phase in force by hand: ahead of its date, on part of the network, or again after a later one.
type Activation struct {
	ID    uint64 `json:"id,omitempty"` // that it is stored under; nothing here reads it
	Phase string `json:"phase"`
	// Groups and Switches are where. Empty, they are all, and of groups that includes lines that no inventory names.
	Groups   []string `json:"groups,omitempty"`
	Switches []string `json:"switches,omitempty"`
	// At is from when on, until a later activation or the effective date of a phase.
	At     time.Time `json:"at"`
	Author string    `json:"author,omitempty"`
	Reason string    `json:"reason,omitempty"`
}

// A Scope is lines of some groups on some switches; empty, each is all.
type Scope struct {
	Groups   []string
	Switches []string
}

// Scope is where the activation is.
func (a Activation) Scope() Scope { return Scope{Groups: a.Groups, Switches: a.Switches} }

// CheckActivation finds everything in an activation that the documents do not have. The error is a Faults of ErrInvalid, whose paths are the
// activation's own.
func (b *Bundle) CheckActivation(a Activation) error {
	f := b.scopeFaults(a.Scope())
	if _, ok := b.Policy.Phase(a.Phase); !ok {
		f.invalid("phase", fmt.Sprintf("unknown phase %q", a.Phase), nearest(a.Phase, names(b.Policy.Phases, Phase.name), "phases"))
	}
	if a.At.IsZero() {
		f.invalid("at", "the activation has no moment", "say from when on the phase is in force")
	}
	return f.orNil()
}

// scopeFaults are the line groups and switches of a scope that the documents do not have, and those that it names twice.
func (b *Bundle) scopeFaults(s Scope) (f Faults) {
	check := func(list []string, key, kind, plural string, known []string) {
		for i, name := range list {
			switch path := at(key, i, ""); {
			case !slices.Contains(known, name):
				f.invalid(path, fmt.Sprintf("unknown %s %q", kind, name), nearest(name, known, plural))
			case slices.Contains(list[:i], name):
				f.invalid(path, fmt.Sprintf("%s %q is there twice", kind, name), "keep one")
			}
		}
	}
	check(s.Groups, "groups", "line group", "line groups", names(b.Policy.LineGroups, LineGroup.name))
	check(s.Switches, "switches", "switch", "switches", names(b.Inventory.Switches, Switch.name))
	return f
}

// invalid notes a fault of a value that is in no file.
func (f *Faults) invalid(path, what, way string) {
	*f = append(*f, Fault{Path: path, What: what, Way: way, Kind: ErrInvalid})
}
