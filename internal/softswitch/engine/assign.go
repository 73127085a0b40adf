package engine

import "math/big"

// lvalue checks that n is a writable field and returns it.
func (c *compiler) lvalue(n *node) *node {
	if n.op != leafField && n.op != leafDynamic {
		c.fail(ErrProgram, "want a field to write to, got %s", n.op)
	}
	return n
}

func (n *node) lvalueField() *field {
	if n.op == leafField {
		return n.ref.f
	}
	return n.f
}

// assign compiles the assignment of a number to a field. The number is truncated to the field's width or, if the field saturates, limited
// to the field's range.
func (c *compiler) assign(dst, src *node) []instr {
	dst, src = c.lvalue(dst), c.want(src, kData)
	f := dst.lvalueField()
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
	if src.op == "&" && src.r.isConst() && lowOnes(src.r.lo) >= f.width {
		src = src.l // the assignment truncates these bits anyway
	}
	if f.words > 1 {
		return c.assignWide(dst, src)
	}
	if dst.op == leafField && f == valid {
		// A header's validity is not part of the packet's bytes, so the header need not be filled.
		var s asm
		c.assignWord(&s, dst.ref.slot(), ones(f.width), src)
		return s.link()
	}
	if dst.op == leafDynamic {
		h, off, e, mask := c.hv(dst.l), f.off, c.ev(src), ones(f.width)
		return call(func(p *packet) {
			x := h(p)
			p.fill(x)
			p.s[x.base+off] = e(p) & mask
		})
	}
	var s asm
	c.assignWord(&s, dst.ref.slot(), ones(f.width), src)
	return own(dst.ref.h, s.link())
}

// assignWord adds code that assigns the low word of a number to a slot.
func (c *compiler) assignWord(s *asm, slot int, mask uint64, src *node) {
	at := int32(slot)
	if src.isConst() {
		s.add(instr{op: opConst, a: at, k: low64(src.lo) & mask})
		return
	}
	if h, ok := shapeOf(src); ok {
		in := instr{op: opShape, a: at, b: int32(h.slot), r: uint8(h.r), l: uint8(h.l), k: h.k, m: h.m & mask}
		if h.r == 0 && h.l == 0 && h.k == 0 {
			in.op = opMove
		}
		s.add(in)
		return
	}
	switch {
	case src.op == leafLocal:
		s.add(instr{op: opArg, a: at, b: int32(src.word + src.n - 1), m: mask})
	case src.op == "b2d":
		yes, past := s.label(), s.label()
		c.branch(s, src.r, true, yes)
		s.add(instr{op: opConst, a: at})
		s.jump(instr{op: opGoto}, past)
		s.place(yes)
		s.add(instr{op: opConst, a: at, k: 1 & mask})
		s.place(past)
	case src.op == "?":
		no, past := s.label(), s.label()
		c.branch(s, src.cond, false, no)
		c.assignWord(s, slot, mask, src.l)
		s.jump(instr{op: opGoto}, past)
		s.place(no)
		c.assignWord(s, slot, mask, src.r)
		s.place(past)
	default:
		c.acc(s, src)
		if last := &s.code[len(s.code)-1]; last.op == opCompute {
			*last = instr{op: opEval, a: at, m: mask, x: last.x}
			return
		}
		s.add(instr{op: opStore, a: at, m: mask})
	}
}

// assignWide compiles an assignment to a field of more than 64 bits.
func (c *compiler) assignWide(dst, src *node) []instr {
	f := dst.lvalueField()
	top := ones(f.width - 64*(f.words-1))
	if dst.op == leafDynamic {
		h, e, t := c.hv(dst.l), c.wideTo(src, f.words), c.temp(f.words)
		return call(func(p *packet) {
			v := p.w.scratch[t : t+f.words]
			e(p, v)
			x := h(p)
			p.fill(x)
			d := x.base + f.off
			reversed(p.s[d:d+f.words], v)
			p.s[d] &= top
		})
	}
	var s asm
	c.assignWords(&s, dst.ref.slot(), f.words, f.width, src)
	return own(dst.ref.h, s.link())
}

// assignWords adds code that assigns a number to a field of several words.
func (c *compiler) assignWords(s *asm, at, words, width int, src *node) {
	top := ones(width - 64*(words-1))
	r := src.ref
	switch {
	case src.op == leafField && !r.f.variable && r.f.words == words && (!r.f.signed || r.f.width >= width):
		in := instr{op: opMoveAll, a: int32(at), b: int32(r.slot()), k: uint64(words), m: top}
		if words == 2 {
			in.op = opMoveTwo
		}
		s.add(in)
	case src.fits64() && !wideInside(src):
		// The low word is assigned first, because the source may be the destination itself.
		c.assignWord(s, at+words-1, ^uint64(0), src)
		s.add(instr{op: opClear, a: int32(at), k: uint64(words - 1)})
	case src.op == "?":
		no, past := s.label(), s.label()
		c.branch(s, src.cond, false, no)
		c.assignWords(s, at, words, width, src.l)
		s.jump(instr{op: opGoto}, past)
		s.place(no)
		c.assignWords(s, at, words, width, src.r)
		s.place(past)
	case src.op == "<<" && isSlots(src.l) && src.l.ref.f.words <= words:
		from, n, by := src.l.ref.slot(), src.l.ref.f.words, c.amount(src.r)
		s.add(call(func(p *packet) {
			shiftLeft(p.s[at:at+words], p.s[from:from+n], by(p))
			p.s[at] &= top
		})...)
	default:
		e, t := c.wideTo(src, words), c.temp(words)
		s.add(call(func(p *packet) {
			v := p.w.scratch[t : t+words]
			e(p, v)
			reversed(p.s[at:at+words], v)
			p.s[at] &= top
		})...)
	}
}

// isSlots reports whether the value of a number is exactly what the slots of an unsigned field contain.
func isSlots(n *node) bool {
	return n.op == leafField && !n.ref.f.variable && !n.ref.f.signed
}

// assignVar compiles the assignment of one variable field to another.
func (c *compiler) assignVar(dst, src *node) []instr {
	if dst.op != leafField || src.op != leafField || !src.ref.f.variable {
		c.fail(ErrUnsupported, "assignment to the variable field %q from %s", dst.lvalueField().name, src.op)
	}
	d, s := dst.ref, src.ref
	if s.h.typ.varMax > d.h.typ.varMax {
		c.fail(ErrUnsupported, "assignment of a variable field of %d bytes to one of %d", s.h.typ.varMax, d.h.typ.varMax)
	}
	return call(func(p *packet) {
		p.fill(d.h)
		p.s[d.slot()] = p.s[s.slot()]
		copy(p.vb[d.h.varAt:], p.variable(s.h))
	})
}

// standsAlone reports whether code can run outside an action. Such code uses no parameters and no jumps that are specific to actions.
func standsAlone(code []instr) bool {
	for i := range code {
		if op := code[i].op; op == opArg || op == opJump {
			return false
		}
	}
	return true
}
