package engine

import "math/big"

func least(a, b *big.Int) *big.Int {
	if a.Cmp(b) < 0 {
		return a
	}
	return b
}

func most(a, b *big.Int) *big.Int {
	if a.Cmp(b) > 0 {
		return a
	}
	return b
}

// maxShift is the largest number of bits of a value that is shifted left by a variable amount. P4 truncates the result to the type's
// width at once, so higher bits do not matter.
const maxShift = 4096

// bound computes the range of an operation's result from the ranges of the operands.
func (c *compiler) bound(n *node) {
	l, r := n.l, n.r
	set := func(lo, hi *big.Int) { n.lo, n.hi = lo, hi }
	add := func(a, b *big.Int) *big.Int { return new(big.Int).Add(a, b) }
	sub := func(a, b *big.Int) *big.Int { return new(big.Int).Sub(a, b) }
	switch n.op {
	case "+":
		set(add(l.lo, r.lo), add(l.hi, r.hi))
	case "-":
		set(sub(l.lo, r.hi), sub(l.hi, r.lo))
	case "*":
		p := new(big.Int).Mul(l.lo, r.lo)
		n.lo, n.hi = p, p
		for _, x := range [][2]*big.Int{{l.lo, r.hi}, {l.hi, r.lo}, {l.hi, r.hi}} {
			p := new(big.Int).Mul(x[0], x[1])
			n.lo, n.hi = least(n.lo, p), most(n.hi, p)
		}
	case "/":
		// bmv2 terminates if an operand is negative or the divisor is zero; see divide.
		set(new(big.Int), most(l.hi, new(big.Int)))
	case "%":
		set(new(big.Int), most(least(l.hi, r.hi), new(big.Int)))
	case "&":
		switch {
		case l.lo.Sign() >= 0 && r.lo.Sign() >= 0:
			set(new(big.Int), least(l.hi, r.hi))
		case r.lo.Sign() >= 0:
			set(new(big.Int), r.hi)
		case l.lo.Sign() >= 0:
			set(new(big.Int), l.hi)
		default:
			set(signedSpan(l, r))
		}
	case "|", "^":
		if l.lo.Sign() >= 0 && r.lo.Sign() >= 0 {
			set((&field{width: most(l.hi, r.hi).BitLen()}).span())
		} else {
			set(signedSpan(l, r))
		}
	case "~":
		set(new(big.Int).Not(r.hi), new(big.Int).Not(r.lo))
	case "<<":
		by := uint(maxShift)
		if r.hi.IsInt64() && r.hi.Int64() < maxShift {
			by = uint(max(0, r.hi.Int64()))
		}
		set(least(l.lo, new(big.Int).Lsh(l.lo, by)), most(l.hi, new(big.Int).Lsh(l.hi, by)))
	case ">>":
		set(least(l.lo, new(big.Int)), most(l.hi, new(big.Int)))
		if l.hi.Sign() < 0 {
			n.hi = big.NewInt(-1)
		}
	case "two_comp_mod":
		w := c.width(r)
		if w == 0 {
			c.fail(ErrProgram, "a signed number of no bits")
		}
		set((&field{width: w, signed: true}).span())
	case "usat_cast":
		set((&field{width: c.width(r)}).span())
	case "sat_cast":
		set((&field{width: max(1, c.width(r)), signed: true}).span())
	default:
		c.fail(ErrUnsupported, "operation %q", n.op)
	}
}

// width returns the width that a cast's right operand gives as a constant.
func (c *compiler) width(r *node) int {
	if !r.isConst() || r.lo.Sign() < 0 || !r.lo.IsInt64() || r.lo.Int64() > maxFieldBits {
		c.fail(ErrUnsupported, "a width that is not a constant of at most %d bits", maxFieldBits)
	}
	return int(r.lo.Int64())
}

// signedSpan returns the range of a bitwise operation that has a negative operand.
func signedSpan(l, r *node) (lo, hi *big.Int) {
	bits := 0
	for _, b := range []*big.Int{l.lo, l.hi, r.lo, r.hi} {
		if b.Sign() < 0 {
			b = new(big.Int).Not(b)
		}
		bits = max(bits, b.BitLen())
	}
	return (&field{width: bits + 1, signed: true}).span()
}
