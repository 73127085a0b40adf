package policy

import (
	"fmt"
	"slices"
	"time"

	"op25b/internal/strict"
)

// An Activation puts a phase in force by hand: ahead of its date, on part of the network, or again after a later one. One with Undoes takes
// an earlier one back instead.
//
// Activations stand in a list in the order in which the store took them; timeline.go says what a list puts in force.
type Activation struct {
	// ID is the revision that it is stored under. IDs grow along the list.
	ID    uint64 `json:"id,omitempty"`
	Phase string `json:"phase,omitempty"` // "" with Undoes
	// Undoes is the ID of an activation: within Groups and Switches it and all later ones count as never made. See Bundle.Undo.
	Undoes uint64 `json:"undoes,omitempty"`
	// Groups and Switches are where. Empty, they are all, and of groups that includes lines that no inventory names.
	Groups   []string `json:"groups,omitempty"`
	Switches []string `json:"switches,omitempty"`
	// At is when it was made, by the clock of the controller that made it. Dates up to then do not replace it.
	At time.Time `json:"at"`
	// UntilNextDate ends it at the first date after At. Otherwise only the date of a phase that stands later in the policy than Phase does.
	UntilNextDate bool   `json:"untilNextDate,omitempty"`
	Author        string `json:"author,omitempty"`
	Reason        string `json:"reason,omitempty"`
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
	if _, ok := b.Policy.Phase(a.Phase); !ok && a.Undoes == 0 {
		f = append(f, invalid("phase", fmt.Sprintf("unknown phase %q", a.Phase), strict.Nearest(a.Phase, Names(b.Policy.Phases), "phases")))
	}
	if a.At.IsZero() {
		f = append(f, invalid("at", "the activation has no moment", "say from when on the phase is in force"))
	}
	return f.OrNil()
}

// scopeFaults are the line groups and switches of a scope that the documents do not have, and those that it names twice.
func (b *Bundle) scopeFaults(s Scope) (f strict.Faults) {
	check := func(list []string, key, kind, plural string, known []string) {
		for i, name := range list {
			switch path := at(key, i, ""); {
			case !slices.Contains(known, name):
				f = append(f, invalid(path, fmt.Sprintf("unknown %s %q", kind, name), strict.Nearest(name, known, plural)))
			case slices.Contains(list[:i], name):
				f = append(f, invalid(path, fmt.Sprintf("%s %q is there twice", kind, name), "keep one"))
			}
		}
	}
	check(s.Groups, "groups", "line group", "line groups", Names(b.Policy.LineGroups))
	check(s.Switches, "switches", "switch", "switches", Names(b.Inventory.Switches))
	return f
}

// invalid is a fault of a value that is in no file.
func invalid(path, what, way string) strict.Fault {
	return strict.Fault{Path: path, What: what, Way: way, Kind: ErrInvalid}
}
