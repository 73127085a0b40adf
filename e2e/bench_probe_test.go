package e2e

import (
	"net/netip"
	"testing"
	"time"

	"op25b/internal/p4rt"
)

// BenchmarkProbes asks each target about 400 packets, and reports the time beside that of as many packets that the switch only returns.
func BenchmarkProbes(b *testing.B) {
	const packets = 400
	for _, target := range []string{"embedded", "bmv2"} {
		b.Run(target, func(b *testing.B) {
			var d *device
			if state := filtering(1, 1, 1); target == "embedded" {
				d = attachEmbedded(b, state)
			} else {
				path, reason := findBMv2()
				if reason != "" {
					b.Skip(reason)
				}
				d = attachBMv2(b, path, state)
			}
			probes := make([]p4rt.FrameProbe, packets)
			frame := segment(b, netip.MustParseAddr("192.0.2.11"), netip.MustParseAddr("203.0.113.129"), 25)
			for i := range probes {
				probes[i] = p4rt.FrameProbe{Port: accessPort, Frame: frame}
			}
			floor, asked := time.Duration(0), time.Duration(0)
			for b.Loop() {
				began := time.Now()
				for range packets {
					if _, err := d.session.Clock(b.Context()); err != nil {
						b.Fatal(err)
					}
				}
				floor += time.Since(began)
				began = time.Now()
				if _, err := d.session.ProbeFrames(b.Context(), probes); err != nil {
					b.Fatal(err)
				}
				asked += time.Since(began)
			}
			b.ReportMetric(float64(asked.Milliseconds())/float64(b.N), "ms/round")
			b.ReportMetric(float64(floor.Milliseconds())/float64(b.N), "ms/floor")
		})
	}
}
