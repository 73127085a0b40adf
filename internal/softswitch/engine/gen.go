package engine

import "math/big"

// An ev evaluates a number expression for a packet and returns the low 64 bits. If the range of the number fits into a machine word, these
// bits are the whole number.
type ev func(*packet) uint64

// A bv evaluates a condition for a packet.
type bv func(*packet) bool

// An hv finds the header that a header expression refers to.
type hv func(*packet) *header

// low64 returns the low 64 bits of a number in two's complement.
func low64(b *big.Int) uint64 {
	if b.IsUint64() {
		return b.Uint64()
	}
	m := new(big.Int).And(b, new(big.Int).SetUint64(^uint64(0)))
	return m.Uint64()
}

// signExtend interprets the low w bits of v as a signed number and extends its sign. w is from 1 to 64.
func signExtend(v uint64, w int) uint64 {
	s := uint(64 - w)
	return uint64(int64(v<<s) >> s)
}

// ev compiles a number expression to an ev.
func (c *compiler) ev(n *node) ev {
	switch n.op {
	case leafConst:
		k := low64(n.lo)
		return func(*packet) uint64 { return k }
	case leafField:
		if n.ref.f.variable {
			return c.lowOfWide(n)
		}
		at, w := n.ref.slot()+n.ref.f.words-1, n.ref.f.width
		if n.ref.f.signed && w < 64 {
			return func(p *packet) uint64 { return signExtend(p.s[at], w) }
		}
		return func(p *packet) uint64 { return p.s[at] }
	case leafDynamic:
		if n.f.variable {
			c.fail(ErrUnsupported, "the variable field %q of a header found at run time", n.f.name)
		}
		h, off, w := c.hv(n.l), n.f.off+n.f.words-1, n.f.width
		if n.f.signed && w < 64 {
			return func(p *packet) uint64 { return signExtend(p.s[h(p).base+off], w) }
		}
		return func(p *packet) uint64 { return p.s[h(p).base+off] }
	case leafLocal:
		at := n.word + n.n - 1
		return func(p *packet) uint64 { return p.args[at] }
	case leafReg:
		r, ix := n.reg, c.ev(n.r)
		return func(p *packet) uint64 {
			i := ix(p)
			if i >= uint64(r.size) {
				return 0
			}
			return r.cells[(int(i)+1)*r.words-1]
		}
	case "+", "-", "*", "&", "|", "^":
		return c.ring(n)
	case "~":
		r := c.ev(n.r)
		return func(p *packet) uint64 { return ^r(p) }
	case "<<":
		l, by := c.ev(n.l), c.amount(n.r)
		return func(p *packet) uint64 { return l(p) << by(p) }
	case ">>":
		l, by := c.ev(n.l), c.amount(n.r)
		switch {
		case n.l.fits64():
			return func(p *packet) uint64 { return l(p) >> by(p) }
		case n.l.fitsS64():
			return func(p *packet) uint64 { return uint64(int64(l(p)) >> by(p)) }
		}
		return c.lowOfWide(n)
	case "/", "%":
		if !n.l.fits64() && !n.l.fitsS64() || !n.r.fits64() && !n.r.fitsS64() {
			return c.lowOfWide(n)
		}
		l, r := c.ev(n.l), c.ev(n.r)
		if n.op == "/" {
			return func(p *packet) uint64 {
				if d := r(p); d != 0 {
					return l(p) / d
				}
				return 0
			}
		}
		return func(p *packet) uint64 {
			if d := r(p); d != 0 {
				return l(p) % d
			}
			return 0
		}
	case "two_comp_mod":
		r, w := c.ev(n.l), c.width(n.r)
		if w >= 64 {
			return r
		}
		return func(p *packet) uint64 { return signExtend(r(p), w) }
	case "usat_cast", "sat_cast":
		return c.saturate(n)
	case "b2d":
		r := c.bv(n.r)
		return func(p *packet) uint64 {
			if r(p) {
				return 1
			}
			return 0
		}
	case "?":
		q, l, r := c.bv(n.cond), c.ev(n.l), c.ev(n.r)
		return func(p *packet) uint64 {
			if q(p) {
				return l(p)
			}
			return r(p)
		}
	case "last_stack_index", "size_stack":
		less := uint64(0)
		if n.op == "last_stack_index" {
			less = 1
		}
		next := 0
		if n.us != nil {
			next = n.us.next
		} else {
			next = n.st.next
		}
		return func(p *packet) uint64 { return p.s[next] - less }
	}
	c.fail(ErrUnsupported, "operation %q on numbers", n.op)
	return nil
}

// amount compiles the amount of a shift. The result is at most 2^32. A negative amount counts as 2^32, whereas bmv2 terminates.
func (c *compiler) amount(n *node) ev {
	const far = 1 << 32
	if n.isConst() {
		k := uint64(far)
		if n.lo.IsUint64() {
			k = min(k, n.lo.Uint64())
		}
		return func(*packet) uint64 { return k }
	}
	if n.narrow() {
		e := c.ev(n)
		if n.lo.Sign() >= 0 && n.hi.BitLen() <= 32 {
			return e
		}
		return func(p *packet) uint64 { return min(e(p), far) }
	}
	f, at, k := c.wide(n), c.temp(n.limbs()), n.limbs()
	return func(p *packet) uint64 {
		t := p.w.scratch[at : at+k]
		f(p, t)
		for _, x := range t[1:] {
			if x != 0 {
				return far
			}
		}
		return min(t[0], far)
	}
}

// ring compiles operations for which the low 64 bits of the result depend only on the low 64 bits of the operands. It reads operands that
// are fields or constants without a function call.
func (c *compiler) ring(n *node) ev {
	l, r := n.l, n.r
	if l.isConst() && n.op != "-" {
		l, r = r, l
	}
	if r.isConst() {
		k := low64(r.lo)
		if n.op == "-" {
			k = -k
		}
		if at, ok := c.plainSlot(l); ok {
			switch n.op {
			case "+", "-":
				return func(p *packet) uint64 { return p.s[at] + k }
			case "&":
				return func(p *packet) uint64 { return p.s[at] & k }
			}
		}
		x := c.ev(l)
		switch n.op {
		case "+", "-":
			return func(p *packet) uint64 { return x(p) + k }
		case "*":
			return func(p *packet) uint64 { return x(p) * k }
		case "&":
			return func(p *packet) uint64 { return x(p) & k }
		case "|":
			return func(p *packet) uint64 { return x(p) | k }
		case "^":
			return func(p *packet) uint64 { return x(p) ^ k }
		}
	}
	x, y := c.ev(l), c.ev(r)
	switch n.op {
	case "+":
		return func(p *packet) uint64 { return x(p) + y(p) }
	case "-":
		return func(p *packet) uint64 { return x(p) - y(p) }
	case "*":
		return func(p *packet) uint64 { return x(p) * y(p) }
	case "&":
		return func(p *packet) uint64 { return x(p) & y(p) }
	case "|":
		return func(p *packet) uint64 { return x(p) | y(p) }
	}
	return func(p *packet) uint64 { return x(p) ^ y(p) }
}

// plainSlot returns the slot that contains the number unchanged. It returns false unless the number is a field of one word that is known at
// load time and is unsigned or 64 bits wide.
func (c *compiler) plainSlot(n *node) (int, bool) {
	if n.op != leafField || n.ref.f.variable || n.ref.f.words != 1 || n.ref.f.signed && n.ref.f.width < 64 {
		return 0, false
	}
	return n.ref.slot(), true
}

// saturate compiles a cast that limits a number to the range of a type.
func (c *compiler) saturate(n *node) ev {
	if !n.l.narrow() || !n.narrow() {
		return c.lowOfWide(n)
	}
	x := c.ev(n.l)
	lo, hi := low64(n.lo), low64(n.hi)
	if n.l.fits64() {
		return func(p *packet) uint64 { return min(x(p), hi) }
	}
	if n.op == "usat_cast" && n.hi.BitLen() == 64 {
		return func(p *packet) uint64 { return uint64(max(int64(x(p)), 0)) }
	}
	return func(p *packet) uint64 { return uint64(max(int64(lo), min(int64(x(p)), int64(hi)))) }
}

// hv compiles a header expression.
func (c *compiler) hv(n *node) hv {
	switch n.op {
	case leafHeader:
		h := n.h
		return func(*packet) *header { return h }
	case leafLast:
		st := n.st
		return func(p *packet) *header { return st.at(p.s[st.next] - 1) }
	case "dereference_stack", "dereference_header_stack":
		st, ix := n.st, c.index(n.r)
		return func(p *packet) *header { return st.at(ix(p)) }
	case "access_union_header":
		u, i := c.uv(n.l), n.idx
		return func(p *packet) *header { return u(p).members[i] }
	}
	c.fail(ErrUnsupported, "operation %q on headers", n.op)
	return nil
}

// index compiles an array index. A number of more than 64 bits is out of range for every array.
func (c *compiler) index(n *node) ev {
	if n.narrow() {
		return c.ev(n)
	}
	return c.amount(n)
}

// uv compiles a union expression.
func (c *compiler) uv(n *node) func(*packet) *union {
	switch n.op {
	case leafUnion:
		u := n.u
		return func(*packet) *union { return u }
	case leafLast:
		us := n.us
		return func(p *packet) *union { return us.at(p.s[us.next] - 1) }
	case "dereference_union_stack":
		us, ix := n.us, c.index(n.r)
		return func(p *packet) *union { return us.at(ix(p)) }
	}
	c.fail(ErrUnsupported, "operation %q on header unions", n.op)
	return nil
}

func (st *stack) at(i uint64) *header {
	if i < uint64(len(st.elems)) {
		return st.elems[i]
	}
	return st.outside
}

func (us *unionStack) at(i uint64) *union {
	if i < uint64(len(us.elems)) {
		return us.elems[i]
	}
	return us.outside
}
