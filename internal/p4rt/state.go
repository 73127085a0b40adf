package p4rt

import (
	"errors"
	"fmt"
	"time"
)

// A State is the state of a session with a switch.
type State int

// The states, from nothing to everything.
const (
	Disconnected State = iota // no session; the reason says why
	Connecting                // dialing, or waiting for the answer to the arbitration
	Backup                    // connected; another controller is primary, or none is
	Primary                   // connected, and the switch takes our writes
)

// String returns the state's name as it appears in logs, API, command line and page.
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

// A Reason is the reason for a session's state.
type Reason string

// The reasons.
const (
	ReasonDialing     Reason = "dialing"                       // Connecting
	ReasonElected     Reason = "highest election id"           // Primary
	ReasonOtherHigher Reason = "another controller is primary" // Backup
	ReasonNoPrimary   Reason = "no controller is primary"      // Backup: the highest election id seen is another's, and it is gone
	ReasonOutranked   Reason = "a higher election id was seen" // Backup: the switch would have us, but it has had a later owner
	ReasonDemoted     Reason = "demoted by another controller" // Backup, for good: the session was primary
	ReasonUnreachable Reason = "switch unreachable"            // Disconnected
	ReasonTLS         Reason = "TLS refused"                   // Disconnected: see ErrTLS
	ReasonRefused     Reason = "arbitration refused"           // Disconnected: see ErrArbitrationRefused
	ReasonUnknown     Reason = "device id or role unknown"     // Disconnected
	ReasonStreamLost  Reason = "stream lost"                   // Disconnected
	ReasonClosed      Reason = "closed"                        // Disconnected, by us
	ReasonFailed      Reason = "work on the switch failed"     // Disconnected: the function given to Keep returned an error
)

// reasonOf returns the reason for the end of a session.
func reasonOf(err error) Reason {
	for _, r := range []struct {
		err    error
		reason Reason
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

// A Status is a State with its reason and its beginning.
type Status struct {
	State  State
	Reason Reason
	Err    error      // the error behind Reason; nil where nothing failed
	Since  time.Time  // when State last changed
	Leader ElectionID // the highest election id the switch has seen, as it last said; zero if it has not
}

// String renders `backup since 2006-10-01T03:00:00Z: another controller is primary (election id 42)`.
func (s Status) String() string {
	text := fmt.Sprintf("%v since %s: %s", s.State, s.Since.UTC().Format(time.RFC3339), s.Reason)
	if s.State == Backup && !s.Leader.IsZero() {
		text += fmt.Sprintf(" (election id %v)", s.Leader)
	}
	if s.Err != nil {
		text += fmt.Sprintf(" (%v)", s.Err)
	}
	return text
}
