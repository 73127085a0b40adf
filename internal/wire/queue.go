package wire

import (
	"context"
	"sync"
)

// A Queue holds frames between the goroutine that sends them and the goroutine that serves them. Like a network card's ring, it is bounded,
// keeps the order of the frames, and drops frames when it is full. A value of type T accompanies each frame, for example the frame's port.
//
// The buffers grow to the size of the largest frame that they have held and are reused, so that nothing is allocated in the steady state.
type Queue[T any] struct {
	wake chan struct{} // contains a token when Serve must look at the queue
	done chan struct{} // closed by Close

	mu     sync.Mutex // guards everything below
	slots  []slot[T]
	head   int // index of the oldest slot in use
	used   int
	ended  bool // true after Finish or Close: no more frames are accepted
	closed bool // true after Close: no more frames are delivered
}

type slot[T any] struct {
	beside T
	frame  []byte
}

// NewQueue returns a Queue for at most length frames. It panics if length is not positive.
func NewQueue[T any](length int) *Queue[T] {
	if length <= 0 {
		panic("wire: a queue needs room for at least one frame")
	}
	return &Queue[T]{wake: make(chan struct{}, 1), done: make(chan struct{}), slots: make([]slot[T], length)}
}

// Push appends a copy of frame. If the queue is full, finished or closed, Push drops the frame and returns false.
func (q *Queue[T]) Push(beside T, frame []byte) bool {
	q.mu.Lock()
	if q.ended || q.used == len(q.slots) {
		q.mu.Unlock()
		return false
	}
	s := &q.slots[(q.head+q.used)%len(q.slots)]
	s.beside = beside
	s.frame = append(s.frame[:0], frame...)
	q.used++
	q.mu.Unlock()
	q.signal()
	return true
}

// Serve passes every frame to recv, oldest first. It returns nil when ctx ends, when Close is called, or when it has delivered all frames
// that were pushed before Finish. If recv returns an error, Serve returns that error. The frame is valid only during the call of recv. Only
// one goroutine may call Serve.
func (q *Queue[T]) Serve(ctx context.Context, recv func(beside T, frame []byte) error) error {
	var taken slot[T]
	for {
		for q.take(&taken) {
			if ctx.Err() != nil {
				return nil
			}
			if err := recv(taken.beside, taken.frame); err != nil {
				return err
			}
		}
		if q.drained() {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-q.done:
			return nil
		case <-q.wake:
		}
	}
}

// drained reports whether the queue is empty and accepts no more frames.
func (q *Queue[T]) drained() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.ended && q.used == 0
}

// take swaps the buffer of the oldest slot with the buffer of s, so that Push never waits for recv.
func (q *Queue[T]) take(s *slot[T]) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.used == 0 || q.closed {
		return false
	}
	q.slots[q.head], *s = *s, q.slots[q.head]
	q.head = (q.head + 1) % len(q.slots)
	q.used--
	return true
}

// Len returns the number of waiting frames.
func (q *Queue[T]) Len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.used
}

// Finish makes Serve return after it has delivered the queued frames. Finish may be called more than once.
func (q *Queue[T]) Finish() {
	q.mu.Lock()
	q.ended = true
	q.mu.Unlock()
	q.signal()
}

// Close discards waiting frames and makes Serve return. Close may be called more than once.
func (q *Queue[T]) Close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return
	}
	q.ended, q.closed = true, true
	q.used = 0
	q.slots = nil
	close(q.done)
}

func (q *Queue[T]) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}
