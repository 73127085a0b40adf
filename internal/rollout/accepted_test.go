package rollout

import (
	"testing"
	"time"
)

// TestAcceptedOnce verifies that what an operator has accepted of a ring does not hold the rings behind it, and that their own gates do.
func TestAcceptedOnce(t *testing.T) {
	hold := func(ring string) func(*Observation) {
		return func(o *Observation) {
			o.Findings = append(o.Findings, Finding{Gate: Affected, Verdict: Hold, Ring: ring})
		}
	}
	w := newWorld(3)
	w.until(t, Soaking)
	w.step(time.Second, hold("ring-0"))
	var err error
	if w.record, err = w.record.Resume("noc", "known", w.now); err != nil {
		t.Fatal(err)
	}
	for w.record.Ring < 2 || w.record.State != Soaking {
		if w.step(10*time.Second, hold("ring-0")); w.record.State == Held {
			t.Fatalf("the accepted gate of ring-0 holds ring %d: %v", w.record.Ring, w.record.Findings)
		}
	}
	if w.step(time.Second, hold("ring-2")); w.record.State != Held || w.record.Ring != 2 {
		t.Errorf("a gate of the ring at hand leaves the rollout %s in ring %d, want held in ring 2", w.record.State, w.record.Ring)
	}
}
