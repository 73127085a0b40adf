package telemetry

import (
	"errors"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// A State is the state of the subscription to a target.
type State uint8

// These are the states. The values are current only in Synced.
const (
	Disconnected State = iota + 1 // there is no session; Retry is the time of the next attempt
	Connecting                    // the collector has requested the target's capabilities
	Connected                     // the target sends its first values, which replace those of the previous session
	Synced                        // all values have been received once, and updates follow
	Stale                         // the session is open, but samples are overdue
)

var stateNames = [...]string{"", "disconnected", "connecting", "connected", "synced", "stale"}

// String returns the name that the API, the metrics and the commands use.
func (s State) String() string { return stateNames[s] }

// A Reason explains why a target is in its state.
type Reason uint8

// The reasons.
const (
	ReasonNone        Reason = iota // the reason in Connected and Synced
	ReasonScheduled                 // the first attempt is scheduled
	ReasonDialing                   // an attempt is in progress
	ReasonUnreachable               // the target cannot be reached
	ReasonRefused                   // the target refuses the call, for example because the client certificate is missing
	ReasonUnsupported               // the target has no gNMI server, or no common encoding
	ReasonEnded                     // the target ended the subscription
	ReasonSilent                    // samples or the sync response are overdue
	ReasonInvalid                   // the target sent a message that is invalid or too large
	ReasonTLS                       // the files of the connection cannot be used
)

var reasonNames = [...]string{
	"", "scheduled", "dialing", "unreachable", "refused", "unsupported", "ended", "silent", "invalid", "tls",
}

// String returns the name that the API, the metrics and the commands use.
func (r Reason) String() string { return reasonNames[r] }

// reasonOf returns the reason that corresponds to the error that ended a session.
func reasonOf(err error) Reason {
	switch {
	case errors.Is(err, ErrSilent), errors.Is(err, ErrNoSync):
		return ReasonSilent
	case errors.Is(err, ErrTooMuch), errors.Is(err, ErrMessage), tooLarge(err):
		return ReasonInvalid
	case errors.Is(err, ErrNoEncoding):
		return ReasonUnsupported
	}
	switch status.Code(err) {
	case codes.Unavailable, codes.DeadlineExceeded:
		return ReasonUnreachable
	case codes.Unimplemented:
		return ReasonUnsupported
	case codes.Unauthenticated, codes.PermissionDenied, codes.InvalidArgument, codes.NotFound, codes.ResourceExhausted:
		return ReasonRefused
	}
	return ReasonEnded
}

// tooLarge reports whether gRPC refused a message of the target because of its size. Only the text of the error shows this, because a target
// that refuses a call causes the same code.
func tooLarge(err error) bool {
	return status.Code(err) == codes.ResourceExhausted && strings.Contains(err.Error(), "received message larger than max")
}

// A Status is the state of the subscription to one target.
type Status struct {
	Switch, Addr string
	State        State
	Reason       Reason
	Err          error     // the error that caused the reason; nil if there is none
	Since        time.Time // when the state began
	Retry        time.Time // the time of the next attempt; only set if Disconnected
	Updated      time.Time // when the newest message arrived; zero if none has arrived
	StaleAt      time.Time // when the values become or became stale without another message; zero in other states
	Rejected     int       // the number of values that could not be read
	Late         int       // the number of values that were older than the stored value
}
