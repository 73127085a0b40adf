package openconfig

import (
	"context"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// shareWithin is the largest age of a reading from which a sample is sent. Ten readings a second therefore serve any number of subscribers. A
// notification has the timestamp of its reading.
const shareWithin = 100 * time.Millisecond

// A hub holds the latest readings of one Source, which the calls for this Source share. It exists while there are such calls.
type hub struct {
	source   Source
	now      func() time.Time
	families [AllParts + 1]family // by the parts of the State, because readings of other parts have other nodes
	calls    int                  // guarded by Server.mu
}

// A family contains the readings of the same parts.
type family struct {
	mu      sync.Mutex // guards everything below
	builder *builder   // used by the flight in progress
	started int        // the number of flights so far
	flight  *flight    // the latest flight, which may have ended; nil before the first flight
}

// A flight is one call of Snapshot for all calls that wait for its result.
type flight struct {
	number int
	start  time.Time
	done   chan struct{} // closed when the fields below are set
	r      *reading
	err    error
	gone   bool // the context of the caller that ran the flight ended
}

func (f *flight) ended() bool {
	select {
	case <-f.done:
		return true
	default:
		return false
	}
}

// enter returns the hub of a source. The caller must call leave at the end of its call.
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

// read returns a reading that began after the call of read, or at most age before it. Simultaneous callers share a reading. The first caller
// runs it, and the others wait.
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
