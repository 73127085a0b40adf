package api

import (
	"context"
	"sync"

	"google.golang.org/protobuf/proto"

	"op25b/internal/intent"
	op25bv1 "op25b/proto/op25b/v1"
)

// shared are switches that many watch and that are watched once: each change is read from the store and made a message one time, however
// many it is told to. While nobody watches, nothing is watched.
type shared struct {
	Switches

	mu     sync.Mutex // guards everything that follows
	source *source    // nil while nobody watches
}

var _ Switches = (*shared)(nil)

// A source is one watch that is told to several.
type source struct {
	end context.CancelFunc

	mu     sync.Mutex // guards everything that follows
	users  int
	newest []*op25bv1.SwitchStatus
	next   chan struct{} // closed when newest is no longer the newest, or over
	over   bool
}

// Watch tells what the one watch tells.
func (s *shared) Watch(ctx context.Context) <-chan []*op25bv1.SwitchStatus {
	src := s.join()
	out := make(chan []*op25bv1.SwitchStatus)
	go func() {
		defer close(out)
		defer s.leave(src)
		for told := false; ; {
			newest, next, over := src.look()
			if over {
				return
			}
			to := out
			if newest == nil || told {
				to = nil
			}
			select {
			case to <- newest:
				told = true
			case <-next:
				told = false
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}

// join returns the source, and begins it for the first.
func (s *shared) join() *source {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.source != nil && s.source.use() {
		return s.source
	}
	ctx, end := context.WithCancel(context.Background())
	src := &source{end: end, users: 1, next: make(chan struct{})}
	s.source = src
	statuses := s.Switches.Watch(ctx)
	go func() {
		for some := range statuses {
			src.tell(some)
		}
		src.close()
	}()
	return src
}

// leave ends the source with the last.
func (s *shared) leave(src *source) {
	s.mu.Lock()
	defer s.mu.Unlock()
	src.mu.Lock()
	defer src.mu.Unlock()
	if src.users--; src.users > 0 {
		return
	}
	src.end()
	if s.source == src {
		s.source = nil
	}
}

// use adds a user. It reports false if the source is over.
func (s *source) use() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return false
	}
	s.users++
	return true
}

func (s *source) look() (newest []*op25bv1.SwitchStatus, next chan struct{}, over bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.newest, s.next, s.over
}

// tell takes new statuses. Those that are as before stay the same message, so that a look at the pointer says so.
func (s *source) tell(some []*op25bv1.SwitchStatus) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := make(map[string]*op25bv1.SwitchStatus, len(s.newest))
	for _, st := range s.newest {
		before[st.Switch] = st
	}
	all := make([]*op25bv1.SwitchStatus, len(some)) // not nil, also if it is empty
	for i, st := range some {
		all[i] = st
		if old := before[st.Switch]; proto.Equal(old, st) {
			all[i] = old
		}
	}
	s.newest = all
	close(s.next)
	s.next = make(chan struct{})
}

func (s *source) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	close(s.next)
}

// joined are the statuses of an inventory, as they were worked out last. All watchers ask for the same ones.
type joined struct {
	mu       sync.Mutex // guards everything that follows
	in       *intent.Intent
	statuses []*op25bv1.SwitchStatus
	all      []*op25bv1.SwitchStatus
}

// of returns the statuses of an inventory. Nobody may change them. Those that are as before are the same messages as before.
func (j *joined) of(in *intent.Intent, statuses []*op25bv1.SwitchStatus) []*op25bv1.SwitchStatus {
	j.mu.Lock()
	defer j.mu.Unlock()
	same := j.in == in && len(j.statuses) == len(statuses) && len(statuses) > 0 && &j.statuses[0] == &statuses[0]
	if same {
		return j.all
	}
	before := make(map[string]*op25bv1.SwitchStatus, len(j.all))
	for _, st := range j.all {
		before[st.Switch] = st
	}
	all := byStore(in, onInventory(in, statuses))
	for i, st := range all {
		if old := before[st.Switch]; proto.Equal(old, st) {
			all[i] = old
		}
	}
	j.in, j.statuses, j.all = in, statuses, all
	return all
}
