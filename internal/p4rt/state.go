package p4rt

import (
	"errors"
	"fmt"
	"time"
)

// A State is the state of a session with a switch.
type State int

// The states of a session, from no session to primary.
const (
	Disconnected State = iota // there is no session; the StateReason states why
	Connecting                // dialing, or waiting for the answer to the arbitration
	Backup                    // connected, but another controller is primary or no controller is
	Primary                   // connected, and the switch accepts the session's writes
)

// String returns the name of the state as it is used in logs, the API, the command line and the web page.
func (s State) String() string {
	switch s {
	case Disconnected:
		return "disconnected"
	case Connecting:
		return "connecting"
	case Backup:
		return "backup"
	case Primary:
		return "primary"
	default:
		return fmt.Sprintf("State(%d)", int(s))
	}
}

// A StateReason is the reason why a session is in its state.
type StateReason string

// The reasons. The comments state to which State each reason belongs.
const (
	ReasonDialing     StateReason = "dialing"                       // Connecting
	ReasonElected     StateReason = "highest election id"           // Primary
	ReasonOtherHigher StateReason = "another controller is primary" // Backup
	ReasonNoPrimary   StateReason = "no controller is primary"      // Backup: the controller with the highest election id has left
	ReasonOutranked   StateReason = "a higher election id was seen" // Backup: the switch reported this session as primary, but has had a later owner
	ReasonDemoted     StateReason = "demoted by another controller" // Backup, permanently: the session was primary and has lost the role
	ReasonUnreachable StateReason = "switch unreachable"            // Disconnected
	ReasonTLS         StateReason = "TLS refused"                   // Disconnected: see ErrTLS
	ReasonRefused     StateReason = "arbitration refused"           // Disconnected: see ErrArbitrationRefused
	ReasonUnknown     StateReason = "device id or role unknown"     // Disconnected
	ReasonStreamLost  StateReason = "stream lost"                   // Disconnected
	ReasonClosed      StateReason = "closed"                        // Disconnected: the session was closed by this process
	ReasonFailed      StateReason = "work on the switch failed"     // Disconnected: the function that was passed to Keep returned an error
)

// reasonOf returns the reason that corresponds to the error that ended a session.
func reasonOf(err error) StateReason {
	for _, r := range []struct {
		err    error
		reason StateReason
	}{
		{ErrClosed, ReasonClosed},
		{ErrUnknownDevice, ReasonUnknown},
		{ErrArbitrationRefused, ReasonRefused},
		{ErrTLS, ReasonTLS},
		{ErrUnreachable, ReasonUnreachable},
		{ErrStreamLost, ReasonStreamLost},
		{ErrNotPrimary, ReasonDemoted},
	} {
		if errors.Is(err, r.err) {
			return r.reason
		}
	}
	return ReasonFailed
}

// A SessionStatus is a State with its reason and the time since which it lasts.
type SessionStatus struct {
	State  State
	Reason StateReason
	Err    error      // the error that caused the state; nil if nothing failed
	Since  time.Time  // time of the last change of State
	Leader ElectionID // the highest election id in the switch's last report; zero if there was no report
}

// String returns text such as `backup since 2006-10-01T03:00:00Z: another controller is primary (election id 42)`.
func (s SessionStatus) String() string {
	text := fmt.Sprintf("%v since %s: %s", s.State, s.Since.UTC().Format(time.RFC3339), s.Reason)
	if s.State == Backup && !s.Leader.IsZero() {
		text += fmt.Sprintf(" (election id %v)", s.Leader)
	}
	if s.Err != nil {
		text += fmt.Sprintf(" (%v)", s.Err)
	}
	return text
}
