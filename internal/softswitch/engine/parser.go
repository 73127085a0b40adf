package engine

import (
	"math/big"

	"op25b/internal/softswitch/match"
)

// A selection is a transition of a parser state that depends on a key.
type selection struct {
	key   []selectPart
	words int // length of the key in words
	cases []parserCase
	other int32 // next state if no case matches

	// joined is set if the key has at most 64 bits, all of its parts are slots known at load time, and no case is a value set. Such a key
	// is one word of width bits. A key of one part with at most maxDirect bits is an index into direct.
	joined bool
	width  int
	direct []int32
}

// maxDirect is the largest width, in bits, of a key for which all transitions are computed at load time.
const maxDirect = 8

// end is the index that stands for the end of the parser or pipeline.
const end = int32(-1)

// A selectPart is one field of a select expression.
type selectPart struct {
	name  string // name in the program, for traces
	slot  int    // slot of the field, if it is known at load time
	width int
	words int
	field *field     // the field, if the part belongs to the last element of a stack or union stack
	last  hv         // finds the last element; nil if the part does not use one
	next  int        // slot that contains the stack's next index; the index is zero while the stack has no last element
	look  *lookahead // nil if the part is not a lookahead
}

// A lookahead is a run of bits that have not been parsed yet. Its offset is relative to the current position of the parser.
type lookahead struct {
	offset, width, words int
	field                field
}

// A parserCase is a case of a selection. Unless set is not nil, words contains the value and then the mask of the key.
type parserCase struct {
	value, mask uint64 // used if the key is joined
	words       []uint64
	set         *valueSetUse
	next        int32
}

// The parser errors of core.p4 that the engine raises.
const (
	noError               = "NoError"
	packetTooShort        = "PacketTooShort"
	stackOutOfBounds      = "StackOutOfBounds"
	headerTooShort        = "HeaderTooShort"
	parserTimeout         = "ParserTimeout"
	parserInvalidArgument = "ParserInvalidArgument"
)

// maxStates limits the number of states that the parser enters for one packet. A frame has at most maxStates bits, so a parser that exceeds
// the limit is in a loop that consumes nothing.
const maxStates = 8 * MaxFrame

// parse runs the parser on a packet, starting at the first byte.
func (pr *program) parse(p *packet) {
	p.at, p.failed, p.badSum, p.states = 0, pr.noError, false, 0
	if pr.firstState != end {
		pr.exec(p, pr.firstState)
	}
	if p.w.trace != nil {
		p.w.trace.add(Event{Kind: EventParsed, Name: pr.errName(p.failed), Bytes: p.at})
	}
	for i := range pr.verify {
		if !pr.verify[i].good(p) {
			p.badSum = true
		}
	}
}

// extract extracts a header without a variable field from the packet.
func (p *packet) extract(h *header) bool {
	b := p.data[p.at:]
	if len(b) < h.typ.bytes {
		p.failed = p.w.prog.tooShort
		return false
	}
	unpack(p.s[h.base:h.base+h.typ.words], h.hotPack, b)
	if h.typ.even {
		p.s[h.src] = uint64(p.at) + 1
	}
	p.at += h.typ.bytes
	if h.in != nil {
		p.setValid(h)
	} else {
		p.s[h.base] = 1
	}
	return true
}

// choose returns the next state. It returns false if the key cannot be read, and the parser then stops with an error.
func (sel *selection) choose(p *packet) (int32, bool) {
	key := p.w.key[:sel.words]
	if !sel.read(p, key) {
		return end, false
	}
	for i := range sel.cases {
		c := &sel.cases[i]
		if c.set != nil && c.set.matches(key) || c.set == nil && c.matches(key) {
			return c.next, true
		}
	}
	return sel.other, true
}

// read reads the key from the packet. It returns false on an error, which stops the parser.
func (sel *selection) read(p *packet, key []uint64) bool {
	at := 0
	for i := range sel.key {
		k := &sel.key[i]
		switch {
		case k.look != nil:
			if len(p.data)*8 < p.at*8+k.look.offset+k.look.width {
				p.failed = p.w.prog.tooShort
				return false
			}
			k.look.read(p, key[at:at+k.words])
		case k.last != nil:
			if p.s[k.next] == 0 {
				p.failed = p.w.prog.outOfBounds
				return false
			}
			copy(key[at:], p.s[k.last(p).base+k.field.off:][:k.words])
		default:
			copy(key[at:at+k.words], p.s[k.slot:])
		}
		at += k.words
	}
	return true
}

// join sets joined if the key meets the conditions for a joined key. It also computes the value and the mask of each case.
func (sel *selection) join() {
	if len(sel.key) == 0 {
		return
	}
	for i := range sel.key {
		k := &sel.key[i]
		if k.look != nil || k.last != nil || k.words != 1 || k.width == 0 {
			return
		}
		sel.width += k.width
	}
	if sel.width > 64 {
		return
	}
	for i := range sel.cases {
		if sel.cases[i].set != nil {
			return
		}
	}
	for i := range sel.cases {
		c := &sel.cases[i]
		for j := range sel.key {
			w := uint(sel.key[j].width) & 63
			if j == 0 {
				w = 0
			}
			c.value, c.mask = c.value<<w|c.words[j], c.mask<<w|c.words[len(sel.key)+j]
		}
	}
	sel.joined = true
}

// settle replaces the indices of states by the positions of their code. If the key is short, it also computes all transitions.
func (sel *selection) settle(begins func(state int32) int32) {
	sel.other = begins(sel.other)
	for i := range sel.cases {
		sel.cases[i].next = begins(sel.cases[i].next)
	}
	if !sel.joined || len(sel.key) > 1 || sel.width > maxDirect {
		return
	}
	sel.direct = make([]int32, 1<<sel.width)
	for v := range sel.direct {
		sel.direct[v] = sel.other
		for i := range sel.cases {
			if c := &sel.cases[i]; uint64(v)&c.mask == c.value {
				sel.direct[v] = c.next
				break
			}
		}
	}
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

// read reads the bits of the lookahead. The caller must have checked that the packet is long enough.
func (l *lookahead) read(p *packet, to []uint64) {
	if l.offset%8 == 0 && l.width <= 64 {
		n := (l.width + 7) / 8
		to[0] = load(p.data[p.at+l.offset/8:], n) >> (uint(8*n-l.width) & 63)
		return
	}
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

// parser compiles the parser's states.
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
	c.states = &parserStates{first: state(&j.InitState)}
	for i := range j.ParseStates {
		code, sel := c.parserState(pr, &j.ParseStates[i], state)
		c.states.all = append(c.states.all, parserState{j.ParseStates[i].Name, code, sel})
	}
	c.states.lay(pr, false)
}

func (c *compiler) parserState(pr *program, j *jsonParseState, state func(*string) int32) ([]instr, *selection) {
	defer c.at("state %q", j.Name)()
	st := &selection{other: end}
	var code []instr
	for i := range j.ParserOps {
		code = append(code, c.parserOp(pr, &j.ParserOps[i])...)
	}
	var widths []int
	for i := range j.TransitionKey {
		k, width := c.selectPart(&j.TransitionKey[i])
		k.width = width
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
			st.cases = append(st.cases, parserCase{words: words, next: next})
		case t.Type == "parse_vset":
			st.cases = append(st.cases, parserCase{set: c.setUse(value, t.Mask, widths, st.words), next: next})
		default:
			c.fail(ErrUnsupported, "transition of type %q", t.Type)
		}
	}
	st.join()
	return code, st
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

// keyWords parses a value for the whole key. In the JSON, each field of the value is padded to whole bytes.
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
		return selectPart{name: "lookahead", look: l, words: l.words}, l.width
	}
	n := c.want(c.expr(v), kData)
	switch {
	case n.op == leafField && !n.ref.f.variable:
		return selectPart{name: n.ref.h.name + "." + n.ref.f.name, slot: n.ref.slot(), words: n.ref.f.words}, n.ref.f.width
	case n.op == leafDynamic && n.l.st != nil && n.l.op == leafLast:
		return selectPart{name: n.l.st.name + ".last." + n.f.name, last: c.hv(n.l), next: n.l.st.next, field: n.f, words: n.f.words}, n.f.width
	case n.op == leafDynamic && n.l.l != nil && n.l.l.us != nil && n.l.l.op == leafLast:
		return selectPart{name: n.l.l.us.name + ".last." + n.f.name, last: c.hv(n.l), next: n.l.l.us.next, field: n.f, words: n.f.words}, n.f.width
	}
	c.fail(ErrUnsupported, "key of %s", n.op)
	return selectPart{}, 0
}
