package prove

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"op25b/internal/compile"
	"op25b/internal/pipeline"
	"op25b/internal/policy"
	"op25b/internal/policy/policytest"
	"op25b/internal/reconcile"
	"op25b/internal/strict"
)

// TestContentIsProvedOnce verifies that switches with the same content share a proof, in one call and in a later one, and that a change that changes
// nothing needs none.
func TestContentIsProvedOnce(t *testing.T) {
	b := policytest.Example(t)
	p := prover(t, nil)
	one, two := change(t, b, phaseAll), change(t, b, phaseAll)
	r, err := p.Prove(t.Context(), one, two)
	if err != nil {
		t.Fatal(err)
	}
	if r.Switches != 2 || r.Contents != 1 || r.Known != 0 || r.Err() != nil {
		t.Errorf("%d switches, %d contents, %d known: %v", r.Switches, r.Contents, r.Known, r.Err())
	}
	again, err := p.Prove(t.Context(), one)
	if err != nil || again.Known != 1 || again.Packets != r.Packets {
		t.Errorf("a second time: %+v, %v", again, err)
	}
	same := change(t, b, phaseAll)
	same.Old, same.OldBundle = one.New, b
	none, err := p.Prove(t.Context(), same)
	if err != nil || none.Contents != 0 || none.Packets != 0 || none.Switches != 1 {
		t.Errorf("no change: %+v, %v", none, err)
	}
}

// TestDisproofIsNotKept verifies that a content that was disproved is tried again.
func TestDisproofIsNotKept(t *testing.T) {
	b := policytest.Example(t)
	p := prover(t, nil)
	ch := change(t, b, phaseAll)
	bad := *ch.New
	bad.State.Subscribers = nil
	ch.New = &bad
	for range 2 {
		r, err := p.Prove(t.Context(), ch)
		if err != nil || r.Known != 0 || !errors.Is(r.Err(), ErrDisproved) {
			t.Fatalf("%+v, %v", r, err)
		}
		for _, part := range []string{"the proof on the twin has failed", `switch "`, "permit by rule exempt"} {
			if !strings.Contains(r.Err().Error(), part) {
				t.Errorf("%v does not say %q", r.Err(), part)
			}
		}
	}
}

// TestUnknownIsNoYes verifies that a proof whose time is over is an error, while it waits for another proof and while it runs.
func TestUnknownIsNoYes(t *testing.T) {
	b := policytest.Example(t)
	over := errors.New("the time is over")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(over)
	p := prover(t, nil)
	if _, err := p.Prove(ctx, change(t, b, phaseAll)); !errors.Is(err, ErrUnproved) || !errors.Is(err, over) {
		t.Errorf("%v, want ErrUnproved", err)
	}
	<-p.turn // somebody else proves
	if _, err := p.Prove(ctx, change(t, b, phaseAll)); !errors.Is(err, ErrUnproved) || !strings.Contains(err.Error(), "another proof took too long") {
		t.Errorf("%v, want ErrUnproved", err)
	}
}

// TestExemptionIsProvedAlone verifies that the proof of one exemption tries what it touches, and not the whole switch.
func TestExemptionIsProvedAlone(t *testing.T) {
	b := policytest.Example(t)
	p := prover(t, nil)
	without := *b.Policy
	last := without.Exemptions[len(without.Exemptions)-1]
	without.Exemptions = without.Exemptions[:len(without.Exemptions)-1]
	old := &policy.Bundle{Policy: &without, Inventory: b.Inventory}
	whole, err := p.Prove(t.Context(), change(t, old, phaseAll))
	if err != nil || whole.Err() != nil {
		t.Fatal(err, whole.Err())
	}
	ch := change(t, b, phaseAll)
	ch.Old, ch.OldBundle = compiled(t, old, policy.Everywhere(phaseAll), october), old
	r, err := p.Prove(t.Context(), ch)
	if err != nil || r.Err() != nil {
		t.Fatal(err, r.Err())
	}
	hit, entries := r.Hit()
	if r.Packets == 0 || r.Packets > 100 || entries == 0 || hit != entries {
		t.Errorf("the exemption of %s%v: %d packets (the whole: %d), %d of %d entries hit", last.Line, last.Prefix, r.Packets, whole.Packets, hit, entries)
	}
	// The compiler forgets it.
	bad := *ch.New
	bad.State.Subscribers = ch.Old.State.Subscribers
	ch.New = &bad
	if r, err = p.Prove(t.Context(), ch); err != nil || !errors.Is(r.Err(), ErrDisproved) {
		t.Errorf("a forgotten exemption: %+v, %v", r, err)
	}
}

// TestPanicIsUnproved verifies that a panic of the prover, in either of its goroutines, is an error that says where, and that the prover can be used
// afterwards.
func TestPanicIsUnproved(t *testing.T) {
	b := policytest.Example(t)
	panics := true
	p := prover(t, func(have []pipeline.Entry, want *pipeline.State, contract *pipeline.Contract, opts reconcile.Options) (*reconcile.Plan, error) {
		if panics {
			panic("wrong order")
		}
		return reconcile.Make(have, want, contract, opts)
	})
	_, err := p.Prove(t.Context(), change(t, b, phaseAll))
	if !errors.Is(err, ErrUnproved) || !strings.Contains(err.Error(), "the prover has failed: panic: wrong order, at op25b/internal/prove.TestPanicIsUnproved.func1:") {
		t.Errorf("error %v", err)
	}
	panics = false
	if r, err := p.Prove(t.Context(), change(t, b, phaseAll)); err != nil || r.Err() != nil {
		t.Errorf("afterwards: %v", err)
	}

	tw, err := newTwin()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if fault := recover(); fault == nil {
			t.Error("a panic of the goroutine that makes the packets is lost")
		}
	}()
	(&run{shots: []*shot{{}}}).ahead(&judges{twin: tw}, func(*judged) bool { return true }) // without a model
}

// TestAhead verifies that all packets are judged in order, and that none is judged after the end of a proof.
func TestAhead(t *testing.T) {
	b := policytest.Example(t)
	ch := change(t, b, phaseAll)
	sw, _ := b.Inventory.Switch(ch.Switch)
	tw, err := newTwin()
	if err != nil {
		t.Fatal(err)
	}
	r := &run{Change: ch, sw: sw, scope: scopeOf(ch), result: &Result{}}
	r.prepare()
	var frames [][]byte
	r.each(func(s *shot) bool {
		frames = append(frames, bytes.Clone(s.frame))
		return true
	})
	if len(frames) < 2*aheadBatch {
		t.Fatalf("%d packets are too few for this test", len(frames))
	}
	j := &judges{twin: tw, model: r.model(r.policy, r.part, nil), words: newWords(r.New, r.maker.lines, r.exempt)}
	for _, most := range []int{1, aheadBatch - 1, aheadBatch, aheadBatch + 1, len(frames) - 1, len(frames), len(frames) + 1} {
		n := 0
		r.ahead(j, func(x *judged) bool {
			if !bytes.Equal(x.frame, frames[n]) {
				t.Fatalf("packet %d is not in order", n)
			}
			n++
			return n < most
		})
		if n != min(most, len(frames)) {
			t.Errorf("%d of %d packets were judged, want %d", n, len(frames), min(most, len(frames)))
		}
	}
}

// TestRulesAreProvedOnce verifies that a change of phase is proved once for switches with the same rules, whatever lines they have, and again for a switch
// with other rules, another line group or another access form.
func TestRulesAreProvedOnce(t *testing.T) {
	b := fleet(t, 4, func(i int) string {
		return []string{"port: a, group: adsl, vlan: 5", "port: a, group: adsl, vlan: 6", "port: a, group: ftth, vlan: 5", "port: a, group: adsl, pppoe: 5"}[i]
	})
	c, err := compile.NewCompiler(b, nil)
	if err != nil {
		t.Fatal(err)
	}
	var changes []*Change
	for i := range b.Inventory.Switches {
		name := b.Inventory.Switches[i].Name
		was, err := c.Compile(name, policy.Everywhere("watch"), october)
		if err != nil {
			t.Fatal(err)
		}
		is, err := c.Compile(name, policy.Everywhere("all"), october)
		if err != nil {
			t.Fatal(err)
		}
		changes = append(changes, &Change{Switch: name, Old: was, OldBundle: b, New: is, Bundle: b, Now: october})
	}
	for _, x := range []struct {
		of   []int
		want int
	}{{[]int{0, 1}, 1}, {[]int{0, 1, 2}, 2}, {[]int{0, 1, 2, 3}, 3}} {
		var some []*Change
		for _, i := range x.of {
			some = append(some, changes[i])
		}
		r, err := prover(t, nil).Prove(t.Context(), some...)
		if err != nil || r.Err() != nil || r.Contents != x.want || r.Switches != len(some) {
			t.Errorf("switches %v: %d contents, want %d: %v, %v", x.of, r.Contents, x.want, err, r.Err())
		}
	}
	// The second switch has a wrong rule, which the proof of the first one does not cover.
	bad := *changes[1].New
	bad.State.Verdicts = maps.Clone(bad.State.Verdicts)
	for k, v := range bad.State.Verdicts {
		if v.Action == pipeline.Drop {
			v.Action = pipeline.Permit
			bad.State.Verdicts[k] = v
		}
	}
	wrong := *changes[1]
	wrong.New = &bad
	if r, err := prover(t, nil).Prove(t.Context(), changes[0], &wrong); err != nil || !errors.Is(r.Err(), ErrDisproved) {
		t.Errorf("a switch with a wrong rule: %v, %v", err, r.Err())
	}
}

// fleet returns the documents of switches with one line each. line describes the line of a switch.
func fleet(t testing.TB, n int, line func(i int) string) *policy.Bundle {
	t.Helper()
	var inv strings.Builder
	inv.WriteString("apiVersion: op25b/v1\nkind: Inventory\nswitches:\n")
	for i := range n {
		fmt.Fprintf(&inv, "  - name: edge-%d\n    deviceID: %d\n    p4runtime: h:%d\n    gnmi: h:%d\n    ports:\n      - {port: 500, name: core, role: network}\n"+
			"      - {port: 1, name: a, role: access}\n    lines:\n      - {name: line-%d, prefixes: [10.%d.%d.1/32], %s}\n", i, i+1, 10_000+i, 20_000+i, i, i>>8, i&255, line(i))
	}
	b, err := policy.Load([]strict.File{{Name: "i.yaml", Data: []byte(inv.String())}, {Name: "p.yaml", Data: []byte(`apiVersion: op25b/v1
kind: Policy
name: fleet
lineGroups: [{name: adsl}, {name: ftth}]
services: [{name: smtp, ports: [25]}, {name: submission, ports: [587, 465]}]
remotes:
  - {name: relay, relay: true, prefixes: [198.51.100.0/28]}
phases:
  - {name: watch, effective: 2006-09-01, rules: [{name: smtp-all, service: smtp, action: monitor}]}
  - {name: all, effective: 2006-10-01, rules: [{name: smtp-all, service: smtp, action: drop}]}
`)}})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestDeafProofIsLeft verifies that a proof that does not end when its context has ended does not keep its caller, and that it keeps further callers until
// it ends.
func TestDeafProofIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := policytest.Example(t)
		stuck, over := make(chan struct{}), errors.New("the time is over")
		p := prover(t, func(have []pipeline.Entry, want *pipeline.State, contract *pipeline.Contract, opts reconcile.Options) (*reconcile.Plan, error) {
			<-stuck
			return reconcile.Make(have, want, contract, opts)
		})
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, over)
		defer cancel()
		if _, err := p.Prove(ctx, change(t, b, phaseAll)); !errors.Is(err, ErrUnproved) || !errors.Is(err, over) || !strings.Contains(err.Error(), "the prover does not end") {
			t.Errorf("%v, want that the prover does not end", err)
		}
		if _, err := p.Prove(ctx, change(t, b, phaseAll)); !errors.Is(err, ErrUnproved) || !strings.Contains(err.Error(), "another proof took too long") {
			t.Errorf("%v, want that another proof takes too long", err)
		}
		close(stuck)
		if r, err := p.Prove(t.Context(), change(t, b, phaseAll)); err != nil || r.Err() != nil {
			t.Errorf("afterwards: %v", err)
		}
	})
}
