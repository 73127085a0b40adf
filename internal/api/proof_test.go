package api

import (
	"context"
	"errors"
	"strings"
	"testing"

	"op25b/internal/intent"
	"op25b/internal/plan"
	"op25b/internal/prove"
	op25bv1 "op25b/proto/op25b/v1"
)

// A disprover finds a fault in every change.
type disprover struct{}

func (disprover) Prove(context.Context, ...*prove.Change) (*prove.Result, error) {
	return &prove.Result{Packets: 7, Disagreements: 1, Counterexamples: []*prove.Counterexample{{
		Switch: "bng-1", Got: "drop by rule smtp-all",
		Packet: prove.Packet{Port: 1, Frame: []byte{1}, About: "SYN from line x", Want: prove.Outcome{Action: "permit", Rule: "relay", Passes: true}},
	}}}, nil
}

// TestOnlyProvedIsStored (I16) verifies that the controller stores no documents that were not proved, whatever the client has seen, and that a plan
// shows the packet.
func TestOnlyProvedIsStored(t *testing.T) {
	w := newWorld(t, nil)
	planner, err := plan.New(plan.Config{At: w.book.At, Prover: disprover{}})
	if err != nil {
		t.Fatal(err)
	}
	w = newWorld(t, func(d *Deps) { d.Plan = planner })
	client := op25bv1.NewIntentServiceClient(w.dial())
	files := spinnet(t)
	shown, err := client.Plan(within(t), &op25bv1.PlanRequest{Files: files})
	if err != nil {
		t.Fatal(err)
	}
	if p := shown.Plan.Proof; p.GetProved() || p.GetDisagreements() != 1 || len(p.GetCounterexamples()) != 1 || p.Counterexamples[0].Got != "drop by rule smtp-all" {
		t.Errorf("the plan's proof: %v", p)
	}
	progress, err := client.Apply(within(t), &op25bv1.ApplyRequest{Files: files, Reason: "test", NoWait: true})
	if err == nil {
		_, err = progress.Recv()
	}
	if err == nil || !strings.Contains(err.Error(), "nothing was stored: the proof on the twin has failed") || !strings.Contains(err.Error(), "permit by rule relay") {
		t.Errorf("Apply: %v", err)
	}
	if _, err := w.book.Current(within(t)); !errors.Is(err, intent.ErrNone) {
		t.Errorf("the store has a revision: %v", err)
	}
}
