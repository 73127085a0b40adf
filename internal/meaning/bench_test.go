package meaning

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"op25b/internal/compile/compiletest"
	"op25b/internal/policy"
	"op25b/internal/policy/policytest"
)

// BenchmarkMeaning compares the states of one switch of a fleet with a large policy before and after a change.
func BenchmarkMeaning(b *testing.B) {
	bundle, err := policy.Load(policytest.Full())
	if err != nil {
		b.Fatal(err)
	}
	big := bundle.Inventory.Switches[0]
	bundle.Policy.Exemptions = bundle.Policy.Exemptions[:64]
	bundle.Inventory.Switches = nil
	for i := range 1000 {
		sw := big
		sw.Name, sw.DeviceID, sw.Lines = fmt.Sprint("edge-", i), policy.DeviceID(i+1), big.Lines[8*i:8*i+8]
		bundle.Inventory.Switches = append(bundle.Inventory.Switches, sw)
	}
	now := time.Date(2006, 10, 1, 0, 0, 0, 0, time.UTC)
	b.Run("Same", func(b *testing.B) {
		old, err := compiletest.Compile(bundle, nil, "edge-500", policy.Everywhere("all"), now)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			if len(Of(old, old)) > 0 {
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
			if len(Of(old, next)) == 0 {
				b.Fatal("a prefix is gone")
			}
		}
	})
}
