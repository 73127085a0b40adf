package meaning

import (
	"slices"
	"testing"
	"time"

	"op25b/internal/compile/compiletest"
	"op25b/internal/policy"
	"op25b/internal/policy/policytest"
)

// BenchmarkMeaning measures the comparison of two states of one switch in a fleet with a large policy.
func BenchmarkMeaning(b *testing.B) {
	bundle := policytest.Fleet(b)
	now := time.Date(2006, 10, 1, 0, 0, 0, 0, time.UTC)
	b.Run("Same", func(b *testing.B) {
		old, err := compiletest.Compile(bundle, nil, "edge-500", policy.Everywhere("all"), now)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			if len(of(old, old)) > 0 {
				b.Fatal("nothing changed")
			}
		}
	})
	b.Run("Prefix", func(b *testing.B) {
		old, err := compiletest.Compile(bundle, nil, "edge-500", policy.Everywhere("all"), now)
		if err != nil {
			b.Fatal(err)
		}
		p := *bundle.Policy
		p.Remotes = slices.Clone(p.Remotes)
		p.Remotes[1].Prefixes = p.Remotes[1].Prefixes[1:]
		next, err := compiletest.Compile(&policy.Bundle{Policy: &p, Inventory: bundle.Inventory}, nil, "edge-500", policy.Everywhere("all"), now)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			if len(of(old, next)) == 0 {
				b.Fatal("a prefix is gone")
			}
		}
	})
}
