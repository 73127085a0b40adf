package engine

import (
	"math/big"

	"op25b/internal/softswitch/match"
)

// A parserState is one state: what it does, what it looks at, and where it goes.
type parserState struct {
	ops   []parserOp
	key   []selectPart
	words int // of the key
	cases []parserCase
	other int32 // the default transition
}

// end is the state after the last.
const end = int32(-1)

// A parserOp is one operation: most often the extraction of a fixed header known at load time, else a closure that returns false
// when parsing stops with p.failed set.
type parserOp struct {
	h  *header
	fn func(*packet) bool
}

// A selectPart is one field of a select expression.
type selectPart struct {
	slot  int // of a field known at load time
	words int
	field *field     // of a stack's or union stack's last element
	last  hv         // nil without
	next  int        // its stack's index, zero while it has no last element
	look  *lookahead // nil without
}

// A lookahead is a run of bits that have not been parsed, counted from where the parser stands.
type lookahead struct {
	offset, width, words int
	field                field
}

// A parserCase is one transition. Words have the value and then the mask of the key, unless set is there.
type parserCase struct {
	value, mask uint64 // of a key of one word
	words       []uint64
	set         *valueSetUse
	next        int32
}

// The core library's errors that the engine itself raises.
const (
	noError               = "NoError"
	packetTooShort        = "PacketTooShort"
	stackOutOfBounds      = "StackOutOfBounds"
	headerTooShort        = "HeaderTooShort"
	parserTimeout         = "ParserTimeout"
	parserInvalidArgument = "ParserInvalidArgument"
)

// maxStates bounds how many states a packet goes through; more than a frame has bits are a loop that takes nothing off it.
const maxStates = 8 * MaxFrame

// parse runs the parser on a packet from its first byte.
func (pr *program) parse(p *packet) {
	p.at, p.failed, p.badSum = 0, pr.noError, false
	for at, n := pr.firstState, 0; at >= 0; n++ {
		if n == maxStates {
			p.failed = pr.timeout
			break
		}
		st := &pr.states[at]
		if !pr.do(p, st) {
			break
		}
		next, ok := pr.choose(p, st)
		if !ok {
			break
		}
		at = next
	}
	for i := range pr.verify {
		if !pr.verify[i].good(p) {
			p.badSum = true
		}
	}
}

func (pr *program) do(p *packet, st *parserState) bool {
	for i := range st.ops {
		op := &st.ops[i]
		if op.h == nil {
			if !op.fn(p) {
				return false
			}
			continue
		}
		if !pr.extract(p, op.h) {
			return false
		}
	}
	return true
}

// extract takes a fixed header off the packet.
func (pr *program) extract(p *packet, h *header) bool {
	b := p.data[p.at:]
	if len(b) < h.typ.bytes {
		p.failed = pr.tooShort
		return false
	}
	unpack(p.s[h.base:h.base+h.typ.words], h.typ.pack, b)
	p.at += h.typ.bytes
	if h.in != nil {
		p.setValid(h)
	} else {
		p.s[h.base] = 1
	}
	return true
}

// choose finds the next state.
func (pr *program) choose(p *packet, st *parserState) (int32, bool) {
	if len(st.cases) == 0 {
		return st.other, true
	}
	key := p.w.key[:st.words]
	at := 0
	for i := range st.key {
		k := &st.key[i]
		switch {
		case k.look != nil:
			if len(p.data)*8 < p.at*8+k.look.offset+k.look.width {
				p.failed = pr.tooShort
				return end, false
			}
			k.look.read(p, key[at:at+k.words])
		case k.last != nil:
			if p.s[k.next] == 0 {
				p.failed = pr.outOfBounds
				return end, false
			}
			copy(key[at:], p.s[k.last(p).base+k.field.off:][:k.words])
		case k.words == 1:
			key[at] = p.s[k.slot]
		default:
			copy(key[at:at+k.words], p.s[k.slot:])
		}
		at += k.words
	}
	if st.words == 1 {
		v := key[0]
		for i := range st.cases {
			c := &st.cases[i]
			if c.set != nil {
				if c.set.matches(key) {
					return c.next, true
				}
			} else if v&c.mask == c.value {
				return c.next, true
			}
		}
		return st.other, true
	}
	for i := range st.cases {
		c := &st.cases[i]
		if c.set != nil && c.set.matches(key) || c.set == nil && c.matches(key) {
			return c.next, true
		}
	}
	return st.other, true
}

func (pc *parserCase) matches(key []uint64) bool {
	n := len(key)
	for i, k := range key {
		if k&pc.words[n+i] != pc.words[i] {
			return false
		}
	}
	return true
}

// read takes the bits; the caller has checked that they are there.
func (l *lookahead) read(p *packet, to []uint64) {
	r := bitReader{b: p.data, bit: p.at*8 + l.offset}
	r.field(to, &l.field)
}

func (c *compiler) look(v *jsonValue) *lookahead {
	var at [2]int
	c.decode(v.Value, &at, "an offset and a width")
	if at[0] < 0 || at[1] <= 0 || at[1] > maxFieldBits {
		c.fail(ErrProgram, "lookahead of %d bits at %d", at[1], at[0])
	}
	n := match.Words(at[1])
	return &lookahead{at[0], at[1], n, field{width: at[1], words: n}}
}

// parser compiles the states.
func (c *compiler) parser(pr *program, j *jsonParser) {
	defer c.at("parser %q", j.Name)()
	index := map[string]int32{}
	for i := range j.ParseStates {
		index[j.ParseStates[i].Name] = int32(i)
	}
	state := func(name *string) int32 {
		if name == nil {
			return end
		}
		i, ok := index[*name]
		if !ok {
			c.fail(ErrProgram, "no state %q", *name)
		}
		return i
	}
	pr.firstState = state(&j.InitState)
	for i := range j.ParseStates {
		c.parserState(pr, &j.ParseStates[i], state)
	}
}

func (c *compiler) parserState(pr *program, j *jsonParseState, state func(*string) int32) {
	defer c.at("state %q", j.Name)()
	st := parserState{other: end}
	for i := range j.ParserOps {
		st.ops = append(st.ops, c.parserOp(pr, &j.ParserOps[i]))
	}
	var widths []int
	for i := range j.TransitionKey {
		k, width := c.selectPart(&j.TransitionKey[i])
		st.key = append(st.key, k)
		st.words += k.words
		widths = append(widths, width)
	}
	c.keyMax = max(c.keyMax, st.words)
	for i := range j.Transitions {
		t := &j.Transitions[i]
		next := state(t.NextState)
		value := ""
		if t.Value != nil {
			value = *t.Value
		}
		switch {
		case t.Type == "default" || t.Type == "" && value == "default":
			st.other = next
		case t.Type == "hexstr" || t.Type == "":
			words := append(c.keyWords(value, widths), c.maskWords(t.Mask, widths)...)
			n := st.words
			for k := range n {
				words[k] &= words[n+k]
			}
			pc := parserCase{words: words, next: next}
			if n == 1 {
				pc.value, pc.mask = words[0], words[1]
			}
			st.cases = append(st.cases, pc)
		case t.Type == "parse_vset":
			st.cases = append(st.cases, parserCase{set: c.setUse(value, t.Mask, widths, st.words), next: next})
		default:
			c.fail(ErrUnsupported, "transition of type %q", t.Type)
		}
	}
	pr.states = append(pr.states, st)
}

func (c *compiler) setUse(name string, mask *string, widths []int, words int) *valueSetUse {
	vs, ok := c.e.vsets[name]
	if !ok {
		c.fail(ErrProgram, "no value set %q", name)
	}
	sum := 0
	for _, w := range widths {
		sum += w
	}
	if sum != vs.width {
		c.fail(ErrProgram, "value set %q has %d bits, the key %d", name, vs.width, sum)
	}
	use := &valueSetUse{widths: widths, words: words}
	if mask != nil {
		use.mask = c.maskWords(mask, widths)
	}
	if vs.fields == nil {
		vs.fields = widths
	}
	vs.uses = append(vs.uses, use)
	return use
}

// keyWords reads a value over the whole key, in which each field is padded to bytes.
func (c *compiler) keyWords(s string, widths []int) []uint64 {
	b, err := hexBig(s)
	c.check(err)
	if b.Sign() < 0 {
		c.fail(ErrProgram, "negative value %q", s)
	}
	left := 0
	for _, w := range widths {
		left += (w + 7) / 8 * 8
	}
	var out []uint64
	for _, w := range widths {
		left -= (w + 7) / 8 * 8
		_, all := (&field{width: w}).span()
		f := new(big.Int).Rsh(b, uint(left))
		out = append(out, bigWords(f.And(f, all), match.Words(w))...)
	}
	return out
}

func (c *compiler) maskWords(mask *string, widths []int) []uint64 {
	if mask != nil {
		return c.keyWords(*mask, widths)
	}
	var out []uint64
	for _, w := range widths {
		_, all := (&field{width: w}).span()
		out = append(out, bigWords(all, match.Words(w))...)
	}
	return out
}

func (c *compiler) selectPart(v *jsonValue) (selectPart, int) {
	if v.Type == "lookahead" {
		l := c.look(v)
		return selectPart{look: l, words: l.words}, l.width
	}
	n := c.want(c.expr(v), kData)
	switch {
	case n.op == leafField && !n.ref.f.variable:
		return selectPart{slot: n.ref.slot(), words: n.ref.f.words}, n.ref.f.width
	case n.op == leafDynamic && n.l.st != nil && n.l.op == leafLast:
		return selectPart{last: c.hv(n.l), next: n.l.st.next, field: n.f, words: n.f.words}, n.f.width
	case n.op == leafDynamic && n.l.l != nil && n.l.l.us != nil && n.l.l.op == leafLast:
		return selectPart{last: c.hv(n.l), next: n.l.l.us.next, field: n.f, words: n.f.words}, n.f.width
	}
	c.fail(ErrUnsupported, "key of %s", n.op)
	return selectPart{}, 0
}
