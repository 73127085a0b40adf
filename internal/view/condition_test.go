package view

import (
	"testing"

	op25bv1 "op25b/proto/op25b/v1"
)

// Every state and every reason has its own words, and no words are left over.
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
