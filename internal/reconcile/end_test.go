package reconcile

import (
	"net/netip"
	"testing"

	"op25b/internal/pipeline"
)

// TestEndOfDesiredEntries verifies that an entry is written if and only if its end differs from the end that the option End wants, and that a change
// of ends alone is one step of MODIFY, without another rule set.
func TestEndOfDesiredEntries(t *testing.T) {
	state := &pipeline.State{
		Subscribers: map[netip.Prefix]pipeline.Subscriber{}, Verdicts: map[pipeline.VerdictKey]pipeline.Verdict{{Priority: 1}: {Action: pipeline.Drop, Rule: pipeline.FirstRule}},
		Remotes: map[netip.Prefix]pipeline.Class{netip.MustParsePrefix("192.0.2.0/24"): 1},
	}
	for _, p := range prefixes {
		state.Subscribers[p] = pipeline.Subscriber{Class: 1}
	}
	ends := make(map[netip.Prefix]pipeline.ClockSecond) // wanted
	near := false                                       // whether any end that the switch has will do
	opts := Options{End: func(want, have pipeline.Entry) pipeline.Entry {
		p, _ := want.Prefix()
		if _, is := want.IsSubscriber(); !is {
			return want
		}
		if have.Until() != 0 && near {
			return want.WithUntil(have.Until())
		}
		return want.WithUntil(ends[p])
	}}
	sw := fresh()
	carryOut := func(steps int) (updates int) {
		t.Helper()
		plan, err := Make(sw.entries(), state, nil, opts)
		if err != nil {
			t.Fatal(err)
		}
		if steps >= 0 && len(plan.Steps) != steps {
			t.Errorf("%d steps, want %d: %+v", len(plan.Steps), steps, plan.Steps)
		}
		for _, s := range plan.Steps {
			for _, u := range s.Updates {
				if updates++; steps == 1 && u.Kind != pipeline.Modify {
					t.Errorf("%v of %v", u.Kind, u.Entry)
				}
				if err := sw.update(u); err != nil {
					t.Fatal(err)
				}
			}
		}
		for p, until := range ends {
			for _, e := range sw {
				if of, _ := e.Prefix(); of != p {
					continue
				}
				if class, is := e.IsSubscriber(); !is && e.Until() != 0 || is && (class != 1 || e.Until() != until && !near) {
					t.Errorf("%v, want until %d", e, until)
				}
			}
		}
		return updates
	}
	ends[prefixes[0]], ends[prefixes[3]] = 100, 200
	carryOut(-1)
	if n := carryOut(0); n != 0 {
		t.Errorf("%d updates", n)
	}
	ends[prefixes[0]], ends[prefixes[1]], ends[prefixes[3]] = 101, 300, 0
	near = true
	if n := carryOut(1); n != 1 { // only the prefix that has no end yet
		t.Errorf("%d updates, want 1", n)
	}
	near = false
	if n := carryOut(1); n != 2 {
		t.Errorf("%d updates, want 2", n)
	}
	carryOut(0)
}
