package api

import (
	"context"
	"sync"
)

// maxProbes is the limit on concurrent requests without credentials: health checks and requests for pages.
const maxProbes = 256

// A joint calls a function once for all concurrent callers, so that probes by strangers cause only one store request at a
// time.
type joint[T any] struct {
	ask func(ctx context.Context) T

	mu  sync.Mutex // guards the fields below
	now *answer[T] // the answer in progress, or nil
}

// An answer is the result of one call of the function. All callers that wait for it share it.
type answer[T any] struct {
	done    chan struct{}
	value   T
	fault   any // the value of a panic, which is raised again in each caller
	waiting int
	cancel  context.CancelFunc // cancels the call of the function when no caller waits any longer
}

// answer waits for the answer and returns it. If ctx ends first, it returns the cause of ctx.
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

// over removes a finished answer, so that the next caller calls the function again.
func (j *joint[T]) over(a *answer[T]) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.now == a {
		j.now = nil
	}
}
