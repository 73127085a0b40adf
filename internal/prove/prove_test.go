package prove

import (
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"op25b/e2e/longform"
	"op25b/internal/compile"
	"op25b/internal/policy"
	"op25b/internal/policy/policytest"
	"op25b/internal/reconcile"
)

func TestMain(m *testing.M) {
	longform.Rapid()
	goleak.VerifyTestMain(m)
}

// compiled returns the state of the first switch of a bundle in a phase.
func compiled(t testing.TB, b *policy.Bundle, in policy.InForce, now time.Time) *compile.Compiled {
	t.Helper()
	c, err := compile.NewCompiler(b, nil)
	if err != nil {
		t.Fatal(err)
	}
	state, err := c.Compile(b.Inventory.Switches[0].Name, in, now)
	if err != nil {
		t.Fatal(err)
	}
	return state
}

func prover(t testing.TB, order Order) *Prover {
	t.Helper()
	if order == nil {
		order = reconcile.Make
	}
	p, err := newProver(order)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

var october = time.Date(2006, 10, 2, 0, 0, 0, 0, time.UTC)

// change returns the change of the first switch from empty to a phase of a bundle.
func change(t testing.TB, b *policy.Bundle, phase string) *Change {
	return &Change{
		Switch: b.Inventory.Switches[0].Name, New: compiled(t, b, policy.Everywhere(phase), october), Bundle: b, Now: october,
	}
}

// TestExampleIsProved verifies that every phase of the worked example is proved, from an empty switch and from the phase before, and that the packets
// hit all entries but those that are named with their reason.
func TestExampleIsProved(t *testing.T) {
	b := policytest.Example(t)
	p := prover(t, nil)
	var before *Change
	for _, ph := range b.Policy.Phases {
		ch := change(t, b, ph.Name)
		if before != nil {
			ch.Old, ch.OldBundle = before.New, before.Bundle
		}
		r, err := p.Prove(t.Context(), ch)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Err(); err != nil {
			t.Fatalf("phase %s: %d disagreements: %v", ph.Name, r.Disagreements, err)
		}
		if r.Packets < 100 || r.Contents != 1 || r.Switches != 1 || r.States == 0 {
			t.Errorf("phase %s: %d packets, %d contents, %d switches, %d states", ph.Name, r.Packets, r.Contents, r.Switches, r.States)
		}
		hit, entries := r.Hit()
		if hit+r.UnhitCount != entries || before == nil && hit*100 < entries*95 {
			t.Errorf("phase %s: %d of %d entries hit, %d not hit", ph.Name, hit, entries, r.UnhitCount)
		}
		for _, u := range r.Unhit {
			t.Logf("phase %s: not hit: %s: %s", ph.Name, u.Entry, u.Why)
		}
		if before == nil {
			missed := slices.DeleteFunc(slices.Clone(r.Tables), func(x Table) bool { return x.Missed })
			t.Logf("%d packets, %d states, %v, tables without a miss: %v", r.Packets, r.States, r.Took, missed)
		}
		before = ch
	}
}
