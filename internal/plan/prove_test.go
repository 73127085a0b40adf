package plan

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"op25b/examples"
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
