package vectors

import (
	"bytes"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// SharedFile is the file of a folder that defines names and axes for all other files.
const SharedFile = "shared.txt"

// Read reads all *.txt files of a folder, first SharedFile and then the others, sorted by name. It returns the vectors in this order. If
// the text is invalid, it returns an ErrSyntax for the first fault.
func Read(folder fs.FS) ([]Vector, error) {
	files, err := fs.Glob(folder, "*.txt")
	if err != nil {
		return nil, err
	}
	shared := &table{names: names{}, axes: map[string]*axis{}}
	var all []Vector
	at := map[string]Pos{}
	sortShared(files)
	for _, name := range files {
		text, err := fs.ReadFile(folder, name)
		if err != nil {
			return nil, err
		}
		t := shared
		if name != SharedFile {
			t = shared.copy()
		}
		t.theme = strings.TrimSuffix(path.Base(name), ".txt")
		if err := t.read(name, text); err != nil {
			return nil, err
		}
		for _, v := range t.vectors {
			if first, again := at[v.ID]; again {
				return nil, fault(v.At, "vector %q is there twice; the first is at %v", v.ID, first)
			}
			at[v.ID] = v.At
		}
		all = append(all, t.vectors...)
		t.vectors = nil
	}
	for _, v := range all {
		if _, ok := at[v.Twin]; v.Twin != "" && !ok {
			return nil, fault(v.At, "the twin of vector %q is %q, which no file has", v.ID, v.Twin)
		}
	}
	return all, nil
}

func sortShared(files []string) {
	slices.SortFunc(files, func(a, b string) int {
		if (a == SharedFile) != (b == SharedFile) {
			if a == SharedFile {
				return -1
			}
			return 1
		}
		return strings.Compare(a, b)
	})
}

// A table contains the state while a file is read.
type table struct {
	theme   string
	phase   string
	extra   []Subscriber // the entries below the phase
	names   names
	axes    map[string]*axis
	vectors []Vector
}

func (t *table) copy() *table {
	c := &table{names: names{}, axes: map[string]*axis{}}
	for k, v := range t.names {
		c.names[k] = v
	}
	for k, v := range t.axes {
		c.axes[k] = v
	}
	return c
}

// A block is a line that begins in the first column, and the indented lines below it.
type block struct {
	head span
	body []span
}

func (t *table) read(file string, text []byte) error {
	blocks, err := blocksOf(file, text)
	if err != nil {
		return err
	}
	for _, b := range blocks {
		keyword, rest := firstField(b.head)
		switch keyword.s {
		case "phase":
			err = t.setPhase(rest, b)
		case "name":
			err = t.addName(rest, b)
		case "axis":
			err = t.addAxis(rest, b.body)
		case "vector", "evasion":
			err = t.addVectors(keyword.s == "evasion", rest, b.body)
		default:
			err = fault(keyword.pos(), "%q begins a block; valid are phase, name, axis, vector and evasion", keyword.s)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func blocksOf(file string, text []byte) ([]block, error) {
	var blocks []block
	for i, raw := range bytes.Split(text, []byte("\n")) {
		line := newSpan(file, i+1, strings.TrimSuffix(string(raw), "\r")).withoutComment()
		trimmed := line.trim()
		if trimmed.s == "" {
			continue
		}
		if line.s[0] != ' ' && line.s[0] != '\t' {
			blocks = append(blocks, block{head: trimmed})
			continue
		}
		if len(blocks) == 0 {
			return nil, fault(trimmed.pos(), "an indented line stands before any block; it belongs below a phase, name, axis, vector or evasion")
		}
		b := &blocks[len(blocks)-1]
		if strings.ContainsAny(trimmed.s[:1], "|;") && len(b.body) > 0 {
			b.body[len(b.body)-1] = b.body[len(b.body)-1].join(trimmed)
			continue
		}
		b.body = append(b.body, trimmed)
	}
	return blocks, nil
}

func firstField(t span) (first, rest span) {
	i := strings.IndexAny(t.s, " \t")
	if i < 0 {
		return t, t.sub(len(t.s), len(t.s))
	}
	return t.sub(0, i), t.sub(i, len(t.s)).trim()
}

func noBody(b block) error {
	if len(b.body) > 0 {
		return fault(b.body[0].pos(), "nothing can stand indented here; only phase, axis, vector and evasion have lines of their own")
	}
	return nil
}

// setPhase reads a line of the form "phase NAME", and the entries for subscribers below it. They are for all vectors up to the next phase.
func (t *table) setPhase(name span, b block) (err error) {
	t.phase = name.s
	if t.extra, b.body, err = subscribers(b.body); err == nil && len(b.body) > 0 {
		err = fault(b.body[0].pos(), "%q below a phase; valid are: %s, and: %s", firstWord(b.body[0].s), exemptForm, leaseForm)
	}
	return err
}

// addName reads a line of the form "name WORD = VALUE".
func (t *table) addName(rest span, b block) error {
	word, value, found := rest.cut("=")
	if !found || word.s == "" || value.s == "" || len(value.fields()) != 1 {
		return fault(rest.pos(), "name %q: it wants WORD = VALUE, where the value is one MAC address, IP address or number", rest.s)
	}
	if first, again := t.names[word.s]; again {
		return fault(word.pos(), "name %q is there twice; the first is at %v", word.s, first.pos())
	}
	t.names[word.s] = value
	return noBody(b)
}

// addVectors reads a head of the form "ID [twin=ID] [samesecond] [each AXIS AXIS={A,B} AXIS!={C} ...] : TITLE", and the steps below it. It
// adds a vector for each combination of rows.
func (t *table) addVectors(evasion bool, head span, body []span) error {
	if t.phase == "" {
		return fault(head.pos(), "a vector stands before any phase; say which rules the switch has: phase NAME")
	}
	before, title, found := head.cut(": ")
	if !found || title.s == "" {
		return fault(head.end, "vector %q has no title; it wants ID ... : what it shows", firstWord(head.s))
	}
	words := before.fields()
	end := slices.IndexFunc(words, func(w span) bool { return w.s == "each" })
	var axes []*axis
	if end >= 0 {
		for _, w := range words[end+1:] {
			a, err := t.choose(w)
			if err != nil {
				return err
			}
			if err := distinct(axes, a, w.pos()); err != nil {
				return err
			}
			axes = append(axes, a)
		}
		words = words[:end]
	}
	if len(words) == 0 {
		return fault(head.pos(), "a vector without an id; it wants ID ... : what it shows")
	}
	return combine(axes, map[string]span{}, func(values map[string]span) error {
		return t.addVector(evasion, words, title, body, values)
	})
}

func (t *table) addVector(evasion bool, words []span, title span, body []span, values map[string]span) error {
	v := Vector{Theme: t.theme, Phase: t.phase, At: words[0].pos(), Evasion: evasion}
	for i, w := range words {
		w, err := fill(w, values)
		if err != nil {
			return err
		}
		twin, isTwin := strings.CutPrefix(w.s, "twin=")
		switch {
		case i == 0:
			v.ID = w.s
		case isTwin:
			v.Twin = twin
		case w.s == "samesecond":
			v.SameSecond = true
		default:
			return fault(w.pos(), "%q in the head of vector %q; valid are twin=ID, samesecond and each AXIS", w.s, v.ID)
		}
	}
	filled, err := fill(title, values)
	if err != nil {
		return err
	}
	v.Title = filled.s
	if evasion && v.Twin == "" {
		return fault(v.At, "evasion %q has no twin; name the vector that looks like it and must pass: twin=ID", v.ID)
	}
	lines := make([]span, len(body))
	for i := range body {
		if lines[i], err = fill(body[i], values); err != nil {
			return err
		}
	}
	own, lines, err := subscribers(lines)
	if err != nil {
		return err
	}
	v.Subscribers = slices.Concat(t.extra, own)
	second := uint32(0)
	for len(lines) > 0 {
		if lines, second, err = v.at(lines, second); err != nil {
			return err
		}
		if len(lines) == 1 {
			return fault(lines[0].pos(), "nothing follows this frame; say what comes of it: -> drop, or -> PORTS: FRAME")
		}
		s, err := t.step(lines[0], lines[1])
		if err != nil {
			return err
		}
		s.Second = second
		v.Steps, lines = append(v.Steps, s), lines[2:]
	}
	if len(v.Steps) == 0 {
		return fault(v.At, "vector %q has no frame: in PORT FRAME, and below it what comes of it: -> ...", v.ID)
	}
	t.vectors = append(t.vectors, v)
	return nil
}

// step reads two lines. The first is "in PORT FRAME". The second is "-> drop", "-> PORTS: same" or "-> PORTS: FRAME", and may end with ";"
// and the counters.
func (t *table) step(in, want span) (s Step, err error) {
	keyword, rest := firstField(in)
	if keyword.s != "in" {
		return s, fault(in.pos(), "%q where a frame should come in; it wants: in PORT FRAME", keyword.s)
	}
	number, frame := firstField(rest)
	s = Step{At: in.pos(), Layers: frame.s}
	if s.In, err = port(number); err != nil {
		return s, err
	}
	if s.Frame, err = buildFrame(t.names, frame); err != nil {
		return s, err
	}
	s.Want, err = t.want(want, s.Frame)
	return s, err
}

func port(t span) (uint32, error) {
	n, err := strconv.ParseUint(t.s, 10, 9)
	if err != nil || n == 0 || n > 510 {
		return 0, fault(t.pos(), "port %q; it wants a number from 1 to 510", t.s)
	}
	return uint32(n), nil
}

func (t *table) want(line span, same []byte) (w Want, err error) {
	keyword, rest := firstField(line)
	if keyword.s != "->" {
		return w, fault(line.pos(), "%q where it should say what comes of the frame; it wants: -> drop, or -> PORTS: FRAME", keyword.s)
	}
	what, counted, _ := rest.cut(";")
	if what.s != "drop" {
		ports, frame, found := what.cut(": ")
		if !found {
			return w, fault(what.pos(), "%q comes of the frame; valid are drop, PORTS: same and PORTS: FRAME", what.s)
		}
		for _, p := range ports.split(",") {
			n, err := port(p)
			if err != nil {
				return w, err
			}
			w.Ports = append(w.Ports, n)
		}
		if !slices.IsSorted(w.Ports) || len(slices.Compact(slices.Clone(w.Ports))) != len(w.Ports) {
			return w, fault(ports.pos(), "ports %s; they stand in ascending order, each once", ports.s)
		}
		if frame.s == "same" {
			w.Same, w.Frame = true, same
		} else {
			w.Layers = frame.s
			if w.Frame, err = buildFrame(t.names, frame); err != nil {
				return w, err
			}
		}
	}
	return w, w.counted(counted)
}

// counted reads the words rule=NAME, leg=LEG, line=NAME, outcome=OUTCOME and unsolicited. They can be in any order. A rule, a line and an
// outcome go together.
func (w *Want) counted(t span) error {
	for _, word := range t.fields() {
		key, value, _ := word.cut("=")
		switch key.s {
		case "rule":
			w.Rule = value.s
		case "line":
			w.Line = value.s
		case "leg":
			if w.Leg = Leg(value.s); !slices.Contains([]Leg{UpDst, UpSrc, DownSrc, DownDst}, w.Leg) {
				return fault(value.pos(), "leg %q; valid are %s, %s, %s and %s", value.s, UpDst, UpSrc, DownSrc, DownDst)
			}
		case "outcome":
			if w.Outcome = Outcome(value.s); !slices.Contains(Outcomes[:3], w.Outcome) {
				return fault(value.pos(), "outcome %q; valid are %s, %s and %s", value.s, Passed, Monitored, Stopped)
			}
		case "unsolicited":
			w.Unsolicited = true
		default:
			return fault(word.pos(), "%q is not counted; valid are rule=, leg=, line=, outcome= and unsolicited", word.s)
		}
	}
	if (w.Rule == "") != (w.Outcome == "") || (w.Line == "") != (w.Outcome == "" && !w.Unsolicited) {
		return fault(t.pos(), "%q: a rule, a line and an outcome go together", t.s)
	}
	return nil
}
