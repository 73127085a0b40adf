package e2e

import (
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"op25b/internal/native"
	"op25b/internal/pipeline"
	"op25b/internal/softswitch/engine"
)

// paths returns the frames of each benchmarked path. Each path has 8,192 subscribers and as many servers, so that not all table entries stay in
// the processor's caches. Every run sends the same frames, because the seed is fixed.
func paths(tb testing.TB) map[string][][]byte {
	r := rand.New(rand.NewPCG(25, 587))
	all := map[string][][]byte{}
	for range manyFrames {
		ordinary, exempt := v4(192<<24|168<<16|r.IntN(1<<16)), v4(10<<24|r.IntN(66_000))
		relay, other := v4(172<<24|16<<16|r.IntN(10_000)<<4|r.IntN(16)), v4(203<<24|r.IntN(1<<24))
		all["drop"] = append(all["drop"], segment(tb, ordinary, other, 25))
		all["permit"] = append(all["permit"], segment(tb, exempt, other, 25))
		// As on a real line, most traffic is not mail.
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

const (
	manyFrames = 8192

	rejectPort  = 2 // the port on which connections to port 25 are rejected
	rejectGroup = 2
	rejectRule  = 6
)

// everyForm returns the state of filtering, with a line for each tag, session and port of the forms, and with a line whose mail is rejected.
func everyForm(subscribersV4, subscribersV6, remotes int) *pipeline.State {
	s := filtering(subscribersV4, subscribersV6, remotes)
	for i, key := range []pipeline.LineKey{
		{Port: accessPort, OuterVID: benchInnerVID},
		{Port: accessPort, OuterVID: benchOuterVID, InnerVID: benchInnerVID},
		{Port: accessPort, Session: benchSession},
		{Port: accessPort, OuterVID: benchOuterVID, InnerVID: benchInnerVID, Session: benchSession},
	} {
		s.Lines[key] = pipeline.Line{Group: 1, Index: pipeline.LineIndex(2 + i)}
	}
	s.Lines[pipeline.LineKey{Port: rejectPort}] = pipeline.Line{Group: rejectGroup, Index: 6}
	answered := pipeline.VerdictKey{
		Group: pipeline.Exactly[pipeline.LineGroup](rejectGroup), Service: pipeline.Exactly[pipeline.Service](smtp), Priority: 5,
	}
	s.Verdicts[answered] = pipeline.Verdict{Action: pipeline.Reject, Rule: rejectRule}
	s.RejectFrom = pipeline.RejectFrom{IPv4: v4(192<<24 | 2<<8 | 1), IPv6: benchV6(0x20010db8, 0xffffffff)}
	return s
}

// A hurriedClock advances by 0.4 s at each reading, and each packet reads it once. No more than three packets fall into one second, so the
// limit of three rejects per second suppresses none. Each flow is reported again whenever it recurs.
type hurriedClock struct{ asked atomic.Int64 }

func (c *hurriedClock) now() time.Time {
	return time.Unix(0, 0).Add(time.Duration(c.asked.Add(1)) * 400 * time.Millisecond)
}

func (a *benchForm) port() uint32 {
	if a.rejecting {
		return rejectPort
	}
	return accessPort
}

var sink [engine.MaxFrame]byte

// BenchmarkPacket measures the processing of a 60-byte packet by op25b.p4 on one core, for each path and each encapsulation. The floor is a
// copy of the frame, measured in the same run.
func BenchmarkPacket(b *testing.B) {
	const exempt4, exempt6, remotes = 66_000, 34_000, 10_000 // 100,000 subscriber entries, 10,000 remote prefixes
	e := loaded(b, everyForm(exempt4, exempt6, remotes))
	var clock hurriedClock
	answering := loadedWith(b, everyForm(exempt4, exempt6, remotes), engine.Options{Clock: clock.now, Native: []*engine.Native{native.Native}})
	for name, frames := range paths(b) {
		b.Run(name, func(b *testing.B) { benchmark(b, e, accessPort, frames) })
	}
	for _, form := range benchForms() {
		on := e
		if form.rejecting {
			on = answering
		}
		frames := form.frames(manyFrames, exempt4, exempt6)
		b.Run(form.name, func(b *testing.B) { benchmark(b, on, form.port(), frames) })
	}
}

// benchmark measures how long one core takes to process the frames, and to copy them.
func benchmark(b *testing.B, e *engine.Engine, port uint32, frames [][]byte) {
	b.Helper()
	worker := e.NewWorker()
	defer worker.Close()
	emit := func(uint32, []byte) {}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		worker.Process(port, frames[i], emit)
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
}

// TestPacketPathAllocatesNothing verifies that no packet of any form and no digest allocates memory while the control plane reads digests and
// returns their buffers.
func TestPacketPathAllocatesNothing(t *testing.T) {
	const exempt, frames = 100, 512
	var clock hurriedClock
	e := loadedWith(t, everyForm(exempt, exempt, 100), engine.Options{Clock: clock.now})
	var wait sync.WaitGroup
	stop := make(chan struct{})
	defer wait.Wait()
	defer close(stop)
	wait.Go(func() {
		for {
			select {
			case d := <-e.Digests():
				d.Release()
			case <-stop:
				return
			}
		}
	})

	const anyPort = 1 << 16
	worker := e.NewWorker()
	left := uint32(0)
	emit := func(port uint32, _ []byte) { left = port }
	none := func(name string, port uint32, of [][]byte, want uint32) {
		if n := testing.AllocsPerRun(10, func() {
			for _, f := range of {
				left = 0
				worker.Process(port, f, emit)
				if left != want && want != anyPort {
					t.Fatalf("%s: a frame left port %d, want %d (0 is none)", name, left, want)
				}
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations a run, want none", name, n)
		}
	}
	all := paths(t)
	none("drop", accessPort, all["drop"], 0)
	none("permit", accessPort, all["permit"], anyPort) // frames may leave on any port or be dropped, because not all subscribers are exempt in this state
	none("mix", accessPort, all["mix"], anyPort)
	for _, form := range benchForms() {
		want := uint32(networkPort)
		if form.rejecting {
			want = rejectPort
		}
		none(form.name, form.port(), form.frames(frames, exempt, exempt), want)
	}
	if s := e.Stats(); s.ParserErrors != 0 || s.Digests == 0 {
		t.Errorf("%d parser errors, want none, and %d digests, want some: the frames are not what they should be", s.ParserErrors, s.Digests)
	}
}
