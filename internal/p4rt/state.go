package p4rt

import (
	"errors"
	"fmt"
	"time"
)

// A State is the state of a session with a switch.
type State int

// The states, from no session to primary.
const (
	Disconnected State = iota // no session; see the reason
	Connecting                // dialing, or waiting for the answer to the arbitration
	Backup                    // connected; another controller is primary, or no controller is
	Primary                   // connected, and the switch accepts our writes
)

// String returns the name of the state as used in logs, API, command line and web page.
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

// A StateReason is the reason for a session's state.
type StateReason string

// The reasons, each with its state.
const (
	ReasonDialing     StateReason = "dialing"                       // Connecting
	ReasonElected     StateReason = "highest election id"           // Primary
	ReasonOtherHigher StateReason = "another controller is primary" // Backup
	ReasonNoPrimary   StateReason = "no controller is primary"      // Backup: the controller with the highest election id has left
	ReasonOutranked   StateReason = "a higher election id was seen" // Backup: elected, but the switch has had a later owner
	ReasonDemoted     StateReason = "demoted by another controller" // Backup, permanently: the session was primary before
	ReasonUnreachable StateReason = "switch unreachable"            // Disconnected
	ReasonTLS         StateReason = "TLS refused"                   // Disconnected: see ErrTLS
	ReasonRefused     StateReason = "arbitration refused"           // Disconnected: see ErrArbitrationRefused
	ReasonUnknown     StateReason = "device id or role unknown"     // Disconnected
	ReasonStreamLost  StateReason = "stream lost"                   // Disconnected
	ReasonClosed      StateReason = "closed"                        // Disconnected, by us
	ReasonFailed      StateReason = "work on the switch failed"     // Disconnected: the function given to Keep returned an error
)

// reasonOf returns the reason for the end of a session.
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

// A SessionStatus is a State with its reason and start time.
type SessionStatus struct {
	State  State
	Reason StateReason
	Err    error      // the error behind Reason; nil if nothing failed
	Since  time.Time  // when State last changed
	Leader ElectionID // the highest election id that the switch last reported; zero if it has reported none
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
