package rings

import (
	"errors"
	"testing"

	"op25b/internal/policy"
	"op25b/internal/rollout"
)

// TestCheckDocuments verifies which changes of the inventory cannot be brought to the rings one after the other.
func TestCheckDocuments(t *testing.T) {
	inventory := func(lines map[string]string, switches ...string) *policy.Bundle {
		b := &policy.Bundle{Policy: &policy.Policy{}, Inventory: &policy.Inventory{}}
		for _, name := range switches {
			sw := policy.Switch{Name: name}
			for _, line := range []string{"a", "b", "c"} {
				if lines[line] == name {
					sw.Lines = append(sw.Lines, policy.Line{Name: line})
				}
			}
			b.Inventory.Switches = append(b.Inventory.Switches, sw)
		}
		return b
	}
	stages := []rollout.Stage{{Name: "first", Switches: []string{"s1", "s2"}}, {Name: "rest", Switches: []string{"s3", "s4"}}}
	old := inventory(map[string]string{"a": "s1", "b": "s2", "c": "s3"}, "s1", "s2", "s3")
	for name, x := range map[string]struct {
		next *policy.Bundle
		want string
	}{
		"the same": {old, ""},
		"a switch more, a line less, and a move within a ring": {inventory(map[string]string{"a": "s2", "c": "s4"}, "s1", "s2", "s3", "s4"), ""},
		"a switch less": {
			inventory(map[string]string{"a": "s1", "b": "s2"}, "s1", "s2"),
			`inventory: switch "s3" is not in the new inventory; a rollout takes no switch away: apply the inventory without it before the rollout, or after it`,
		},
		"a move to another ring": {
			inventory(map[string]string{"a": "s3", "b": "s2", "c": "s3"}, "s1", "s2", "s3"),
			`inventory: line "a" moves from switch "s1" in ring "first" to switch "s3" in ring "rest"; put both switches into one ring, or apply the move before the rollout`,
		},
	} {
		err := CheckDocuments(stages, old, x.next)
		if got := text(err); got != x.want || err != nil && !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %s, want %s", name, got, x.want)
		}
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
