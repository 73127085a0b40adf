package policy_test

import (
	"testing"

	"op25b/internal/policy"
	"op25b/internal/policy/policytest"
)

// BenchmarkFull measures how long it takes to read and validate the documents of the largest
// switch.
func BenchmarkFull(b *testing.B) {
	files := policytest.Full()
	bundle, err := policy.Load(files)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("Load", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := policy.Load(files); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Validate", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := policy.Validate(b.Context(), bundle.Policy, bundle.Inventory); err != nil {
				b.Fatal(err)
			}
		}
	})
}
