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

// TestNoteOfNoClock verifies that a plan warns of each covered switch that would have exemptions and does not report its clock.
func TestNoteOfNoClock(t *testing.T) {
	w := newWorld(t, "2026-11-22")
	in := w.put(examples.LibmoMobile())
	none := examples.LibmoMobile()
	for i := range none {
		if strings.HasSuffix(none[i].Name, "exemptions.yaml") {
			none[i].Data = []byte("apiVersion: op25b/v1\nkind: Exemptions\nexemptions: []\n")
		}
	}
	bare := w.put(none)
	const why = "no CPU port"
	blind := map[string]string{"edge-east": why, "edge-west": why}
	for name, c := range map[string]struct {
		r    Request
		want []string
	}{
		"all report it":              {Request{Proposed: in}, nil},
		"only one has exemptions":    {Request{Proposed: in, NoClock: blind}, []string{"edge-east"}},
		"it is not covered":          {Request{Proposed: in, NoClock: blind, Switches: []string{"edge-west"}}, nil},
		"another one reports it not": {Request{Proposed: in, NoClock: map[string]string{"edge-west": why}}, nil},
		"there are no exemptions":    {Request{Proposed: bare, NoClock: blind}, nil},
	} {
		var want []string
		for _, name := range c.want {
			want = append(want, "switch "+name+" does not report its clock, so its exemptions (1) end only while a controller runs: no CPU port")
		}
		if got := clockNotes(c.r, w.now); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}
