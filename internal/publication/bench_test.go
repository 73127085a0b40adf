package publication_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"op25b/internal/policy"
	"op25b/internal/policy/policytest"
	"op25b/internal/publication"
)

// BenchmarkPublication measures the publication of 1,000 switches with 8 lines each in 8 line groups: of switches that are all alike, of
// switches that got a phase in 20 rings, and of switches that got it one by one. It reports the size of the publication, and its size after
// gzip, and compares the publication with the floor, which is its encoding.
func BenchmarkPublication(b *testing.B) {
	bundle := policytest.Fleet(b)
	bundle.Policy.LineGroups = nil
	for i := range 8 {
		bundle.Policy.LineGroups = append(bundle.Policy.LineGroups, policy.LineGroup{Name: fmt.Sprintf("group-%d", i)})
	}
	for i := range bundle.Inventory.Switches {
		sw := &bundle.Inventory.Switches[i]
		sw.RejectFrom = []netip.Addr{netip.AddrFrom4([4]byte{172, 16, byte(i >> 8), byte(i)})}
		for j := range sw.Lines {
			sw.Lines[j].Group = bundle.Policy.LineGroups[j].Name
		}
	}
	now := time.Date(2006, 11, 1, 0, 0, 0, 0, time.UTC)
	for _, rings := range []int{1, 20, 1000} {
		acts := make([]policy.Activation, rings)
		for i := range bundle.Inventory.Switches {
			a := &acts[i%rings]
			a.ID, a.Phase, a.At = uint64(i%rings+2), "all", now.Add(time.Duration(i%rings-2000)*time.Hour)
			a.Switches = append(a.Switches, bundle.Inventory.Switches[i].Name)
		}
		source := publication.Source{Bundle: bundle, Activations: acts, Revision: 9, Stored: now}
		d, err := publication.Make(source, now)
		if err != nil {
			b.Fatal(err)
		}
		seen := make(map[string]string)
		for _, sw := range bundle.Inventory.Switches {
			seen[sw.Name] = "all"
		}
		b.Run(fmt.Sprintf("make/rings=%d", rings), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if d, err = publication.Make(source, now); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("publish/rings=%d", rings), func(b *testing.B) {
			b.ReportAllocs()
			m := d.Publish(now, seen)
			encoded, err := proto.Marshal(m)
			if err != nil {
				b.Fatal(err)
			}
			var ours, floor time.Duration
			for b.Loop() {
				began := time.Now()
				d.Publish(now, seen)
				ours += time.Since(began)
				began = time.Now()
				_, _ = proto.Marshal(m)
				floor += time.Since(began)
			}
			b.ReportMetric(float64(ours)/float64(floor), "x-encoding")
			var z bytes.Buffer
			w := gzip.NewWriter(&z)
			_, _ = w.Write(encoded)
			_ = w.Close()
			b.ReportMetric(float64(len(encoded)), "bytes")
			b.ReportMetric(float64(z.Len()), "gzip-bytes")
			b.ReportMetric(float64(len(m.States)), "lines")
		})
	}
}
