package engine

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
)

// A Worker runs packets through the program, one at a time. Use one Worker per goroutine; the Workers of an engine run concurrently.
type Worker struct {
	e  *Engine
	mu sync.Mutex // held while a packet is processed; the control side locks it to stop the worker

	// mu guards the fields below, except stats, whose counters are atomic.

	rng     *rand.Rand
	scratch []uint64 // words for wide arithmetic
	key     []uint64 // key of the current lookup
	buf     []byte   // input of the current calculation
	out     []byte   // output of the deparser
	now     int64    // time of the engine's clock, read once for each packet
	passes  int
	free    []*packet
	egress  fifo
	ingress fifo
	emit    func(port uint32, frame []byte)
	prog    *program  // the engine's program, or the program for traced packets
	trace   *trace    // nil except during Trace
	looked  *[]Lookup // nil except during Watch
	stats   Stats
}

// NewWorker returns a new worker. Close must be called to release it.
func (e *Engine) NewWorker() *Worker {
	e.gate.mu.Lock()
	defer e.gate.mu.Unlock()
	pr := e.prog
	w := &Worker{
		e: e, prog: pr, scratch: make([]uint64, pr.scratch), key: make([]uint64, max(1, pr.keyMax)),
		buf: make([]byte, pr.bufMax+MaxFrame+8), out: make([]byte, pr.head+MaxFrame+8),
	}
	w.rng = rand.New(rand.NewPCG(e.o.Seed, uint64(e.gate.numbers)))
	e.gate.numbers++
	e.gate.workers = append(e.gate.workers, w)
	return w
}

// Close removes the worker from the engine. The worker must not be used afterwards.
func (w *Worker) Close() {
	g := &w.e.gate
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, x := range g.workers {
		if x == w {
			g.workers = append(g.workers[:i:i], g.workers[i+1:]...)
			to := g.gone.fields()
			for j, from := range w.stats.fields() {
				*to[j] += atomic.LoadUint64(from)
			}
			return
		}
	}
}

// count adds one to a counter of the worker's Stats.
func (w *Worker) count(c *uint64) { atomic.AddUint64(c, 1) }

// Process runs a received frame, without FCS, through the program and calls emit for every output frame. A frame that is empty or longer
// than MaxFrame bytes is counted and dropped.
//
// Process does not modify frame and does not keep a reference to it. The frame passed to emit is valid only during emit. emit is called
// under the worker's lock, so it must not call the control side.
func (w *Worker) Process(port uint32, frame []byte, emit func(port uint32, frame []byte)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.process(port, frame, emit)
}
