package softswitch

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"op25b/internal/tlsfiles"
	"op25b/internal/tlsfiles/tlstest"
	"op25b/internal/wire"
	"op25b/internal/wire/dataplane"
	"op25b/p4src"
	bmv1 "op25b/proto/bm/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newSwitch(t *testing.T) *Switch {
	t.Helper()
	s, err := New(Options{DeviceID: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func serve(t *testing.T, s *Switch) *Services {
	t.Helper()
	services, err := s.Listen(Addrs{P4Runtime: "127.0.0.1:0", GNMI: "127.0.0.1:0", Dataplane: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(services.Close)
	return services
}

func dial(t *testing.T, addr string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// push becomes the primary and pushes the reference program.
func push(t *testing.T, addr string) p4v1.P4RuntimeClient {
	t.Helper()
	client := p4v1.NewP4RuntimeClient(dial(t, addr))
	stream, err := client.StreamChannel(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	id := &p4v1.Uint128{Low: 1}
	if err := stream.Send(&p4v1.StreamMessageRequest{Update: &p4v1.StreamMessageRequest_Arbitration{
		Arbitration: &p4v1.MasterArbitrationUpdate{DeviceId: 1, ElectionId: id},
	}}); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	if _, err := client.SetForwardingPipelineConfig(t.Context(), &p4v1.SetForwardingPipelineConfigRequest{
		DeviceId: 1, ElectionId: id, Action: p4v1.SetForwardingPipelineConfigRequest_VERIFY_AND_COMMIT,
		Config: &p4v1.ForwardingPipelineConfig{P4Info: p4src.P4Info(), P4DeviceConfig: p4src.DeviceConfig()},
	}); err != nil {
		t.Fatal(err)
	}
	// Multicast group 1 contains port 2, so frames that are flooded from port 1 leave on port 2.
	if _, err := client.Write(t.Context(), &p4v1.WriteRequest{DeviceId: 1, ElectionId: id, Updates: []*p4v1.Update{{
		Type: p4v1.Update_INSERT,
		Entity: &p4v1.Entity{Entity: &p4v1.Entity_PacketReplicationEngineEntry{
			PacketReplicationEngineEntry: &p4v1.PacketReplicationEngineEntry{
				Type: &p4v1.PacketReplicationEngineEntry_MulticastGroupEntry{MulticastGroupEntry: &p4v1.MulticastGroupEntry{
					MulticastGroupId: 1, Replicas: []*p4v1.Replica{{PortKind: &p4v1.Replica_Port{Port: []byte{2}}, Instance: 1}},
				}},
			},
		}},
	}}}); err != nil {
		t.Fatal(err)
	}
	return client
}

// frame returns an Ethernet frame that no table entry matches.
func frame(fill byte) []byte {
	return append([]byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xb5}, bytes.Repeat([]byte{fill}, 46)...)
}

// receive serves a link until the test ends and returns a channel of the frames that it receives.
func receive(t *testing.T, link wire.Link) <-chan []byte {
	t.Helper()
	got := make(chan []byte, 16)
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = link.Serve(ctx, func(f []byte) { got <- bytes.Clone(f) })
	}()
	t.Cleanup(func() { cancel(); <-served; _ = link.Close() })
	return got
}

func TestForwardsOnceAProgramIsPushed(t *testing.T) {
	s := newSwitch(t)
	near1, far1 := wire.Pipe("one", "host one")
	near2, far2 := wire.Pipe("two", "host two")
	for number, link := range map[uint32]wire.Link{1: near1, 2: near2} {
		if err := s.Attach(number, link); err != nil {
			t.Fatal(err)
		}
	}
	defer far1.Close()
	got := receive(t, far2)
	services := serve(t, s)

	// No frame may leave before the push. The test checks this when the first frame leaves after
	// the push.
	if err := far1.Send(frame(1)); err != nil {
		t.Fatal(err)
	}
	counted(t, services.Addrs.GNMI, "one", 1)
	push(t, services.Addrs.P4Runtime)
	if err := far1.Send(frame(2)); err != nil {
		t.Fatal(err)
	}
	if f := <-got; !bytes.Equal(f, frame(2)) {
		t.Errorf("port 2 sent %x, want %x", f, frame(2))
	}
	counted(t, services.Addrs.GNMI, "one", 2)
}

// counted repeats gNMI Get requests until an interface has counted want frames.
func counted(t *testing.T, addr, name string, want uint64) {
	t.Helper()
	client := gpb.NewGNMIClient(dial(t, addr))
	for {
		r, err := client.Get(t.Context(), &gpb.GetRequest{Encoding: gpb.Encoding_PROTO, Path: []*gpb.Path{{Elem: []*gpb.PathElem{
			{Name: "interfaces"},
			{Name: "interface", Key: map[string]string{"name": name}},
			{Name: "state"},
			{Name: "counters"},
			{Name: "in-pkts"},
		}}}})
		if err != nil {
			t.Fatal(err)
		}
		n := r.GetNotification()[0].GetUpdate()[0].GetVal().GetUintVal()
		if n == want {
			return
		}
		if n > want {
			t.Fatalf("%s has counted %d frames, want %d", name, n, want)
		}
	}
}

// TestPacketServiceAndLinksTogether verifies that frames pass between a port of the packet service
// and a port with a link.
func TestPacketServiceAndLinksTogether(t *testing.T) {
	s := newSwitch(t)
	near, far := wire.Pipe("two", "host two")
	if err := s.Attach(2, near); err != nil {
		t.Fatal(err)
	}
	got := receive(t, far)
	services := serve(t, s)
	push(t, services.Addrs.P4Runtime)
	client, err := dataplane.Dial(t.Context(), services.Addrs.Dataplane, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	link, err := client.Port(1, "one")
	if err != nil {
		t.Fatal(err)
	}
	defer link.Close()
	if err := link.Send(frame(3)); err != nil {
		t.Fatal(err)
	}
	if f := <-got; !bytes.Equal(f, frame(3)) {
		t.Errorf("port 2 sent %x, want %x", f, frame(3))
	}
	counted(t, services.Addrs.GNMI, "port-1", 1)
}

func TestPortsThatCannotBeAttached(t *testing.T) {
	s := newSwitch(t)
	a, b := wire.Pipe("a", "host a")
	defer b.Close()
	if err := s.Attach(1, a); err != nil {
		t.Fatal(err)
	}
	c, d := wire.Pipe("c", "host c")
	defer c.Close()
	defer d.Close()
	for _, test := range []struct {
		number uint32
		want   string
	}{
		{510, `port 510 for "c": the port cannot be used: valid are 0 to 509`},
		{1, `port 1 for "c": the port cannot be used: "a" is attached`},
	} {
		if err := s.Attach(test.number, c); !errors.Is(err, ErrPort) || err.Error() != test.want {
			t.Errorf("error is %v, want ErrPort: %s", err, test.want)
		}
		if err := s.Name(test.number, "c"); !errors.Is(err, ErrPort) || err.Error() != test.want {
			t.Errorf("error is %v, want ErrPort: %s", err, test.want)
		}
	}
}

func TestAttachAfterClose(t *testing.T) {
	s, err := New(Options{DeviceID: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	a, b := wire.Pipe("a", "host a")
	defer a.Close()
	defer b.Close()
	if err := s.Attach(1, a); !errors.Is(err, ErrClosed) {
		t.Errorf("error is %v, want ErrClosed", err)
	}
}

// TestListenIsAllOrNothing verifies that Listen closes all services if it cannot listen on one of
// the addresses.
func TestListenIsAllOrNothing(t *testing.T) {
	s := newSwitch(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := free.Addr().String()
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = s.Listen(Addrs{P4Runtime: addr, GNMI: taken.Addr().String()})
	if err == nil || !strings.Contains(err.Error(), "gNMI on "+taken.Addr().String()+": address already in use") {
		t.Errorf("error is %v, want one that names the gNMI address", err)
	}
	again, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatalf("P4Runtime's address was not given back: %v", err)
	}
	_ = again.Close()
}

// TestListenTLS verifies that P4Runtime and gNMI require TLS, and that the packet service does not.
func TestListenTLS(t *testing.T) {
	d := tlstest.New(t).Dir(t, "127.0.0.1")
	server, err := tlsfiles.Server(tlsfiles.Files{Cert: d.Cert, Key: d.Key}, false)
	if err != nil {
		t.Fatal(err)
	}
	client, err := tlsfiles.Client(tlsfiles.Files{CA: d.CA, ServerName: "127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	services, err := newSwitch(t).ListenTLS(Addrs{P4Runtime: "127.0.0.1:0", GNMI: "127.0.0.1:0", Dataplane: "127.0.0.1:0"}, server)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(services.Close)
	secured := func(addr string) *grpc.ClientConn {
		t.Helper()
		conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(credentials.NewTLS(client)))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		return conn
	}
	if _, err := p4v1.NewP4RuntimeClient(secured(services.Addrs.P4Runtime)).Capabilities(t.Context(), &p4v1.CapabilitiesRequest{}); err != nil {
		t.Errorf("P4Runtime: %v", err)
	}
	if _, err := gpb.NewGNMIClient(secured(services.Addrs.GNMI)).Capabilities(t.Context(), &gpb.CapabilityRequest{}); err != nil {
		t.Errorf("gNMI: %v", err)
	}
	if _, err := p4v1.NewP4RuntimeClient(dial(t, services.Addrs.P4Runtime)).Capabilities(t.Context(), &p4v1.CapabilitiesRequest{}); status.Code(err) != codes.Unavailable {
		t.Errorf("P4Runtime in plain text: %v, want Unavailable", err)
	}
	stream, err := bmv1.NewDataplaneInterfaceClient(dial(t, services.Addrs.Dataplane)).PacketStream(t.Context())
	if err == nil {
		err = stream.CloseSend()
	}
	if err == nil {
		_, err = stream.Recv()
	}
	if !errors.Is(err, io.EOF) {
		t.Errorf("packet service: %v, want its orderly end", err)
	}
}
