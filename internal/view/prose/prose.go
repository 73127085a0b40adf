// Package prose prepares text for a terminal. It escapes, measures and wraps text, and renders numbers.
//
// The package does not depend on any message. Package view uses it for whole answers, and packages that build sentences use it for parts
// of sentences.
package prose

import (
	"cmp"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mattn/go-runewidth"
)

// Escape replaces characters that would move or hide other text on a terminal by their code points, such as \u202e. These are control
// characters including the newline, bidirectional controls, and zero-width characters. Invalid UTF-8 is replaced by \uFFFD. The result is
// a single line.
func Escape(s string) string {
	if !strings.ContainsFunc(s, Hidden) && utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for _, r := range strings.ToValidUTF8(s, "\uFFFD") {
		switch {
		case !Hidden(r):
			b.WriteRune(r)
		case r > 0xffff:
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// EscapeLines is like Escape, except that it keeps newlines.
func EscapeLines(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = Escape(lines[i])
	}
	return strings.Join(lines, "\n")
}

// Hidden reports whether a character has category C, is a line or paragraph separator, or is invisible (Unicode Standard section 5.21).
func Hidden(r rune) bool {
	if r < unicode.MaxASCII { // nearly every character of a page; of these, only the controls are hidden
		return r < ' '
	}
	return unicode.In(r, unicode.C, unicode.Zl, unicode.Zp, unicode.Other_Default_Ignorable_Code_Point)
}

// width measures characters of ambiguous width as one column wide in every locale, so that line breaks do not depend on the locale.
var width = &runewidth.Condition{StrictEmojiNeutral: true}

// Columns returns the number of columns that a text occupies on a terminal. Most East Asian characters occupy two columns (Unicode
// Standard Annex 11).
func Columns(s string) int { return width.StringWidth(s) }

// Cut shortens a text to at most the given number of columns. It replaces the removed part by an ellipsis.
func Cut(s string, columns int) string { return width.Truncate(s, columns, "…") }

// Wrap breaks a text at spaces into lines of at most the given number of columns. Each line ends with a newline. The first line begins
// with first. The other lines are indented by hang columns, or by the width of first if hang is 0. East Asian text has no spaces, so Wrap
// may break it between any two characters except before closing punctuation. A word that is longer than a line is not broken.
func Wrap(first, s string, hang, columns int) string {
	var b strings.Builder
	b.WriteString(first)
	at, empty := Columns(first), true
	indent := cmp.Or(hang, at)
	line := func() {
		b.WriteString("\n" + strings.Repeat(" ", indent))
		at = indent
	}
	for word := range strings.FieldsSeq(s) {
		for i, part := range parts(word) {
			n := Columns(part)
			switch {
			case i > 0 && at+n > columns, i == 0 && !empty && at+1+n > columns:
				line()
			case i == 0 && !empty:
				b.WriteByte(' ')
				at++
			}
			b.WriteString(part)
			at += n
			empty = false
		}
	}
	b.WriteByte('\n')
	return b.String()
}

// parts splits a word at the places where a line may break: before and after each wide character, except before closing punctuation.
func parts(word string) []string {
	if width.StringWidth(word) == utf8.RuneCountInString(word) { // the word has no wide characters
		return []string{word}
	}
	var all []string
	begin, wide := 0, false
	for i, r := range word {
		n := width.RuneWidth(r)
		if i > begin && n > 0 && (wide || n == 2) && !closing(r) {
			all = append(all, word[begin:i])
			begin = i
		}
		if n > 0 {
			wide = n == 2
		}
	}
	return append(all, word[begin:])
}

// closing reports whether a character must not begin a line (JIS X 4051, kinsoku).
func closing(r rune) bool {
	return unicode.In(r, unicode.Pe, unicode.Pf) || strings.ContainsRune("、。,.・:;?!ー々", r)
}

// Integer is the type constraint for numbers that this package renders.
type Integer interface{ ~int | ~uint32 | ~uint64 }

// Number renders a number with commas between thousands, such as 65,536.
func Number[N Integer](n N) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Count renders a number and its noun, such as 1 switch, 2 switches, or 1,204 keys.
func Count[N Integer](n N, noun string) string { return Number(n) + " " + Plural(n, noun) }

// Plural returns the singular of a noun if n is 1, and its plural otherwise.
func Plural[N Integer](n N, noun string) string {
	if n == 1 {
		return noun
	}
	if stem, ok := strings.CutSuffix(noun, "y"); ok && !strings.ContainsAny(stem[len(stem)-1:], "aeou") {
		return stem + "ies"
	}
	for _, end := range []string{"ch", "sh", "s", "x"} {
		if strings.HasSuffix(noun, end) {
			return noun + "es"
		}
	}
	return noun + "s"
}

// List joins at most the first most names with commas, and adds the number of the remaining names.
func List(names []string, most int) string {
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %s more", strings.Join(names[:most], ", "), Number(len(names)-most))
}
