package p4rt

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"
)

func dialedReader(t testing.TB, cfg Config) *Reader {
	t.Helper()
	r, err := DialReader(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// A reader opens no stream. bmv2 accepts only 16 streams, and a controller would regard another stream as a
// rival.
func TestReaderReadsManyMessages(t *testing.T) {
	var asked *p4v1.ReadRequest
	fake := &fakeSwitch{
		arbitrate: func(*fakeStream, *p4v1.MasterArbitrationUpdate) error {
			t.Error("the reader opened a stream")
			return nil
		},
		read: func(r *p4v1.ReadRequest, stream p4v1.P4Runtime_ReadServer) error {
			asked = r
			for _, part := range [][]*p4v1.Entity{{entry(1, 1), entry(1, 2)}, {}, {entry(1, 3)}} {
				if err := stream.Send(&p4v1.ReadResponse{Entities: part}); err != nil {
					return err
				}
			}
			return nil
		},
	}
	cfg := fake.serve(t)
	cfg.ElectionID, cfg.Role = ElectionID{}, "mail"
	r := dialedReader(t, cfg)
	got, err := r.Read(t.Context(), entry(1, 0))
	if err != nil {
		t.Fatal(err)
	}
	want := []*p4v1.Entity{entry(1, 1), entry(1, 2), entry(1, 3)}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if asked.GetDeviceId() != testDevice || asked.GetRole() != "mail" || len(asked.GetEntities()) != 1 {
		t.Errorf("asked for %v", asked)
	}
	if got, err := r.Read(t.Context()); got != nil || err != nil {
		t.Errorf("no filter: %v, %v", got, err)
	}
}

// Entities that were received before an error are not returned.
func TestReadErrorReturnsNothing(t *testing.T) {
	for _, tt := range []struct {
		code codes.Code
		want error
	}{
		{codes.FailedPrecondition, ErrNoPipeline},
		{codes.Unavailable, ErrUnreachable},
		{codes.Unimplemented, nil},
	} {
		fake := &fakeSwitch{read: func(_ *p4v1.ReadRequest, stream p4v1.P4Runtime_ReadServer) error {
			_ = stream.Send(&p4v1.ReadResponse{Entities: []*p4v1.Entity{entry(1, 1)}})
			return grpcstatus.Error(tt.code, "half way")
		}}
		got, err := dialedReader(t, fake.serve(t)).Read(t.Context(), entry(1, 0))
		if got != nil || grpcstatus.Code(err) != tt.code || tt.want != nil && !errors.Is(err, tt.want) {
			t.Errorf("%v: %d entities, error %v, want none and %v", tt.code, len(got), err, tt.want)
		}
	}
}

// A whole table in one message, as bmv2 sends it, exceeds gRPC's own limit of 4 MiB but is accepted. The limit of
// the configuration still applies.
func TestReadOneLargeMessage(t *testing.T) {
	const n, each = 1000, 8 << 10 // 8 MiB
	fake := &fakeSwitch{read: func(_ *p4v1.ReadRequest, stream p4v1.P4Runtime_ReadServer) error {
		large := make([]*p4v1.Entity, n)
		for i := range large {
			large[i] = entry(1, uint32(i))
			large[i].GetTableEntry().Metadata = make([]byte, each)
		}
		return stream.Send(&p4v1.ReadResponse{Entities: large})
	}}
	cfg := fake.serve(t)
	got, err := dialedReader(t, cfg).Read(t.Context(), entry(1, 0))
	if err != nil || len(got) != n {
		t.Errorf("%d entities, error %v", len(got), err)
	}
	cfg.MaxReceiveBytes = 1 << 20
	got, err = dialedReader(t, cfg).Read(t.Context(), entry(1, 0))
	if got != nil || grpcstatus.Code(err) != codes.ResourceExhausted {
		t.Errorf("over the limit: %d entities, error %v", len(got), err)
	}
}

// The time that the receiver needs for a message does not count towards the timeout of the switch.
func TestReadEachSlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := &fakeSwitch{read: func(_ *p4v1.ReadRequest, stream p4v1.P4Runtime_ReadServer) error {
			for i := range 3 {
				time.Sleep(20 * time.Second) // virtual
				if err := stream.Send(&p4v1.ReadResponse{Entities: []*p4v1.Entity{entry(1, uint32(i))}}); err != nil {
					return err
				}
			}
			return nil
		}}
		cfg, stop := fake.serveInBubble(t)
		defer stop()
		r, err := DialReader(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		seen := 0
		if err := r.ReadEach(t.Context(), func(e []*p4v1.Entity) error {
			seen += len(e)
			time.Sleep(2 * DefaultCallTimeout) // virtual
			return nil
		}, entry(1, 0)); err != nil || seen != 3 {
			t.Errorf("%d entities, error %v", seen, err)
		}
	})
}

// The timeout applies to the next message, not to the whole read. A slow read of many messages succeeds.
func TestReadStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		messages := 10
		fake := &fakeSwitch{read: func(_ *p4v1.ReadRequest, stream p4v1.P4Runtime_ReadServer) error {
			for i := range messages {
				time.Sleep(20 * time.Second) // virtual
				_ = stream.Send(&p4v1.ReadResponse{Entities: []*p4v1.Entity{entry(1, uint32(i))}})
			}
			if messages == 1 {
				<-stream.Context().Done()
			}
			return nil
		}}
		cfg, stop := fake.serveInBubble(t)
		defer stop()
		r, err := DialReader(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if got, err := r.Read(t.Context(), entry(1, 0)); err != nil || len(got) != messages {
			t.Errorf("%d entities, error %v, want %d after 200 s", len(got), err, messages)
		}
		messages = 1
		began := time.Now()
		_, err = r.Read(t.Context(), entry(1, 0))
		if took := time.Since(began); !errors.Is(err, ErrUnreachable) || took != 20*time.Second+DefaultCallTimeout {
			t.Errorf("error %v after %v, want ErrUnreachable after 50 s", err, took)
		}
	})
}

func TestReadTables(t *testing.T) {
	tables := map[uint32][]*p4v1.Entity{
		10: {entry(10, 1), entry(10, 2)},
		11: nil,
		12: {entry(12, 1)},
		13: {entry(12, 1)}, // an answer with an entry of another table
	}
	fake := &fakeSwitch{read: func(r *p4v1.ReadRequest, stream p4v1.P4Runtime_ReadServer) error {
		if len(r.GetEntities()) != 1 {
			t.Errorf("%d tables in a request, want 1", len(r.GetEntities()))
		}
		return stream.Send(&p4v1.ReadResponse{Entities: tables[r.GetEntities()[0].GetTableEntry().GetTableId()]})
	}}
	r := dialedReader(t, fake.serve(t))
	type call struct {
		ID      uint32
		Entries int
	}
	var got []call
	note := func(id uint32, entries []*p4v1.TableEntry) error {
		got = append(got, call{id, len(entries)})
		return nil
	}
	if err := r.ReadTables(t.Context(), []uint32{10, 11, 12}, note); err != nil {
		t.Fatal(err)
	}
	if want := []call{{10, 2}, {11, 0}, {12, 1}}; !slices.Equal(got, want) {
		t.Errorf("calls %v, want %v", got, want)
	}
	if err := r.ReadTables(t.Context(), []uint32{13}, note); err == nil || !strings.Contains(err.Error(),
		"read table 0x0000000d: answered with a table_entry of table 0x0000000c") {
		t.Errorf("an answer for another table: %v", err)
	}
	if err := r.ReadTables(t.Context(), []uint32{0}, note); err == nil {
		t.Error("table id 0 was accepted")
	}
	stop := errors.New("stop")
	calls := 0
	err := r.ReadTables(t.Context(), []uint32{10, 11}, func(uint32, []*p4v1.TableEntry) error { calls++; return stop })
	if !errors.Is(err, stop) || calls != 1 {
		t.Errorf("error %v after %d calls, want that of the function after 1", err, calls)
	}
}

func TestProbe(t *testing.T) {
	var answer error
	r := dialedReader(t, (&fakeSwitch{alive: func(context.Context) error { return answer }}).serve(t))
	for code, want := range map[codes.Code]error{codes.OK: nil, codes.Unimplemented: nil, codes.Unavailable: ErrUnreachable} {
		answer = grpcstatus.Error(code, "")
		if err := r.Probe(t.Context()); !errors.Is(err, want) {
			t.Errorf("%v: error %v, want %v", code, err, want)
		}
	}
	answer = nil
	if v, err := r.Version(t.Context()); v != "1.5.0" || err != nil {
		t.Errorf("version %q, error %v", v, err)
	}
	r.Close()
	if err := r.Probe(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v, want ErrClosed", err)
	}
	if err := r.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

func TestProbeHungSwitch(t *testing.T) {
	cfg := (&fakeSwitch{alive: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }}).serve(t)
	cfg.ProbeTimeout = 20 * time.Millisecond
	if err := dialed(t, cfg).Probe(t.Context()); !errors.Is(err, ErrUnreachable) {
		t.Errorf("error %v, want ErrUnreachable", err)
	}
}

func TestDialReaderErrors(t *testing.T) {
	fake := &fakeSwitch{alive: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }}
	cfg := fake.serve(t)
	cfg.DialTimeout = 20 * time.Millisecond
	if _, err := DialReader(t.Context(), cfg); !errors.Is(err, ErrUnreachable) {
		t.Errorf("a switch that hangs: %v, want ErrUnreachable", err)
	}
	if _, err := DialReader(t.Context(), Config{Addr: "switch"}); !errors.Is(err, ErrConfig) {
		t.Errorf("no port: %v, want ErrConfig", err)
	}
}

func TestEntityKind(t *testing.T) {
	for want, e := range map[string]*p4v1.Entity{
		"table_entry":   entry(1, 1),
		"counter_entry": {Entity: &p4v1.Entity_CounterEntry{}},
		"empty entity":  {},
	} {
		if got := EntityKind(e); got != want {
			t.Errorf("%v is a %q, want %q", e, got, want)
		}
	}
	if got := EntityKind(nil); got != "empty entity" {
		t.Errorf("nil is a %q", got)
	}
}
