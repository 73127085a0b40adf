package web

import (
	"strings"

	op25bv1 "op25b/proto/op25b/v1"
)

// changeOf says what a rollout brings.
func (b base) changeOf(r *op25bv1.Rollout) string {
	switch {
	case r.Policy != "":
		return b.T("rollout documents", r.Policy)
	case len(r.Groups) > 0:
		return b.T("rollout groups", r.Phase, b.names(r.Groups))
	}
	return b.T("rollout phase", r.Phase)
}

// rolloutClass is the class of a rollout's state.
func rolloutClass(s op25bv1.RolloutState) string {
	switch s {
	case op25bv1.RolloutState_ROLLOUT_STATE_DONE, op25bv1.RolloutState_ROLLOUT_STATE_SOAKING:
		return "good"
	case op25bv1.RolloutState_ROLLOUT_STATE_GOING_BACK, op25bv1.RolloutState_ROLLOUT_STATE_WENT_BACK:
		return "bad"
	case op25bv1.RolloutState_ROLLOUT_STATE_UNSPECIFIED:
		return "unknown"
	}
	return "busy"
}

// RolloutState returns the name of a rollout's state. In English, it is the word of the commands.
func (b base) RolloutState(s op25bv1.RolloutState) string {
	switch s {
	case op25bv1.RolloutState_ROLLOUT_STATE_MEASURING:
		return b.T("rollout measuring")
	case op25bv1.RolloutState_ROLLOUT_STATE_REHEARSING:
		return b.T("rollout rehearsing")
	case op25bv1.RolloutState_ROLLOUT_STATE_TAKING_BACK:
		return b.T("rollout taking-back")
	case op25bv1.RolloutState_ROLLOUT_STATE_ADVANCING:
		return b.T("rollout advancing")
	case op25bv1.RolloutState_ROLLOUT_STATE_SOAKING:
		return b.T("rollout soaking")
	case op25bv1.RolloutState_ROLLOUT_STATE_HELD:
		return b.T("rollout held")
	case op25bv1.RolloutState_ROLLOUT_STATE_PAUSED:
		return b.T("rollout paused")
	case op25bv1.RolloutState_ROLLOUT_STATE_GOING_BACK:
		return b.T("rollout going-back")
	case op25bv1.RolloutState_ROLLOUT_STATE_WENT_BACK:
		return b.T("rollout went-back")
	case op25bv1.RolloutState_ROLLOUT_STATE_DONE:
		return b.T("rollout done")
	}
	return b.T("rollout state unknown")
}

// means says what the state of a rollout means, and what an operator can do.
func (b base) means(r *op25bv1.Rollout) string {
	hand := ""
	if int(r.Ring) < len(r.Rings) {
		hand = r.Rings[r.Ring].Name
	}
	switch r.State {
	case op25bv1.RolloutState_ROLLOUT_STATE_MEASURING:
		return b.T("means measuring")
	case op25bv1.RolloutState_ROLLOUT_STATE_REHEARSING:
		return b.T("means rehearsing", hand)
	case op25bv1.RolloutState_ROLLOUT_STATE_TAKING_BACK:
		return b.T("means taking-back", hand)
	case op25bv1.RolloutState_ROLLOUT_STATE_ADVANCING:
		return b.T("means advancing", hand)
	case op25bv1.RolloutState_ROLLOUT_STATE_SOAKING:
		return b.T("means soaking", hand)
	case op25bv1.RolloutState_ROLLOUT_STATE_HELD:
		return b.T("means held")
	case op25bv1.RolloutState_ROLLOUT_STATE_PAUSED:
		return b.T("means paused")
	case op25bv1.RolloutState_ROLLOUT_STATE_GOING_BACK:
		return b.T("means going-back")
	case op25bv1.RolloutState_ROLLOUT_STATE_WENT_BACK:
		return b.T("means went-back")
	case op25bv1.RolloutState_ROLLOUT_STATE_DONE:
		return b.T("means done")
	}
	return ""
}

// ringState says where a ring is.
func (b base) ringState(r *op25bv1.Rollout, i int) string {
	switch hand := int(r.Ring); {
	case r.State == op25bv1.RolloutState_ROLLOUT_STATE_DONE:
		return b.T("ring got")
	case r.State == op25bv1.RolloutState_ROLLOUT_STATE_WENT_BACK && i > hand:
		return b.T("ring never")
	case r.State == op25bv1.RolloutState_ROLLOUT_STATE_WENT_BACK:
		return b.T("ring lost")
	case r.State == op25bv1.RolloutState_ROLLOUT_STATE_GOING_BACK && i <= hand:
		return b.T("ring loses")
	case i > hand:
		return b.T("ring waits")
	case i < hand:
		return b.T("ring has")
	}
	switch r.State {
	case op25bv1.RolloutState_ROLLOUT_STATE_MEASURING:
		return b.T("ring measured")
	case op25bv1.RolloutState_ROLLOUT_STATE_REHEARSING:
		return b.T("ring rehearses")
	case op25bv1.RolloutState_ROLLOUT_STATE_TAKING_BACK:
		return b.T("ring taken back")
	case op25bv1.RolloutState_ROLLOUT_STATE_ADVANCING:
		return b.T("ring advances")
	}
	return b.RolloutState(r.State)
}

// verdict returns the word of a verdict, and its class.
func (b base) verdict(v op25bv1.FindingVerdict) (text, class string) {
	switch v {
	case op25bv1.FindingVerdict_FINDING_VERDICT_PASS:
		return b.T("verdict pass"), "good"
	case op25bv1.FindingVerdict_FINDING_VERDICT_HOLD:
		return b.T("verdict hold"), "busy"
	case op25bv1.FindingVerdict_FINDING_VERDICT_GO_BACK:
		return b.T("verdict go-back"), "bad"
	}
	return b.T("verdict no-data"), "unknown"
}

// gate says what a gate looks at, or "" for a gate that is not known here.
func (b base) gate(name string) string {
	switch strings.ToLower(name) {
	case "submission":
		return b.T("gate submission")
	case "relays":
		return b.T("gate relays")
	case "counting":
		return b.T("gate counting")
	case "switches":
		return b.T("gate switches")
	case "tables":
		return b.T("gate tables")
	case "affected":
		return b.T("gate affected")
	case "rejects":
		return b.T("gate rejects")
	case "stopping":
		return b.T("gate stopping")
	case "probes":
		return b.T("gate probes")
	case "tickets":
		return b.T("gate tickets")
	case "foreseen":
		return b.T("gate foreseen")
	case "confirmation":
		return b.T("gate confirmation")
	case "operator":
		return b.T("gate operator")
	}
	return ""
}
