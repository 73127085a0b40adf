package generate

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"op25b/internal/policy"
)

// TestDocumentsAreValid: whatever is drawn, and however little there is to draw from, is a policy that can be put in force.
func TestDocumentsAreValid(t *testing.T) {
	check := func(t interface{ Fatal(...any) }, src Source) {
		p, inv := Documents(src) // panics if it cannot
		if err := policy.Validate(p, inv); err != nil {
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

// TestSameDrawsSameFrame: a frame is a function of what was drawn.
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

// FuzzFrame: no bytes make the generator fail.
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

// BenchmarkFrame is the time a drawn frame takes, which bounds what a million of them cost.
func BenchmarkFrame(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	p, inv := Documents(r)
	w := NewWorld(p, inv, SwitchName)
	b.ReportAllocs()
	for b.Loop() {
		w.Frame(r)
	}
}
