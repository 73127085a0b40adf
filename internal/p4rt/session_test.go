package p4rt

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"
)

// answers returns an arbitrate function that answers with the given code and election id.
func answers(code codes.Code, leader ElectionID) func(*fakeStream, *p4v1.MasterArbitrationUpdate) error {
	return func(s *fakeStream, _ *p4v1.MasterArbitrationUpdate) error {
		s.arbitration(code, leader)
		return nil
	}
}

func TestDialArbitrates(t *testing.T) {
	for _, tt := range []struct {
		name   string
		code   codes.Code
		leader ElectionID
		state  State
		reason StateReason
	}{
		{"highest", codes.OK, testElection, Primary, ReasonElected},
		{"another is primary", codes.AlreadyExists, ElectionID{Low: 99}, Backup, ReasonOtherHigher},
		{"nobody is primary", codes.NotFound, ElectionID{Low: 99}, Backup, ReasonNoPrimary},
		{"OK for the id of another", codes.OK, ElectionID{Low: 41}, Backup, ReasonOtherHigher},
		{"OK for a higher id", codes.OK, ElectionID{High: 1}, Backup, ReasonOtherHigher},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var asked *p4v1.MasterArbitrationUpdate
			fake := &fakeSwitch{arbitrate: func(s *fakeStream, u *p4v1.MasterArbitrationUpdate) error {
				asked = u
				s.arbitration(tt.code, tt.leader)
				return nil
			}}
			cfg := fake.serve(t)
			cfg.Role = "mail"
			s := dialed(t, cfg)
			st := s.Status()
			if st.State != tt.state || st.Reason != tt.reason || st.Leader != tt.leader || st.Since.IsZero() {
				t.Errorf("status %+v", st)
			}
			if asked.GetDeviceId() != testDevice || asked.GetRole().GetName() != "mail" || asked.GetElectionId().GetLow() != 42 {
				t.Errorf("asked with %v", asked)
			}
			if tt.state == Primary {
				return
			}
			work, cancel := s.PrimaryContext(t.Context())
			defer cancel()
			if !errors.Is(context.Cause(work), ErrNotPrimary) {
				t.Errorf("a backup's primary context: cause %v, want ErrNotPrimary", context.Cause(work))
			}
			if err := s.Write(t.Context(), inserts(1)); !errors.Is(err, ErrNotPrimary) {
				t.Errorf("a backup's write: %v, want ErrNotPrimary", err)
			}
		})
	}
}

// For the default role, the message contains no role. Some switches would take an empty name for another role.
func TestDialDefaultRole(t *testing.T) {
	fake := &fakeSwitch{arbitrate: func(s *fakeStream, u *p4v1.MasterArbitrationUpdate) error {
		if u.GetRole() != nil {
			t.Errorf("role %v, want none", u.GetRole())
		}
		s.arbitration(codes.OK, testElection)
		return nil
	}}
	dialed(t, fake.serve(t))
}

func TestDialErrors(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := closed.Addr().String()
	closed.Close()
	silent, err := net.Listen("tcp", "127.0.0.1:0") // the kernel accepts connections, but nobody answers
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()

	refuse := func(code codes.Code, text string) Config {
		return (&fakeSwitch{arbitrate: func(*fakeStream, *p4v1.MasterArbitrationUpdate) error {
			return grpcstatus.Error(code, text)
		}}).serve(t)
	}
	other := grpc.NewServer() // a gRPC server without P4Runtime
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- other.Serve(ln) }()
	defer func() { other.Stop(); <-served }()

	waits := (&fakeSwitch{arbitrate: func(s *fakeStream, _ *p4v1.MasterArbitrationUpdate) error {
		<-s.Context().Done()
		return nil
	}}).serve(t)
	waits.DialTimeout = 20 * time.Millisecond

	at := func(addr string) Config {
		return Config{Addr: addr, DeviceID: testDevice, ElectionID: testElection, DialTimeout: time.Minute}
	}
	slow := at(silent.Addr().String())
	slow.DialTimeout = 20 * time.Millisecond
	for _, tt := range []struct {
		name string
		cfg  Config
		want error
		text string
	}{
		{"nobody listens", at(nobody), ErrUnreachable, "connection refused"},
		{"a listener that says nothing", slow, ErrUnreachable, "no answer in time"},
		{"no answer to the arbitration", waits, ErrUnreachable, "no answer in time"},
		{"not P4Runtime", at(ln.Addr().String()), ErrArbitrationRefused, "Unimplemented"},
		{"election id in use", refuse(codes.InvalidArgument, "Election id already exists"), ErrArbitrationRefused, "Election id already exists"},
		{"too many streams", refuse(codes.ResourceExhausted, "Too many connections"), ErrArbitrationRefused, "Too many connections"},
		{"no such device", refuse(codes.NotFound, "device 7"), ErrUnknownDevice, "device 7"},
		{"no election id", Config{Addr: nobody}, ErrConfig, "election id 0: must be > 0; DialReader reads without one"},
		{"no port", Config{Addr: "switch"}, ErrConfig, `address "switch": must be host:port, such as 192.0.2.1:9559`},
		{"batch size", Config{Addr: nobody, BatchSize: -1}, ErrConfig, "batch size -1: must be > 0, or 0 for 1000"},
		{"timeout", Config{Addr: nobody, CallTimeout: -1}, ErrConfig, "call timeout -1ns: must be > 0, or 0 for 30s"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := Dial(t.Context(), tt.cfg)
			if s != nil || !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("error %v: want %v with %q", err, tt.want, tt.text)
			}
			if !errors.Is(err, ErrConfig) && !strings.Contains(err.Error(), tt.cfg.Addr+" device 7: ") {
				t.Errorf("error %v does not name the switch", err)
			}
		})
	}
}

func TestDialCancelled(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	fake := &fakeSwitch{arbitrate: func(s *fakeStream, _ *p4v1.MasterArbitrationUpdate) error {
		cancel(why)
		<-s.Context().Done()
		return nil
	}}
	if _, err := Dial(ctx, fake.serve(t)); !errors.Is(err, why) {
		t.Errorf("error %v, want the context's cause", err)
	}
}

// A session continues after the context of its dial has ended.
func TestDialContextIsForTheDialOnly(t *testing.T) {
	fake := &fakeSwitch{streams: make(chan *fakeStream, 1)}
	ctx, cancel := context.WithCancel(t.Context())
	s, err := Dial(ctx, fake.serve(t))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	cancel()
	(<-fake.streams).arbitration(codes.AlreadyExists, ElectionID{Low: 43})
	<-s.Demoted() // the stream still receives messages
	if s.Err() != nil {
		t.Errorf("the session is over: %v", s.Err())
	}
}

func TestWaitPrimary(t *testing.T) {
	fake := &fakeSwitch{streams: make(chan *fakeStream, 1), arbitrate: answers(codes.AlreadyExists, ElectionID{Low: 41})}
	s := dialed(t, fake.serve(t))
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.WaitPrimary(cancelled); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	stream := <-fake.streams
	stream.arbitration(codes.OK, testElection)
	if err := s.WaitPrimary(t.Context()); err != nil || !s.Primary() {
		t.Fatalf("error %v, primary %v", err, s.Primary())
	}
	if err := s.Write(t.Context(), inserts(1)); err != nil {
		t.Errorf("write: %v", err)
	}
}

// I3 Fenced. bmv2 may promote a controller although the switch has seen a higher election id. The session does not
// accept the promotion.
func TestOutrankedStaysBackup(t *testing.T) {
	fake := &fakeSwitch{streams: make(chan *fakeStream, 1), arbitrate: answers(codes.AlreadyExists, ElectionID{Low: 43})}
	s := dialed(t, fake.serve(t))
	_, changed := s.watch()
	(<-fake.streams).arbitration(codes.OK, testElection)
	<-changed
	if st := s.Status(); st.State != Backup || st.Reason != ReasonOutranked || st.Leader != (ElectionID{Low: 43}) {
		t.Errorf("status %v, want backup: %s", st, ReasonOutranked)
	}
	if err := s.Write(t.Context(), inserts(1)); !errors.Is(err, ErrNotPrimary) {
		t.Errorf("write: %v, want ErrNotPrimary", err)
	}
}

func TestStreamLost(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  error
		want error
	}{
		{"ended by the switch", nil, ErrStreamLost},
		{"cut", grpcstatus.Error(codes.Unavailable, "going away"), ErrStreamLost},
		{"our election id given to another", grpcstatus.Error(codes.InvalidArgument, "exists"), ErrArbitrationRefused},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fake := &fakeSwitch{streams: make(chan *fakeStream, 1)}
			s := dialed(t, fake.serve(t))
			work, cancel := s.PrimaryContext(t.Context())
			defer cancel()
			(<-fake.streams).end <- tt.end
			<-s.Done()
			<-work.Done()
			<-s.Demoted()
			for name, err := range map[string]error{
				"Err": s.Err(), "cause": context.Cause(work), "Write": s.Write(t.Context(), inserts(1)),
				"Probe": s.Probe(t.Context()), "WaitPrimary": s.WaitPrimary(t.Context()),
			} {
				if !errors.Is(err, tt.want) {
					t.Errorf("%s: %v, want %v", name, err, tt.want)
				}
			}
			// For a read, gRPC would dial again, but the switch may have restarted. A session must not dial again.
			if _, err := s.Read(t.Context(), entry(1, 0)); !errors.Is(err, tt.want) {
				t.Errorf("Read: %v, want %v", err, tt.want)
			}
			if st := s.Status(); st.State != Disconnected || st.Reason != reasonOf(tt.want) {
				t.Errorf("status %v", st)
			}
			if _, open := <-s.Digests(); open {
				t.Error("the digest channel is still open")
			}
		})
	}
}

// Close returns only when the switch has ended the stream, so that the next session can use the election id.
func TestCloseWaitsForTheSwitch(t *testing.T) {
	var released atomic.Bool
	fake := &fakeSwitch{hungUp: func(*fakeStream) { released.Store(true) }}
	s := dialed(t, fake.serve(t))
	work, cancel := s.PrimaryContext(t.Context())
	defer cancel()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if !released.Load() {
		t.Error("Close returned while the switch still held the election id")
	}
	<-work.Done()
	if !errors.Is(context.Cause(work), ErrClosed) || !errors.Is(s.Err(), ErrClosed) {
		t.Errorf("cause %v, Err %v, want ErrClosed", context.Cause(work), s.Err())
	}
	if err := s.Write(t.Context(), inserts(1)); !errors.Is(err, ErrClosed) {
		t.Errorf("write after Close: %v, want ErrClosed", err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

// If the switch does not end the stream, Close returns after closeTimeout.
func TestCloseGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := &fakeSwitch{hungUp: func(s *fakeStream) { <-s.Context().Done() }}
		cfg, stop := fake.serveInBubble(t)
		defer stop()
		s, err := Dial(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != closeTimeout {
			t.Errorf("Close took %v, want %v", took, closeTimeout)
		}
	})
}
