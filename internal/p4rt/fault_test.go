package p4rt

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/grpc/codes"
)

// I3 Fenced. A primary is stopped during a write, for example by SIGSTOP, a closed laptop or a network that holds
// its packets. When it wakes up, another controller owns the switch. It must have written nothing, and its error
// must be ErrNotPrimary.
func TestFaultWokenPrimary(t *testing.T) {
	onRealSwitches(t, func(t *testing.T, on target) {
		direct := on.start(t)
		p, cfg := through(t, direct, sound)
		s := dialed(t, cfg)
		info, program := sessionProgram(t)
		if err := s.Push(t.Context(), info, program, 1); err != nil {
			t.Fatal(err)
		}
		work, cancel := s.PrimaryContext(t.Context())
		defer cancel()
		l := p.link(0)
		l.freeze()
		result := make(chan error, 1)
		go func() { result <- s.Write(t.Context(), updatesOf(p4v1.Update_INSERT, route(1, 2), route(2, 2))) }()
		l.await(100) // the write has been sent

		direct.ElectionID = ElectionID{Low: testElection.Low + 1}
		next := dialed(t, direct)
		if !next.Primary() {
			t.Fatalf("the next owner: %v", next.Status())
		}
		if err := next.Write(t.Context(), updatesOf(p4v1.Update_INSERT, route(9, 2))); err != nil {
			t.Fatal(err)
		}
		l.thaw()
		w := asWriteError(t, <-result)
		if !errors.Is(w, ErrNotPrimary) || errors.Is(w, ErrUnclear) || w.NotSent.Len() != 2 {
			t.Errorf("woken: %v, want nothing applied, ErrNotPrimary", w)
		}
		<-work.Done()
		if !errors.Is(context.Cause(work), ErrNotPrimary) {
			t.Errorf("the work's context: %v", context.Cause(work))
		}
		if got, err := next.Read(t.Context(), &p4v1.Entity{Entity: &p4v1.Entity_TableEntry{TableEntry: &p4v1.TableEntry{TableId: routeTable}}}); err != nil || len(got) != 1 {
			t.Errorf("%d entries, error %v, want the new owner's alone", len(got), err)
		}
	})
}

// If a connection is cut during a write, the outcome of the batch is unclear. The batch is never sent again, neither
// by this session nor by the next session of Keep.
func TestFaultCutUnderWrite(t *testing.T) {
	for name, tt := range map[string]struct {
		cut     func(*link)
		arrived bool // whether the switch received the batch, so that only the answer is lost
		want    error
	}{
		"reset before it arrives": {(*link).reset, false, ErrUnreachable},
		"reset before the answer": {(*link).reset, true, ErrUnreachable},
		"closed by the far side":  {func(l *link) { l.near.CloseWrite() }, true, ErrUnreachable},
	} {
		t.Run(name, func(t *testing.T) {
			var writes atomic.Int32
			under := make(chan struct{}, 8)
			fake := &fakeSwitch{write: func(ctx context.Context, _ *p4v1.WriteRequest) error {
				writes.Add(1)
				under <- struct{}{}
				<-ctx.Done()
				return ctx.Err()
			}}
			p, cfg := through(t, fake.serve(t), sound)
			results := make(chan error, 1)
			again := make(chan struct{})
			ctx, cancel := context.WithCancel(t.Context())
			kept := make(chan error, 1)
			go func() {
				first := true
				kept <- Keep(ctx, KeepConfig{Config: cfg, Backoff: Backoff{Min: time.Millisecond, Max: 2 * time.Millisecond}},
					func(ctx context.Context, s *Session) error {
						if !first {
							close(again)
							<-ctx.Done()
							return nil
						}
						first = false
						if !tt.arrived {
							p.link(0).freeze()
						}
						results <- s.Write(ctx, inserts(3))
						<-ctx.Done()
						return nil
					})
			}()
			l := p.link(0)
			if tt.arrived {
				<-under
			} else {
				l.await(50)
			}
			tt.cut(l)
			w := asWriteError(t, <-results)
			if w.Unclear != (Span{0, 3}) || !errors.Is(w, ErrUnclear) || !errors.Is(w, tt.want) {
				t.Errorf("%v: want all unclear, and %v", w, tt.want)
			}
			<-again
			cancel()
			if err := <-kept; !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			sent := int32(0)
			if tt.arrived {
				sent = 1
			}
			if writes.Load() != sent {
				t.Errorf("%d write requests arrived, want %d", writes.Load(), sent)
			}
		})
	}
}

// If a connection is cut while no request is in progress, the session ends at once with ErrStreamLost.
func TestFaultCutWhileIdle(t *testing.T) {
	for name, cut := range map[string]func(*link){
		"reset":               (*link).reset,
		"half closed by them": func(l *link) { l.near.CloseWrite() },
	} {
		t.Run(name, func(t *testing.T) {
			p, cfg := through(t, startEmbedded(t), sound)
			s := dialed(t, cfg)
			work, cancel := s.PrimaryContext(t.Context())
			defer cancel()
			cut(p.link(0))
			<-s.Done()
			<-work.Done()
			for what, err := range map[string]error{"Err": s.Err(), "cause": context.Cause(work), "write": s.Write(t.Context(), inserts(1))} {
				if !errors.Is(err, ErrStreamLost) {
					t.Errorf("%s: %v, want ErrStreamLost", what, err)
				}
			}
			if st := s.Status(); st.State != Disconnected || st.Reason != ReasonStreamLost {
				t.Errorf("status %v", st)
			}
		})
	}
}

// If the network drops everything that is sent, each request ends with a timeout error. No request hangs.
func TestFaultSilence(t *testing.T) {
	p, cfg := through(t, startEmbedded(t), sound)
	cfg.CallTimeout, cfg.PushTimeout, cfg.ProbeTimeout = 50*time.Millisecond, 50*time.Millisecond, 50*time.Millisecond
	s := dialed(t, cfg)
	p.link(0).freeze()
	if w := asWriteError(t, s.Write(t.Context(), inserts(1))); !errors.Is(w, ErrUnclear) || !errors.Is(w, ErrUnreachable) {
		t.Errorf("write: %v", w)
	}
	info, program := sessionProgram(t)
	_, read := s.Read(t.Context(), entry(1, 0))
	_, _, cookie := s.PipelineCookie(t.Context())
	for what, err := range map[string]error{
		"push": s.Push(t.Context(), info, program, 1), "read": read, "cookie": cookie, "probe": s.Probe(t.Context()),
	} {
		if !errors.Is(err, ErrUnreachable) {
			t.Errorf("%s: %v, want ErrUnreachable", what, err)
		}
	}
	if !s.Primary() {
		t.Error("a timeout alone says nothing of primacy: Keep's probes do")
	}
}

// If the network transmits byte by byte, requests are slow but succeed.
func TestFaultSlow(t *testing.T) {
	_, cfg := through(t, startEmbedded(t), drip)
	s := dialed(t, cfg)
	info, program := sessionProgram(t)
	if err := s.Push(t.Context(), info, program, 1); err != nil {
		t.Fatal(err)
	}
	var entities []*p4v1.Entity
	for i := range 100 {
		entities = append(entities, route(uint64(i+1), 2))
	}
	if err := s.Write(t.Context(), updatesOf(p4v1.Update_INSERT, entities...)); err != nil {
		t.Error(err)
	}
	if w := asWriteError(t, s.Write(t.Context(), updatesOf(p4v1.Update_INSERT, entities...))); len(w.Failed) != 100 || !w.Only(codes.AlreadyExists) {
		t.Errorf("again: %v", w)
	}
	if got, err := s.Read(t.Context(), &p4v1.Entity{Entity: &p4v1.Entity_TableEntry{TableEntry: &p4v1.TableEntry{TableId: routeTable}}}); err != nil || len(got) != 100 {
		t.Errorf("%d entries, error %v", len(got), err)
	}
}

// If a server accepts the connection but never answers, Dial and DialReader return after their timeout, and Keep
// reports that the switch is unreachable.
func TestFaultAcceptsOnly(t *testing.T) {
	_, cfg := through(t, startEmbedded(t), deaf)
	cfg.DialTimeout = 50 * time.Millisecond
	if _, err := Dial(t.Context(), cfg); !errors.Is(err, ErrUnreachable) {
		t.Errorf("session: %v, want ErrUnreachable", err)
	}
	if _, err := DialReader(t.Context(), cfg); !errors.Is(err, ErrUnreachable) {
		t.Errorf("reader: %v, want ErrUnreachable", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if err := Keep(ctx, KeepConfig{Config: cfg, OnStatus: func(st SessionStatus) {
		if st.Reason == ReasonUnreachable {
			cancel()
		}
	}}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("Keep: %v", err)
	}
}
