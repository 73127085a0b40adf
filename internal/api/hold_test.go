package api

import (
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	op25bv1 "op25b/proto/op25b/v1"
)

// A hold needs a reason and a switch of the inventory, is made and ended once, and is in the audit chain.
func TestHold(t *testing.T) {
	w := newWorld(t, nil)
	w.put(spinnet(t))
	fleet := op25bv1.NewFleetServiceClient(w.dial())
	hold := func(name, reason string) (*op25bv1.HoldSwitchResponse, error) {
		return fleet.HoldSwitch(within(t), &op25bv1.HoldSwitchRequest{Switch: name, Reason: reason})
	}
	release := func(name string) (*op25bv1.ReleaseSwitchResponse, error) {
		return fleet.ReleaseSwitch(within(t), &op25bv1.ReleaseSwitchRequest{Switch: name})
	}
	refused := func(what string, err error, code codes.Code, want string) {
		t.Helper()
		if status.Code(err) != code || status.Convert(err).Message() != want {
			t.Errorf("%s: %v, want %v: %s", what, err, code, want)
		}
	}
	_, err := hold("edge-1", " ")
	refused("no reason", err, codes.InvalidArgument, "reason: a change requires a reason; give the reason, which the audit record keeps")
	_, err = hold("edge-9", "power")
	refused("unknown", err, codes.NotFound, `unknown switch "edge-9"; known: edge-1`)
	_, err = release("edge-9")
	refused("release of an unknown switch", err, codes.NotFound, `unknown switch "edge-9"; known: edge-1`)
	_, err = release("edge-1")
	refused("release", err, codes.FailedPrecondition, `the switch is not held: "edge-1"`)
	for range 2 { // the repetition changes nothing
		if r, err := hold("edge-1", "power"); err != nil || r.Hold.Who != "local" || r.Hold.Reason != "power" || !r.Hold.Since.AsTime().Equal(w.now) {
			t.Errorf("hold: %v, %v", r, err)
		}
	}
	_, err = hold("edge-1", "line card")
	refused("held", err, codes.FailedPrecondition, `the switch is already held: local holds "edge-1" since 2006-05-20T00:00:00Z: power`)
	if r, err := release("edge-1"); err != nil || r.Hold.Reason != "power" {
		t.Errorf("release: %v, %v", r, err)
	}
	records, err := w.store.Audit().Records(within(t), 1, 100)
	if err != nil {
		t.Fatal(err)
	}
	var made []string
	for _, r := range records {
		if r.Verb == "hold" || r.Verb == "release" {
			made = append(made, r.Who+" "+r.Verb+" "+r.Object+": "+r.Reason)
		}
	}
	if len(made) != 2 || made[0] != "local hold switch edge-1: power" || made[1] != "local release switch edge-1: " {
		t.Errorf("the audit chain has %q", made)
	}
}

// A change does not wait for a held switch, and does not count it as failed or as converged. // I11
func TestChangeWithAHeldSwitch(t *testing.T) {
	w := newWorld(t, nil)
	in := w.put(spinnet(t))
	f := newFollower(in)
	f.news([]*op25bv1.SwitchStatus{{
		Switch: "edge-1", State: op25bv1.SwitchState_SWITCH_STATE_HELD, Reason: op25bv1.SwitchReason_SWITCH_REASON_MAINTENANCE, Wanted: in.Number,
		Hold: &op25bv1.SwitchHold{Who: "ann", Reason: "power"},
	}})
	if done := f.done(); done == nil || len(done.Held) != 1 || done.Held[0].Switch != "edge-1" || done.Converged != 0 || len(done.Failed) != 0 {
		t.Errorf("done: %v", done)
	}
}
