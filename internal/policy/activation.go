package policy

import (
	"fmt"
	"slices"
	"time"

	"op25b/internal/strict"
)

// An Activation puts a phase in force by an operator's decision: before the phase's date, on part of the network, or again after a later
// phase. If Undoes is set, the activation undoes an earlier activation instead.
//
// A list of activations is in the order in which the store accepted them. See timeline.go for the rules by which a list determines the
// phase in force.
type Activation struct {
	// ID is the revision under which the activation is stored. IDs increase along the list.
	ID    uint64 `json:"id,omitempty"`
	Phase string `json:"phase,omitempty"` // "" with Undoes
	// Undoes is the ID of an earlier activation. That activation and all later ones are ignored for the lines in Groups and Switches. See
	// Bundle.Undo.
	Undoes uint64 `json:"undoes,omitempty"`
	// Groups and Switches are the activation's scope. An empty list means all line groups or all switches. Unnamed lines are in the scope
	// only if Groups is empty.
	Groups   []string `json:"groups,omitempty"`
	Switches []string `json:"switches,omitempty"`
	// At is the time of the activation by the clock of the controller that made it. A phase whose date is not after At does not replace the
	// activation.
	At time.Time `json:"at"`
	// UntilNextDate ends the activation at the first date of any phase after At. Otherwise it ends at the first date after At of a phase
	// that follows Phase in the policy.
	UntilNextDate bool `json:"untilNextDate,omitempty"`
	// Rollout is the ID of the rollout that made the activation, or empty.
	Rollout string `json:"rollout,omitempty"`
	// Scheduled is the ID of the scheduled activation that made this one, or 0.
	Scheduled uint64 `json:"scheduled,omitempty"`
	Author    string `json:"author,omitempty"`
	Reason    string `json:"reason,omitempty"`
}

// A Scope is a set of lines, selected by line group and switch. An empty list selects all line groups or all switches.
type Scope struct {
	Groups   []string
	Switches []string
}

// Scope returns the scope of the activation.
func (a Activation) Scope() Scope { return Scope{Groups: a.Groups, Switches: a.Switches} }

// CheckActivation checks that an activation has a time and that the documents define the phase, line groups and switches that it names. The
// error is a strict.Faults of kind ErrInvalid; its paths are relative to the activation.
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

// scopeFaults returns a fault for each line group and switch of a scope that is unknown or named twice.
func (b *Bundle) scopeFaults(s Scope) (f strict.Faults) {
	check := func(list []string, key, kind, plural string, known []string) {
		for i, name := range list {
			switch path := at(key, i, ""); {
			case !slices.Contains(known, name):
				f = append(f, invalid(path, fmt.Sprintf("unknown %s %q", kind, name), strict.Nearest(name, known, plural)))
			case slices.Contains(list[:i], name):
				f = append(f, invalid(path, fmt.Sprintf("%s %q is listed twice", kind, name), "keep one"))
			}
		}
	}
	check(s.Groups, "groups", "line group", "line groups", Names(b.Policy.LineGroups))
	check(s.Switches, "switches", "switch", "switches", Names(b.Inventory.Switches))
	return f
}

// invalid returns a fault in a value that was not read from a file.
func invalid(path, what, way string) strict.Fault {
	return strict.Fault{Path: path, What: what, Way: way, Kind: ErrInvalid}
}
