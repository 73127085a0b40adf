package vectors

import "strings"

// A span is text with the position of each of its bytes in a file. A fault in an expanded line is therefore reported at the source of the
// faulty text, which is the line itself or the axis that supplied the value.
type span struct {
	s   string
	at  []Pos // the position of each byte
	end Pos   // the position after the last byte, for errors about missing text
}

func newSpan(file string, line int, s string) span {
	at := make([]Pos, len(s))
	for i := range at {
		at[i] = Pos{file, line, i + 1}
	}
	return span{s, at, Pos{file, line, len(s) + 1}}
}

func (t span) pos() Pos {
	if len(t.at) > 0 {
		return t.at[0]
	}
	return t.end
}

func (t span) sub(from, to int) span {
	end := t.end
	if to < len(t.at) {
		end = t.at[to]
	}
	return span{t.s[from:to], t.at[from:to], end}
}

func (t span) trim() span {
	from := len(t.s) - len(strings.TrimLeft(t.s, " \t"))
	to := len(strings.TrimRight(t.s, " \t"))
	if from > to {
		return t.sub(len(t.s), len(t.s))
	}
	return t.sub(from, to)
}

// cut is like strings.Cut, but trims both parts.
func (t span) cut(sep string) (before, after span, found bool) {
	i := strings.Index(t.s, sep)
	if i < 0 {
		return t.trim(), t.sub(len(t.s), len(t.s)), false
	}
	return t.sub(0, i).trim(), t.sub(i+len(sep), len(t.s)).trim(), true
}

// split is like strings.Split, but trims all parts.
func (t span) split(sep string) []span {
	var parts []span
	for {
		before, after, found := t.cut(sep)
		parts = append(parts, before)
		if !found {
			return parts
		}
		t = after
	}
}

// fields is like strings.Fields.
func (t span) fields() []span {
	var words []span
	for t = t.trim(); t.s != ""; t = t.trim() {
		i := strings.IndexAny(t.s, " \t")
		if i < 0 {
			i = len(t.s)
		}
		words = append(words, t.sub(0, i))
		t = t.sub(i, len(t.s))
	}
	return words
}

// join appends a space and other.
func (t span) join(other span) span {
	space := Pos{}
	if len(other.at) > 0 {
		space = other.at[0]
	}
	at := append(append(append([]Pos{}, t.at...), space), other.at...)
	return span{t.s + " " + other.s, at, other.end}
}

// replace replaces the bytes from index from up to, but not including, index to.
func (t span) replace(from, to int, other span) span {
	at := append(append(append([]Pos{}, t.at[:from]...), other.at...), t.at[to:]...)
	return span{t.s[:from] + other.s + t.s[to:], at, t.end}
}

// withoutComment removes a comment, which begins with a # at the start of a word and extends to the end of the line.
func (t span) withoutComment() span {
	for i := 0; i < len(t.s); i++ {
		if t.s[i] == '#' && (i == 0 || t.s[i-1] == ' ' || t.s[i-1] == '\t') {
			return t.sub(0, i)
		}
	}
	return t
}
