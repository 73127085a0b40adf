package engine

import "math/big"

// bv compiles a condition.
func (c *compiler) bv(n *node) bv {
	switch n.op {
	case leafBool:
		b := n.b
		return func(*packet) bool { return b }
	case "not":
		r := c.bv(n.r)
		return func(p *packet) bool { return !r(p) }
	case "and":
		l, r := c.bv(n.l), c.bv(n.r)
		return func(p *packet) bool { return l(p) && r(p) }
	case "or":
		l, r := c.bv(n.l), c.bv(n.r)
		return func(p *packet) bool { return l(p) || r(p) }
	case "d2b":
		if at, ok := c.plainSlot(n.r); ok {
			return func(p *packet) bool { return p.s[at] != 0 }
		}
		return c.compare(&node{op: "!=", l: n.r, r: constNode(new(big.Int))})
	case "valid":
		if n.r.h != nil {
			at := n.r.h.base
			return func(p *packet) bool { return p.s[at] != 0 }
		}
		h := c.hv(n.r)
		return func(p *packet) bool { return p.s[h(p).base] != 0 }
	case "valid_union":
		u := c.uv(n.r)
		return func(p *packet) bool { return p.member(u(p)) != nil }
	case "?":
		q, l, r := c.bv(n.cond), c.bv(n.l), c.bv(n.r)
		return func(p *packet) bool {
			if q(p) {
				return l(p)
			}
			return r(p)
		}
	case "==", "!=":
		switch n.l.kind {
		case kBool:
			l, r, want := c.bv(n.l), c.bv(n.r), n.op == "=="
			return func(p *packet) bool { return l(p) == r(p) == want }
		case kHeader:
			l, r, want := c.hv(n.l), c.hv(n.r), n.op == "=="
			return func(p *packet) bool { return p.sameHeader(l(p), r(p)) == want }
		case kUnion:
			l, r, want := c.uv(n.l), c.uv(n.r), n.op == "=="
			return func(p *packet) bool {
				x, y := p.member(l(p)), p.member(r(p))
				return (x != nil && y != nil && x.typ == y.typ && p.sameHeader(x, y)) == want
			}
		}
		return c.compare(n)
	case "<", "<=", ">", ">=":
		return c.compare(n)
	}
	c.fail(ErrUnsupported, "operation %q in a condition", n.op)
	return nil
}

// compare compiles a comparison of numbers.
func (c *compiler) compare(n *node) bv {
	l, r := n.l, n.r
	switch {
	case l.fits64() && r.fits64():
		return c.compareWords(n)
	case l.fitsS64() && r.fitsS64():
		x, y := c.ev(l), c.ev(r)
		switch n.op {
		case "==":
			return func(p *packet) bool { return x(p) == y(p) }
		case "!=":
			return func(p *packet) bool { return x(p) != y(p) }
		case "<":
			return func(p *packet) bool { return int64(x(p)) < int64(y(p)) }
		case "<=":
			return func(p *packet) bool { return int64(x(p)) <= int64(y(p)) }
		case ">":
			return func(p *packet) bool { return int64(x(p)) > int64(y(p)) }
		}
		return func(p *packet) bool { return int64(x(p)) >= int64(y(p)) }
	}
	k := max(l.limbs(), r.limbs())
	x, y, at := c.wideTo(l, k), c.wideTo(r, k), c.temp(2*k)
	cmp := func(p *packet) int {
		a, b := p.w.scratch[at:at+k], p.w.scratch[at+k:at+2*k]
		x(p, a)
		y(p, b)
		return wideCmp(a, b)
	}
	switch n.op {
	case "==":
		return func(p *packet) bool { return cmp(p) == 0 }
	case "!=":
		return func(p *packet) bool { return cmp(p) != 0 }
	case "<":
		return func(p *packet) bool { return cmp(p) < 0 }
	case "<=":
		return func(p *packet) bool { return cmp(p) <= 0 }
	case ">":
		return func(p *packet) bool { return cmp(p) > 0 }
	}
	return func(p *packet) bool { return cmp(p) >= 0 }
}

// compareWords compiles a comparison of two nonnegative numbers that fit into a word.
func (c *compiler) compareWords(n *node) bv {
	l, r := n.l, n.r
	if r.isConst() && (n.op == "==" || n.op == "!=") {
		k, want := low64(r.lo), n.op == "=="
		if at, ok := c.plainSlot(l); ok {
			if want {
				return func(p *packet) bool { return p.s[at] == k }
			}
			return func(p *packet) bool { return p.s[at] != k }
		}
		x := c.ev(l)
		return func(p *packet) bool { return (x(p) == k) == want }
	}
	x, y := c.ev(l), c.ev(r)
	switch n.op {
	case "==":
		return func(p *packet) bool { return x(p) == y(p) }
	case "!=":
		return func(p *packet) bool { return x(p) != y(p) }
	case "<":
		return func(p *packet) bool { return x(p) < y(p) }
	case "<=":
		return func(p *packet) bool { return x(p) <= y(p) }
	case ">":
		return func(p *packet) bool { return x(p) > y(p) }
	}
	return func(p *packet) bool { return x(p) >= y(p) }
}
