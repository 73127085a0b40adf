package view

import op25bv1 "op25b/proto/op25b/v1"

// stateNames maps the states of a switch to the names that tables show.
var stateNames = map[op25bv1.SwitchState]string{
	op25bv1.SwitchState_SWITCH_STATE_UNSPECIFIED:  "unknown",
	op25bv1.SwitchState_SWITCH_STATE_UNKNOWN:      "unknown",
	op25bv1.SwitchState_SWITCH_STATE_CONNECTING:   "connecting",
	op25bv1.SwitchState_SWITCH_STATE_DISCONNECTED: "disconnected",
	op25bv1.SwitchState_SWITCH_STATE_BACKUP:       "backup",
	op25bv1.SwitchState_SWITCH_STATE_CONVERGING:   "converging",
	op25bv1.SwitchState_SWITCH_STATE_CONVERGED:    "converged",
	op25bv1.SwitchState_SWITCH_STATE_FAILED:       "failed",
	op25bv1.SwitchState_SWITCH_STATE_NO_PHASE:     "no phase",
	op25bv1.SwitchState_SWITCH_STATE_HELD:         "HELD",
}

// reasonTexts maps the reasons of states to the texts that tables show.
var reasonTexts = map[op25bv1.SwitchReason]string{
	op25bv1.SwitchReason_SWITCH_REASON_UNSPECIFIED: "no reason was given",

	op25bv1.SwitchReason_SWITCH_REASON_DIALING:             "its controller is connecting to it",
	op25bv1.SwitchReason_SWITCH_REASON_UNREACHABLE:         "the switch is unreachable",
	op25bv1.SwitchReason_SWITCH_REASON_TLS_REFUSED:         "TLS was refused",
	op25bv1.SwitchReason_SWITCH_REASON_ARBITRATION_REFUSED: "the arbitration was refused",
	op25bv1.SwitchReason_SWITCH_REASON_UNKNOWN_DEVICE:      "the switch does not know the device id or the role",
	op25bv1.SwitchReason_SWITCH_REASON_STREAM_LOST:         "the connection was lost",
	op25bv1.SwitchReason_SWITCH_REASON_SESSION_CLOSED:      "the session was closed",
	op25bv1.SwitchReason_SWITCH_REASON_SESSION_FAILED:      "the session failed",
	op25bv1.SwitchReason_SWITCH_REASON_OTHER_PRIMARY:       "a controller of another store is primary",
	op25bv1.SwitchReason_SWITCH_REASON_DEMOTED:             "demoted by another controller",
	op25bv1.SwitchReason_SWITCH_REASON_NO_PRIMARY:          "no controller is primary; the switch has seen a higher election id",
	op25bv1.SwitchReason_SWITCH_REASON_OUTRANKED:           "the switch has seen a higher election id",

	op25bv1.SwitchReason_SWITCH_REASON_ELECTED:        "the switch is being read, because its controller has just become primary",
	op25bv1.SwitchReason_SWITCH_REASON_INTENT:         "the intent has changed",
	op25bv1.SwitchReason_SWITCH_REASON_PHASE:          "a phase was activated or rolled back",
	op25bv1.SwitchReason_SWITCH_REASON_DATE:           "a date has come",
	op25bv1.SwitchReason_SWITCH_REASON_DRIFT:          "another writer or a restart changed the switch",
	op25bv1.SwitchReason_SWITCH_REASON_RESTORED:       "an older revision was restored",
	op25bv1.SwitchReason_SWITCH_REASON_AS_WANTED:      "nothing had to be written",
	op25bv1.SwitchReason_SWITCH_REASON_WRITTEN:        "the differences were written",
	op25bv1.SwitchReason_SWITCH_REASON_STORE_REPLACED: "the store was replaced",
	op25bv1.SwitchReason_SWITCH_REASON_DATE_HELD:      "a date has come and is held, because the controller's clock is in doubt",
	op25bv1.SwitchReason_SWITCH_REASON_NO_CLOCK:       "exemptions end only with a controller, because the switch's clock cannot be read",
	op25bv1.SwitchReason_SWITCH_REASON_HOLD_RELEASED:  "it was held for maintenance and has been released",

	op25bv1.SwitchReason_SWITCH_REASON_NO_ROOM:            "a table is full",
	op25bv1.SwitchReason_SWITCH_REASON_PIPELINE_REFUSED:   "the pipeline was refused",
	op25bv1.SwitchReason_SWITCH_REASON_COMPILE:            "the intent cannot be compiled for it",
	op25bv1.SwitchReason_SWITCH_REASON_CONFIG:             "its session cannot be configured",
	op25bv1.SwitchReason_SWITCH_REASON_NO_HIGHER_ELECTION: "a higher election id cannot be had",
	op25bv1.SwitchReason_SWITCH_REASON_NOT_CONVERGED:      "it does not hold what was written to it",
	op25bv1.SwitchReason_SWITCH_REASON_WRITE_REFUSED:      "updates were refused",
	op25bv1.SwitchReason_SWITCH_REASON_READ_FAILED:        "it cannot be read",
	op25bv1.SwitchReason_SWITCH_REASON_PHASE_ONLY:         "the phase is in force, and the documents do not fit",
	op25bv1.SwitchReason_SWITCH_REASON_DEVIATES:           "it would not treat packets as the documents demand",

	op25bv1.SwitchReason_SWITCH_REASON_NO_PHASE: "no phase has begun",

	op25bv1.SwitchReason_SWITCH_REASON_MAINTENANCE: "held for maintenance",

	op25bv1.SwitchReason_SWITCH_REASON_NEVER_REPORTED: "no controller has reported its state",
	op25bv1.SwitchReason_SWITCH_REASON_OWNER_GONE:     "its controller is gone and no other owns it yet; the switch keeps its entries",
	op25bv1.SwitchReason_SWITCH_REASON_RELEASED:       "its controller released it and no other owns it yet; the switch keeps its entries",
	op25bv1.SwitchReason_SWITCH_REASON_TAKEN_OVER:     "another controller owns it now and has not reported its state yet",
	op25bv1.SwitchReason_SWITCH_REASON_NOT_CONFIRMED:  "its controller has not confirmed its state recently",
}

// stateText returns the text for a state, and reasonText the text for a reason. For a value that this version does not recognise,
// they return its number.
func stateText(s op25bv1.SwitchState) string {
	if text, ok := stateNames[s]; ok {
		return text
	}
	return s.String()
}

func reasonText(r op25bv1.SwitchReason) string {
	if text, ok := reasonTexts[r]; ok {
		return text
	}
	return r.String()
}
