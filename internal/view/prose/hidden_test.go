package prose

import (
	"testing"
	"unicode"
)

// TestHiddenASCII verifies that the short way of Hidden for ASCII agrees with the classes of Unicode.
func TestHiddenASCII(t *testing.T) {
	for r := rune(0); r < 0x100; r++ {
		want := unicode.In(r, unicode.C, unicode.Zl, unicode.Zp, unicode.Other_Default_Ignorable_Code_Point)
		if got := Hidden(r); got != want {
			t.Errorf("Hidden(%U) is %v, want %v", r, got, want)
		}
	}
}
