package engine

// wideOp compiles the low k words of an operation whose result or operands have more than 64 bits.
func (c *compiler) wideOp(n *node, k int) wv {
	switch n.op {
	case leafField:
		return c.wideField(n.ref, k)
	case leafDynamic:
		if n.f.variable {
			c.fail(ErrUnsupported, "the variable field %q of a header found at run time", n.f.name)
		}
		h, f := c.hv(n.l), n.f
		return func(p *packet, dst []uint64) {
			at := h(p).base + f.off
			reversed(dst, p.s[at:at+f.words])
			if f.signed {
				wideSign(dst, f.width)
			}
		}
	case leafLocal:
		at, words := n.word, n.n
		return func(p *packet, dst []uint64) { reversed(dst, p.args[at:at+words]) }
	case leafReg:
		r, ix := n.reg, c.index(n.r)
		return func(p *packet, dst []uint64) {
			i := ix(p)
			if i >= uint64(r.size) {
				clear(dst)
				return
			}
			reversed(dst, r.cells[int(i)*r.words:][:r.words])
		}
	case "+", "-", "*", "&", "|", "^":
		return c.wideRing(n, k)
	case "~":
		r := c.wideTo(n.r, k)
		return func(p *packet, dst []uint64) {
			r(p, dst)
			for i := range dst {
				dst[i] = ^dst[i]
			}
		}
	case "<<":
		l, by := c.wideTo(n.l, k), c.amount(n.r)
		return func(p *packet, dst []uint64) {
			l(p, dst)
			wideShl(dst, by(p))
		}
	case ">>":
		m := max(k, n.l.limbs())
		l, by, at := c.wideTo(n.l, m), c.amount(n.r), c.temp(m)
		return func(p *packet, dst []uint64) {
			t := p.w.scratch[at : at+m]
			l(p, t)
			wideShr(t, by(p))
			copy(dst, t)
		}
	case "/", "%":
		m := max(k, n.l.limbs(), n.r.limbs())
		l, r, at, rem := c.wideTo(n.l, m), c.wideTo(n.r, m), c.temp(3*m), n.op == "%"
		return func(p *packet, dst []uint64) {
			t := p.w.scratch[at : at+3*m]
			l(p, t[:m])
			r(p, t[m:2*m])
			wideDiv(t[:m], t[m:2*m], t[2*m:])
			if rem {
				copy(dst, t[2*m:])
			} else {
				copy(dst, t)
			}
		}
	case "two_comp_mod":
		w := c.width(n.r)
		m := max(k, (w+63)/64)
		l, at := c.wideTo(n.l, m), c.temp(m)
		return func(p *packet, dst []uint64) {
			t := p.w.scratch[at : at+m]
			l(p, t)
			wideSign(t, w)
			copy(dst, t)
		}
	case "usat_cast", "sat_cast":
		m := max(k, n.l.limbs(), n.limbs())
		l, at, lo, hi := c.wideTo(n.l, m), c.temp(m), words64(n.lo, m), words64(n.hi, m)
		return func(p *packet, dst []uint64) {
			t := p.w.scratch[at : at+m]
			l(p, t)
			switch {
			case wideCmp(t, lo) < 0:
				copy(dst, lo)
			case wideCmp(t, hi) > 0:
				copy(dst, hi)
			default:
				copy(dst, t)
			}
		}
	case "?":
		q, l, r := c.bv(n.cond), c.wideTo(n.l, k), c.wideTo(n.r, k)
		return func(p *packet, dst []uint64) {
			if q(p) {
				l(p, dst)
			} else {
				r(p, dst)
			}
		}
	}
	c.fail(ErrUnsupported, "operation %q on numbers of more than 64 bits", n.op)
	return nil
}

// wideField compiles a field that is known at load time.
func (c *compiler) wideField(r ref, k int) wv {
	at, f := r.slot(), r.f
	if f.variable {
		h := r.h
		return func(p *packet, dst []uint64) {
			clear(dst)
			b := p.variable(h)
			for i := range b {
				if j := len(b) - 1 - i; j/8 < len(dst) {
					dst[j/8] |= uint64(b[i]) << (j % 8 * 8)
				}
			}
		}
	}
	if f.signed {
		return func(p *packet, dst []uint64) {
			reversed(dst, p.s[at:at+f.words])
			wideSign(dst, f.width)
		}
	}
	return func(p *packet, dst []uint64) { reversed(dst, p.s[at:at+f.words]) }
}

// wideRing compiles operations for which the low words of the result depend only on the low words of the operands.
func (c *compiler) wideRing(n *node, k int) wv {
	l, r, at := c.wideTo(n.l, k), c.wideTo(n.r, k), c.temp(2*k)
	both := func(p *packet) (a, b []uint64) {
		a, b = p.w.scratch[at:at+k], p.w.scratch[at+k:at+2*k]
		l(p, a)
		r(p, b)
		return a, b
	}
	switch n.op {
	case "+":
		return func(p *packet, dst []uint64) {
			a, b := both(p)
			wideAdd(dst, a, b)
		}
	case "-":
		return func(p *packet, dst []uint64) {
			a, b := both(p)
			wideSub(dst, a, b)
		}
	case "*":
		return func(p *packet, dst []uint64) {
			a, b := both(p)
			wideMul(dst, a, b)
		}
	case "&":
		return func(p *packet, dst []uint64) {
			a, b := both(p)
			for i := range dst {
				dst[i] = a[i] & b[i]
			}
		}
	case "|":
		return func(p *packet, dst []uint64) {
			a, b := both(p)
			for i := range dst {
				dst[i] = a[i] | b[i]
			}
		}
	}
	return func(p *packet, dst []uint64) {
		a, b := both(p)
		for i := range dst {
			dst[i] = a[i] ^ b[i]
		}
	}
}

// reversed copies the words of a field (most significant word first) to a number (least significant word first).
func reversed(dst, src []uint64) {
	for i := range dst {
		if j := len(src) - 1 - i; j >= 0 {
			dst[i] = src[j]
		} else {
			dst[i] = 0
		}
	}
}
