package view

import (
	"cmp"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/timestamppb"
)

// plain is a text of somebody else without what would steer a terminal: control and format characters show as \u and their number.
func plain(s string) string {
	if !strings.ContainsFunc(s, steers) && utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for _, r := range strings.ToValidUTF8(s, "\uFFFD") {
		if steers(r) {
			fmt.Fprintf(&b, `\u%04x`, r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

func steers(r rune) bool { return unicode.Is(unicode.C, r) }

// columns is how wide a text is on a terminal: characters of the East are two columns wide (Unicode Standard Annex 11, the classes W and F).
func columns(s string) int {
	n := 0
	for _, r := range s {
		n += runeColumns(r)
	}
	return n
}

func runeColumns(r rune) int {
	switch {
	case unicode.Is(unicode.Mn, r):
		return 0
	case r >= 0x1100 && r <= 0x115f, r >= 0x2e80 && r <= 0xa4cf, r >= 0xac00 && r <= 0xd7a3, r >= 0xf900 && r <= 0xfaff,
		r >= 0xff01 && r <= 0xff60, r >= 0x1f300 && r <= 0x1faff, r >= 0x20000 && r <= 0x3fffd:
		return 2
	}
	return 1
}

// cut is a text of at most width columns, with an ellipsis in place of what is left out.
func cut(s string, width int) string {
	if columns(s) <= width {
		return s
	}
	n := 0
	for i, r := range s {
		if n += runeColumns(r); n > width-1 {
			return s[:i] + "…"
		}
	}
	return s
}

// wrapped is a text broken at spaces to lines of at most Width columns, the first behind first and the others behind as many spaces as
// hang says, or as it is wide if hang is 0.
func wrapped(first, text string, hang int) string {
	var b strings.Builder
	b.WriteString(first)
	at, empty := columns(first), true
	indent := cmp.Or(hang, at)
	for word := range strings.FieldsSeq(text) {
		width := columns(word)
		switch {
		case empty:
		case at+1+width > Width:
			b.WriteString("\n" + strings.Repeat(" ", indent))
			at = indent
		default:
			b.WriteByte(' ')
			at++
		}
		// Text of the East has no spaces, and may be broken anywhere.
		for r := range strings.SplitSeq(word, "") {
			if n := columns(r); n == 2 && at+n > Width {
				b.WriteString("\n" + strings.Repeat(" ", indent))
				at = indent
			}
			b.WriteString(r)
			at += columns(r)
		}
		empty = false
	}
	b.WriteByte('\n')
	return b.String()
}

// moment is a time to the second, with its offset.
func (t *table) moment(ts *timestamppb.Timestamp) string {
	if ts == nil {
		return "-"
	}
	return ts.AsTime().In(t.opts.Location).Format("2006-01-02 15:04:05 -0700")
}

// zone is the offset of now, in which tables have all their times, and when the head of their column.
func (t *table) zone() *time.Location {
	_, offset := t.opts.Now().In(t.opts.Location).Zone()
	return time.FixedZone("", offset)
}

func (t *table) whenHead() string {
	return "WHEN (" + t.opts.Now().In(t.zone()).Format("-0700") + ")"
}

// when is a time to the second, in a column under whenHead.
func (t *table) when(ts *timestamppb.Timestamp) string {
	if ts == nil {
		return "-"
	}
	return ts.AsTime().In(t.zone()).Format(time.DateTime)
}

// since is how long ago something was, in the two largest units.
func (t *table) since(ts *timestamppb.Timestamp) string {
	if ts == nil {
		return "-"
	}
	d := t.opts.Now().Sub(ts.AsTime())
	if d < 0 { // two machines' clocks
		d = 0
	}
	return age(d)
}

func age(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", d/time.Minute, d%time.Minute/time.Second)
	case d < day:
		return fmt.Sprintf("%dh%02dm", d/time.Hour, d%time.Hour/time.Minute)
	case d < 100*day:
		return fmt.Sprintf("%dd%02dh", d/day, d%day/time.Hour)
	}
	return fmt.Sprintf("%dd", d/day)
}

// count is a number of things: 1 switch, 2 switches, 1 entry, 2 entries.
func count[N int | uint32 | uint64](n N, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	if stem, ok := strings.CutSuffix(thing, "y"); ok && !strings.HasSuffix(stem, "e") { // a key is no entry
		return fmt.Sprintf("%d %sies", n, stem)
	}
	if strings.HasSuffix(thing, "ch") {
		thing += "e"
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// bytesOf is a number of bytes as people read it: 21 KiB, 3.1 MiB.
func bytesOf(n uint64) string {
	if n < 1<<20 {
		return fmt.Sprintf("%d KiB", (n+1<<10-1)>>10)
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}

// named is a list of names, of which at most most are told.
func named(names []string, most int) string {
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

// The colours of a terminal. They never carry what the text does not.
const (
	red    = "31"
	green  = "32"
	yellow = "33"
	bold   = "1"
)

func (t *table) colour(code, s string) string {
	if !t.opts.Colour || code == "" || s == "" {
		return s
	}
	body := strings.TrimRight(s, "\n")
	return "\x1b[" + code + "m" + body + "\x1b[0m" + s[len(body):]
}
