package reconcile

import (
	"net/netip"
	"testing"

	"op25b/internal/pipeline"
)

// BenchmarkPlan measures a plan that adds 100,000 exemptions, and a plan that finds nothing to do. For comparison, "floor" only looks up each
// entry by its key.
func BenchmarkPlan(b *testing.B) {
	want := relays("192.0.2.0/24")
	shared := &pipeline.Shared{State: pipeline.State{Subscribers: map[netip.Prefix]pipeline.Subscriber{}}}
	want.Shared = shared
	for i := range 100_000 {
		shared.State.Subscribers[netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 32)] = pipeline.Subscriber{Class: 1}
	}
	empty := fresh()
	reached := fresh()
	all, err := want.Entries()
	if err != nil {
		b.Fatal(err)
	}
	rules, err := pipeline.RuleEntries(want.Verdicts, 1)
	if err != nil {
		b.Fatal(err)
	}
	for _, e := range append(append(all, rules...), pipeline.EpochEntry(1, false)) {
		reached[e.Key] = e
	}
	for _, bench := range []struct {
		name string
		have []pipeline.Entry
		want int
	}{{"add", empty.entries(), len(all) + 1}, {"nothing", reached.entries(), 0}} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				plan, err := Make(bench.have, want, nil, Options{})
				if err != nil || plan.Updates() != bench.want {
					b.Fatal(plan.Updates(), bench.want, err)
				}
			}
		})
	}
	b.Run("floor", func(b *testing.B) {
		for b.Loop() {
			found := 0
			for _, e := range all {
				if _, ok := reached[e.Key]; ok {
					found++
				}
			}
		}
	})
}
