package e2e

import (
	"net/netip"
	"slices"
	"testing"

	"op25b/internal/pipeline"
)

// TestReadBack reads single entries of subscribers back, of both families: those that the switch has, with their ends, and none for those that it
// lacks.
func TestReadBack(t *testing.T) {
	state := filtering(3, 3, 1)
	onEveryTarget(t, state, func(t *testing.T, d *device) {
		var has, lacks []pipeline.Entry
		for prefix, sub := range map[string]pipeline.Subscriber{
			"192.0.2.0/28": {Class: 1, Until: 77}, "192.0.2.4/32": {Class: 1, Line: 1}, "2001:db8:f::/48": {Class: 1, Until: 1 << 20},
		} {
			e, err := pipeline.SubscriberEntry(netip.MustParsePrefix(prefix), sub)
			if err != nil {
				t.Fatal(err)
			}
			e = e.WithUntil(sub.Until)
			has = append(has, e)
		}
		for _, prefix := range []string{"192.0.2.0/29", "2001:db8:f::1/128"} {
			e, err := pipeline.SubscriberEntry(netip.MustParsePrefix(prefix), pipeline.Subscriber{Class: 1})
			if err != nil {
				t.Fatal(err)
			}
			lacks = append(lacks, e)
		}
		var updates []pipeline.Update
		for i := range has {
			updates = append(updates, pipeline.Update{Kind: pipeline.Insert, Entry: &has[i]})
		}
		if err := d.session.WriteEntries(t.Context(), updates); err != nil {
			t.Fatal(err)
		}
		got, err := d.session.ReadBack(t.Context(), slices.Concat(has, lacks))
		if err != nil || !slices.Equal(got, has) {
			t.Errorf("got %v, %v, want %v", got, err, has)
		}
	})
}
