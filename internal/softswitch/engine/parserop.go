package engine

import "math/big"

// parserOp compiles an operation of a parser state.
func (c *compiler) parserOp(pr *program, j *jsonParserOp) []instr {
	defer c.at("parser op %q", j.Op)()
	want := map[string]int{"extract": 1, "extract_VL": 2, "set": 2, "verify": 2, "shift": 1, "advance": 1, "primitive": 1}
	n, ok := want[j.Op]
	if !ok {
		c.fail(ErrUnsupported, "the engine does not support it")
	}
	if len(j.Parameters) != n {
		c.fail(ErrProgram, "%d parameters, want %d", len(j.Parameters), n)
	}
	v := j.Parameters
	switch j.Op {
	case "extract":
		return c.extraction(pr, &v[0], nil)
	case "extract_VL":
		return c.extraction(pr, &v[0], &v[1])
	case "set":
		return c.parserSet(pr, v)
	case "verify":
		var s asm
		good := s.label()
		c.branch(&s, c.asBool(c.expr(&v[0])), true, good)
		if code := c.want(c.expr(&v[1]), kData); code.isConst() {
			s.add(instr{op: opFail, k: low64(code.lo)})
		} else {
			s.add(instr{op: opFailAs, x: &extra{ev: c.ev(code)}})
		}
		s.place(good)
		return s.link()
	case "shift":
		var n int
		c.decode(v[0].Value, &n, "a number of bytes")
		return try(pr.advance(func(*packet) uint64 { return uint64(n) * 8 }))
	case "advance":
		return try(pr.advance(c.index(c.want(c.expr(&v[0]), kData))))
	}
	code := c.primitive(v[0].Op, v[0].Parameters)
	if !standsAlone(code) {
		c.fail(ErrUnsupported, "primitive %q in a parser", v[0].Op)
	}
	return code
}

func try(f func(*packet) bool) []instr { return []instr{{op: opTry, x: &extra{try: f}}} }

func (c *compiler) asBool(n *node) *node {
	if n.kind == kData {
		return simplify(&node{kind: kBool, op: "d2b", r: n})
	}
	return c.want(n, kBool)
}

// advance compiles an operation that skips bits of the packet.
func (pr *program) advance(by ev) func(*packet) bool {
	return func(p *packet) bool {
		n := by(p)
		if n%8 != 0 {
			p.failed = pr.badArgument
			return false
		}
		if n/8 > uint64(len(p.data)-p.at) {
			p.failed = pr.tooShort
			return false
		}
		p.at += int(n / 8)
		return true
	}
}

// parserSet compiles an assignment in the parser. The right side may be a lookahead.
func (c *compiler) parserSet(pr *program, v []jsonValue) []instr {
	if v[1].Type != "lookahead" {
		return c.assign(c.expr(&v[0]), c.expr(&v[1]))
	}
	l := c.look(&v[1])
	dst := c.expr(&v[0])
	look := func(at int) []instr {
		return try(func(p *packet) bool {
			if len(p.data)*8 < p.at*8+l.offset+l.width {
				p.failed = pr.tooShort
				return false
			}
			l.read(p, p.s[at:at+l.words])
			return true
		})
	}
	if dst.op == leafField && !dst.ref.f.variable && !dst.ref.f.signed && dst.ref.f.words == l.words && dst.ref.f.width >= l.width {
		return look(dst.ref.slot())
	}
	// The value is first stored in separate slots, so that assign handles widths and signs.
	f := &field{name: "lookahead", width: l.width, words: l.words}
	h := &header{name: "lookahead", typ: &headerType{name: "lookahead", words: f.words}, base: c.l.slots}
	c.l.slots += f.words
	c.l.initial = append(c.l.initial, make([]uint64, f.words)...)
	lo, hi := f.span()
	return append(look(h.base), c.assign(dst, &node{op: leafField, lo: lo, hi: hi, ref: ref{h, f}})...)
}

// extraction compiles extract and extract_VL. For extract_VL, width is the width of the variable field in bits.
func (c *compiler) extraction(pr *program, v, width *jsonValue) []instr {
	var typ *headerType
	var find func(*packet) *header // finds the header; returns nil if the stack is full
	var done func(*packet)
	switch v.Type {
	case "regular":
		n := c.want(c.headerNode(c.text(v.Value)), kHeader)
		typ = n.h.typ
		if n.h.metadata {
			c.fail(ErrProgram, "extraction of %q, which is metadata", n.h.name)
		}
		n.h.extracted = true
		if width == nil && typ.varF == nil {
			return []instr{{op: opExtract, x: &extra{h: n.h}}}
		}
		find, done = func(*packet) *header { return n.h }, func(*packet) {}
	case "stack":
		st := c.stackNamed(c.text(v.Value))
		typ = st.typ
		for _, h := range st.elems {
			h.extracted = true
		}
		find = func(p *packet) *header {
			if i := p.s[st.next]; i < uint64(len(st.elems)) {
				return st.elems[i]
			}
			return nil
		}
		done = func(p *packet) { p.s[st.next]++ }
	case "union_stack":
		var at [2]string
		c.decode(v.Value, &at, "a union stack and a member")
		us := c.unionStackNamed(at[0])
		m := -1
		for i, name := range us.names {
			if name == at[1] {
				m = i
			}
		}
		if m < 0 {
			c.fail(ErrProgram, "union stack %q has no member %q", at[0], at[1])
		}
		typ = us.elems[0].members[m].typ
		for _, u := range us.elems {
			u.members[m].extracted = true
		}
		find = func(p *packet) *header {
			if i := p.s[us.next]; i < uint64(len(us.elems)) {
				return us.elems[i].members[m]
			}
			return nil
		}
		done = func(p *packet) { p.s[us.next]++ }
	default:
		c.fail(ErrUnsupported, "extraction of type %q", v.Type)
	}
	take := (*packet).extract
	if width != nil {
		if typ.varF == nil {
			c.fail(ErrProgram, "header type %q has no variable field", typ.name)
		}
		take = c.extractVar(pr, typ, width)
	} else if typ.varF != nil {
		c.fail(ErrUnsupported, "extraction of header type %q without the width of its variable field", typ.name)
	}
	return try(func(p *packet) bool {
		h := find(p)
		if h == nil {
			p.failed = pr.outOfBounds
			return false
		}
		if !take(p, h) {
			return false
		}
		done(p)
		return true
	})
}

// extractVar compiles the extraction of a header with a variable field.
func (c *compiler) extractVar(pr *program, typ *headerType, width *jsonValue) func(*packet, *header) bool {
	n := c.want(c.expr(width), kData)
	if n.hi.Cmp(big.NewInt(1<<40)) > 0 && !n.narrow() {
		c.fail(ErrUnsupported, "a width of more than 64 bits")
	}
	bits := c.ev(n)
	return func(p *packet, h *header) bool {
		w := bits(p)
		if w%8 != 0 {
			p.failed = pr.badArgument
			return false
		}
		size := w / 8
		if uint64(len(p.data)-p.at) < uint64(typ.bytes) || uint64(len(p.data)-p.at-typ.bytes) < size {
			p.failed = pr.tooShort
			return false
		}
		if size > uint64(typ.varMax) {
			p.failed = pr.headerTooShort
			return false
		}
		p.s[h.base+typ.varF.off] = w
		p.s[h.src] = uint64(p.at) + 1
		if !typ.even {
			p.fill(h)
		}
		for i := range h.hotFixed {
			p.takeFixed(h, &h.hotFixed[i])
		}
		p.at += typ.bytes + int(size)
		p.setValid(h)
		return true
	}
}
