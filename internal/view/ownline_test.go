package view

import (
	"testing"
	"unicode"
)

// Every fault has a sentence in both languages.
func TestOwnLineProblems(t *testing.T) {
	for _, f := range []OwnLineFault{NoLookUp, NoFamily, NoPhaseYet} {
		en, ja := OwnLineProblem("en", f), OwnLineProblem("ja", f)
		japanese := 0
		for _, r := range ja {
			if unicode.In(r, unicode.Hiragana, unicode.Katakana, unicode.Han) {
				japanese++
			}
		}
		if en == "" || en != OwnLineProblem("", f) || japanese < 10 || ja[len(ja)-3:] != "。" || en[len(en)-1] != '.' {
			t.Errorf("%d: %q, %q", f, en, ja)
		}
	}
}
