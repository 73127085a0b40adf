package grpcserve

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

func TestOptions(t *testing.T) {
	for _, l := range []Limits{{Message: -1}, {Elements: -1}, {Memory: -1}, {Calls: -1}, {Connections: -1}, {MessageWithin: -1}, {BudgetWait: -1}, {Recheck: -1}, {ConnectionGrace: -1}} {
		if _, err := New(Options{Limits: l}); !errors.Is(err, ErrOptions) {
			t.Errorf("%+v: %v, want %v", l, err, ErrOptions)
		}
	}
}

// Messages that P4Runtime clients normally send are accepted.
func TestOrdinaryMessagesPass(t *testing.T) {
	r := serve(t, Options{}, &echo{})
	client := r.dial(nil)
	for _, n := range []int{0, 1, 10_000, 30_000} {
		if _, err := client.Write(bounded(t), updates(n)); err != nil {
			t.Errorf("%d updates: %v", n, err)
		}
		if _, err := client.Write(bounded(t), updates(n), grpc.UseCompressor(gzip.Name)); err != nil {
			t.Errorf("%d updates, compressed: %v", n, err)
		}
	}
	stream, err := client.StreamChannel(bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 1000 {
		want := bytes.Repeat([]byte{byte(i)}, i)
		if err := stream.Send(&p4v1.StreamMessageRequest{Update: &p4v1.StreamMessageRequest_Packet{Packet: &p4v1.PacketOut{Payload: want}}}); err != nil {
			t.Fatal(err)
		}
		got, err := stream.Recv()
		if err != nil || !bytes.Equal(got.GetPacket().GetPayload(), want) {
			t.Fatalf("message %d: %v, %v", i, got, err)
		}
	}
	if got := r.server.Stats(); got != (Stats{}) {
		t.Errorf("refused: %+v", got)
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) && err == nil {
		t.Errorf("after the end: %v", err)
	}
}

// After all calls have ended, the whole budget is free again.
func TestBudgetIsGivenBack(t *testing.T) {
	budget := NewBudget(64 << 20)
	entered := make(chan struct{}, 100)
	r := serve(t, Options{Budget: budget}, &echo{write: func(ctx context.Context, _ *p4v1.WriteRequest) error {
		entered <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	}})
	client := r.dial(nil)
	var calls sync.WaitGroup
	for range 5 {
		ctx, cancel := context.WithCancel(t.Context())
		calls.Go(func() { _, _ = client.Write(ctx, updates(1000)) })
		<-entered
		cancel()
	}
	calls.Wait()
	_, err := client.Write(bounded(t), &p4v1.WriteRequest{Updates: make([]*p4v1.Update, 0), Role: string(make([]byte, 17<<20))})
	wantStatus(t, err, codes.ResourceExhausted, "larger than max")
	ctx := bounded(t)
	if err := budget.free.Acquire(ctx, budget.size); err != nil {
		t.Errorf("some of the budget is lost: %v", err)
	}
	budget.free.Release(budget.size)
}

func TestMessagesBeyondTheLimits(t *testing.T) {
	r := serve(t, Options{Limits: Limits{BudgetWait: time.Millisecond}}, &echo{})
	client := r.dial(nil)
	empty := raw(bytes.Repeat([]byte{0x22, 0}, 7<<20)) // 7 million empty updates
	nested := &p4v1.P4Data{}
	for range 200 {
		nested = &p4v1.P4Data{Data: &p4v1.P4Data_Tuple{Tuple: &p4v1.P4StructLike{Members: []*p4v1.P4Data{nested}}}}
	}
	for name, tc := range map[string]struct {
		m    proto.Message
		code codes.Code
		text string
	}{
		"empty updates": {empty, codes.ResourceExhausted, "the message has more than 1000000 elements: send it in parts"},
		"memory":        {updates(100_000), codes.ResourceExhausted, "the message"},
		"nested": {
			&p4v1.WriteRequest{Updates: []*p4v1.Update{{Entity: &p4v1.Entity{Entity: &p4v1.Entity_RegisterEntry{RegisterEntry: &p4v1.RegisterEntry{Data: nested}}}}}},
			codes.InvalidArgument, "nested more than 100 levels deep",
		},
		"too long": {&p4v1.WriteRequest{Role: string(make([]byte, DefaultMessage))}, codes.ResourceExhausted, "larger than max"},
	} {
		m, ok := m(tc.m)
		if !ok {
			t.Fatal("not a WriteRequest")
		}
		for _, o := range [][]grpc.CallOption{nil, {grpc.UseCompressor(gzip.Name)}} {
			_, err := client.Write(bounded(t), m, o...)
			if name == "too long" && o != nil {
				wantStatus(t, err, codes.ResourceExhausted, "") // gRPC provides the text if a message is too long only after decompression
				continue
			}
			wantStatus(t, err, tc.code, tc.text)
		}
	}
	if r.server.Stats().Refused == 0 {
		t.Error("nothing was counted as refused")
	}
}

func m(in proto.Message) (*p4v1.WriteRequest, bool) { w, ok := in.(*p4v1.WriteRequest); return w, ok }

// raw returns a message whose encoded form is b. The message contains b as unknown fields.
func raw(b []byte) *p4v1.WriteRequest {
	w := &p4v1.WriteRequest{}
	w.ProtoReflect().SetUnknown(b)
	return w
}

// A peer is a client that sends arbitrary HTTP/2 frames.
type peer struct {
	t      *testing.T
	conn   net.Conn
	framer *http2.Framer
	next   uint32
	mu     sync.Mutex // guards writing
}

func (r *rig) peer() *peer {
	r.t.Helper()
	conn, err := net.Dial("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = conn.Close() })
	p := &peer{t: r.t, conn: conn, framer: http2.NewFramer(conn, conn), next: 1}
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		r.t.Fatal(err)
	}
	if err := p.framer.WriteSettings(); err != nil {
		r.t.Fatal(err)
	}
	return p
}

// open starts a call and returns the id of its stream.
func (p *peer) open(method string) uint32 {
	p.t.Helper()
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for _, f := range []hpack.HeaderField{
		{Name: ":method", Value: "POST"},
		{Name: ":scheme", Value: "http"},
		{Name: ":path", Value: "/p4.v1.P4Runtime/" + method},
		{Name: ":authority", Value: "switch"},
		{Name: "content-type", Value: "application/grpc"},
		{Name: "te", Value: "trailers"},
	} {
		if err := enc.WriteField(f); err != nil {
			p.t.Fatal(err)
		}
	}
	id := p.next
	p.next += 2
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block.Bytes(), EndHeaders: true}); err != nil {
		p.t.Fatal(err)
	}
	return id
}

func (p *peer) data(id uint32, b []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.framer.WriteData(id, false, b)
}

// I12: if many streams announce a large message and send only a part of it, in tiny frames, they take no more memory than the
// windows.
func TestUnfinishedMessagesTakeNoMemory(t *testing.T) {
	const connections, streams = 16, 50
	r := serve(t, Options{Limits: Limits{BudgetWait: time.Minute}}, &echo{})
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	head := binary.BigEndian.AppendUint32([]byte{0}, DefaultMessage)
	for range connections {
		p := r.peer()
		go func() { // read all frames, because the server would otherwise wait
			for {
				if _, err := p.framer.ReadFrame(); err != nil {
					return
				}
			}
		}()
		for range streams {
			id := p.open("Write")
			if p.data(id, head) != nil {
				t.Fatal("the server closed the connection")
			}
			for range 200 {
				if p.data(id, []byte{0}) != nil {
					t.Fatal("the server closed the connection")
				}
			}
		}
	}
	for r.server.calls.Load() < connections*streams { // wait until the server has received all calls
		runtime.Gosched()
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 64<<20 {
		t.Errorf("%d unfinished messages take %d MiB", connections*streams, grown>>20)
	}
}

// I12: if a message is not complete in time, the call ends.
func TestSlowMessageIsGivenUp(t *testing.T) {
	r := serve(t, Options{Limits: Limits{MessageWithin: 50 * time.Millisecond}}, &echo{})
	p := r.peer()
	id := p.open("Write")
	if err := p.data(id, []byte{0, 0, 0, 1, 0, 1}); err != nil {
		t.Fatal(err)
	}
	dec := hpack.NewDecoder(4096, nil)
	deadline := time.AfterFunc(patience, func() { _ = p.conn.Close() })
	defer deadline.Stop()
	for {
		f, err := p.framer.ReadFrame()
		if err != nil {
			t.Fatalf("before the answer: %v", err)
		}
		switch f := f.(type) {
		case *http2.HeadersFrame:
			fields, err := dec.DecodeFull(f.HeaderBlockFragment())
			if err != nil {
				t.Fatal(err)
			}
			for _, field := range fields {
				if field.Name == "grpc-status" {
					if field.Value != "4" { // DEADLINE_EXCEEDED
						t.Errorf("grpc-status %s", field.Value)
					}
					return
				}
			}
		case *http2.RSTStreamFrame:
			t.Fatalf("reset: %v", f.ErrCode)
		}
	}
}

// I12: calls above the limit are refused with an error that states the limit.
func TestCallsAreBounded(t *testing.T) {
	r := serve(t, Options{Limits: Limits{Calls: 3}}, &echo{})
	client := r.dial(nil)
	for range 3 {
		stream, err := client.StreamChannel(bounded(t))
		if err != nil {
			t.Fatal(err)
		}
		if err := stream.Send(&p4v1.StreamMessageRequest{}); err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Recv(); err != nil {
			t.Fatal(err)
		}
	}
	_, err := client.Write(bounded(t), updates(1))
	wantStatus(t, err, codes.ResourceExhausted, "3 calls are in progress, which is the server's limit: try again")
}

// I12: connections above the limit are closed at once. When a connection ends, another one can be made.
func TestConnectionsAreBounded(t *testing.T) {
	r := serve(t, Options{Limits: Limits{Connections: 2}}, &echo{})
	first, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	second, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	third, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer third.Close()
	_ = third.SetReadDeadline(time.Now().Add(patience))
	if n, err := third.Read(make([]byte, 1)); n != 0 || err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the third connection: %d bytes, %v, want it closed", n, err)
	}
	if got := r.server.Stats().TurnedAway; got != 1 {
		t.Errorf("%d turned away, want 1", got)
	}
	_ = first.Close()
	client := r.dial(nil)
	for { // repeat until the server has noticed that the first connection is closed
		if _, err := client.Write(bounded(t), updates(1), grpc.WaitForReady(true)); err == nil {
			return
		}
	}
}

// gRFC A8: pings are answered at any rate, with and without streams.
func TestKeepalivePings(t *testing.T) {
	r := serve(t, Options{}, &echo{})
	for _, streams := range []int{0, 1} {
		p := r.peer()
		for range streams {
			p.open("StreamChannel")
		}
		const pings = 100
		answered := 0
		deadline := time.AfterFunc(patience, func() { _ = p.conn.Close() })
		for i := range pings {
			if err := p.framer.WritePing(false, [8]byte{byte(i)}); err != nil {
				t.Fatal(err)
			}
			for answered == i {
				f, err := p.framer.ReadFrame()
				if err != nil {
					t.Fatalf("after %d pings: %v", i, err)
				}
				switch f := f.(type) {
				case *http2.PingFrame:
					if f.IsAck() {
						answered++
					}
				case *http2.GoAwayFrame:
					t.Fatalf("after %d pings: GOAWAY %v %q", i, f.ErrCode, f.DebugData())
				}
			}
		}
		deadline.Stop()
	}
}

// A status message that quotes the caller's data is truncated at a character boundary.
func TestLongStatusIsShortened(t *testing.T) {
	long := strings.Repeat("ü", 5000)
	r := serve(t, Options{}, &echo{write: func(context.Context, *p4v1.WriteRequest) error { return status.Error(codes.NotFound, long) }})
	_, err := r.dial(nil).Write(bounded(t), updates(1))
	if st := status.Convert(err); st.Code() != codes.NotFound || len(st.Message()) > maxText+len(" ...") || !strings.HasSuffix(st.Message(), "ü ...") {
		t.Errorf("%v: %d bytes", st.Code(), len(st.Message()))
	}
}

// I12: answers that a client does not read stay within the budget, and their calls are ended.
func TestUnreadAnswersAreGivenUp(t *testing.T) {
	budget := NewBudget(16 << 20)
	large := &p4v1.StreamMessageResponse{Update: &p4v1.StreamMessageResponse_Packet{Packet: &p4v1.PacketIn{Payload: make([]byte, 4<<20)}}}
	ended := make(chan error, 10)
	r := serve(t, Options{Budget: budget, Limits: Limits{MessageWithin: 100 * time.Millisecond, BudgetWait: patience}}, &echo{
		stream: func(s p4v1.P4Runtime_StreamChannelServer) error {
			var err error
			for err == nil {
				err = s.Send(large)
			}
			ended <- err
			return err
		},
	})
	p := r.peer()
	const streams = 10
	for range streams {
		p.open("StreamChannel")
	}
	for range streams {
		select {
		case <-ended:
		case <-time.After(patience):
			t.Fatal("a stream that nobody reads goes on")
		}
	}
	if err := budget.free.Acquire(bounded(t), budget.size); err != nil {
		t.Errorf("some of the budget is lost: %v", err)
	}
	budget.free.Release(budget.size)
}
