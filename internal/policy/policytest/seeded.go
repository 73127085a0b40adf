package policytest

import (
	"encoding/binary"
	"math/rand/v2"
	"strconv"
	"testing"

	"pgregory.net/rapid"
)

// seededWords is the number of random words for a draw. A property that needs more is skipped for this draw.
const seededWords = 1 << 14

// Seeded checks a property on a number of fixed draws. Unlike those of rapid.Check, they depend neither on chance nor on flags such as -short, so
// that a test can require that together they exercise everything.
func Seeded(t *testing.T, draws int, property func(*rapid.T)) {
	t.Helper()
	for i := range draws {
		t.Run("seed "+strconv.Itoa(i), func(t *testing.T) {
			random := rand.New(rand.NewPCG(uint64(i), 25))
			var input []byte
			for range seededWords {
				input = binary.LittleEndian.AppendUint64(input, random.Uint64())
			}
			rapid.MakeFuzz(property)(t, input)
		})
	}
}
