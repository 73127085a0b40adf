package view

import "testing"

// TestStatesAndReasonsInJapanese verifies that every state and reason has a Japanese text.
func TestStatesAndReasonsInJapanese(t *testing.T) {
	for s := range stateNames {
		if stateNamesJa[s] == "" {
			t.Errorf("%v has no Japanese name", s)
		}
	}
	for r := range reasonTexts {
		if reasonTextsJa[r] == "" {
			t.Errorf("%v has no Japanese text", r)
		}
	}
	for s := range collectionNames {
		if collectionNamesJa[s] == "" {
			t.Errorf("%v has no Japanese name", s)
		}
	}
	for r := range collectionReasons {
		if collectionReasonsJa[r] == "" {
			t.Errorf("%v has no Japanese text", r)
		}
	}
}
