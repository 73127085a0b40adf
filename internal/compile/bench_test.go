package compile

import (
	"testing"
	"time"

	"op25b/internal/policy"
	"op25b/internal/policy/policytest"
)

// BenchmarkFull measures the compilation of the largest switch.
func BenchmarkFull(b *testing.B) {
	bundle, err := policy.Load(policytest.Full())
	if err != nil {
		b.Fatal(err)
	}
	now := time.Date(2006, 10, 1, 0, 0, 0, 0, time.UTC)
	b.Run("Compile", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := Compile(bundle, nil, "edge", policy.Everywhere("all"), now); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkFleet measures the cost of one revision for a fleet of 1,000 small switches with one large policy. Alone compiles the policy
// for one switch, Compiler compiles all switches with one Compiler, and Number assigns the numbers.
func BenchmarkFleet(b *testing.B) {
	bundle := policytest.Fleet(b)
	now := time.Date(2006, 10, 1, 0, 0, 0, 0, time.UTC)
	b.Run("Alone", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := Compile(bundle, nil, "edge-500", policy.Everywhere("all"), now); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Compiler", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			compiler, err := NewCompiler(bundle, nil)
			if err != nil {
				b.Fatal(err)
			}
			for i := range bundle.Inventory.Switches {
				if _, err := compiler.Compile(bundle.Inventory.Switches[i].Name, policy.Everywhere("all"), now); err != nil {
					b.Fatal(err)
				}
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/switch")
	})
	b.Run("Number", func(b *testing.B) {
		prev, err := Number(nil, bundle)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			if _, err := Number(prev, bundle); err != nil {
				b.Fatal(err)
			}
		}
	})
}
