package fleet

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	op25bv1 "op25b/proto/op25b/v1"
)

// A State is the state of a switch. Its name is the same in the API, logs, metrics and records, such as "no-phase".
type State op25bv1.SwitchState

// The states of a switch: see SwitchState in fleet.proto.
const (
	// StateUnknown is never stored. Readers use it for a status that no living owner confirms.
	StateUnknown      = State(op25bv1.SwitchState_SWITCH_STATE_UNKNOWN)
	StateConnecting   = State(op25bv1.SwitchState_SWITCH_STATE_CONNECTING)
	StateDisconnected = State(op25bv1.SwitchState_SWITCH_STATE_DISCONNECTED)
	StateBackup       = State(op25bv1.SwitchState_SWITCH_STATE_BACKUP)
	StateConverging   = State(op25bv1.SwitchState_SWITCH_STATE_CONVERGING)
	StateConverged    = State(op25bv1.SwitchState_SWITCH_STATE_CONVERGED)
	StateFailed       = State(op25bv1.SwitchState_SWITCH_STATE_FAILED)
	StateNoPhase      = State(op25bv1.SwitchState_SWITCH_STATE_NO_PHASE)
	StateHeld         = State(op25bv1.SwitchState_SWITCH_STATE_HELD)
)

// A Reason is the reason why a switch is in its State.
type Reason op25bv1.SwitchReason

// The reasons of states: see SwitchReason in fleet.proto.
const (
	ReasonDialing            = Reason(op25bv1.SwitchReason_SWITCH_REASON_DIALING)
	ReasonUnreachable        = Reason(op25bv1.SwitchReason_SWITCH_REASON_UNREACHABLE)
	ReasonTLSRefused         = Reason(op25bv1.SwitchReason_SWITCH_REASON_TLS_REFUSED)
	ReasonArbitrationRefused = Reason(op25bv1.SwitchReason_SWITCH_REASON_ARBITRATION_REFUSED)
	ReasonUnknownDevice      = Reason(op25bv1.SwitchReason_SWITCH_REASON_UNKNOWN_DEVICE)
	ReasonStreamLost         = Reason(op25bv1.SwitchReason_SWITCH_REASON_STREAM_LOST)
	ReasonSessionClosed      = Reason(op25bv1.SwitchReason_SWITCH_REASON_SESSION_CLOSED)
	ReasonSessionFailed      = Reason(op25bv1.SwitchReason_SWITCH_REASON_SESSION_FAILED)
	ReasonOtherPrimary       = Reason(op25bv1.SwitchReason_SWITCH_REASON_OTHER_PRIMARY)
	ReasonDemoted            = Reason(op25bv1.SwitchReason_SWITCH_REASON_DEMOTED)
	ReasonNoPrimary          = Reason(op25bv1.SwitchReason_SWITCH_REASON_NO_PRIMARY)
	ReasonOutranked          = Reason(op25bv1.SwitchReason_SWITCH_REASON_OUTRANKED)

	ReasonElected       = Reason(op25bv1.SwitchReason_SWITCH_REASON_ELECTED)
	ReasonIntent        = Reason(op25bv1.SwitchReason_SWITCH_REASON_INTENT)
	ReasonPhase         = Reason(op25bv1.SwitchReason_SWITCH_REASON_PHASE)
	ReasonDate          = Reason(op25bv1.SwitchReason_SWITCH_REASON_DATE)
	ReasonDrift         = Reason(op25bv1.SwitchReason_SWITCH_REASON_DRIFT)
	ReasonRestored      = Reason(op25bv1.SwitchReason_SWITCH_REASON_RESTORED)
	ReasonAsWanted      = Reason(op25bv1.SwitchReason_SWITCH_REASON_AS_WANTED)
	ReasonWritten       = Reason(op25bv1.SwitchReason_SWITCH_REASON_WRITTEN)
	ReasonStoreReplaced = Reason(op25bv1.SwitchReason_SWITCH_REASON_STORE_REPLACED)
	ReasonDateHeld      = Reason(op25bv1.SwitchReason_SWITCH_REASON_DATE_HELD)
	ReasonNoClock       = Reason(op25bv1.SwitchReason_SWITCH_REASON_NO_CLOCK)
	ReasonHoldReleased  = Reason(op25bv1.SwitchReason_SWITCH_REASON_HOLD_RELEASED)

	ReasonNoRoom           = Reason(op25bv1.SwitchReason_SWITCH_REASON_NO_ROOM)
	ReasonPipelineRefused  = Reason(op25bv1.SwitchReason_SWITCH_REASON_PIPELINE_REFUSED)
	ReasonCompile          = Reason(op25bv1.SwitchReason_SWITCH_REASON_COMPILE)
	ReasonConfig           = Reason(op25bv1.SwitchReason_SWITCH_REASON_CONFIG)
	ReasonNoHigherElection = Reason(op25bv1.SwitchReason_SWITCH_REASON_NO_HIGHER_ELECTION)
	ReasonNotConverged     = Reason(op25bv1.SwitchReason_SWITCH_REASON_NOT_CONVERGED)
	ReasonWriteRefused     = Reason(op25bv1.SwitchReason_SWITCH_REASON_WRITE_REFUSED)
	ReasonReadFailed       = Reason(op25bv1.SwitchReason_SWITCH_REASON_READ_FAILED)
	ReasonPhaseOnly        = Reason(op25bv1.SwitchReason_SWITCH_REASON_PHASE_ONLY)
	ReasonDeviates         = Reason(op25bv1.SwitchReason_SWITCH_REASON_DEVIATES)

	ReasonNoPhase = Reason(op25bv1.SwitchReason_SWITCH_REASON_NO_PHASE)

	ReasonMaintenance = Reason(op25bv1.SwitchReason_SWITCH_REASON_MAINTENANCE)

	ReasonNeverReported = Reason(op25bv1.SwitchReason_SWITCH_REASON_NEVER_REPORTED)
	ReasonOwnerGone     = Reason(op25bv1.SwitchReason_SWITCH_REASON_OWNER_GONE)
	ReasonReleased      = Reason(op25bv1.SwitchReason_SWITCH_REASON_RELEASED)
	ReasonTakenOver     = Reason(op25bv1.SwitchReason_SWITCH_REASON_TAKEN_OVER)
	ReasonNotConfirmed  = Reason(op25bv1.SwitchReason_SWITCH_REASON_NOT_CONFIRMED)
)

// An OwnershipState describes whether a controller may write to a switch. It is independent of the switch's State.
type OwnershipState op25bv1.SwitchOwnership

// The states of an ownership: see SwitchOwnership in fleet.proto. Waiting and Lost are never stored, because only the owner stores
// the status.
const (
	NotOwned = OwnershipState(op25bv1.SwitchOwnership_SWITCH_OWNERSHIP_NONE)
	Waiting  = OwnershipState(op25bv1.SwitchOwnership_SWITCH_OWNERSHIP_WAITING)
	Owned    = OwnershipState(op25bv1.SwitchOwnership_SWITCH_OWNERSHIP_OWNED)
	Lost     = OwnershipState(op25bv1.SwitchOwnership_SWITCH_OWNERSHIP_LOST)
)

// Failed reports whether a switch in this state currently cannot be brought to the desired state.
func (s State) Failed() bool {
	switch s {
	case StateFailed, StateDisconnected, StateBackup, StateNoPhase:
		return true
	}
	return false
}

func (s State) String() string  { return enumName(op25bv1.SwitchState(s), "SWITCH_STATE_") }
func (r Reason) String() string { return enumName(op25bv1.SwitchReason(r), "SWITCH_REASON_") }
func (o OwnershipState) String() string {
	return enumName(op25bv1.SwitchOwnership(o), "SWITCH_OWNERSHIP_")
}

// MarshalText returns the name of the state.
func (s State) MarshalText() ([]byte, error)          { return []byte(s.String()), nil }
func (r Reason) MarshalText() ([]byte, error)         { return []byte(r.String()), nil }
func (o OwnershipState) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText sets the state by its name. An unknown name, such as one from a newer controller, is read as unspecified.
func (s *State) UnmarshalText(text []byte) error {
	*s = State(enumNumber(op25bv1.SwitchState_SWITCH_STATE_UNSPECIFIED.Descriptor(), "SWITCH_STATE_", text))
	return nil
}

// UnmarshalText sets the reason by its name. An unknown name is read as unspecified.
func (r *Reason) UnmarshalText(text []byte) error {
	*r = Reason(enumNumber(op25bv1.SwitchReason_SWITCH_REASON_UNSPECIFIED.Descriptor(), "SWITCH_REASON_", text))
	return nil
}

// UnmarshalText sets the ownership by its name. An unknown name is read as unspecified.
func (o *OwnershipState) UnmarshalText(text []byte) error {
	*o = OwnershipState(enumNumber(op25bv1.SwitchOwnership_SWITCH_OWNERSHIP_UNSPECIFIED.Descriptor(), "SWITCH_OWNERSHIP_", text))
	return nil
}

// enumName returns the name of a value without the prefix of its enum, such as "no-phase" for SWITCH_STATE_NO_PHASE.
func enumName(v protoreflect.Enum, prefix string) string {
	d := v.Descriptor().Values().ByNumber(v.Number())
	if d == nil {
		return fmt.Sprint(v.Number())
	}
	return strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(string(d.Name()), prefix), "_", "-"))
}

func enumNumber(d protoreflect.EnumDescriptor, prefix string, text []byte) protoreflect.EnumNumber {
	name := prefix + strings.ToUpper(strings.ReplaceAll(string(text), "-", "_"))
	if v := d.Values().ByName(protoreflect.Name(name)); v != nil {
		return v.Number()
	}
	return 0
}
