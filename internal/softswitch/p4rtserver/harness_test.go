package p4rtserver

import (
	"context"
	"io"
	"net"
	"testing"
	"time"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"op25b/e2e/longform"
	"op25b/internal/softswitch/engine"
)

func TestMain(m *testing.M) {
	longform.Rapid()
	goleak.VerifyTestMain(m)
}

const device = 1

// A rig is a server on a loopback port, and a connection to it.
type rig struct {
	t      *testing.T
	server *Server
	conn   *grpc.ClientConn
	client p4v1.P4RuntimeClient
}

func noLoad([]byte) (*engine.Engine, error) { return nil, engine.ErrUnsupported }

// newRig starts a server with the given options. Required options that are not set get defaults.
func newRig(t *testing.T, o Options) *rig {
	t.Helper()
	if o.DeviceID == 0 {
		o.DeviceID = device
	}
	if o.Load == nil {
		o.Load = noLoad
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, server: s, conn: serve(t, s)}
	r.client = p4v1.NewP4RuntimeClient(r.conn)
	return r
}

// serve runs a server on a loopback port and connects to it. Both end with the test.
func serve(t testing.TB, s *Server) *grpc.ClientConn {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer(grpc.MaxRecvMsgSize(16 << 20))
	s.Register(g)
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = g.Serve(l)
	}()
	t.Cleanup(func() {
		s.Close()
		g.Stop()
		<-served
	})
	c, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// timeout limits a test's waits. It is reached only if something is broken.
const timeout = 2 * time.Minute

func testContext(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	t.Cleanup(cancel)
	return ctx
}

// A controller is a client's StreamChannel.
type controller struct {
	t      testing.TB
	stream p4v1.P4Runtime_StreamChannelClient
	cancel context.CancelFunc
}

func (r *rig) controller() *controller {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	r.t.Cleanup(cancel)
	st, err := r.client.StreamChannel(ctx)
	if err != nil {
		r.t.Fatal(err)
	}
	return &controller{t: r.t, stream: st, cancel: cancel}
}

func id(low uint64) *p4v1.Uint128 { return &p4v1.Uint128{Low: low} }

func arbitration(dev uint64, role string, e *p4v1.Uint128) *p4v1.MasterArbitrationUpdate {
	m := &p4v1.MasterArbitrationUpdate{DeviceId: dev, ElectionId: e}
	if role != "" {
		m.Role = &p4v1.Role{Name: role}
	}
	return m
}

func (c *controller) send(m *p4v1.StreamMessageRequest) {
	c.t.Helper()
	if err := c.stream.Send(m); err != nil && err != io.EOF { // for io.EOF, Recv returns the status
		c.t.Fatal(err)
	}
}

func (c *controller) arbitrate(m *p4v1.MasterArbitrationUpdate) {
	c.t.Helper()
	c.send(&p4v1.StreamMessageRequest{Update: &p4v1.StreamMessageRequest_Arbitration{Arbitration: m}})
}

// next returns the next message, or the status with which the stream ended.
func (c *controller) next() (*p4v1.StreamMessageResponse, error) {
	return c.stream.Recv()
}

// told waits for an arbitration message and checks its status and election id.
func (c *controller) told(code codes.Code, highest *p4v1.Uint128) {
	c.t.Helper()
	m, err := c.next()
	if err != nil {
		c.t.Fatalf("stream ended with %v, want an arbitration message with %v", err, code)
	}
	a := m.GetArbitration()
	if a == nil {
		c.t.Fatalf("got %v, want an arbitration message", m)
	}
	if got := codes.Code(a.Status.GetCode()); got != code {
		c.t.Fatalf("told %v, want %v: %v", got, code, a)
	}
	if electionFrom(a.ElectionId).compare(electionFrom(highest)) != 0 {
		c.t.Fatalf("told election id %v, want %v", a.ElectionId, highest)
	}
}

// ended waits for the end of the stream and checks its status.
func (c *controller) ended(code codes.Code, message string) {
	c.t.Helper()
	for {
		m, err := c.next()
		if err == nil {
			c.t.Logf("before the end: %v", m)
			continue
		}
		wantStatus(c.t, err, code, message)
		return
	}
}

// wantStatus checks the code and the complete message of a status.
func wantStatus(t testing.TB, err error, code codes.Code, message string) {
	t.Helper()
	st := status.Convert(err)
	if st.Code() != code || st.Message() != message {
		t.Fatalf("got  %v: %s\nwant %v: %s", st.Code(), st.Message(), code, message)
	}
}
