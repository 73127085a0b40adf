// Package generate draws the input for comparisons of pipelines. It draws policies with inventories, and frames that together reach every
// rule.
//
// All random numbers come from a Source, so the same generator can be used in three ways. Property tests shrink failing cases (Rapid).
// Go's fuzzer mutates its input to reach new code (Bytes). Long runs draw many frames (a *rand.Rand of math/rand/v2). How a frame must be
// handled is predicted by package reference.
package generate

import "pgregory.net/rapid"

// A Source supplies random numbers. The number 0 always selects the simplest alternative, so that a frame soon ends when its source is
// exhausted.
type Source interface {
	// IntN returns a number from 0 to n-1.
	IntN(n int) int
}

// Rapid returns a Source that draws from a property test of rapid.
func Rapid(t *rapid.T) Source { return rapidSource{t} }

type rapidSource struct{ t *rapid.T }

func (s rapidSource) IntN(n int) int {
	return rapid.IntRange(0, n-1).Draw(s.t, "draw")
}

// Bytes returns a Source that draws from the fuzzer's input. After the end of the input, every draw is 0.
func Bytes(entropy []byte) Source { return &byteSource{entropy} }

type byteSource struct{ rest []byte }

func (s *byteSource) IntN(n int) int {
	v := 0
	for reach := 1; reach < n && len(s.rest) > 0; reach <<= 8 {
		v = v<<8 | int(s.rest[0])
		s.rest = s.rest[1:]
	}
	return v % n
}

// pick draws an element of a list. For an empty list, it returns the zero value.
func pick[T any](src Source, of []T) (one T) {
	if len(of) == 0 {
		return one
	}
	return of[src.IntN(len(of))]
}

// chance draws true once in n times. If the source draws 0, the result is false.
func chance(src Source, n int) bool { return src.IntN(n) == n-1 }

// fill draws n bytes with a single draw.
func fill(src Source, n int) []byte {
	b := make([]byte, n)
	for i, x := 0, uint32(src.IntN(256)); i < n; i++ {
		b[i] = byte(x >> 16)
		x = x*1664525 + 1013904223
	}
	return b
}
