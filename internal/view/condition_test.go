package view

import (
	"testing"
	"time"

	op25bv1 "op25b/proto/op25b/v1"
)

// Every state and every reason has a text of its own, and every text belongs to a state or reason.
func TestWordsOfConditions(t *testing.T) {
	for n, name := range op25bv1.SwitchState_name {
		if stateNames[op25bv1.SwitchState(n)] == "" {
			t.Errorf("%s has no words", name)
		}
	}
	of := make(map[string]string)
	for n, name := range op25bv1.SwitchReason_name {
		text := reasonTexts[op25bv1.SwitchReason(n)]
		if other := of[text]; text == "" || other != "" {
			t.Errorf("%s has the words %q, which %s has too", name, text, other)
		}
		of[text] = name
	}
	if len(stateNames) != len(op25bv1.SwitchState_name) || len(reasonTexts) != len(op25bv1.SwitchReason_name) {
		t.Error("there are words for values that do not exist")
	}
	if got := stateText(99) + ", " + reasonText(99); got != "99, 99" {
		t.Errorf("values of a newer controller: %s", got)
	}
}

// Unfinished reports the states of the switches at the time limit of a change.
func TestUnfinished(t *testing.T) {
	const converged = op25bv1.SwitchState_SWITCH_STATE_CONVERGED
	stored := &op25bv1.Revision{Number: 15, Id: "x"}
	switches := map[string]*op25bv1.SwitchStatus{
		"a": {State: converged, Converged: true, Revision: 15, RevisionId: "x"},
		"b": {State: converged, Converged: true, Revision: 16, RevisionId: "z"},
		"c": {State: converged, Converged: true, Revision: 15, RevisionId: "of a store that was replaced"},
		"d": {State: op25bv1.SwitchState_SWITCH_STATE_DISCONNECTED, Reason: op25bv1.SwitchReason_SWITCH_REASON_UNREACHABLE, Detail: "refused"},
	}
	want := "revision 15 is stored; 2 of 4 switches reached it within --timeout 1m0s; not yet: c (converged at revision 15), " +
		"d (disconnected, the switch is unreachable: refused); the controllers keep trying: op25b status --watch"
	if got := Unfinished(stored, switches, time.Minute); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
