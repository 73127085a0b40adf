package generate

import (
	"bytes"
	"context"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"op25b/internal/policy"
)

// TestDocumentsAreValid verifies that every drawn policy is valid, even if the source has few
// random bytes or none.
func TestDocumentsAreValid(t *testing.T) {
	check := func(t interface{ Fatal(...any) }, src Source) {
		p, inv := Documents(src) // Documents panics if it cannot draw a valid policy
		if err := policy.Validate(context.Background(), p, inv); err != nil {
			t.Fatal(err)
		}
		NewWorld(p, inv, SwitchName).Frame(src)
	}
	check(t, Bytes(nil))
	rapid.Check(t, func(t *rapid.T) { check(t, Rapid(t)) })
	for seed := range uint64(300) {
		check(t, rand.New(rand.NewPCG(seed, 0)))
	}
}

// TestSameDrawsSameFrame verifies that a frame depends only on the drawn numbers.
func TestSameDrawsSameFrame(t *testing.T) {
	for seed := range uint64(200) {
		draw := func() (uint16, []byte) {
			r := rand.New(rand.NewPCG(seed, 1))
			p, inv := Documents(r)
			return NewWorld(p, inv, SwitchName).Frame(r)
		}
		portA, a := draw()
		portB, b := draw()
		if portA != portB || !bytes.Equal(a, b) {
			t.Fatalf("seed %d: %d %x and then %d %x", seed, portA, a, portB, b)
		}
	}
}

// FuzzFrame verifies that no input makes the generator panic.
func FuzzFrame(f *testing.F) {
	f.Add([]byte("plain"))
	f.Fuzz(func(_ *testing.T, entropy []byte) {
		src := Bytes(entropy)
		p, inv := Documents(src)
		w := NewWorld(p, inv, SwitchName)
		for range 8 {
			w.Frame(src)
		}
	})
}

// BenchmarkFrame measures how long it takes to draw a frame. Long runs draw a million frames.
func BenchmarkFrame(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	p, inv := Documents(r)
	w := NewWorld(p, inv, SwitchName)
	b.ReportAllocs()
	for b.Loop() {
		w.Frame(r)
	}
}
