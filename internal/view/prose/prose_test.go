package prose

import (
	"slices"
	"strings"
	"testing"
	"unicode"

	"pgregory.net/rapid"
)

func TestEscape(t *testing.T) {
	for in, want := range map[string]string{
		"FLET'S ADSL, 携帯電話会社":             "FLET'S ADSL, 携帯電話会社",
		"\x1b[2J":                         `\u001b[2J`,
		"a\nSTOPS\tb\r\u0085":             `a\u000aSTOPS\u0009b\u000d\u0085`,
		"a\u202eb\u2066c\u200f":           `a\u202eb\u2066c\u200f`,
		"a\u200b\u200d\ufeff\u00ad\u2060": `a\u200b\u200d\ufeff\u00ad\u2060`,
		"a\u2028b\u2029\u3164\U000e0041":  `a\u2028b\u2029\u3164\U000e0041`,
		"a\xffb":                          "a\uFFFDb",
		"が":                               "が", // a letter with a combining mark
	} {
		if got := Escape(in); got != want {
			t.Errorf("%q is %q, want %q", in, got, want)
		}
	}
}

// The result of Escape contains only characters that a terminal displays in place.
func TestEscapeLeavesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		got := Escape(rapid.String().Draw(t, "text"))
		for _, r := range got {
			if unicode.Is(unicode.C, r) || r == '\u2028' || r == '\u2029' {
				t.Fatalf("%U in %q", r, got)
			}
		}
	})
}

func TestColumns(t *testing.T) {
	for s, want := range map[string]int{"": 0, "abc": 3, "携帯": 4, "ｱｲ": 2, "が": 2, "…": 1, "\u2160": 1, "👍": 2} {
		if got := Columns(s); got != want {
			t.Errorf("%q takes %d columns, want %d", s, got, want)
		}
	}
	if got := Cut("携帯電話会社", 7); got != "携帯電…" || Columns(got) != 7 {
		t.Errorf("cut to %q", got)
	}
	if got := Cut("adsl", 4); got != "adsl" {
		t.Errorf("cut to %q", got)
	}
}

// Japanese text has no spaces and is wrapped between characters. Regression test: a note of 170
// columns was once written as a single line.
func TestWrapJapanese(t *testing.T) {
	note := strings.Repeat("携帯電話会社のメールサーバーへの直接の送信を止める。", 4)
	got := Wrap("note: ", note, 0, 100)
	lines := strings.Split(strings.TrimSuffix(got, "\n"), "\n")
	if len(lines) < 2 {
		t.Fatalf("not broken: %q", got)
	}
	joined := ""
	for i, line := range lines {
		if n := Columns(line); n > 100 {
			t.Errorf("%d columns: %s", n, line)
		}
		if i > 0 && !strings.HasPrefix(line, "      ") {
			t.Errorf("not indented: %q", line)
		}
		joined += line[len("note: "):]
	}
	if joined != note {
		t.Errorf("%q became %q", note, joined)
	}
	// No line begins with a full stop, and Latin words in Japanese text are not broken.
	for columns := 12; columns < 60; columns++ {
		for i, line := range strings.Split(Wrap("", "送信サーバーを smtp.example.jp、暗号化をSTARTTLSにしてください。", 0, columns), "\n") {
			if i > 0 && (strings.HasPrefix(line, "。") || strings.HasPrefix(line, "、")) {
				t.Errorf("width %d: a line begins with %q", columns, line)
			}
		}
	}
}

// A wrapped text contains all its words, and only a line with a single word may be longer than the
// limit.
func TestWrap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOfN(rapid.StringMatching(`[a-zé]{1,12}`), 1, 40).Draw(t, "words")
		columns := rapid.IntRange(1, 30).Draw(t, "columns")
		lines := strings.Split(strings.TrimSuffix(Wrap("", strings.Join(words, " "), 0, columns), "\n"), "\n")
		if got := strings.Fields(strings.Join(lines, " ")); !slices.Equal(got, words) {
			t.Fatalf("%q became %q", words, got)
		}
		for i, line := range lines {
			if Columns(line) > columns && strings.Contains(line, " ") {
				t.Fatalf("%q is wider than %d", line, columns)
			}
			if i > 0 && Columns(lines[i-1])+1+Columns(strings.Fields(line)[0]) <= columns {
				t.Fatalf("%q would have fit behind %q", line, lines[i-1])
			}
		}
	})
}

func TestCount(t *testing.T) {
	for want, got := range map[string]string{
		"1 switch": Count(1, "switch"), "2 switches": Count(2, "switch"), "0 entries": Count(0, "entry"), "1,204 keys": Count(uint64(1204), "key"),
		"2 prefixes": Count(uint32(2), "prefix"), "1,000,000 lines": Count(1_000_000, "line"), "999 records": Count(999, "record"), "-1,234": Number(-1234), "-123": Number(-123),
		"2 days": Count(2, "day"), "2 classes": Count(2, "class"),
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if got := List([]string{"a", "b", "c"}, 2); got != "a, b and 1 more" {
		t.Errorf("got %s", got)
	}
	if got := List([]string{"a", "b"}, 2); got != "a, b" {
		t.Errorf("got %s", got)
	}
}
