package api

import (
	"context"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"op25b/internal/intent"
	op25bv1 "op25b/proto/op25b/v1"
)

// A fan shares one watch among many receivers, so that each value is read from the store and computed only once. While there are no
// receivers, the watch is closed.
type fan[T any] struct {
	watch func(ctx context.Context) <-chan T
	// merge, if not nil, returns the value to send instead of now. before is the previous value.
	merge func(before, now T) T

	mu     sync.Mutex // guards the fields below
	source *source[T] // nil while there are no receivers
}

// A source is an open watch with one or more receivers.
type source[T any] struct {
	end   context.CancelFunc
	merge func(before, now T) T

	mu     sync.Mutex // guards the fields below
	users  int
	newest T
	have   bool          // true after newest has been set
	next   chan struct{} // closed when newest or over changes
	over   bool
}

// Watch sends the values of the shared watch, beginning with the newest. A slow receiver gets only the newest value. The channel is closed
// when ctx ends or the watch ends.
func (f *fan[T]) Watch(ctx context.Context) <-chan T {
	src := f.join()
	out := make(chan T)
	go func() {
		defer close(out)
		defer f.leave(src)
		for {
			newest, have, next, over := src.look()
			if over {
				return
			}
			to := out
			if !have {
				to = nil
			}
			// After newest has been sent, the loop waits for the channel next that look returned together with newest. A second call of
			// look could return a later value, which would then wrongly count as sent.
			for current := true; current; {
				select {
				case to <- newest:
					to = nil
				case <-next:
					current = false
				case <-ctx.Done():
					return
				}
			}
		}
	}()
	return out
}

// Newest returns the newest value while there are receivers. ok is false if there are none, or if no value has been received yet.
func (f *fan[T]) Newest() (newest T, ok bool) {
	f.mu.Lock()
	src := f.source
	f.mu.Unlock()
	if src == nil {
		return newest, false
	}
	newest, have, _, over := src.look()
	return newest, have && !over
}

// join adds a receiver and returns the source. For the first receiver, join starts the source.
func (f *fan[T]) join() *source[T] {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.source != nil && f.source.use() {
		return f.source
	}
	ctx, end := context.WithCancel(context.Background())
	src := &source[T]{end: end, merge: f.merge, users: 1, next: make(chan struct{})}
	f.source = src
	updates := f.watch(ctx)
	go func() {
		for now := range updates {
			src.tell(now)
		}
		src.close()
	}()
	return src
}

// leave removes a receiver. After the last receiver, leave ends the source.
func (f *fan[T]) leave(src *source[T]) {
	f.mu.Lock()
	defer f.mu.Unlock()
	src.mu.Lock()
	defer src.mu.Unlock()
	if src.users--; src.users > 0 {
		return
	}
	src.end()
	if f.source == src {
		f.source = nil
	}
}

// use adds a receiver. It returns false if the source has ended.
func (s *source[T]) use() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return false
	}
	s.users++
	return true
}

func (s *source[T]) look() (newest T, have bool, next chan struct{}, over bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.newest, s.have, s.next, s.over
}

func (s *source[T]) tell(now T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.merge != nil {
		now = s.merge(s.newest, now)
	}
	s.newest, s.have = now, true
	close(s.next)
	s.next = make(chan struct{})
}

func (s *source[T]) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	close(s.next)
}

// shared wraps a Switches and shares one watch among all receivers.
type shared struct {
	Switches
	fan fan[[]*op25bv1.SwitchStatus]
}

var _ Switches = (*shared)(nil)

func newShared(s Switches) *shared {
	return &shared{s, fan[[]*op25bv1.SwitchStatus]{watch: s.Watch, merge: keepSame}}
}

// Watch sends the values of the shared watch.
func (s *shared) Watch(ctx context.Context) <-chan []*op25bv1.SwitchStatus { return s.fan.Watch(ctx) }

// keepSame returns the statuses of now. For each unchanged status, it returns the message in before, so that receivers can compare
// pointers. The result is never nil.
func keepSame(before, now []*op25bv1.SwitchStatus) []*op25bv1.SwitchStatus {
	was := make(map[string]*op25bv1.SwitchStatus, len(before))
	for _, st := range before {
		was[st.Switch] = st
	}
	all := make([]*op25bv1.SwitchStatus, len(now))
	for i, st := range now {
		all[i] = st
		if old := was[st.Switch]; proto.Equal(old, st) {
			all[i] = old
		}
	}
	return all
}

// joined caches the statuses of an inventory's switches, because all watchers request the same statuses.
type joined struct {
	mu       sync.Mutex // guards the fields below
	in       *intent.Intent
	statuses []*op25bv1.SwitchStatus
	all      []*op25bv1.SwitchStatus
	until    time.Time // the date at which the counts of lines change; zero if there is none
	lines    lineCounts
}

// of returns the statuses of an inventory's switches at a time, which callers must not modify, and the date until which they are valid; it is
// zero if no date changes them. For an unchanged status, it returns the same message as before.
func (j *joined) of(in *intent.Intent, statuses []*op25bv1.SwitchStatus, now time.Time) (all []*op25bv1.SwitchStatus, until time.Time) {
	j.mu.Lock()
	defer j.mu.Unlock()
	same := j.in == in && len(j.statuses) == len(statuses) && len(statuses) > 0 && &j.statuses[0] == &statuses[0]
	if same && (j.until.IsZero() || now.Before(j.until)) {
		return j.all, j.until
	}
	all = onInventory(in, statuses)
	until = j.lines.add(in, all, now)
	all = keepSame(j.all, byStore(in, all))
	j.in, j.statuses, j.all, j.until = in, statuses, all, until
	return all, j.until
}
