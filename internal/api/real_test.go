package api

import (
	"context"
	"testing"
	"time"

	"op25b/examples"
	"op25b/internal/fleet"
	"op25b/internal/p4rt"
	"op25b/internal/plan"
	"op25b/internal/softswitch"
	op25bv1 "op25b/proto/op25b/v1"
)

// A real controller brings a real switch to the applied state. The stream shows the progress, and a plan then finds no difference. After the
// switch stops, its status reports that it is unreachable.
func TestReal(t *testing.T) {
	sw, err := softswitch.New(softswitch.Options{DeviceID: 1})
	if err != nil {
		t.Fatal(err)
	}
	services, err := sw.Listen(softswitch.Addrs{P4Runtime: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	stopSwitch := func() { services.Close(); _ = sw.Close() }
	stopped := false
	t.Cleanup(func() {
		if !stopped {
			stopSwitch()
		}
	})
	w := newWorld(t, func(d *Deps) {
		d.Switches = FleetSwitches(d.Store, "noc-1")
		planner, err := plan.New(plan.Config{At: d.Book.At, Now: d.Now})
		if err != nil {
			t.Fatal(err)
		}
		d.Plan = planner
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- fleet.Run(ctx, fleet.Config{
			Name: "noc-1", Store: w.store, Book: w.book, Now: func() time.Time { return w.now }, Session: p4rt.KeepConfig{},
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})

	files := edited(t, examples.SpinNet2006(), "127.0.0.1:9559", services.Addrs.P4Runtime)
	intents, switches := op25bv1.NewIntentServiceClient(w.dial()), op25bv1.NewFleetServiceClient(w.dial())
	stream, err := intents.Apply(within(t), &op25bv1.ApplyRequest{Files: files, Reason: "begin"})
	events := told(t, stream, err)
	last := events[len(events)-1].GetDone()
	if events[0].GetStored().GetNumber() != 1 || last.GetConverged() != 1 || len(last.Failed) != 0 {
		t.Fatalf("%v", events)
	}
	st := events[len(events)-2].GetSwitch()
	if st.State != converged || st.Owner != "noc-1" || st.Revision != 1 || st.InForce != "before" || len(st.Tables) == 0 || st.Entries == 0 {
		t.Errorf("%v", st)
	}

	planned, err := intents.Plan(within(t), &op25bv1.PlanRequest{Files: files})
	if err != nil {
		t.Fatal(err)
	}
	if p := planned.Plan; p.Changes || p.Switches[0].Standing != string(plan.Read) || p.Switches[0].AppliedRevision != 1 || p.Totals.SwitchesDrifted != 0 {
		t.Errorf("after apply there is something to do: %v", p)
	}

	activated, err := op25bv1.NewPhaseServiceClient(w.dial()).Activate(within(t), &op25bv1.ActivateRequest{Phase: "all-destinations", Base: 1, Reason: "now"})
	events = told(t, activated, err)
	if last := events[len(events)-1].GetDone(); last.GetConverged() != 1 || events[len(events)-2].GetSwitch().GetInForce() != "all-destinations" {
		t.Errorf("%v", events)
	}
	drift, err := switches.Drift(within(t), &op25bv1.DriftRequest{})
	if err != nil || drift.Drifted || drift.Plan.Base != 2 || drift.Plan.Changes {
		t.Errorf("%v, %v", drift, err)
	}

	watch, err := switches.WatchSwitches(within(t), &op25bv1.WatchSwitchesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	stopped = true
	stopSwitch()
	for {
		m, err := watch.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if len(m.Switches) > 0 && m.Switches[0].Failed {
			if s := m.Switches[0]; s.State != disconnected || s.Converged || s.Detail == "" {
				t.Errorf("%v", s)
			}
			break
		}
	}
}
