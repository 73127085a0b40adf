package markdown

import (
	"fmt"
	"html/template"
	"strings"
	"unicode/utf8"

	"op25b/internal/strict"
)

// maxLine is the maximum number of characters in a Line. Feeds, calendars and lists show titles of this length on at most three lines.
const maxLine = 200

// A Line is one line of text that can have ruby, such as a title. Ruby is written as {base|reading}: {遮断|しゃだん}.
type Line struct{ runs []run }

// A run is a piece of a Line. Its reading is empty if it has no ruby.
type run struct{ base, reading string }

// ParseLine parses a line. The error wraps ErrRuby.
func ParseLine(text string) (Line, error) {
	fail := func(what string) (Line, error) {
		return Line{}, fmt.Errorf("%w: %q: %s: write ruby as in {漢字|かんじ}, and leave out other braces", ErrRuby, text, what)
	}
	switch {
	case strings.TrimSpace(text) == "":
		return fail("it is empty")
	case strings.ContainsAny(text, "\r\n"):
		return fail("it has more than one line")
	case utf8.RuneCountInString(text) > maxLine:
		return fail(fmt.Sprintf("it has more than %d characters", maxLine))
	}
	var l Line
	for rest := text; rest != ""; {
		at := strings.IndexAny(rest, "{}")
		if at < 0 {
			at = len(rest)
		}
		if at > 0 {
			l.runs = append(l.runs, run{base: rest[:at]})
		}
		if rest = rest[at:]; rest == "" {
			break
		}
		r, n := rubyAt(rest)
		if n == 0 {
			return fail(fmt.Sprintf("the brace at %q does not belong to ruby", rest))
		}
		l.runs, rest = append(l.runs, r), rest[n:]
	}
	return l, nil
}

// rubyAt returns the ruby at the beginning of a text and its length in bytes, which is 0 if there is no ruby.
func rubyAt(text string) (r run, n int) {
	inner, ok := strings.CutPrefix(text, "{")
	if !ok {
		return run{}, 0
	}
	inner, _, ok = strings.Cut(inner, "}")
	base, reading, both := strings.Cut(inner, "|")
	if !ok || !both || strings.TrimSpace(base) == "" || strings.TrimSpace(reading) == "" || strings.ContainsAny(base, "{\r\n") || strings.ContainsAny(reading, "{|\r\n") {
		return run{}, 0
	}
	return run{base, reading}, len(inner) + len("{}")
}

// html returns a run as HTML. Browsers without ruby show the reading in parentheses after the base.
func (r run) html() string {
	base := template.HTMLEscapeString(r.base)
	if r.reading == "" {
		return base
	}
	return "<ruby>" + base + "<rp>（</rp><rt>" + template.HTMLEscapeString(r.reading) + "</rt><rp>）</rp></ruby>"
}

// HTML returns the line as HTML, with ruby.
func (l Line) HTML() template.HTML {
	var b strings.Builder
	for _, r := range l.runs {
		b.WriteString(r.html())
	}
	return template.HTML(b.String()) // every part is escaped
}

// Plain returns the line without readings.
func (l Line) Plain() string {
	var b strings.Builder
	for _, r := range l.runs {
		b.WriteString(r.base)
	}
	return b.String()
}

// Accepts describes a line by an example.
func (Line) Accepts() string {
	return fmt.Sprintf("one line of at most %d characters, with ruby as in {漢字|かんじ}: put it in quotes if it begins with a brace", maxLine)
}

// Parse parses a line as ParseLine does.
func (l *Line) Parse(text string) (err error) {
	*l, err = ParseLine(text)
	return err
}

var _ strict.Scalar = (*Line)(nil)
