package vectors

import "strings"

// A span is text that remembers where each of its bytes was written, so that a fault in an expanded line is shown where a person can
// mend it: in the line, or in the axis that the value came from.
type span struct {
	s   string
	at  []Pos // one a byte
	end Pos   // where the text ends: the place of what is missing
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

// cut is strings.Cut, with both parts trimmed.
func (t span) cut(sep string) (before, after span, found bool) {
	i := strings.Index(t.s, sep)
	if i < 0 {
		return t.trim(), t.sub(len(t.s), len(t.s)), false
	}
	return t.sub(0, i).trim(), t.sub(i+len(sep), len(t.s)).trim(), true
}

// split is strings.Split, with all parts trimmed.
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

// fields is strings.Fields.
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

// join appends other, as on the same line.
func (t span) join(other span) span {
	space := Pos{}
	if len(other.at) > 0 {
		space = other.at[0]
	}
	at := append(append(append([]Pos{}, t.at...), space), other.at...)
	return span{t.s + " " + other.s, at, other.end}
}

// replace puts other in the place of the bytes from and to.
func (t span) replace(from, to int, other span) span {
	at := append(append(append([]Pos{}, t.at[:from]...), other.at...), t.at[to:]...)
	return span{t.s[:from] + other.s + t.s[to:], at, t.end}
}

// withoutComment drops what follows a # that begins a word.
func (t span) withoutComment() span {
	for i := 0; i < len(t.s); i++ {
		if t.s[i] == '#' && (i == 0 || t.s[i-1] == ' ' || t.s[i-1] == '\t') {
			return t.sub(0, i)
		}
	}
	return t
}
