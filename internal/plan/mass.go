package plan

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"op25b/internal/intent"
	"op25b/internal/pipeline"
	"op25b/internal/policy"
)

// DefaultMass is the default share, in percent, of the entries of a table or of all lines that a change may remove without being a mass change. Churn
// of a day removes well below a percent; a truncated export of an inventory removes far more.
const DefaultMass = 5

// fewRemoved is the number of lines, or of entries of lines and exemptions, up to which a removal is no mass change unless it is half of them or
// more: in a small network, one customer who leaves is a large share. It is well below what a truncated export removes from a network where it
// matters.
const fewRemoved = 5

// ErrMass means that a change would remove a large share of the entries of a table, or of all lines, and that the caller has not confirmed it.
var ErrMass = errors.New("mass change")

// A Removal is a large share of entries that a change removes.
type Removal struct {
	// Switch and Table name the table. Both are empty if Removal is about the lines of all switches.
	Switch, Table string
	Removed, Of   int
}

// String describes the removal, such as `120 of 400 entries (30.0 %) of table line on edge-1`.
func (r Removal) String() string {
	what := fmt.Sprintf("entries (%.1f %%) of table %s on %s", r.percent(), r.Table, r.Switch)
	if r.Table == "" {
		what = fmt.Sprintf("lines (%.1f %%)", r.percent())
	}
	return fmt.Sprintf("%d of %d %s", r.Removed, r.Of, what)
}

func (r Removal) percent() float64 { return 100 * float64(r.Removed) / float64(r.Of) }

// beyond reports whether the removal exceeds a share, in percent. A few lines may go, or what is of single lines: see fewRemoved. Of relays, other
// prefixes, services and ports there are few, and each matters to all lines.
func (r Removal) beyond(percent float64, ofLines bool) bool {
	switch {
	case r.Of == 0 || r.percent() <= percent:
		return false
	case ofLines && r.Removed <= fewRemoved:
		return r.Removed > 1 && 2*r.Removed >= r.Of
	}
	return true
}

// Removals returns the removals of more than the given percentage, and of more than a few lines, that replacing base by proposed makes. The removal
// of lines comes first, and the largest shares come before others. Lines are compared by name, so that a line that moves to another switch counts
// only for the table that it leaves. Entries are those of the documents at time now, whatever the switches have. A switch that leaves the inventory
// keeps its entries; its lines count. Removals returns nil if base is nil or broken.
func Removals(base, proposed *intent.Intent, now time.Time, percent float64) []Removal {
	if base == nil || base == proposed || base.Broken() != nil || base.SameDocuments(proposed) {
		return nil
	}
	var all []Removal
	for i := range base.Bundle.Inventory.Switches {
		name := base.Bundle.Inventory.Switches[i].Name
		if _, there := proposed.Bundle.Inventory.Switch(name); !there {
			continue
		}
		old, is := stateOf(base, name, now), stateOf(proposed, name, now)
		if old == nil || is == nil { // Fits reports why
			continue
		}
		for _, l := range pipeline.Losses(old, is) {
			if r := (Removal{name, l.Table.String(), l.Removed, l.Of}); r.beyond(percent, l.OfLines()) {
				all = append(all, r)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b Removal) int { return cmp.Compare(b.percent(), a.percent()) })
	if r := lostLines(base.Bundle.Inventory, proposed.Bundle.Inventory); r.beyond(percent, true) {
		all = slices.Insert(all, 0, r)
	}
	return all
}

// stateOf returns the state of a switch, or nil if it cannot be compiled. The phase makes no difference for the tables that Removals compares.
func stateOf(in *intent.Intent, name string, now time.Time) *pipeline.State {
	compiled, err := in.CompileAs(name, policy.Everywhere(in.Bundle.Policy.Phases[0].Name), now)
	if err != nil {
		return nil
	}
	return &compiled.State
}

// lostLines counts the lines of all switches.
func lostLines(old, now *policy.Inventory) Removal {
	kept := make(map[string]bool)
	for i := range now.Switches {
		for j := range now.Switches[i].Lines {
			kept[now.Switches[i].Lines[j].Name] = true
		}
	}
	var r Removal
	for i := range old.Switches {
		for j := range old.Switches[i].Lines {
			r.Of++
			if !kept[old.Switches[i].Lines[j].Name] {
				r.Removed++
			}
		}
	}
	return r
}

// maxRemovals is the number of removals that the message of ErrMass lists.
const maxRemovals = 3

// CheckMass returns ErrMass if there are removals and the caller has not confirmed them. The message lists the first of them.
func CheckMass(removals []Removal, percent float64, confirmed bool) error {
	if len(removals) == 0 || confirmed {
		return nil
	}
	var texts []string
	for i, r := range removals {
		if i == maxRemovals {
			texts = append(texts, fmt.Sprintf("%d more", len(removals)-i))
			break
		}
		texts = append(texts, r.String())
	}
	return fmt.Errorf("%w: it would remove more than %g %% at once: %s; nothing was stored; if this is meant, apply it with --mass-change (mass_change in the API)",
		ErrMass, percent, strings.Join(texts, "; "))
}
