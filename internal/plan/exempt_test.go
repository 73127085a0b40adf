package plan

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"op25b/examples"
	"op25b/internal/intent"
	"op25b/internal/policy"
	"op25b/internal/prove"
	"op25b/internal/reconcile"
	"op25b/internal/strict"
)

func exemption(line, prefix string) policy.Exemption {
	e := policy.Exemption{Line: line, Owner: "noc", Reason: "test", Expires: policy.Date{Year: 2007, Month: 3, Day: 31}}
	if prefix != "" {
		e.Prefix = netip.MustParsePrefix(prefix)
	}
	return e
}

func (w *world) exempting(verb string, e policy.Exemption) *intent.Intent {
	w.t.Helper()
	p, err := w.book.ProposeExemption(within(w.t), intent.Exempting{Verb: verb, Exemption: e})
	if err != nil {
		w.t.Fatal(err)
	}
	return p.Intent
}

// TestExempting verifies that the proof of a change of one exemption meets the entries that it touches, and is far smaller than that of the
// documents.
func TestExempting(t *testing.T) {
	w := newWorld(t, "2006-10-15")
	base := w.put(edit(t, examples.SpinNet2006(), "expires: 2007-03-31", "expires: 2006-12-31"))
	for _, c := range []struct {
		verb string
		e    policy.Exemption
	}{
		{intent.ExemptionAdd, exemption("", "198.18.0.0/24")},
		{intent.ExemptionAdd, exemption("", "192.0.2.0/24")}, // around the lines
		{intent.ExemptionAdd, exemption("", "192.0.2.13/32")},
		{intent.ExemptionEnd, exemption("business-fixed", "")},
	} {
		proposed := w.exempting(c.verb, c.e)
		fake := &fakeProver{result: &prove.Result{}}
		if err := w.planner(func(cfg *Config) { cfg.Prover = fake }).Exempting(within(t), base, proposed, c.e); err != nil || len(fake.changes) != 1 {
			t.Fatalf("%s %s: %d changes, %v", c.verb, c.e.Subject(), len(fake.changes), err)
		}
		if n := len(fake.changes[0].Bundle.Inventory.Switches[0].Lines); c.e.Prefix.IsValid() && c.e.Prefix.Bits() == 24 && c.e.Prefix.Addr().As4()[0] == 198 && n != witnesses {
			t.Errorf("%s %s: %d lines are loaded", c.verb, c.e.Subject(), n)
		}
		p := w.planner(nil)
		if err := p.Exempting(within(t), base, proposed, c.e); err != nil {
			t.Errorf("%s %s: %v", c.verb, c.e.Subject(), err)
		}
		r, err := p.cfg.Prover.Prove(within(t), fake.changes...)
		if err != nil || r.Err() != nil || r.Packets == 0 {
			t.Errorf("%s %s: %+v, %v", c.verb, c.e.Subject(), r, err)
		}
	}
	for is, fake := range map[error]*fakeProver{
		prove.ErrDisproved: {result: &prove.Result{Disagreements: 1, Counterexamples: []*prove.Counterexample{{Switch: "edge-1"}}}}, prove.ErrUnproved: {err: prove.ErrUnproved},
	} {
		e := exemption("", "198.18.0.0/24")
		err := w.planner(func(cfg *Config) { cfg.Prover = fake }).Exempting(within(t), base, w.exempting(intent.ExemptionAdd, e), e)
		if !errors.Is(err, is) || !errors.Is(err, ErrRefused) {
			t.Errorf("got %v, want %v", err, is)
		}
	}
}

// TestI10ExemptingFull verifies that one exemption more than a table has room for is refused with the message of a change of documents.
func TestI10ExemptingFull(t *testing.T) {
	w := newWorld(t, "2006-10-15")
	list := []policy.Exemption{}
	for i := range 40_960 {
		list = append(list, exemption("", fmt.Sprintf("2001:db8:%x:%x::/64", 0x1000+i>>8, i&0xff)))
	}
	docs := []strict.File{{Name: "exempt.yaml", Data: policy.EncodeExemptions(list)}}
	for _, f := range examples.SpinNet2006() {
		if !strings.Contains(string(f.Data), "kind: Exemptions") {
			docs = append(docs, f)
		}
	}
	base := w.put(docs)
	p := w.planner(nil)
	v4 := exemption("", "198.18.0.0/24")
	if err := p.Exempting(within(t), base, w.exempting(intent.ExemptionAdd, v4), v4); err != nil {
		t.Errorf("in the table with room: %v", err)
	}
	e := exemption("", "2001:db8:f::/48")
	err := p.Exempting(within(t), base, w.exempting(intent.ExemptionAdd, e), e)
	want := `nothing was stored: switch "edge-1": table "subscriber_v6": no room: 40960 entries, 40961 wanted`
	if !errors.Is(err, ErrRefused) || !errors.Is(err, reconcile.ErrNoRoom) || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	if err := p.Exempting(within(t), base, w.exempting(intent.ExemptionEnd, list[7]), list[7]); err != nil {
		t.Errorf("one fewer: %v", err)
	}
}
