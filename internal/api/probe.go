package api

import (
	"context"
	"sync"
)

// maxProbes is how many requests that want no credentials are served at once: pages and the health check.
const maxProbes = 256

// A joint question is put once for all who ask it at the same time: strangers who probe without end cost the store one request at a time.
type joint[T any] struct {
	ask func(ctx context.Context) T

	mu  sync.Mutex // guards what follows
	now *answer[T] // under way, or nil
}

// An answer is what all who wait for it get.
type answer[T any] struct {
	done    chan struct{}
	value   T
	fault   any // of a panic, which is each caller's to recover
	waiting int
	cancel  context.CancelFunc // ends the question when nobody waits any more
}

// answer returns the answer, or the zero value and the cause once ctx has ended.
func (j *joint[T]) answer(ctx context.Context) (value T, err error) {
	j.mu.Lock()
	a := j.now
	if a == nil {
		own, cancel := context.WithCancel(context.WithoutCancel(ctx))
		a = &answer[T]{done: make(chan struct{}), cancel: cancel}
		j.now = a
		go func() {
			defer cancel()
			defer close(a.done)
			defer j.over(a)
			defer func() { a.fault = recover() }()
			a.value = j.ask(own)
		}()
	}
	a.waiting++
	j.mu.Unlock()
	select {
	case <-a.done:
		if a.fault != nil {
			panic(a.fault)
		}
		return a.value, nil
	case <-ctx.Done():
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if a.waiting--; a.waiting == 0 {
		a.cancel()
		if j.now == a {
			j.now = nil
		}
	}
	return value, context.Cause(ctx)
}

// over lets the next who asks begin anew.
func (j *joint[T]) over(a *answer[T]) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.now == a {
		j.now = nil
	}
}
