package openconfig

import (
	"context"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// shareWithin is how old the reading may be that a sample is sent from. So ten readings a second serve any number of subscribers. The time of
// a notification is that of its reading.
const shareWithin = 100 * time.Millisecond

// A hub is what the calls for one Source share: its latest readings. It exists while there are such calls.
type hub struct {
	source   Source
	now      func() time.Time
	families [AllParts + 1]family // by the parts of the State: readings of other parts have other nodes
	calls    int                  // guarded by Server.mu
}

// A family is the readings of the same parts.
type family struct {
	mu      sync.Mutex // guards everything below
	builder *builder   // used by the flight in progress
	started int        // number of flights so far
	flight  *flight    // the last flight, in progress or ended; nil before the first
}

// A flight is one call of Snapshot, for all calls that wait for it.
type flight struct {
	number int
	start  time.Time
	done   chan struct{} // closed when the rest is set
	r      *reading
	err    error
	gone   bool // the caller that carried out the flight went away
}

func (f *flight) ended() bool {
	select {
	case <-f.done:
		return true
	default:
		return false
	}
}

// enter returns the hub of a source. leave must be called at the end of the call.
func (s *Server) enter(source Source) (h *hub, leave func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h = s.hubs[source]
	if h == nil {
		h = &hub{source: source, now: s.opts.Now}
		for i := range h.families {
			h.families[i].builder = newBuilder(s.schema)
		}
		s.hubs[source] = h
	}
	h.calls++
	return h, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if h.calls--; h.calls == 0 {
			delete(s.hubs, source)
		}
	}
}

// read returns a reading that began after the call of read, or at most age before it. Calls that want one at the same time share it. The
// first of them carries it out, and the others wait.
func (h *hub) read(ctx context.Context, parts Parts, age time.Duration) (*reading, error) {
	f := &h.families[parts]
	f.mu.Lock()
	before := f.started
	for {
		last := f.flight
		fits := last != nil && (last.number > before || age > 0 && time.Since(last.start) <= age)
		switch {
		case last == nil || last.ended() && (!fits || last.err != nil):
			f.started++
			own := &flight{number: f.started, start: time.Now(), done: make(chan struct{})}
			f.flight = own
			f.mu.Unlock()
			own.r, own.err = h.carryOut(ctx, f.builder, parts)
			own.gone = own.err != nil && ctx.Err() != nil
			close(own.done)
			return own.r, own.err
		case last.ended():
			f.mu.Unlock()
			return last.r, nil
		}
		f.mu.Unlock()
		select {
		case <-ctx.Done():
			return nil, status.FromContextError(ctx.Err()).Err()
		case <-last.done:
		}
		if fits && !last.gone {
			return last.r, last.err
		}
		f.mu.Lock()
	}
}

func (h *hub) carryOut(ctx context.Context, b *builder, parts Parts) (*reading, error) {
	state, err := h.source.Snapshot(ctx, parts)
	switch {
	case err == nil:
		return b.read(state, h.now()), nil
	case ctx.Err() != nil:
		return nil, status.FromContextError(ctx.Err()).Err()
	default:
		return nil, status.Errorf(codes.Unavailable, "the counters cannot be read: %v", err)
	}
}
