package plan

import (
	"strings"
	"unicode/utf8"
)

// ANSI colors.
const (
	red    = "\x1b[31m"
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
	plain  = "\x1b[0m"
)

// A sign stands before an entry.
type sign struct{ text, color string }

var signs = map[string]sign{Added: {"+", green}, Changed: {"~", yellow}, Removed: {"-", red}}

func diffColor(line string) string {
	switch {
	case strings.HasPrefix(line, "+"):
		return green
	case strings.HasPrefix(line, "-"):
		return red
	}
	return ""
}

func (t *writer) blank() { t.out.WriteByte('\n') }

// paint colors a text, if colors are asked for.
func (t *writer) paint(color, text string) string {
	if !t.Color || color == "" {
		return text
	}
	return color + text + plain
}

// mark writes an entry behind its sign.
func (t *writer) mark(indent int, s sign, text string) {
	t.wrapped(indent, s.text+" ", s.color, text, "")
}

// line writes a text behind a label, broken where it has to be. What is broken goes on under its beginning.
func (t *writer) line(indent int, label, text string) { t.wrapped(indent, label, "", text, "") }

// sentence is a line whose label and text have a color.
func (t *writer) sentence(color, label, text string) { t.wrapped(2, label, color, text, color) }

// colored writes a line of one color; its own indent counts.
func (t *writer) colored(color, text string) {
	trimmed := strings.TrimLeft(text, " ")
	t.wrapped(len(text)-len(trimmed), "", "", trimmed, color)
}

func (t *writer) wrapped(indent int, label, labelColor, text, color string) {
	margin := strings.Repeat(" ", indent)
	hang := utf8.RuneCountInString(label)
	for i, line := range wrap(clean(text), t.Width-indent-hang) {
		t.out.WriteString(margin)
		if i == 0 {
			t.out.WriteString(t.paint(labelColor, label))
		} else {
			t.out.WriteString(strings.Repeat(" ", hang))
		}
		t.out.WriteString(t.paint(color, line))
		t.out.WriteByte('\n')
	}
}

// clean takes out of a text what would write elsewhere on a terminal than where it is: names and reasons come from others.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n':
			return '\n'
		case r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0:
			return '\uFFFD'
		}
		return r
	}, text)
}

// wrap breaks a text at blanks into lines of at most a number of characters; a word that is longer stays whole. Lines that the text has stay.
func wrap(text string, width int) []string {
	var lines []string
	for paragraph := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		line, length := "", 0
		for word := range strings.SplitSeq(paragraph, " ") {
			n := utf8.RuneCountInString(word)
			switch {
			case line == "":
				line, length = word, n
			case length+1+n <= width:
				line, length = line+" "+word, length+1+n
			default:
				lines = append(lines, line)
				line, length = word, n
			}
		}
		lines = append(lines, line)
	}
	return lines
}
