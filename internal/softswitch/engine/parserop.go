package engine

import "math/big"

// parserOp compiles one operation of a parser state.
func (c *compiler) parserOp(pr *program, j *jsonParserOp) parserOp {
	defer c.at("parser op %q", j.Op)()
	want := map[string]int{"extract": 1, "extract_VL": 2, "set": 2, "verify": 2, "shift": 1, "advance": 1, "primitive": 1}
	n, ok := want[j.Op]
	if !ok {
		c.fail(ErrUnsupported, "the engine does not know it")
	}
	if len(j.Parameters) != n {
		c.fail(ErrProgram, "%d parameters, it takes %d", len(j.Parameters), n)
	}
	v := j.Parameters
	switch j.Op {
	case "extract":
		return c.extraction(pr, &v[0], nil)
	case "extract_VL":
		return c.extraction(pr, &v[0], &v[1])
	case "set":
		return parserOp{fn: c.parserSet(pr, v)}
	case "verify":
		ok, code := c.bv(c.asBool(c.expr(&v[0]))), c.number(&v[1])
		return parserOp{fn: func(p *packet) bool {
			if ok(p) {
				return true
			}
			p.failed = code(p)
			return false
		}}
	case "shift":
		var n int
		c.decode(v[0].Value, &n, "a number of bytes")
		return parserOp{fn: pr.advance(func(*packet) uint64 { return uint64(n) * 8 })}
	case "advance":
		return parserOp{fn: pr.advance(c.index(c.want(c.expr(&v[0]), kData)))}
	}
	in := c.primitive(v[0].Op, v[0].Parameters)
	do := in.run()
	if do == nil {
		c.fail(ErrUnsupported, "primitive %q in a parser", v[0].Op)
	}
	return parserOp{fn: func(p *packet) bool {
		do(p)
		return true
	}}
}

func (c *compiler) asBool(n *node) *node {
	if n.kind == kData {
		return &node{kind: kBool, op: "d2b", r: n}
	}
	return c.want(n, kBool)
}

// advance compiles going over bits without looking at them.
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

// parserSet compiles an assignment, whose right side may be a lookahead.
func (c *compiler) parserSet(pr *program, v []jsonValue) func(*packet) bool {
	if v[1].Type != "lookahead" {
		in := c.assign(c.expr(&v[0]), c.expr(&v[1]))
		do := in.run()
		return func(p *packet) bool {
			do(p)
			return true
		}
	}
	// The lookahead goes through slots of its own, so that assign deals with widths and signs.
	l := c.look(&v[1])
	f := &field{name: "lookahead", width: l.width, words: l.words}
	h := &header{name: "lookahead", typ: &headerType{name: "lookahead", words: f.words}, base: c.l.slots}
	c.l.slots += f.words
	c.l.initial = append(c.l.initial, make([]uint64, f.words)...)
	lo, hi := f.span()
	in := c.assign(c.expr(&v[0]), &node{op: leafField, lo: lo, hi: hi, ref: ref{h, f}})
	do := in.run()
	return func(p *packet) bool {
		if len(p.data)*8 < p.at*8+l.offset+l.width {
			p.failed = pr.tooShort
			return false
		}
		l.read(p, p.s[h.base:h.base+f.words])
		do(p)
		return true
	}
}

// extraction compiles extract and, with the width of the variable field in bits, extract_VL.
func (c *compiler) extraction(pr *program, v, width *jsonValue) parserOp {
	var typ *headerType
	var find func(*packet) *header // nil if the stack is full
	var done func(*packet)
	switch v.Type {
	case "regular":
		n := c.want(c.headerNode(c.text(v.Value)), kHeader)
		typ = n.h.typ
		if width == nil && typ.varF == nil {
			return parserOp{h: n.h}
		}
		find, done = func(*packet) *header { return n.h }, func(*packet) {}
	case "stack":
		st := c.stackNamed(c.text(v.Value))
		typ = st.typ
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
	take := pr.extract
	if width != nil {
		if typ.varF == nil {
			c.fail(ErrProgram, "header type %q has no variable field", typ.name)
		}
		take = c.extractVar(pr, typ, width)
	} else if typ.varF != nil {
		c.fail(ErrUnsupported, "extraction of header type %q without the width of its variable field", typ.name)
	}
	return parserOp{fn: func(p *packet) bool {
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
	}}
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
		r := bitReader{b: p.data, bit: p.at * 8}
		for _, f := range typ.fields {
			if !f.variable {
				r.field(p.s[h.base+f.off:], f)
				continue
			}
			p.s[h.base+f.off] = w
			v := p.vb[h.varAt:][:size]
			for i := range v {
				v[i] = byte(r.take(8))
			}
		}
		p.at += typ.bytes + int(size)
		p.setValid(h)
		return true
	}
}
