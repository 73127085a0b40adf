package p4rtserver

import (
	"bytes"
	"errors"
	"fmt"
	"math/bits"
)

// errBytes is wrapped by every error about a binary string (spec 8.4). The caller adds the gRPC code, which is INVALID_ARGUMENT for match
// fields, action parameters and metadata, and OUT_OF_RANGE for all others.
var errBytes = errors.New("bad binary string")

// canonical returns the shortest form of an unsigned binary string. Reads always return this form. The result shares its bytes with b.
//
// A longer string with leading zeros is accepted, because by spec 8.4 the receiver does not restrict the length. An empty string, or a
// value of more than width bits, is an error.
func canonical(b []byte, width int) ([]byte, error) {
	if len(b) == 0 {
		return nil, fmt.Errorf("%w: empty; zero is one zero byte", errBytes)
	}
	c := shortest(b)
	if n := bitLen(c); n > width {
		return nil, fmt.Errorf("%w: %#x has %d bits, the width is %d", errBytes, clip(c), n, width)
	}
	return c, nil
}

// canonicalSigned is like canonical, for a two's complement value of width bits.
func canonicalSigned(b []byte, width int) ([]byte, error) {
	if len(b) == 0 {
		return nil, fmt.Errorf("%w: empty; zero is one zero byte", errBytes)
	}
	c := b
	for len(c) > 1 && (c[0] == 0 && c[1] < 0x80 || c[0] == 0xff && c[1] >= 0x80) {
		c = c[1:]
	}
	if n := signedBitLen(c); n > width {
		return nil, fmt.Errorf("%w: %#x needs %d bits with its sign, the width is %d", errBytes, clip(c), n, width)
	}
	return c, nil
}

// shortest removes leading zero bytes, but keeps at least one byte.
func shortest(b []byte) []byte {
	for len(b) > 1 && b[0] == 0 {
		b = b[1:]
	}
	if len(b) == 0 {
		return []byte{0}
	}
	return b
}

// bitLen returns the number of significant bits of a binary string without leading zero bytes. It returns 0 for zero.
func bitLen(c []byte) int {
	if len(c) == 0 {
		return 0
	}
	return (len(c)-1)*8 + bits.Len8(c[0])
}

// signedBitLen returns the number of bits of a two's complement string in its shortest form, including the sign bit.
func signedBitLen(c []byte) int {
	top := c[0]
	if top >= 0x80 {
		top = ^top
	}
	return (len(c)-1)*8 + bits.Len8(top) + 1
}

// padded returns b right-aligned in n bytes.
func padded(b []byte, n int) []byte {
	if len(b) == n {
		return b
	}
	out := make([]byte, n)
	if len(b) > n {
		b = b[len(b)-n:]
	}
	copy(out[n-len(b):], b)
	return out
}

// maskTo clears the bits of b above width. b must have (width+7)/8 bytes.
func maskTo(b []byte, width int) {
	if r := width % 8; r != 0 && len(b) > 0 {
		b[0] &= 1<<r - 1
	}
}

// ones returns the largest value that has width bits, in (width+7)/8 bytes.
func ones(width int) []byte {
	b := bytes.Repeat([]byte{0xff}, (width+7)/8)
	maskTo(b, width)
	return b
}

// prefixMask returns the mask of the first plen bits of a field of width bits, in (width+7)/8 bytes.
func prefixMask(plen, width int) []byte {
	b := make([]byte, (width+7)/8)
	for bit := width - plen; bit < width; bit++ {
		b[len(b)-1-bit/8] |= 1 << (bit % 8)
	}
	return b
}

// covered reports whether every bit that is set in v is also set in mask. Both must have the same length.
func covered(v, mask []byte) bool {
	for i := range v {
		if v[i]&^mask[i] != 0 {
			return false
		}
	}
	return true
}

func isZero(b []byte) bool {
	for _, x := range b {
		if x != 0 {
			return false
		}
	}
	return true
}

// clip shortens a client's bytes for an error message.
func clip(b []byte) []byte {
	if len(b) > 32 {
		return b[:32]
	}
	return b
}

// A bitWriter appends fields of any width to a byte string, most significant bit first.
type bitWriter struct {
	out  []byte
	bits int
}

// put appends the low width bits of the big-endian value v.
func (w *bitWriter) put(v []byte, width int) {
	for i := width - 1; i >= 0; i-- {
		var bit byte
		if at := len(v) - 1 - i/8; at >= 0 {
			bit = v[at] >> (i % 8) & 1
		}
		if w.bits%8 == 0 {
			w.out = append(w.out, 0)
		}
		w.out[len(w.out)-1] |= bit << (7 - w.bits%8)
		w.bits++
	}
}

// getBits returns width bits of b from the bit at index off on, right-aligned in (width+7)/8 bytes.
func getBits(b []byte, off, width int) []byte {
	out := make([]byte, (width+7)/8)
	for i := range width {
		src := off + i
		bit := b[src/8] >> (7 - src%8) & 1
		dst := width - 1 - i
		out[len(out)-1-dst/8] |= bit << (dst % 8)
	}
	return out
}
