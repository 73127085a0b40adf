package fleet

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	op25bv1 "op25b/proto/op25b/v1"

	"op25b/internal/p4rt"
)

// TestTransitions compares the state machine with a table of states and events. An entry is the next
// state, or 0 if the event cannot occur in the state.
func TestTransitions(t *testing.T) {
	const (
		no, dial, gone, back, look, is, bad, off, held = State(0), StateConnecting, StateDisconnected, StateBackup, StateConverging, StateConverged, StateFailed, StateNoPhase, StateHeld
	)
	want := map[State][events]State{
		// columns: dial, disconnect, backup, converge, converged, fail, no phase, hold
		no:   {dial, no, no, no, no, no, no, held},
		dial: {dial, gone, back, look, is, bad, off, held},
		gone: {dial, gone, back, look, is, bad, off, held},
		back: {dial, gone, back, look, is, bad, off, held},
		look: {dial, gone, back, look, is, bad, off, held},
		is:   {dial, gone, back, look, is, bad, off, held},
		bad:  {dial, gone, back, look, is, bad, off, held},
		off:  {dial, gone, back, look, is, bad, off, held},
		held: {dial, gone, back, look, is, bad, off, held},
		// Only readers use StateUnknown, so no event of an owner starts from it.
		StateUnknown: {},
	}
	if len(want) != len(op25bv1.SwitchState_name) {
		t.Errorf("%d states are listed here, and there are %d", len(want), len(op25bv1.SwitchState_name))
	}
	for from, row := range want {
		for e, to := range row {
			st := Status{State: from}
			err := st.become(event(e), transitions[e].reasons[0], "")
			if (err == nil) != (to != no) || err == nil && st.State != to {
				t.Errorf("%v, %s: %v, %v; want %v", from, transitions[e].name, st.State, err, to)
			}
		}
	}
}

// Every reason belongs to an event or is set by readers. An event accepts only its own reasons.
func TestReasonsOfEvents(t *testing.T) {
	readers := map[Reason]bool{0: true, ReasonNeverReported: true, ReasonOwnerGone: true, ReasonReleased: true, ReasonTakenOver: true, ReasonNotConfirmed: true}
	used := make(map[Reason]bool)
	for e, x := range transitions {
		allowed := make(map[Reason]bool)
		for _, r := range x.reasons {
			allowed[r], used[r] = true, true
		}
		for n := range op25bv1.SwitchReason_name {
			st := Status{State: StateConnecting}
			if err := st.become(event(e), Reason(n), ""); (err == nil) != allowed[Reason(n)] {
				t.Errorf("%s with reason %v: %v", x.name, Reason(n), err)
			}
		}
	}
	for n := range op25bv1.SwitchReason_name {
		if used[Reason(n)] == readers[Reason(n)] {
			t.Errorf("reason %v: of an event: %v, a reader's: %v", Reason(n), used[Reason(n)], readers[Reason(n)])
		}
	}
}

// Every reason that p4rt gives for a session that is not primary is allowed for the corresponding event.
func TestSessionReasons(t *testing.T) {
	for of, e := range map[p4rt.StateReason]event{
		p4rt.ReasonDialing: eventDial, p4rt.ReasonOtherHigher: eventBackup, p4rt.ReasonNoPrimary: eventBackup, p4rt.ReasonOutranked: eventBackup,
		p4rt.ReasonDemoted: eventBackup, p4rt.ReasonUnreachable: eventDisconnect, p4rt.ReasonTLS: eventDisconnect, p4rt.ReasonRefused: eventDisconnect,
		p4rt.ReasonUnknown: eventDisconnect, p4rt.ReasonStreamLost: eventDisconnect, p4rt.ReasonClosed: eventDisconnect, p4rt.ReasonFailed: eventDisconnect,
	} {
		st := Status{State: StateConverged}
		if err := st.become(e, sessionReasons[of], ""); err != nil {
			t.Errorf("%s: %v", of, err)
		}
	}
	if len(sessionReasons) != 12 {
		t.Errorf("%d reasons of sessions", len(sessionReasons))
	}
}

// A status reports when its condition began, however many attempts followed. // I11
func TestSince(t *testing.T) {
	began := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	now := began
	st := Status{Wanted: 7}
	step := func(what string, change func(*Status) error, want time.Duration) {
		t.Helper()
		now = now.Add(time.Minute)
		before := st
		if err := change(&st); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if st.Since = st.since(before, now); st.Since.Sub(began) != want {
			t.Errorf("%s: since %v, want %v", what, st.Since.Sub(began), want)
		}
	}
	become := func(e event, r Reason) func(*Status) error {
		return func(st *Status) error { return st.become(e, r, "") }
	}
	full := func(same bool) func(*Status) error {
		return func(st *Status) error { return st.fail(ReasonNoRoom, "full", same, now) }
	}
	step("dialed", become(eventDial, ReasonDialing), 1*time.Minute)
	step("read", become(eventConverge, ReasonElected), 2*time.Minute)
	step("full", full(false), 3*time.Minute)
	step("still full", full(true), 3*time.Minute)
	step("away", become(eventDisconnect, ReasonStreamLost), 5*time.Minute)
	step("away still", become(eventDisconnect, ReasonUnreachable), 5*time.Minute)
	step("read again", become(eventConverge, ReasonElected), 7*time.Minute)
	step("full as before", full(false), 3*time.Minute)
	if st.Failure.Attempts != 3 {
		t.Errorf("%d attempts, want 3", st.Failure.Attempts)
	}
	step("cannot be read", func(st *Status) error { return st.fail(ReasonReadFailed, "broken", true, now) }, 9*time.Minute)
	step("full with the next revision", func(st *Status) error { st.Wanted = 8; return st.fail(ReasonNoRoom, "full", false, now) }, 10*time.Minute)
	step("full, and a revision came that changes nothing here", func(st *Status) error { st.Wanted = 9; return st.fail(ReasonNoRoom, "full", true, now) }, 10*time.Minute)
	reach := func(revision uint64, r Reason) func(*Status) error {
		return func(st *Status) error {
			st.Revision, st.Failure = revision, nil
			return st.become(eventConverged, r, "")
		}
	}
	step("there is room", reach(9, ReasonIntent), 12*time.Minute)
	step("audited", reach(9, ReasonIntent), 12*time.Minute)
	step("next", reach(10, ReasonIntent), 14*time.Minute)
	step("a phase", reach(10, ReasonPhase), 15*time.Minute)
}

// In stored statuses, enums are represented by their names. An unknown name, such as one from a newer
// controller, is read as unspecified.
func TestStatusIsStoredByName(t *testing.T) {
	st := Status{Switch: "edge-1", State: StateNoPhase, Reason: ReasonNoPhase, Ownership: NotOwned}
	data := must(json.Marshal(st))(t)
	var got struct{ State, Reason, Ownership string }
	if err := json.Unmarshal(data, &got); err != nil || fmt.Sprint(got) != "{no-phase no-phase none}" {
		t.Errorf("%s: %v", data, err)
	}
	var again Status
	if err := json.Unmarshal(data, &again); err != nil || again.State != st.State || again.Reason != st.Reason || again.Ownership != st.Ownership {
		t.Errorf("%+v, %v", again, err)
	}
	if err := json.Unmarshal([]byte(`{"state":"levitating","reason":"a date has come"}`), &again); err != nil || again.State != 0 || again.Reason != 0 {
		t.Errorf("%+v, %v", again, err)
	}
	if got := State(99).String(); got != "99" {
		t.Errorf("state 99 is %q", got)
	}
}
