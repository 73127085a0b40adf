package view

import (
	"strings"
	"testing"
)

// TestParseHead verifies that a head is read in the form of the commands and in that of the page, also with the spaces of a copy, and that any other
// text is refused.
func TestParseHead(t *testing.T) {
	hash := strings.Repeat("0123456789abcdef", 4)
	for _, text := range []string{"17:" + hash, "17 " + hash, " 17  " + hash + "\n", "17: " + hash} {
		if seq, got, ok := ParseHead(text); seq != 17 || got != hash || !ok {
			t.Errorf("%q is read as %d, %s, %v", text, seq, got, ok)
		}
	}
	for _, text := range []string{"", "17", hash, "17" + hash, "17:" + hash[1:], "17:" + hash + "0", "0:" + hash, "-1:" + hash, "17;" + hash, "17:" + strings.ToUpper(hash), "99999999999999999999:" + hash, "x " + hash} {
		if seq, got, ok := ParseHead(text); ok {
			t.Errorf("%q is read as %d, %s", text, seq, got)
		}
	}
}

// TestOtherHead verifies that a head beyond the end of the chain is told from one that differs, in both languages.
func TestOtherHead(t *testing.T) {
	for _, c := range []struct {
		lang      string
		seq, last uint64
		want      string
	}{
		{"en", 7, 7, "The head that was entered is not that of record 7. The records themselves fit each other."},
		{"en", 8, 7, "There is no record 8: the chain ends at record 7."},
		{"ja", 6, 7, "入力された末尾は、6番の記録のものと一致しません。"},
		{"ja", 8, 7, "8番の記録はありません。監査記録は7番で終わっています。"},
	} {
		if got := OtherHead(c.lang, c.seq, c.last); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s, %d of %d: %s", c.lang, c.seq, c.last, got)
		}
	}
}
