package e2e

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"op25b/internal/softswitch/engine"
)

// The paths of the benchmarks, over 8,192 subscribers and as many servers each, so that the tables' entries do not all stay in the
// processor's caches. The seed is fixed: every run sends the same.
func paths(tb testing.TB) map[string][][]byte {
	r := rand.New(rand.NewPCG(25, 587))
	all := map[string][][]byte{}
	for range 8192 {
		ordinary, exempt := v4(192<<24|168<<16|r.IntN(1<<16)), v4(10<<24|r.IntN(66_000))
		relay, other := v4(172<<24|16<<16|r.IntN(10_000)<<4|r.IntN(16)), v4(203<<24|r.IntN(1<<24))
		all["drop"] = append(all["drop"], segment(tb, ordinary, other, 25))
		all["permit"] = append(all["permit"], segment(tb, exempt, other, 25))
		// Mostly traffic that is not mail, as on a real line.
		mix := []struct {
			src, dst netip.Addr
			port     uint16
		}{
			{ordinary, other, 443},
			{exempt, other, 443},
			{ordinary, other, 25},
			{ordinary, relay, 25},
			{ordinary, other, 443},
			{exempt, other, 25},
			{ordinary, other, 587},
			{exempt, relay, 443},
		}[r.IntN(8)]
		all["mix"] = append(all["mix"], segment(tb, mix.src, mix.dst, mix.port))
	}
	return all
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
		if n := testing.AllocsPerRun(10, func() {
			for _, f := range frames {
				worker.Process(accessPort, f, emit)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations a run, want none", name, n)
		}
	}
}
