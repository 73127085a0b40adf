package rings

import (
	"fmt"

	"op25b/internal/policy"
	"op25b/internal/rollout"
	"op25b/internal/strict"
)

// CheckDocuments returns strict.Faults if documents cannot be brought to the rings one after the other, in place of the documents in force: if a switch
// leaves the inventory, or if a line moves to a switch of another ring. Such a line would have no switch for a time, or two.
func CheckDocuments(stages []rollout.Stage, old, next *policy.Bundle) error {
	var faults strict.Faults
	fault := func(what, way string) {
		faults = append(faults, strict.Fault{Path: "inventory", What: what, Way: way, Kind: ErrInvalid})
	}
	ring := make(map[string]string)
	for _, s := range stages {
		for _, name := range s.Switches {
			ring[name] = s.Name
		}
	}
	lines := policy.NewLineIndex(next.Inventory)
	for i := range old.Inventory.Switches {
		was := &old.Inventory.Switches[i]
		if _, there := next.Inventory.Switch(was.Name); !there {
			fault(fmt.Sprintf("switch %q is not in the new inventory", was.Name), "a rollout takes no switch away: apply the inventory without it before the rollout, or after it")
			continue
		}
		for j := range was.Lines {
			name := was.Lines[j].Name
			if is, _, there := lines.Line(name); there && ring[is.Name] != ring[was.Name] {
				fault(fmt.Sprintf("line %q moves from switch %q in ring %q to switch %q in ring %q", name, was.Name, ring[was.Name], is.Name, ring[is.Name]),
					"put both switches into one ring, or apply the move before the rollout")
			}
		}
	}
	return faults.OrNil()
}
