package e2e

import (
	"testing"
	"time"

	"op25b/internal/native"
	"op25b/internal/softswitch/engine"
)

// sliceFrames is the number of frames of a slice. A slice takes less than the time for which a busy machine lets a thread run.
const sliceFrames = 256

// BenchmarkGenerated compares the generated code of op25b.p4 with the interpreter of the same program. Slices of the same frames go through both in
// turn, and the figures are those of the fastest slices, so that they depend little on what else the machine does.
func BenchmarkGenerated(b *testing.B) {
	const exempt4, exempt6, remotes = 66_000, 34_000, 10_000 // as in BenchmarkPacket
	state := everyForm(exempt4, exempt6, remotes)
	var clocks [2]hurriedClock
	generated := []*engine.Native{native.Native}
	workers := func(on [2]*engine.Engine) (all [2]*engine.Worker) {
		for i, e := range on {
			all[i] = e.NewWorker()
		}
		return all
	}
	plain := workers([2]*engine.Engine{loadedWith(b, state, engine.Options{Native: generated}), loadedWith(b, state, engine.Options{})})
	answering := workers([2]*engine.Engine{
		loadedWith(b, state, engine.Options{Native: generated, Clock: clocks[0].now}), loadedWith(b, state, engine.Options{Clock: clocks[1].now}),
	})
	for name, frames := range paths(b) {
		b.Run(name, func(b *testing.B) { slicesOf(b, plain, accessPort, frames) })
	}
	for _, form := range benchForms() {
		on := plain
		if form.rejecting {
			on = answering
		}
		frames := form.frames(manyFrames, exempt4, exempt6)
		b.Run(form.name, func(b *testing.B) { slicesOf(b, on, form.port(), frames) })
	}
}

func slicesOf(b *testing.B, workers [2]*engine.Worker, port uint32, frames [][]byte) {
	b.Helper()
	emit := func(uint32, []byte) {}
	var best [2]time.Duration
	at := 0
	for b.Loop() {
		for i, w := range workers {
			began := time.Now()
			for _, f := range frames[at : at+sliceFrames] {
				w.Process(port, f, emit)
			}
			if took := time.Since(began); best[i] == 0 || took < best[i] {
				best[i] = took
			}
		}
		at = (at + sliceFrames) % (len(frames) - sliceFrames)
	}
	b.ReportMetric(0, "ns/op") // of both sides, which means nothing
	b.ReportMetric(float64(best[0].Nanoseconds())/sliceFrames, "ns/generated")
	b.ReportMetric(float64(best[1].Nanoseconds())/sliceFrames, "ns/interpreted")
	b.ReportMetric(float64(best[1])/float64(best[0]), "x-interpreted")
}
