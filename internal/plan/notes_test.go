package plan

import (
	"slices"
	"strings"
	"testing"

	"op25b/examples"
)

// TestNoteOfNAT64 verifies that a plan warns only if the policy should specify NAT64 but does not.
func TestNoteOfNAT64(t *testing.T) {
	for name, c := range map[string]struct {
		old, now string
		warned   bool
	}{
		"as it is":  {"nat64: []", "nat64: []", false},
		"left open": {"nat64: []", "", true},
		"named":     {"nat64: []", "nat64: [well-known]", false},
	} {
		w := newWorld(t, "2006-08-01")
		in := w.put(edit(t, examples.SpinNet2006(), c.old, c.now))
		warned := slices.ContainsFunc(notes(in, w.now), func(n string) bool { return strings.Contains(n, "does not say nat64") })
		if warned != c.warned {
			t.Errorf("%s: warned %v, want %v", name, warned, c.warned)
		}
	}
}
