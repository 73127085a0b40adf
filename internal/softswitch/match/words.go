package match

import (
	"fmt"
	"math/bits"
	"strings"
)

// prefixMask sets dst to the mask of the first n bits of a field of width bits.
func prefixMask(dst []uint64, width, n int) {
	pad := len(dst)*64 - width // unused bits at the top of the first word
	for i := range dst {
		from, to := max(pad-64*i, 0), min(pad+n-64*i, 64) // range of the prefix's bits in this word, counted from the top bit
		dst[i] = 0
		if from < to {
			dst[i] = ^uint64(0) >> from & (^uint64(0) << (64 - to))
		}
	}
}

// outside reports whether value has a bit that is not set in mask.
func outside(value, mask []uint64) bool {
	for i := range value {
		if value[i]&^mask[i] != 0 {
			return true
		}
	}
	return false
}

// ones returns the number of bits that are set in w.
func ones(w []uint64) int {
	n := 0
	for _, x := range w {
		n += bits.OnesCount64(x)
	}
	return n
}

// checkWords returns an error if w does not have the right number of words for a field of width
// bits, or has bits above the width.
func checkWords(what string, w []uint64, width int) error {
	if len(w) != Words(width) {
		return fmt.Errorf("%w: %s has %d words, must be %d for %d bits", ErrKey, what, len(w), Words(width), width)
	}
	if r := width % 64; r != 0 && w[0]>>r != 0 {
		return fmt.Errorf("%w: %s %s does not fit %d bits", ErrKey, what, hex(w), width)
	}
	return nil
}

// hex formats words as one hexadecimal number.
func hex(w []uint64) string {
	var b strings.Builder
	for _, x := range w {
		if b.Len() > 0 {
			fmt.Fprintf(&b, "%016x", x)
		} else if x != 0 {
			fmt.Fprintf(&b, "%x", x)
		}
	}
	if b.Len() == 0 {
		return "0x0"
	}
	return "0x" + b.String()
}
