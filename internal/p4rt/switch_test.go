package p4rt

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
)

// TestRealPipeline starts with a switch without a pipeline, and ends with a second session that finds the pipeline on
// the switch.
func TestRealPipeline(t *testing.T) {
	onRealSwitches(t, func(t *testing.T, on target) {
		cfg := on.start(t)
		s := dialed(t, cfg)
		ctx := t.Context()
		info, program := sessionProgram(t)

		if _, ok, err := s.PipelineCookie(ctx); ok || err != nil {
			t.Errorf("a fresh switch: there is a pipeline %v, error %v", ok, err)
		}
		if _, err := s.GetP4Info(ctx); !errors.Is(err, ErrNoPipeline) {
			t.Errorf("P4Info: %v, want ErrNoPipeline", err)
		}
		if _, err := s.Read(ctx, &p4v1.Entity{Entity: &p4v1.Entity_TableEntry{TableEntry: &p4v1.TableEntry{}}}); !errors.Is(err, ErrNoPipeline) {
			t.Errorf("read: %v, want ErrNoPipeline", err)
		}
		if err := s.Write(ctx, updatesOf(p4v1.Update_INSERT, route(1, 2))); !errors.Is(err, ErrNoPipeline) {
			t.Errorf("write: %v, want ErrNoPipeline", err)
		}
		if pushed, err := s.EnsurePipeline(ctx, info, program); !pushed || err != nil {
			t.Fatalf("first: pushed %v, error %v", pushed, err)
		}
		if err := s.Write(ctx, updatesOf(p4v1.Update_INSERT, route(1, 2))); err != nil {
			t.Fatal(err)
		}
		s.Close()

		s = dialed(t, cfg) // immediately afterwards, with the same election id
		if pushed, err := s.EnsurePipeline(ctx, info, program); pushed || err != nil {
			t.Errorf("I5 RestartIsReconcile: pushed %v, error %v", pushed, err)
		}
		if got, err := s.GetP4Info(ctx); err != nil || !proto.Equal(got, info) {
			t.Errorf("P4Info is not what was pushed; error %v", err)
		}
		if err := s.ReadTables(ctx, []uint32{routeTable}, func(_ uint32, entries []*p4v1.TableEntry) error {
			if len(entries) != 1 {
				t.Errorf("%d entries, want the one that was there", len(entries))
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
		if !on.strict {
			return
		}
		if err := s.Push(ctx, info, []byte("no JSON"), 1); !errors.Is(err, ErrPipelineRefused) {
			t.Errorf("a device configuration that is none: %v, want ErrPipelineRefused", err)
		}
		if have, _, err := s.PipelineCookie(ctx); err != nil || have != Cookie(info, program) {
			t.Errorf("after a refused push the cookie is %x, error %v", have, err)
		}
	})
}

// TestRealWriteAndRead writes several batches, reads the entries, and causes each kind of refusal of an update.
func TestRealWriteAndRead(t *testing.T) {
	onRealSwitches(t, func(t *testing.T, on target) {
		s := programmed(t, on)
		ctx := t.Context()
		const n = 2*DefaultBatchSize + 500
		entities := make([]*p4v1.Entity, n)
		for i := range entities {
			entities[i] = route(uint64(i+1), uint64(i%500))
		}
		if err := s.Write(ctx, updatesOf(p4v1.Update_INSERT, entities...)); err != nil {
			t.Fatal(err)
		}
		read := func() (got []*p4v1.TableEntry) {
			t.Helper()
			if err := s.ReadTables(ctx, []uint32{routeTable}, func(_ uint32, e []*p4v1.TableEntry) error { got = e; return nil }); err != nil {
				t.Fatal(err)
			}
			return got
		}
		written := map[string]*p4v1.TableEntry{}
		for _, e := range entities {
			written[string(e.GetTableEntry().GetMatch()[0].GetLpm().GetValue())] = e.GetTableEntry()
		}
		for _, e := range read() {
			key := string(e.GetMatch()[0].GetLpm().GetValue())
			if !proto.Equal(e, written[key]) {
				t.Errorf("read %v, wrote %v", e, written[key])
			}
			delete(written, key)
		}
		if len(written) != 0 {
			t.Errorf("%d of %d entries are not there", len(written), n)
		}

		// All updates of full batches are refused. Their errors are the largest possible trailer.
		w := asWriteError(t, s.Write(ctx, updatesOf(p4v1.Update_INSERT, entities...)))
		if len(w.Failed) != n || !w.Only(codes.AlreadyExists) {
			t.Errorf("inserting all again: %v", w)
		}

		mixed := updatesOf(p4v1.Update_MODIFY, route(1, 7), route(999_999, 7))
		mixed = append(mixed, updatesOf(p4v1.Update_DELETE, route(2, 0), route(999_998, 0))...)
		w = asWriteError(t, s.Write(ctx, mixed))
		got := map[int]codes.Code{}
		for _, f := range w.Failed {
			got[f.Index] = f.Code
		}
		if diff := cmp.Diff(map[int]codes.Code{1: codes.NotFound, 3: codes.NotFound}, got); diff != "" || w.Applied != 2 {
			t.Errorf("mixed batch, %d applied (-want +got):\n%s", w.Applied, diff)
		}
		if left := len(read()); left != n-1 {
			t.Errorf("%d entries, want %d", left, n-1)
		}

		// I10 LoudFull. The session reports each update for which the table had no room.
		hosts := make([]*p4v1.Entity, 20)
		for i := range hosts {
			hosts[i] = host(uint64(i+1), 0)
		}
		w = asWriteError(t, s.Write(ctx, updatesOf(p4v1.Update_INSERT, hosts...)))
		full := codes.ResourceExhausted
		if !on.strict {
			full = codes.Unknown // bmv2 reports "Error when adding match entry to target"
		}
		if w.Applied != 16 || len(w.Failed) != 4 || !w.Only(full) {
			t.Errorf("20 entries into a table of 16: %v", w)
		}
	})
}

// A table of 130,000 entries is read completely with one request. bmv2 answers in one message, which is larger than
// gRPC's own limit of 4 MiB.
func TestRealLargeTable(t *testing.T) {
	n := 130_000 // the table has room for 131,072 entries
	if testing.Short() {
		n = 10_000
	}
	onRealSwitches(t, func(t *testing.T, on target) {
		s := programmed(t, on)
		entities := make([]*p4v1.Entity, n)
		for i := range entities {
			entities[i] = route(uint64(i+1), uint64(i%500))
		}
		if err := s.Write(t.Context(), updatesOf(p4v1.Update_INSERT, entities...)); err != nil {
			t.Fatal(err)
		}
		requests := 0
		if err := s.ReadTables(t.Context(), []uint32{routeTable, hostTable}, func(id uint32, got []*p4v1.TableEntry) error {
			requests++
			want := n
			if id == hostTable {
				want = 0
			}
			keys, bytes := map[string]bool{}, 0
			for _, e := range got {
				keys[string(e.GetMatch()[0].GetLpm().GetValue())] = true
				bytes += proto.Size(e)
			}
			if len(got) != want || len(keys) != want {
				t.Errorf("table 0x%08x: %d entries of %d keys, want %d", id, len(got), len(keys), want)
			}
			if !testing.Short() && id == routeTable && bytes <= 4<<20 {
				t.Errorf("%d bytes: the test is too small to show anything", bytes)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if requests != 2 {
			t.Errorf("%d tables", requests)
		}
	})
}

// A reader reads entries, counters and P4Info in addition to the primary, and does not disturb the primary.
func TestRealReader(t *testing.T) {
	onRealSwitches(t, func(t *testing.T, on target) {
		s := programmed(t, on)
		ctx := t.Context()
		if err := s.Write(ctx, updatesOf(p4v1.Update_INSERT, route(1, 2), route(2, 2))); err != nil {
			t.Fatal(err)
		}
		r := dialedReader(t, s.cfg)
		got, err := r.Read(ctx, &p4v1.Entity{Entity: &p4v1.Entity_DirectCounterEntry{
			DirectCounterEntry: &p4v1.DirectCounterEntry{TableEntry: &p4v1.TableEntry{TableId: routeTable}},
		}})
		if err != nil || len(got) != 2 {
			t.Fatalf("%d counters, error %v, want 2", len(got), err)
		}
		for _, e := range got {
			if c := e.GetDirectCounterEntry(); c.GetData() == nil || c.GetData().GetPacketCount() != 0 {
				t.Errorf("counter %v, want 0 packets", c)
			}
		}
		if info, err := r.GetP4Info(ctx); err != nil || len(info.GetTables()) != 2 {
			t.Errorf("P4Info with %d tables, error %v", len(info.GetTables()), err)
		}
		if version, err := r.Version(ctx); err != nil || version == "" {
			t.Errorf("version %q, error %v", version, err)
		}
		if !s.Primary() {
			t.Error("the primary was disturbed")
		}
	})
}

// I3 Fenced. Three controllers compete for a real switch.
func TestRealArbitration(t *testing.T) {
	onRealSwitches(t, func(t *testing.T, on target) {
		first := programmed(t, on)
		ctx := t.Context()
		as := func(low uint64) Config {
			cfg := first.cfg
			cfg.ElectionID = ElectionID{Low: low}
			return cfg
		}
		lower := dialed(t, as(1))
		if st := lower.Status(); st.State != Backup || st.Leader != testElection {
			t.Errorf("the lower id: %v", st)
		}
		if s, err := Dial(ctx, as(testElection.Low)); !errors.Is(err, ErrArbitrationRefused) {
			t.Errorf("a second with the same id: %v, %v, want ErrArbitrationRefused", s, err)
		}
		work, cancel := first.PrimaryContext(ctx)
		defer cancel()
		second := dialed(t, as(100))
		if !second.Primary() {
			t.Fatalf("the higher id: %v", second.Status())
		}
		<-first.Demoted()
		<-work.Done()
		if !errors.Is(context.Cause(work), ErrNotPrimary) {
			t.Errorf("cause %v, want ErrNotPrimary", context.Cause(work))
		}
		if err := first.Write(ctx, updatesOf(p4v1.Update_INSERT, route(1, 2))); !errors.Is(err, ErrNotPrimary) {
			t.Errorf("the first writes: %v, want ErrNotPrimary", err)
		}
		if err := second.Write(ctx, updatesOf(p4v1.Update_INSERT, route(1, 2))); err != nil {
			t.Errorf("the second writes: %v", err)
		}

		// The second session leaves. bmv2 makes the first session primary again. According to the specification, no
		// session is primary.
		_, changed := lower.watch() // the status of the first session no longer changes
		second.Close()
		<-changed
		if first.Primary() || lower.Primary() {
			t.Errorf("after the second has left: first %v, lower %v", first.Status(), lower.Status())
		}
		if err := first.Write(ctx, updatesOf(p4v1.Update_INSERT, route(2, 2))); !errors.Is(err, ErrNotPrimary) {
			t.Errorf("the first writes again: %v, want ErrNotPrimary", err)
		}
		if third := dialed(t, as(101)); !third.Primary() {
			t.Errorf("a third with a higher id: %v", third.Status())
		}
	})
}

// After Close, a new session with the same election id becomes primary at once.
func TestRealCloseAndDialAgain(t *testing.T) {
	onRealSwitches(t, func(t *testing.T, on target) {
		cfg := on.start(t)
		for i := range 30 {
			s, err := Dial(t.Context(), cfg)
			if err != nil {
				t.Fatalf("dial %d: %v", i, err)
			}
			if !s.Primary() {
				t.Errorf("dial %d: %v", i, s.Status())
			}
			s.Close()
		}
	})
}

func TestRealUnknownDevice(t *testing.T) {
	cfg := startEmbedded(t) // not with bmv2, which accepts every device id
	cfg.DeviceID++
	if _, err := Dial(t.Context(), cfg); !errors.Is(err, ErrUnknownDevice) {
		t.Errorf("error %v, want ErrUnknownDevice", err)
	}
}

func packetOut(src uint64, etherType uint16) *p4v1.PacketOut {
	frame := make([]byte, 60)
	frame[5] = 1 // to 00:00:00:00:00:01
	for i := range 6 {
		frame[6+i] = byte(src >> (40 - 8*i))
	}
	frame[12], frame[13] = byte(etherType>>8), byte(etherType)
	return &p4v1.PacketOut{Payload: frame, Metadata: []*p4v1.PacketMetadata{
		{MetadataId: 1, Value: []byte{0}}, {MetadataId: 2, Value: []byte{0}},
	}}
}

// TestRealStreamMessages tests packets out and in, digests with acknowledgements, idle timeouts, and counters that
// are not 0.
func TestRealStreamMessages(t *testing.T) {
	onRealSwitches(t, func(t *testing.T, on target) {
		s := programmed(t, on)
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second) // reached only if the test fails
		defer cancel()
		if err := s.Write(ctx, updatesOf(p4v1.Update_INSERT,
			&p4v1.Entity{Entity: &p4v1.Entity_DigestEntry{DigestEntry: &p4v1.DigestEntry{
				DigestId: learnDigest, Config: &p4v1.DigestEntry_Config{MaxListSize: 1, AckTimeoutNs: time.Hour.Nanoseconds()},
			}}}, route(1, 2), host(9, 100*time.Millisecond))); err != nil {
			t.Fatal(err)
		}
		if err := s.PacketOut(ctx, packetOut(9, 0x1234)); err != nil {
			t.Fatal(err)
		}
		packet, err := next(ctx, s.PacketIns())
		if err != nil || len(packet.GetPayload()) != 60 || len(packet.GetMetadata()) != 2 {
			t.Fatalf("packet in %v, error %v", packet, err)
		}
		// The switch sends the second list only if the first list is acknowledged, because the timeout is an hour.
		for _, src := range []uint64{0xa, 0xb} {
			if err := s.PacketOut(ctx, packetOut(src, 0x0800)); err != nil {
				t.Fatal(err)
			}
			list, err := next(ctx, s.Digests())
			if err != nil {
				t.Fatal(err)
			}
			if got := list.GetData()[0].GetStruct().GetMembers()[0].GetBitstring(); string(got) != string(canonicalBytes(src)) {
				t.Errorf("learned %x, want %x", got, src)
			}
			if err := s.Ack(ctx, list); err != nil {
				t.Fatal(err)
			}
		}
		notice, err := next(ctx, s.IdleTimeouts())
		if err != nil || notice.GetTableEntry()[0].GetTableId() != hostTable {
			t.Errorf("idle timeout %v, error %v", notice, err)
		}
		got, err := s.Read(ctx, &p4v1.Entity{Entity: &p4v1.Entity_DirectCounterEntry{
			DirectCounterEntry: &p4v1.DirectCounterEntry{TableEntry: route(1, 2).GetTableEntry()},
		}})
		if err != nil || len(got) != 1 || got[0].GetDirectCounterEntry().GetData().GetPacketCount() != 2 {
			t.Errorf("counter of two packets: %v, error %v", got, err)
		}
		if !on.strict {
			return
		}
		if err := s.Ack(ctx, &p4v1.DigestList{DigestId: 1, ListId: 1}); err != nil {
			t.Fatal(err)
		}
		if e, err := next(ctx, s.StreamErrors()); err != nil || e.GetDigestListAck() == nil {
			t.Errorf("acknowledging a digest that is not: %v, error %v", e, err)
		}
	})
}

func next[T any](ctx context.Context, ch <-chan T) (m T, err error) {
	select {
	case m = <-ch:
		return m, nil
	case <-ctx.Done():
		return m, ctx.Err()
	}
}

// A switch ends and starts again at the same address, without content. Keep connects again, and the work starts
// again.
func TestRealKeepRestart(t *testing.T) {
	cfg, stop := embeddedAt(t, "127.0.0.1:0")
	info, program := sessionProgram(t)
	pushes := make(chan bool)
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() {
		result <- Keep(ctx, KeepConfig{Config: cfg, Backoff: Backoff{Min: time.Millisecond, Max: 10 * time.Millisecond}},
			func(ctx context.Context, s *Session) error {
				pushed, err := s.EnsurePipeline(ctx, info, program)
				if err != nil {
					return err
				}
				pushes <- pushed
				<-ctx.Done()
				return nil
			})
	}()
	for range 3 {
		if !<-pushes {
			t.Error("a switch that restarted was taken for one with the pipeline")
		}
		stop()
		_, stop = embeddedAt(t, cfg.Addr)
	}
	<-pushes
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Errorf("Keep returned %v", err)
	}
	stop()
}
