package plan

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"op25b/examples"
	"op25b/internal/intent"
	"op25b/internal/prove"
)

// A fakeProver answers with a result or an error, and keeps the changes.
type fakeProver struct {
	result  *prove.Result
	err     error
	changes []*prove.Change
	until   time.Time
}

func (f *fakeProver) Prove(ctx context.Context, changes ...*prove.Change) (*prove.Result, error) {
	f.changes = changes
	f.until, _ = ctx.Deadline()
	return f.result, f.err
}

// TestProof verifies that a plan of the worked example is proved from an empty switch, together with the phases that have not begun.
func TestProof(t *testing.T) {
	w := newWorld(t, "2006-05-20")
	proposed := w.propose(examples.SpinNet2006())
	p := w.planner(nil)
	r, err := p.Prove(within(t), nil, proposed, nil)
	if err != nil || r.Err() != nil {
		t.Fatal(err, r.Err())
	}
	if phases := len(proposed.Bundle.Policy.Phases); r.Contents != phases || r.Packets < 100 {
		t.Errorf("%d contents for %d phases, %d packets", r.Contents, phases, r.Packets)
	}
	if err := p.Proved(within(t), nil, proposed); err != nil {
		t.Error(err)
	}
	stored := w.put(examples.SpinNet2006())
	if r, err := p.Prove(within(t), stored, proposed, nil); err != nil || r.Packets != 0 {
		t.Errorf("the same documents: %+v, %v", r, err)
	}
}

// TestUnprovedIsRefused verifies that a change is refused if it is disproved or if its proof cannot be finished, and that a proof has a deadline.
func TestUnprovedIsRefused(t *testing.T) {
	w := newWorld(t, "2006-05-20")
	proposed := w.propose(examples.SpinNet2006())
	bad := &prove.Result{Disagreements: 1, Counterexamples: []*prove.Counterexample{{Switch: "edge-1", Packet: prove.Packet{About: "SYN from line x"}}}}
	for _, tc := range []struct {
		prover *fakeProver
		is     error
		says   string
	}{
		{&fakeProver{result: bad}, prove.ErrDisproved, `nothing was stored: the proof on the twin has failed: switch "edge-1": SYN from line x`},
		{&fakeProver{err: prove.ErrUnproved}, prove.ErrUnproved, "nothing was stored: not proved on the twin"},
	} {
		p := w.planner(func(c *Config) { c.Prover = tc.prover })
		err := p.Proved(within(t), nil, proposed)
		if !errors.Is(err, ErrRefused) || !errors.Is(err, tc.is) || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%v, want %q", err, tc.says)
		}
		if tc.prover.until.IsZero() || time.Until(tc.prover.until) > ProofTime {
			t.Errorf("the proof may last until %v", tc.prover.until)
		}
	}
}

// TestOnlyNamedSwitchesAreProved verifies that a plan for some switches proves only these, and that a switch that the base has is changed from it.
func TestOnlyNamedSwitchesAreProved(t *testing.T) {
	w := newWorld(t, "2006-05-20")
	base := w.put(examples.SpinNet2006())
	f := &fakeProver{result: &prove.Result{}}
	p := w.planner(func(c *Config) { c.Prover = f })
	name := base.Bundle.Inventory.Switches[0].Name
	if _, err := p.Prove(within(t), base, base, []string{name}); err != nil {
		t.Fatal(err)
	}
	if len(f.changes) != 1 || f.changes[0].Switch != name || f.changes[0].Old == nil || f.changes[0].OldBundle != base.Bundle {
		t.Errorf("%d changes: %+v", len(f.changes), f.changes)
	}
	if _, err := p.Prove(within(t), base, base, []string{"other"}); err != nil || len(f.changes) != 0 {
		t.Errorf("%d changes for a switch that is not there, %v", len(f.changes), err)
	}
}

// TestEachSwitchIsProvedFromItsDocuments verifies that a change is proved from the documents that a switch has while a rollout brings others to it.
func TestEachSwitchIsProvedFromItsDocuments(t *testing.T) {
	w := newWorld(t, "2026-07-01")
	w.put(examples.LibmoMobile())
	p, err := w.book.Propose(within(t), edit(t, examples.LibmoMobile(), "action: monitor", "action: drop"))
	if err != nil {
		t.Fatal(err)
	}
	by := intent.By{Who: "test", Reason: "test"}
	staged, err := w.book.Stage(within(t), p, by)
	if err != nil {
		t.Fatal(err)
	}
	in, err := w.book.Advance(within(t), staged.Number, p.Base, []string{"edge-west"}, by)
	if err != nil {
		t.Fatal(err)
	}
	f := &fakeProver{result: &prove.Result{}}
	proposed := w.propose(edit(t, examples.LibmoMobile(), "action: monitor", "action: reject"))
	if _, err := w.planner(func(c *Config) { c.Prover = f }).Prove(within(t), in, proposed, nil); err != nil {
		t.Fatal(err)
	}
	digests, seen := make(map[string]bool), 0
	for _, ch := range f.changes {
		if ch.OldBundle == proposed.Bundle { // a later phase
			continue
		}
		seen++
		digests[ch.PolicyDigest] = true
		if want := in.For(ch.Switch).Bundle; ch.OldBundle != want {
			t.Errorf("switch %s is proved from other documents than it has", ch.Switch)
		}
	}
	if seen != 3 || len(digests) != 2 {
		t.Errorf("%d switches are proved, by %d pairs of documents; want 3 and 2", seen, len(digests))
	}
}
