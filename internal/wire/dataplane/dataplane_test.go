package dataplane

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"op25b/internal/wire"
	bmv1 "op25b/proto/bm/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience limits waits that should end at once, so that a test fails with a message instead of hanging.
const patience = 30 * time.Second

// serve runs a packet service on the loopback interface and returns its address.
func serve(t *testing.T, deviceID uint64, hooks func(s **Server) Hooks) (string, *Server) {
	t.Helper()
	var s *Server
	s, err := NewServer(deviceID, hooks(&s), nil)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer()
	s.Register(g)
	served := make(chan error, 1)
	go func() { served <- g.Serve(l) }()
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		g.Stop()
		if err := <-served; err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			t.Errorf("gRPC server: %v", err)
		}
	})
	return l.Addr().String(), s
}

// echoing appends a byte to each frame and sends it out of the next port.
func echoing(s **Server) Hooks {
	return Hooks{Receive: func(port uint32, id uint64, frame []byte) { _ = (*s).Send(port+1, id, append(bytes.Clone(frame), '!')) }}
}

func dial(t *testing.T, addr string, deviceID uint64) *Client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, err := Dial(ctx, addr, deviceID)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("closing the client: %v", err)
		}
	})
	return c
}

func plug(t *testing.T, c *Client, n uint32, name string) wire.Link {
	t.Helper()
	l, err := c.Port(n, name)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// listen serves a link until the test ends. It returns a channel of the frames that it receives.
func listen(t *testing.T, l wire.Link) <-chan []byte {
	t.Helper()
	frames, done := make(chan []byte, 1<<14), make(chan struct{})
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		defer close(done)
		_ = l.Serve(ctx, func(frame []byte) { frames <- bytes.Clone(frame) })
	}()
	t.Cleanup(func() {
		stop()
		<-done
	})
	return frames
}

func next(t *testing.T, frames <-chan []byte) []byte {
	t.Helper()
	select {
	case f := <-frames:
		return f
	case <-time.After(patience):
		t.Fatal("no frame came")
		return nil
	}
}

func TestPortsCarryFrames(t *testing.T) {
	addr, s := serve(t, 7, echoing)
	c := dial(t, addr, 7)
	one, two := plug(t, c, 1, "one"), plug(t, c, 2, "two")
	atTwo := listen(t, two)
	const frames = 500
	for i := range uint32(frames) {
		if err := one.Send(binary.BigEndian.AppendUint32(nil, i)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range uint32(frames) {
		if got, want := next(t, atTwo), append(binary.BigEndian.AppendUint32(nil, i), '!'); !bytes.Equal(got, want) {
			t.Fatalf("frame %d: %x, want %x", i, got, want)
		}
	}
	for name, tc := range map[string]struct{ got, want wire.Stats }{
		"port 1": {one.(wire.Counted).Stats(), wire.Stats{Sent: frames}},
		"port 2": {two.(wire.Counted).Stats(), wire.Stats{Received: frames}},
		"switch": {s.Stats(), wire.Stats{Sent: frames, Received: frames}},
	} {
		if tc.got != tc.want {
			t.Errorf("%s counted %+v, want %+v", name, tc.got, tc.want)
		}
	}
}

// rawStream opens a stream without using this package's Client.
func rawStream(t *testing.T, addr string) (bmv1.DataplaneInterfaceClient, grpc.BidiStreamingClient[bmv1.PacketStreamRequest, bmv1.PacketStreamResponse]) {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	client := bmv1.NewDataplaneInterfaceClient(conn)
	stream, err := client.PacketStream(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return client, stream
}

// TestServesAsBmv2 verifies that the server behaves like bmv2. A response carries the id of its request. Frames for another device, empty
// frames and oversized frames are ignored. A second stream is refused, and the first one continues. After the client's last request, the
// server sends the remaining responses and ends the stream.
func TestServesAsBmv2(t *testing.T) {
	addr, s := serve(t, 7, echoing)
	_, stream := rawStream(t, addr)
	for _, r := range []*bmv1.PacketStreamRequest{
		{Id: 1, DeviceId: 8, Port: 1, Packet: []byte("another device")},
		{Id: 2, DeviceId: 7, Port: 1},
		{Id: 3, DeviceId: 7, Port: 1, Packet: make([]byte, wire.MaxFrame+1)},
		{Id: 4, DeviceId: 7, Port: 511, Packet: []byte("x")},
	} {
		if err := stream.Send(r); err != nil {
			t.Fatal(err)
		}
	}
	got, err := stream.Recv()
	if err != nil || got.Id != 4 || got.DeviceId != 7 || got.Port != 512 || string(got.Packet) != "x!" {
		t.Fatalf("response %v, %v, want id 4, device 7, port 512, x!", got, err)
	}
	if got, want := s.Stats(), (wire.Stats{Sent: 1, Received: 1, Invalid: 3}); got != want {
		t.Errorf("counted %+v, want %+v", got, want)
	}
	_, second := rawStream(t, addr)
	if _, err := second.Recv(); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("a second stream: %v, want RESOURCE_EXHAUSTED", err)
	}
	const burst = 1000
	for range burst {
		if err := stream.Send(&bmv1.PacketStreamRequest{DeviceId: 7, Port: 1, Packet: []byte("y")}); err != nil {
			t.Fatal(err)
		}
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	for i := range burst {
		if _, err := stream.Recv(); err != nil {
			t.Fatalf("response %d of %d: %v", i+1, burst, err)
		}
	}
	if _, err := stream.Recv(); err == nil || status.Code(err) != codes.Unknown || err.Error() != "EOF" {
		t.Errorf("after the last response: %v, want the end with OK", err)
	}
	_, third := rawStream(t, addr)
	if err := third.Send(&bmv1.PacketStreamRequest{DeviceId: 7, Port: 1, Packet: []byte("z")}); err != nil {
		t.Fatal(err)
	}
	if got, err := third.Recv(); err != nil || string(got.Packet) != "z!" {
		t.Errorf("a stream after the first: %v, %v", got, err)
	}
}

func TestDrainBeforeTheEnd(t *testing.T) {
	var held []byte
	addr, _ := serve(t, 0, func(s **Server) Hooks {
		return Hooks{
			Receive: func(_ uint32, _ uint64, frame []byte) { held = bytes.Clone(frame) },
			Drain:   func(context.Context) { _ = (*s).Send(3, 0, held) },
		}
	})
	_, stream := rawStream(t, addr)
	if err := errors.Join(stream.Send(&bmv1.PacketStreamRequest{Packet: []byte("held")}), stream.CloseSend()); err != nil {
		t.Fatal(err)
	}
	if got, err := stream.Recv(); err != nil || string(got.Packet) != "held" || got.Port != 3 {
		t.Errorf("response %v, %v, want what the switch held", got, err)
	}
}

func TestSetPortOperStatus(t *testing.T) {
	type wish struct {
		port uint32
		up   bool
	}
	var wishes []wish
	addr, _ := serve(t, 7, func(**Server) Hooks {
		return Hooks{Receive: func(uint32, uint64, []byte) {}, PortStatus: func(port uint32, up bool) { wishes = append(wishes, wish{port, up}) }}
	})
	client, _ := rawStream(t, addr)
	for _, tc := range []struct {
		device uint64
		status bmv1.PortOperStatus
		want   codes.Code
	}{
		{7, bmv1.PortOperStatus_OPER_STATUS_DOWN, codes.OK},
		{7, bmv1.PortOperStatus_OPER_STATUS_UP, codes.OK},
		{7, bmv1.PortOperStatus_OPER_STATUS_UNKNOWN, codes.InvalidArgument},
		{8, bmv1.PortOperStatus_OPER_STATUS_UP, codes.InvalidArgument},
	} {
		_, err := client.SetPortOperStatus(t.Context(), &bmv1.SetPortOperStatusRequest{DeviceId: tc.device, Port: 4, OperStatus: tc.status})
		if status.Code(err) != tc.want {
			t.Errorf("device %d, %v: %v, want %v", tc.device, tc.status, err, tc.want)
		}
	}
	if len(wishes) != 2 || wishes[0] != (wish{4, false}) || wishes[1] != (wish{4, true}) {
		t.Errorf("the switch was told %v, want port 4 down and up", wishes)
	}
	without, _ := serve(t, 7, echoing)
	client, _ = rawStream(t, without)
	if _, err := client.SetPortOperStatus(t.Context(), &bmv1.SetPortOperStatusRequest{DeviceId: 7, OperStatus: bmv1.PortOperStatus_OPER_STATUS_UP}); status.Code(err) != codes.Unimplemented {
		t.Errorf("without hook: %v, want UNIMPLEMENTED", err)
	}
}

func TestServerErrors(t *testing.T) {
	if _, err := NewServer(1, Hooks{}, nil); err == nil || !strings.Contains(err.Error(), "Hooks.Receive is not set") {
		t.Errorf("NewServer without Receive: %v", err)
	}
	_, s := serve(t, 1, echoing)
	if err := s.Send(1, 0, []byte("x")); !errors.Is(err, ErrNoStream) {
		t.Errorf("Send without a client: %v, want %v", err, ErrNoStream)
	}
	if err := s.Send(1, 0, nil); !errors.Is(err, wire.ErrRunt) || !strings.Contains(err.Error(), "port 1") {
		t.Errorf("Send of nothing: %v", err)
	}
	if err := s.Send(1, 0, make([]byte, wire.MaxFrame+1)); !errors.Is(err, wire.ErrOversized) {
		t.Errorf("Send of too much: %v", err)
	}
	if got, want := s.Stats(), (wire.Stats{Dropped: 1}); got != want {
		t.Errorf("counted %+v, want %+v", got, want)
	}
}

func TestClientErrors(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := free.Addr().String()
	_ = free.Close()
	if _, err := Dial(t.Context(), nobody, 1); err == nil || !strings.Contains(err.Error(), "packet service at "+nobody) {
		t.Errorf("dialling nobody: %v", err)
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Dial(canceled, nobody, 1); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), nobody) {
		t.Errorf("dialling with a context that has ended: %v", err)
	}

	addr, _ := serve(t, 7, echoing)
	c := dial(t, addr, 7)
	l := plug(t, c, 1, "access-1")
	if _, err := c.Port(1, "again"); !errors.Is(err, ErrPortInUse) || !strings.Contains(err.Error(), `"access-1"`) {
		t.Errorf("a port twice: %v", err)
	}
	if err := l.Send(make([]byte, wire.MaxFrame+1)); !errors.Is(err, wire.ErrOversized) || !strings.Contains(err.Error(), `link "access-1"`) {
		t.Errorf("an oversized frame: %v", err)
	}
	if err := l.Send(nil); !errors.Is(err, wire.ErrRunt) {
		t.Errorf("an empty frame: %v", err)
	}
	if err := errors.Join(l.Close(), l.Close()); err != nil {
		t.Errorf("closing twice: %v", err)
	}
	if err := l.Send([]byte{1}); !errors.Is(err, wire.ErrClosed) {
		t.Errorf("Send after Close: %v", err)
	}
	again := plug(t, c, 1, "again") // after Close, the port is free again
	if err := errors.Join(c.Close(), c.Close()); err != nil {
		t.Errorf("closing twice: %v", err)
	}
	if err := again.Serve(t.Context(), func([]byte) {}); err != nil {
		t.Errorf("Serve after the client's Close: %v, want nil", err)
	}
	if err := again.Send([]byte{1}); !errors.Is(err, wire.ErrClosed) {
		t.Errorf("Send after the client's Close: %v", err)
	}
	if _, err := c.Port(2, "late"); !errors.Is(err, wire.ErrClosed) {
		t.Errorf("Port after Close: %v", err)
	}
}

// TestSecondClient verifies that the ports of a second client report that the switch has refused the client.
func TestSecondClient(t *testing.T) {
	addr, s := serve(t, 7, echoing)
	first := dial(t, addr, 7)
	frames := listen(t, plug(t, first, 2, "two"))
	if err := plug(t, first, 1, "one").Send([]byte("a")); err != nil {
		t.Fatal(err)
	}
	next(t, frames)
	second := dial(t, addr, 7)
	l, err := second.Port(1, "second")
	if err == nil {
		err = l.Serve(t.Context(), func([]byte) {})
	}
	if !errors.Is(err, ErrStreamEnded) || !strings.Contains(err.Error(), "only one client") {
		t.Errorf("the second client: %v, want %v", err, ErrStreamEnded)
	}
	// When the switch stops, every port reports that the stream has ended.
	l = plug(t, first, 3, "three")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := l.Serve(t.Context(), func([]byte) {}); !errors.Is(err, ErrStreamEnded) || !strings.Contains(err.Error(), `link "three"`) {
		t.Errorf("Serve after the switch has stopped: %v", err)
	}
	if err := l.Send([]byte{1}); !errors.Is(err, ErrStreamEnded) {
		t.Errorf("Send after the switch has stopped: %v", err)
	}
}

// TestSlowClient verifies that a client that does not read its stream blocks neither the switch nor Close.
func TestSlowClient(t *testing.T) {
	addr, s := serve(t, 7, echoing)
	_, stream := rawStream(t, addr)
	if err := stream.Send(&bmv1.PacketStreamRequest{DeviceId: 7, Packet: []byte("hello")}); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	frame := make([]byte, 1514)
	for s.Stats().Dropped == 0 {
		if err := s.Send(1, 0, frame); err != nil {
			t.Fatal(err)
		}
	}
}
