package engine

import (
	"math/big"
	"math/bits"
)

// A wv evaluates a number of any width into dst, in two's complement with the least significant word first.
type wv func(p *packet, dst []uint64)

// wide compiles all words of a number.
func (c *compiler) wide(n *node) wv { return c.wideTo(n, n.limbs()) }

// lowOfWide compiles the low 64 bits of an operation that needs all words of its operands.
func (c *compiler) lowOfWide(n *node) ev {
	f, at := c.wideTo(n, 1), c.temp(1)
	return func(p *packet) uint64 {
		t := p.w.scratch[at : at+1]
		f(p, t)
		return t[0]
	}
}

// wideTo compiles the low k words of a number. If the number is shorter, it is sign-extended.
func (c *compiler) wideTo(n *node, k int) wv {
	if n.narrow() && n.op != leafConst && !(n.op == leafField && n.ref.f.variable) && !wideInside(n) {
		e := c.ev(n)
		if n.fits64() {
			return func(p *packet, dst []uint64) {
				v := e(p)
				clear(dst)
				dst[0] = v
			}
		}
		return func(p *packet, dst []uint64) { fill(dst, e(p)) }
	}
	if n.isConst() {
		w := words64(n.lo, k)
		return func(_ *packet, dst []uint64) { copy(dst, w) }
	}
	return c.wideOp(n, k)
}

// words64 returns the low k words of a number in two's complement, the least significant word first.
func words64(b *big.Int, k int) []uint64 {
	w := make([]uint64, k)
	for i, x := 0, b; i < k; i++ {
		w[i] = low64(x)
		x = new(big.Int).Rsh(x, 64)
	}
	return w
}

// wideInside reports whether an operation with a narrow result needs all words of a wide operand.
func wideInside(n *node) bool {
	switch n.op {
	case ">>", "/", "%", "usat_cast", "sat_cast":
		return !n.l.narrow() || !n.r.narrow()
	}
	return false
}

// fill writes the signed number v to dst and extends its sign.
func fill(dst []uint64, v uint64) {
	sign := uint64(int64(v) >> 63)
	for i := range dst {
		dst[i] = sign
	}
	dst[0] = v
}

// wideCmp compares two signed numbers with the same number of words.
func wideCmp(a, b []uint64) int {
	top := len(a) - 1
	if x, y := int64(a[top]), int64(b[top]); x != y {
		if x < y {
			return -1
		}
		return 1
	}
	for i := top - 1; i >= 0; i-- {
		if a[i] != b[i] {
			if a[i] < b[i] {
				return -1
			}
			return 1
		}
	}
	return 0
}

func wideAdd(dst, a, b []uint64) {
	var carry uint64
	for i := range dst {
		dst[i], carry = bits.Add64(a[i], b[i], carry)
	}
}

func wideSub(dst, a, b []uint64) {
	var borrow uint64
	for i := range dst {
		dst[i], borrow = bits.Sub64(a[i], b[i], borrow)
	}
}

// wideMul multiplies modulo 2^(64*len(dst)). dst must not overlap a or b.
func wideMul(dst, a, b []uint64) {
	clear(dst)
	for i, x := range a {
		var carry uint64
		for j := 0; i+j < len(dst); j++ {
			hi, lo := bits.Mul64(x, b[j])
			var c1, c2 uint64
			dst[i+j], c1 = bits.Add64(dst[i+j], lo, 0)
			dst[i+j], c2 = bits.Add64(dst[i+j], carry, 0)
			carry = hi + c1 + c2
		}
	}
}

// shiftLeft writes the field src, shifted left, to the slots dst. The destination must have at least as many words as src. The most
// significant word is first. dst and src may be the same.
func shiftLeft(dst, src []uint64, by uint64) {
	words, in := by/64, by%64
	for i := range dst {
		// v consists of bits from the word of src that moves to position i and from the word after it.
		j := uint64(i+len(src)-len(dst)) + words
		var v uint64
		if j < uint64(len(src)) {
			v = src[j] << in
		}
		if j+1 < uint64(len(src)) {
			v |= src[j+1] >> (64 - in)
		}
		dst[i] = v
	}
}

func wideShl(dst []uint64, by uint64) {
	words, in := by/64, by%64
	for i := len(dst) - 1; i >= 0; i-- {
		var v uint64
		if j := uint64(i) - words; words <= uint64(i) {
			v = dst[j] << in
			if j > 0 {
				v |= dst[j-1] >> (64 - in)
			}
		}
		dst[i] = v
	}
}

// wideShr shifts a signed number right with sign extension.
func wideShr(dst []uint64, by uint64) {
	n := uint64(len(dst))
	sign := uint64(int64(dst[n-1]) >> 63)
	words, in := by/64, by%64
	word := func(i uint64) uint64 {
		if i < n {
			return dst[i]
		}
		return sign
	}
	if words > n {
		words, in = n, 0
	}
	for i := uint64(0); i < n; i++ {
		dst[i] = word(i+words)>>in | word(i+words+1)<<(64-in)
	}
}

// wideSign truncates a number to its low w bits and sign-extends them.
func wideSign(dst []uint64, w int) {
	at, in := (w-1)/64, (w-1)%64+1
	if at >= len(dst) {
		return
	}
	if in < 64 {
		dst[at] = signExtend(dst[at], in)
	}
	sign := uint64(int64(dst[at]) >> 63)
	for i := at + 1; i < len(dst); i++ {
		dst[i] = sign
	}
}

// wideDiv divides two nonnegative numbers bit by bit: num becomes the quotient and rem the remainder. Division by zero yields zero for
// both, whereas bmv2 terminates.
func wideDiv(num, den, rem []uint64) {
	clear(rem)
	zero := true
	for _, x := range den {
		zero = zero && x == 0
	}
	if zero {
		clear(num)
		return
	}
	for i := len(num)*64 - 1; i >= 0; i-- {
		wideShl(rem, 1)
		rem[0] |= num[i/64] >> (i % 64) & 1
		if wideCmp(rem, den) >= 0 {
			wideSub(rem, rem, den)
			num[i/64] |= 1 << (i % 64)
		} else {
			num[i/64] &^= 1 << (i % 64)
		}
	}
}
