// Package generate draws the input of the pipeline's comparisons: policies with their inventories, and frames that use them to reach every
// rule.
//
// It draws from a Source, so that one generator serves property tests, which shrink failures (Rapid), go's fuzzer, which mutates input with
// new coverage (Bytes), and a million frames in a row (a *rand.Rand of math/rand/v2). It does not know the expected handling of a frame;
// package reference does.
package generate

import "pgregory.net/rapid"

// A Source supplies random numbers. Everywhere 0 is the plainest choice, so that an exhausted source soon ends a frame.
type Source interface {
	// IntN returns a number from 0 to n-1.
	IntN(n int) int
}

// Rapid draws from a property test.
func Rapid(t *rapid.T) Source { return rapidSource{t} }

type rapidSource struct{ t *rapid.T }

func (s rapidSource) IntN(n int) int {
	return rapid.IntRange(0, n-1).Draw(s.t, "draw")
}

// Bytes draws from the fuzzer's input. Once it is used up, every draw is 0.
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

// pick draws an element of a list, and the zero value from an empty list.
func pick[T any](src Source, of []T) (one T) {
	if len(of) == 0 {
		return one
	}
	return of[src.IntN(len(of))]
}

// chance draws true once in n times. 0 is false.
func chance(src Source, n int) bool { return src.IntN(n) == n-1 }

// fill draws n bytes at the cost of one draw.
func fill(src Source, n int) []byte {
	b := make([]byte, n)
	for i, x := 0, uint32(src.IntN(256)); i < n; i++ {
		b[i] = byte(x >> 16)
		x = x*1664525 + 1013904223
	}
	return b
}
