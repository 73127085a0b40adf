package e2e

import (
	"net/netip"
	"testing"
	"time"

	"op25b/internal/softswitch/engine"
)

// The paths of the benchmarks. An exempt subscriber and a relay are taken from deep in their tables.
func paths(tb testing.TB) map[string][][]byte {
	ordinary, exempt := netip.MustParseAddr("192.0.2.11"), v4(10<<24|54_321)
	relay, other := v4(172<<24|16<<16|7_654<<4|9), netip.MustParseAddr("203.0.113.129")
	drop := segment(tb, ordinary, other, 25)
	permit := segment(tb, exempt, other, 25)
	return map[string][][]byte{
		"drop":   {drop},
		"permit": {permit},
		// Mostly traffic that is not mail, as on a real line.
		"mix": {
			segment(tb, ordinary, other, 443), segment(tb, exempt, other, 443), drop, segment(tb, ordinary, other, 443),
			permit, segment(tb, ordinary, relay, 25), segment(tb, ordinary, other, 587), segment(tb, ordinary, other, 443),
		},
	}
}

var sink [engine.MaxFrame]byte

// BenchmarkPacket is one packet through op25b.p4 on one core, of 60 bytes. Beside it stands the bare copy of the frame, in the same run.
func BenchmarkPacket(b *testing.B) {
	e := loaded(b, filtering(66_000, 34_000, 10_000)) // 100,000 subscriber entries, 10,000 remote prefixes
	for name, frames := range paths(b) {
		b.Run(name, func(b *testing.B) {
			worker := e.NewWorker()
			emit := func(uint32, []byte) {}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				worker.Process(accessPort, frames[i], emit)
				if i++; i == len(frames) {
					i = 0
				}
			}
			perPacket := float64(b.Elapsed()) / float64(b.N)

			began := time.Now()
			for range b.N {
				copy(sink[:], frames[i])
				if i++; i == len(frames) {
					i = 0
				}
			}
			perCopy := float64(time.Since(began)) / float64(b.N)
			b.ReportMetric(float64(time.Second)/perPacket, "packets/s")
			b.ReportMetric(perCopy, "ns/copy")
			b.ReportMetric(perPacket/perCopy, "x-copy")
		})
	}
}

func TestPacketPathAllocatesNothing(t *testing.T) {
	e := loaded(t, filtering(100, 100, 100))
	for name, frames := range paths(t) {
		worker := e.NewWorker()
		emit := func(uint32, []byte) {}
		if n := testing.AllocsPerRun(1000, func() {
			for _, f := range frames {
				worker.Process(accessPort, f, emit)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations a run, want none", name, n)
		}
	}
}
