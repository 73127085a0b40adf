package engine

import "math/big"

var zero = new(big.Int)

// simplify removes operations that have no effect. p4c masks the result of every step, although most numbers cannot exceed the mask. The
// operands of n must be simplified already.
func simplify(n *node) *node {
	switch n.op {
	case "&":
		if n.l.isConst() && !n.r.isConst() {
			n.l, n.r = n.r, n.l
		}
		if n.r.isConst() && n.r.lo.Sign() >= 0 {
			if l := n.l; l.lo.Sign() >= 0 && l.hi.BitLen() <= lowOnes(n.r.lo) {
				return l
			}
			if l := n.l; l.op == "&" && l.r.isConst() && l.r.lo.Sign() >= 0 {
				m := &node{op: "&", l: l.l, r: constNode(new(big.Int).And(l.r.lo, n.r.lo)), lo: n.lo, hi: n.hi}
				return simplify(m)
			}
		}
	case "|", "+", "^", "-", "<<", ">>":
		if n.r.isConst() && n.r.lo.Sign() == 0 {
			return n.l
		}
		if n.op != "-" && n.op != "<<" && n.op != ">>" && n.l.isConst() && n.l.lo.Sign() == 0 {
			return n.r
		}
	case "?":
		one := func(x *node, v int64) bool { return x.isConst() && x.lo.IsInt64() && x.lo.Int64() == v }
		if n.kind == kData && one(n.l, 1) && one(n.r, 0) {
			return &node{op: "b2d", r: n.cond, lo: zero, hi: big.NewInt(1)}
		}
	case "d2b":
		if n.r.op == "b2d" {
			return n.r.r
		}
	case "b2d":
		switch r := n.r; {
		case r.op == leafBool && r.b:
			return constNode(big.NewInt(1))
		case r.op == leafBool:
			return constNode(zero)
		case r.op == "d2b" && r.r.lo.Sign() >= 0 && r.r.hi.BitLen() <= 1:
			return r.r
		}
	}
	return n
}

// lowOnes returns n if m is a mask of the low n bits. For any other mask it returns -1.
func lowOnes(m *big.Int) int {
	n := m.BitLen()
	if new(big.Int).Add(m, big.NewInt(1)).BitLen() != n+1 {
		return -1
	}
	return n
}
