package constraint

import (
	"encoding/binary"
	"fmt"
	"math/big"
	"math/bits"
)

// maxWidth is the width of the widest key or parameter that can be restricted.
const maxWidth = 128

// A u128 is an unsigned number of up to 128 bits.
type u128 struct{ hi, lo uint64 }

func (a u128) less(b u128) bool { return a.hi < b.hi || a.hi == b.hi && a.lo < b.lo }

func (a u128) and(b u128) u128 { return u128{a.hi & b.hi, a.lo & b.lo} }

func (a u128) bitLen() int {
	if a.hi != 0 {
		return 64 + bits.Len64(a.hi)
	}
	return bits.Len64(a.lo)
}

func (a u128) String() string {
	if a.hi == 0 {
		return fmt.Sprintf("%#x", a.lo)
	}
	return fmt.Sprintf("%#x%016x", a.hi, a.lo)
}

// ones returns a number with the low width bits set. In Go, a shift by 64 or more gives 0.
func ones(width int) u128 {
	return u128{uint64(1)<<max(width-64, 0) - 1, uint64(1)<<width - 1}
}

// fromBytes decodes a big-endian number. ok is false if the number has more than 128 bits.
func fromBytes(b []byte) (n u128, ok bool) {
	for len(b) > 16 {
		if b[0] != 0 {
			return u128{}, false
		}
		b = b[1:]
	}
	var full [16]byte
	copy(full[16-len(b):], b)
	return u128{binary.BigEndian.Uint64(full[:8]), binary.BigEndian.Uint64(full[8:])}, true
}

// fromBig returns n modulo 2^width.
func fromBig(n *big.Int, width int) u128 {
	mask := new(big.Int).Lsh(big.NewInt(1), uint(width))
	low := new(big.Int).And(n, mask.Sub(mask, big.NewInt(1))) // And uses the two's complement of negative numbers
	v, _ := fromBytes(low.Bytes())
	return v
}

// fromInt returns n modulo 2^width.
func fromInt(n int64, width int) u128 { return u128{uint64(n >> 63), uint64(n)}.and(ones(width)) }
