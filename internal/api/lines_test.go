package api

import (
	"cmp"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"op25b/internal/intent"
	"op25b/internal/policy"
	"op25b/internal/store"
	op25bv1 "op25b/proto/op25b/v1"
)

// TestLinesConfirmed verifies that lines count as under their phase only if their switch is confirmed to have that phase at the current
// revision (I11). The worked example has four lines on edge-1: two in the group adsl, one in bflets and one in mobile.
func TestLinesConfirmed(t *testing.T) {
	var now atomic.Pointer[time.Time] // watches that are still open read it too
	w := newWorld(t, func(d *Deps) {
		begin := d.Now()
		now.Store(&begin)
		d.Now = func() time.Time { return *now.Load() }
	})
	c := op25bv1.NewFleetServiceClient(w.dial())
	phases := op25bv1.NewPhaseServiceClient(w.dial())
	ctx := within(t)
	const mixed = "before; mobile-carriers: adsl"
	w.put(spinnet(t))
	stream, err := phases.Activate(ctx, &op25bv1.ActivateRequest{Phase: "mobile-carriers", Groups: []string{"adsl"}, Base: 1, Reason: "pilot", NoWait: true})
	told(t, stream, err) // revision 2

	converged := &op25bv1.SwitchStatus{
		Switch: "edge-1", State: op25bv1.SwitchState_SWITCH_STATE_CONVERGED, Reason: op25bv1.SwitchReason_SWITCH_REASON_AS_WANTED, Converged: true,
		Revision: 2, Wanted: 2, InForce: mixed,
	}
	as := func(change func(*op25bv1.SwitchStatus)) *op25bv1.SwitchStatus {
		st := proto.CloneOf(converged)
		change(st)
		return st
	}
	phaseOnly := as(func(st *op25bv1.SwitchStatus) {
		st.State, st.Reason, st.Converged, st.Failed = op25bv1.SwitchState_SWITCH_STATE_FAILED, op25bv1.SwitchReason_SWITCH_REASON_PHASE_ONLY, false, true
		st.Revision = 1
	})
	expect := func(name string, st *op25bv1.SwitchStatus, lines, confirmed uint32) {
		t.Helper()
		var told []*op25bv1.SwitchStatus
		if st != nil {
			st = proto.CloneOf(st)
			st.Detail = name // identifies the status
			told = append(told, st)
		}
		w.switches.tell(append(told, &op25bv1.SwitchStatus{Switch: "gone", Converged: true, Revision: 2, Wanted: 2, InForce: mixed})...)
		listed, err := c.ListSwitches(ctx, &op25bv1.ListSwitchesRequest{})
		if err != nil {
			t.Fatal(err)
		}
		watch, err := c.WatchSwitches(ctx, &op25bv1.WatchSwitchesRequest{})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = watch.CloseSend() }()
		of := func(all []*op25bv1.SwitchStatus, name string) *op25bv1.SwitchStatus {
			i := slices.IndexFunc(all, func(x *op25bv1.SwitchStatus) bool { return x.Switch == name })
			if i < 0 {
				return nil
			}
			return all[i]
		}
		var seen, other *op25bv1.SwitchStatus
		for seen == nil || seen.Detail != st.GetDetail() { // another watcher's last statuses may come first
			m, err := watch.Recv()
			if err != nil {
				t.Fatal(err)
			}
			seen, other = cmp.Or(of(m.Switches, "edge-1"), seen), cmp.Or(of(m.Switches, "gone"), other)
		}
		for by, all := range map[string][]*op25bv1.SwitchStatus{"ListSwitches": listed.Switches, "WatchSwitches": {seen, other}} {
			if got := all[0]; got.Switch != "edge-1" || got.Lines != lines || got.LinesConfirmed != confirmed {
				t.Errorf("%s, %s: %d of %d lines of %s, want %d of %d", name, by, got.LinesConfirmed, got.Lines, got.Switch, confirmed, lines)
			}
			if gone := all[1]; gone.Lines != 0 || gone.LinesConfirmed != 0 {
				t.Errorf("%s, %s: %d of %d lines of a switch that is not in the inventory", name, by, gone.LinesConfirmed, gone.Lines)
			}
		}
	}
	expect("never reported", nil, 4, 0)
	expect("converged", converged, 4, 4)
	expect("a phase for some groups only", as(func(st *op25bv1.SwitchStatus) { st.InForce = "before" }), 4, 2)
	expect("another phase for the others", as(func(st *op25bv1.SwitchStatus) { st.InForce = "mobile-carriers" }), 4, 2)
	expect("other phases", as(func(st *op25bv1.SwitchStatus) { st.InForce = "all-destinations; before: adsl" }), 4, 0)
	expect("no phases", as(func(st *op25bv1.SwitchStatus) { st.InForce = "" }), 4, 0)
	expect("an older revision", as(func(st *op25bv1.SwitchStatus) { st.Revision, st.Wanted = 1, 1 }), 4, 0)
	expect("a newer revision", as(func(st *op25bv1.SwitchStatus) { st.Revision, st.Wanted = 3, 3 }), 4, 0)
	for _, state := range []op25bv1.SwitchState{
		op25bv1.SwitchState_SWITCH_STATE_UNKNOWN, op25bv1.SwitchState_SWITCH_STATE_DISCONNECTED, op25bv1.SwitchState_SWITCH_STATE_CONVERGING,
		op25bv1.SwitchState_SWITCH_STATE_FAILED, op25bv1.SwitchState_SWITCH_STATE_NO_PHASE,
	} {
		expect(state.String(), as(func(st *op25bv1.SwitchStatus) { st.State, st.Converged = state, false }), 4, 0)
	}
	// The switch has the entries of older documents, in which a line may be in another group.
	expect("only the phases, which differ between groups", phaseOnly, 4, 0)

	stream, err = phases.Rollback(ctx, &op25bv1.RollbackRequest{Base: 2, Reason: "calls", NoWait: true})
	told(t, stream, err) // revision 3
	phaseOnly.InForce, phaseOnly.Wanted = "before", 2
	expect("only the phases, of an older revision", phaseOnly, 4, 0)
	listed, err := phases.ListPhases(ctx, &op25bv1.ListPhasesRequest{})
	if err != nil || listed.Phases[0].InForce[0].Confirmed {
		t.Errorf("a phase is confirmed at a revision that the controller of its switch does not know: %v, %v", listed, err)
	}
	phaseOnly.Wanted = 3
	expect("only the phases, which are the same for all lines", phaseOnly, 4, 4)
	expect("only the phases, which are not the wanted ones", as(func(st *op25bv1.SwitchStatus) {
		proto.Merge(st, phaseOnly)
		st.Converged, st.InForce = false, "all-destinations"
	}), 4, 0)

	converged.Revision, converged.Wanted, converged.InForce = 3, 3, "before"
	expect("before a date", converged, 4, 4)
	date := time.Date(2006, 6, 1, 0, 0, 0, 0, time.UTC)
	now.Store(&date)
	expect("a date that the switch does not have yet", converged, 4, 0)
	converged.InForce = "mobile-carriers"
	expect("a date that the switch has", converged, 4, 4)
}

// TestLinesBeforeTheFirstPhase verifies that no line should be under a phase before the first phase begins.
func TestLinesBeforeTheFirstPhase(t *testing.T) {
	w := newWorld(t, nil)
	w.now = time.Date(2006, 5, 1, 0, 0, 0, 0, time.UTC)
	w.put(spinnet(t))
	listed, err := op25bv1.NewFleetServiceClient(w.dial()).ListSwitches(within(t), &op25bv1.ListSwitchesRequest{})
	if err != nil || listed.Switches[0].Lines != 0 || listed.Switches[0].LinesConfirmed != 0 {
		t.Errorf("%v, %v", listed, err)
	}
}

// TestLinesFollowDates verifies that the statuses of watchers are valid until the next date, although nothing else changes.
func TestLinesFollowDates(t *testing.T) {
	w := newWorld(t, nil)
	in := w.put(spinnet(t))
	date := time.Date(2006, 5, 31, 15, 0, 0, 0, time.UTC) // 2006-06-01 in Japan
	some := []*op25bv1.SwitchStatus{{Switch: "edge-1", Converged: true, Revision: 1, Wanted: 1, InForce: "before"}}
	var j joined
	early, until := j.of(in, some, w.now)
	if early[0].LinesConfirmed != 4 || !until.Equal(date) {
		t.Errorf("%v until %v", early, until)
	}
	if again, _ := j.of(in, some, date.Add(-1)); again[0] != early[0] {
		t.Error("the statuses were computed again before the date")
	}
	late, until := j.of(in, some, date)
	if late[0].LinesConfirmed != 0 || late[0].Lines != 4 || early[0].LinesConfirmed != 4 || !until.Equal(time.Date(2006, 9, 30, 15, 0, 0, 0, time.UTC)) {
		t.Errorf("%v until %v, and before %v", late, until, early)
	}
}

// TestUntilDate verifies the pause until a date, which a clock that is set may bring closer.
func TestUntilDate(t *testing.T) {
	now := time.Unix(1000, 0)
	for at, want := range map[time.Time]time.Duration{
		{}: dateWithin, now.Add(time.Hour): dateWithin, now.Add(7 * time.Second): 7 * time.Second, now: time.Second, now.Add(-time.Hour): time.Second,
	} {
		if got := untilDate(now, at); got != want {
			t.Errorf("until %v: %v, want %v", at, got, want)
		}
	}
}

// BenchmarkLines measures the counts of 8,000 lines on each of 1,000 switches, after one status has changed and after the documents have
// changed. The lower bound makes the statuses without counts.
func BenchmarkLines(b *testing.B) {
	now := time.Date(2006, 7, 1, 0, 0, 0, 0, time.UTC)
	p := &policy.Policy{Phases: []policy.Phase{
		{Name: "before", Effective: policy.Moment{Date: policy.Date{Year: 2006, Month: 5, Day: 18}}},
		{Name: "carriers", Effective: policy.Moment{Date: policy.Date{Year: 2006, Month: 6, Day: 1}}},
		{Name: "all", Effective: policy.Moment{Date: policy.Date{Year: 2006, Month: 10, Day: 1}}},
	}}
	for i := range 10 {
		p.LineGroups = append(p.LineGroups, policy.LineGroup{Name: fmt.Sprint("group-", i)})
	}
	lines := make([]policy.Line, 8000) // all switches share them, which saves memory
	for i := range lines {
		lines[i].Group = fmt.Sprint("group-", i%10)
	}
	inventory := &policy.Inventory{}
	var statuses []*op25bv1.SwitchStatus
	for i := range 1000 {
		name := fmt.Sprint("edge-", i)
		inventory.Switches = append(inventory.Switches, policy.Switch{Name: name, P4Runtime: "10.0.0.1:9559", Lines: lines})
		statuses = append(statuses, &op25bv1.SwitchStatus{Switch: name, Converged: true, Revision: 2, Wanted: 2, InForce: "carriers"})
	}
	documents := func() *intent.Intent {
		return &intent.Intent{Revision: store.Revision{Number: 2}, Bundle: &policy.Bundle{Policy: p, Inventory: inventory}}
	}
	in := documents()
	b.Run("floor", func(b *testing.B) {
		for b.Loop() {
			byStore(in, onInventory(in, statuses))
		}
	})
	b.Run("status", func(b *testing.B) {
		var c lineCounts
		for b.Loop() {
			all := onInventory(in, statuses)
			c.add(in, all, now)
			if byStore(in, all)[999].LinesConfirmed != 8000 {
				b.Fatal(all[999])
			}
		}
	})
	b.Run("documents", func(b *testing.B) {
		for b.Loop() {
			var c lineCounts
			c.add(documents(), onInventory(in, statuses), now)
		}
	})
}
