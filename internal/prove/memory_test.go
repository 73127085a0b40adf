package prove

import (
	"runtime"
	"runtime/metrics"
	"testing"
	"time"
)

// maxProofMemory bounds the heap that the proof of the largest switch takes beside the documents and the compiled state, which exist without it. It
// contains what the garbage collector has not freed yet.
const maxProofMemory = 400 << 20

// TestI12ProofIsBounded verifies that the proof of a switch with 80,000 exempt prefixes on 8,000 lines takes a bounded part of the heap, and that a prover
// keeps none of it.
func TestI12ProofIsBounded(t *testing.T) {
	ch := change(t, large(t, 8000, true), "all")
	p := prover(t, nil)
	before := heapNow()
	stop, peak := make(chan struct{}), make(chan uint64)
	go func() {
		most := uint64(0)
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				most = max(most, heap())
			case <-stop:
				peak <- most
				return
			}
		}
	}()
	r, err := p.Prove(t.Context(), ch)
	close(stop)
	most := <-peak
	if err != nil || r.Err() != nil {
		t.Fatal(err, r.Err())
	}
	after := heapNow()
	t.Logf("%d packets; heap before %d MB, at most %d MB more, and %d kB more after", r.Packets, before>>20, (most-before)>>20, (int64(after)-int64(before))>>10)
	if most > before+maxProofMemory {
		t.Errorf("the proof took %d MB of heap, at most %d MB are allowed", (most-before)>>20, maxProofMemory>>20)
	}
	const kept = 8 << 20 // a twin without entries, and the result
	if after > before+kept {
		t.Errorf("the prover keeps %d MB, at most %d MB are allowed", (after-before)>>20, kept>>20)
	}
	runtime.KeepAlive(ch)
	runtime.KeepAlive(p)
}

// heap returns the bytes of the heap's objects, including those that the garbage collector has not freed yet.
func heap() uint64 {
	s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// heapNow returns the bytes of the heap's live objects.
func heapNow() uint64 {
	runtime.GC()
	runtime.GC()
	return heap()
}
