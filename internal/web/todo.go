package web

import (
	"slices"

	op25bv1 "op25b/proto/op25b/v1"
)

// A todoRow says what to do now about the switches of one state.
type todoRow struct{ State, Text string }

// todo returns what to do now about a switch that needs attention. One that is converged at another revision is about to change.
func (b base) todo(s *op25bv1.SwitchStatus) string {
	switch s.State {
	case op25bv1.SwitchState_SWITCH_STATE_FAILED:
		if s.Reason == op25bv1.SwitchReason_SWITCH_REASON_DEVIATES {
			return b.T("todo deviates")
		}
		return b.T("todo failed")
	case op25bv1.SwitchState_SWITCH_STATE_DISCONNECTED:
		return b.T("todo disconnected")
	case op25bv1.SwitchState_SWITCH_STATE_BACKUP:
		return b.T("todo backup")
	case op25bv1.SwitchState_SWITCH_STATE_NO_PHASE:
		return b.T("todo no phase")
	case op25bv1.SwitchState_SWITCH_STATE_HELD:
		return b.T("todo held")
	case op25bv1.SwitchState_SWITCH_STATE_CONNECTING, op25bv1.SwitchState_SWITCH_STATE_CONVERGING, op25bv1.SwitchState_SWITCH_STATE_CONVERGED:
		return b.T("todo changing")
	}
	return b.T("todo unknown")
}

// todos returns what to do now about switches, the states in the order of their first switches.
func (b base) todos(switches []*op25bv1.SwitchStatus) []todoRow {
	var rows []todoRow
	for _, s := range switches {
		row := todoRow{b.State(s.State), b.todo(s)}
		if !slices.Contains(rows, row) {
			rows = append(rows, row)
		}
	}
	return rows
}
