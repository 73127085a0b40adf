package engine

import "math/big"

// target checks that a node is a field that can be written.
func (c *compiler) target(n *node) *node {
	if n.op != leafField && n.op != leafDynamic {
		c.fail(ErrProgram, "want a field to write to, got %s", n.op)
	}
	return n
}

func (n *node) targetField() *field {
	if n.op == leafField {
		return n.ref.f
	}
	return n.f
}

// assign compiles the assignment of a number to a field: cut to the field's width, or stopped at the ends of its range if
// the field saturates.
func (c *compiler) assign(dst, src *node) instr {
	dst, src = c.target(dst), c.want(src, kData)
	f := dst.targetField()
	if f.variable {
		return c.assignVar(dst, src)
	}
	if f.sat && (src.lo.Cmp(dst.lo) < 0 || src.hi.Cmp(dst.hi) > 0) {
		op := "usat_cast"
		if f.signed {
			op = "sat_cast"
		}
		src = &node{op: op, l: src, r: constNode(big.NewInt(int64(f.width))), lo: dst.lo, hi: dst.hi}
	}
	if f.words > 1 {
		return c.assignWide(dst, src)
	}
	mask := ones(f.width)
	if dst.op == leafDynamic {
		h, off, e := c.hv(dst.l), f.off, c.ev(src)
		return instr{op: opCall, fn: func(p *packet) { p.s[h(p).base+off] = e(p) & mask }}
	}
	at := int32(dst.ref.slot())
	if src.isConst() {
		return instr{op: opConst, a: at, k: low64(src.lo) & mask}
	}
	if from, ok := plainSlot(src); ok {
		return instr{op: opMove, a: at, b: int32(from), k: mask}
	}
	if src.op == leafField && !src.ref.f.variable && !src.ref.f.signed {
		return instr{op: opMove, a: at, b: int32(src.ref.slot() + src.ref.f.words - 1), k: mask}
	}
	if src.op == leafLocal {
		return instr{op: opArg, a: at, b: int32(src.word + src.n - 1), k: mask}
	}
	return instr{op: opEval, a: at, k: mask, ev: c.ev(src)}
}

// assignWide compiles an assignment to a field of more than 64 bits.
func (c *compiler) assignWide(dst, src *node) instr {
	f := dst.targetField()
	top := ones(f.width - 64*(f.words-1))
	var h hv
	at := 0
	if dst.op == leafDynamic {
		h = c.hv(dst.l)
	} else {
		at = dst.ref.slot()
		if r := src.ref; src.op == leafField && !r.f.variable && r.f.words == f.words && (!r.f.signed || r.f.width >= f.width) {
			from, n := r.slot(), f.words
			return instr{op: opCall, fn: func(p *packet) {
				copy(p.s[at:at+n], p.s[from:from+n])
				p.s[at] &= top
			}}
		}
	}
	e, t := c.wideTo(src, f.words), c.temp(f.words)
	return instr{op: opCall, fn: func(p *packet) {
		v := p.w.scratch[t : t+f.words]
		e(p, v)
		d := at
		if h != nil {
			d = h(p).base + f.off
		}
		reversed(p.s[d:d+f.words], v)
		p.s[d] &= top
	}}
}

// assignVar compiles the assignment of one variable field to another.
func (c *compiler) assignVar(dst, src *node) instr {
	if dst.op != leafField || src.op != leafField || !src.ref.f.variable {
		c.fail(ErrUnsupported, "assignment to the variable field %q from %s", dst.targetField().name, src.op)
	}
	d, s := dst.ref, src.ref
	if s.h.typ.varMax > d.h.typ.varMax {
		c.fail(ErrUnsupported, "assignment of a variable field of %d bytes to one of %d", s.h.typ.varMax, d.h.typ.varMax)
	}
	return instr{op: opCall, fn: func(p *packet) {
		p.s[d.slot()] = p.s[s.slot()]
		copy(p.vb[d.h.varAt:], p.variable(s.h))
	}}
}

// run compiles an instr to be executed outside an action.
func (in *instr) run() func(*packet) {
	i := *in
	switch i.op {
	case opConst:
		return func(p *packet) { p.s[i.a] = i.k }
	case opMove:
		return func(p *packet) { p.s[i.a] = p.s[i.b] & i.k }
	case opEval:
		return func(p *packet) { p.s[i.a] = i.ev(p) & i.k }
	case opCall:
		return i.fn
	}
	return nil
}
