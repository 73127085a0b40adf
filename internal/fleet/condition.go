package fleet

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"op25b/internal/p4rt"
)

// An event is a change of a switch or of its session. The current state and the event determine the next state: see transitions.
type event uint8

const (
	eventDial       event = iota // the switch is dialed for the first time, because of a new owner or a new address
	eventDisconnect              // there is no session
	eventBackup                  // there is a session, but it is not primary
	eventConverge                // there is a primary session, and the switch is being read or written
	eventConverged               // the switch was found in the desired state
	eventFail                    // the switch answers but could not be brought to the desired state, or no session can be configured
	eventNoPhase                 // no phase has begun for the switch
	eventHold                    // an operator holds the switch
	events
)

// A transition is the effect of an event: the states in which the event may occur, the next state, and the reasons that are allowed.
type transition struct {
	name    string
	from    []State
	to      State
	reasons []Reason
}

var (
	// none is the state of a switch that was never reported.
	none = State(0)
	// connected lists the states in which a session can become primary. There is no event for a session that becomes primary.
	connected = []State{StateConnecting, StateDisconnected, StateBackup, StateConverging, StateConverged, StateFailed, StateNoPhase, StateHeld}
	anyState  = append([]State{none}, connected...)
)

// transitions is the complete state machine of a switch's condition. The reasons of eventConverge and eventConverged come from
// origins.cause, the reasons of eventFail come from failureOf, and the reasons of session events come from sessionReasons. Each reason is
// computed from the current data, never from the event that woke the worker.
var transitions = [events]transition{
	eventDial: {"dial", anyState, StateConnecting, []Reason{ReasonDialing}},
	eventDisconnect: {"disconnect", connected, StateDisconnected, []Reason{
		ReasonUnreachable, ReasonTLSRefused, ReasonArbitrationRefused, ReasonUnknownDevice, ReasonStreamLost, ReasonSessionClosed, ReasonSessionFailed,
		ReasonDemoted,
	}},
	eventBackup: {"backup", connected, StateBackup, []Reason{ReasonOtherPrimary, ReasonDemoted, ReasonNoPrimary, ReasonOutranked}},
	eventConverge: {"converge", connected, StateConverging, []Reason{
		ReasonElected, ReasonIntent, ReasonPhase, ReasonDate, ReasonDrift, ReasonRestored, ReasonWritten, ReasonStoreReplaced,
		ReasonHoldReleased,
	}},
	eventConverged: {"converged", connected, StateConverged, []Reason{
		ReasonIntent, ReasonPhase, ReasonDate, ReasonDrift, ReasonRestored, ReasonAsWanted, ReasonWritten, ReasonStoreReplaced, ReasonDateHeld,
		ReasonNoClock, ReasonHoldReleased,
	}},
	eventFail: {"fail", connected, StateFailed, []Reason{
		ReasonNoRoom, ReasonPipelineRefused, ReasonCompile, ReasonConfig, ReasonNoHigherElection, ReasonNotConverged, ReasonWriteRefused, ReasonReadFailed,
		ReasonPhaseOnly, ReasonDeviates,
	}},
	eventNoPhase: {"no phase", connected, StateNoPhase, []Reason{ReasonNoPhase}},
	eventHold:    {"hold", anyState, StateHeld, []Reason{ReasonMaintenance}},
}

// sessionReasons maps the reasons of p4rt to reasons of this package.
var sessionReasons = map[p4rt.StateReason]Reason{
	p4rt.ReasonDialing: ReasonDialing, p4rt.ReasonOtherHigher: ReasonOtherPrimary, p4rt.ReasonNoPrimary: ReasonNoPrimary,
	p4rt.ReasonOutranked: ReasonOutranked, p4rt.ReasonDemoted: ReasonDemoted, p4rt.ReasonUnreachable: ReasonUnreachable,
	p4rt.ReasonTLS: ReasonTLSRefused, p4rt.ReasonRefused: ReasonArbitrationRefused, p4rt.ReasonUnknown: ReasonUnknownDevice,
	p4rt.ReasonStreamLost: ReasonStreamLost, p4rt.ReasonClosed: ReasonSessionClosed, p4rt.ReasonFailed: ReasonSessionFailed,
}

// become applies an event. An error indicates a bug in this program. The event is applied even if become returns an error. A switch that is held
// stays held whatever the event is; the detail then says what happened to its session.
func (st *Status) become(e event, reason Reason, detail string) error {
	x := transitions[e]
	var err error
	switch {
	case !slices.Contains(x.from, st.State):
		err = fmt.Errorf("event %q in state %v", x.name, st.State)
	case !slices.Contains(x.reasons, reason):
		err = fmt.Errorf("event %q with reason %v", x.name, reason)
	}
	if st.Hold != nil && e != eventHold {
		detail = strings.TrimSuffix(x.to.String()+": "+reason.String()+": "+detail, ": ")
		x, reason = transitions[eventHold], ReasonMaintenance
	}
	st.State, st.Reason, st.Detail, st.Progress = x.to, reason, detail, nil
	return err
}

// fail applies a failure. The failure continues the previous failure if the reason is the same and the wanted state has not changed in
// between. same means that the wanted state is unchanged although the wanted revision may differ.
func (st *Status) fail(reason Reason, detail string, same bool, now time.Time) error {
	err := st.become(eventFail, reason, detail)
	if st.Hold != nil { // nothing was tried
		return err
	}
	f := ConvergeFailure{Reason: reason, Detail: detail, Wanted: st.Wanted, Since: now.UTC(), Attempts: 1}
	if old := st.Failure; old != nil && old.Reason == reason && (same || old.Wanted == st.Wanted) {
		f.Since, f.Attempts = old.Since, old.Attempts+1
	}
	st.Failure = &f
	return err
}

// since returns the time at which the condition began: the last change of its state, reason or revision. For a failure, this is the first
// attempt that failed for this reason, even if the switch was disconnected in between.
func (st *Status) since(before Status, now time.Time) time.Time {
	same := st.State == before.State && !before.Since.IsZero()
	switch st.State {
	case StateHeld:
		return st.Hold.Since.UTC()
	case StateFailed:
		if st.Failure != nil {
			return st.Failure.Since
		}
	case StateConverged:
		same = same && st.Reason == before.Reason && st.Revision == before.Revision && st.InForce == before.InForce
	case StateConverging:
		same = same && st.Reason == before.Reason && st.Wanted == before.Wanted
	}
	if same {
		return before.Since
	}
	return now.UTC()
}
