package telemetry

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"github.com/openconfig/gnmic/pkg/api/path"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/test/bufconn"

	"op25b/internal/openconfig"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// A place is an address at which servers start and stop.
type place struct {
	mu  sync.Mutex
	lis *bufconn.Listener
}

// serve starts a server at the place, and returns a function that stops it.
func (p *place) serve(s gpb.GNMIServer) (stop func()) {
	lis := bufconn.Listen(1 << 16)
	p.mu.Lock()
	p.lis = lis
	p.mu.Unlock()
	g := grpc.NewServer()
	gpb.RegisterGNMIServer(g, s)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = g.Serve(lis) // Serve returns after Stop
	}()
	return func() {
		p.mu.Lock()
		p.lis = nil
		p.mu.Unlock()
		g.Stop()
		<-done
	}
}

// dial returns the dial option with which clients connect to the place.
func (p *place) dial() grpc.DialOption {
	return grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
		p.mu.Lock()
		lis := p.lis
		p.mu.Unlock()
		if lis == nil {
			return nil, errors.New("nobody there")
		}
		return lis.DialContext(ctx)
	})
}

// client returns a client of the place.
func (p *place) client(t *testing.T) *Client {
	t.Helper()
	c, err := NewClient("passthrough:///place", Options{DialOptions: []grpc.DialOption{p.dial()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// listen serves on the loopback interface until the test ends.
func listen(t *testing.T, s gpb.GNMIServer) (addr string) {
	t.Helper()
	lis, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer()
	gpb.RegisterGNMIServer(g, s)
	done := make(chan error, 1)
	go func() { done <- g.Serve(lis) }()
	t.Cleanup(func() {
		g.Stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return lis.Addr().String()
}

// A source is a switch whose state a test sets.
type source struct {
	mu      sync.Mutex
	state   openconfig.State
	changed func()
}

func (s *source) Snapshot(context.Context, openconfig.Parts) (*openconfig.State, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.state
	return &st, nil
}

func (s *source) Watch(ctx context.Context, changed func()) error {
	s.mu.Lock()
	s.changed = changed
	s.mu.Unlock()
	changed()
	<-ctx.Done()
	return nil
}

func (s *source) set(interfaces ...openconfig.Interface) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state.Interfaces = interfaces
	if s.changed != nil {
		s.changed()
	}
}

func linkOf(name string, number uint32, frames uint64, acl ...openconfig.ACLEntry) openconfig.Interface {
	return openconfig.Interface{Name: name, Port: number, Oper: openconfig.OperUp, Counters: &openconfig.InterfaceCounters{InPkts: frames}, ACL: acl}
}

func newSource(interfaces ...openconfig.Interface) *source {
	return &source{state: openconfig.State{ACLSet: "op25b", Interfaces: interfaces}}
}

func newServer(t *testing.T, src openconfig.Source) *openconfig.Server {
	t.Helper()
	s, err := openconfig.NewServer(src, openconfig.Options{Now: func() time.Time { return stamp }})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var stamp = time.Unix(1159660800, 5) // 2006-10-01 00:00:00.000000005 UTC

// foreign is another vendor's gNMI server, which returns the answers that a test sets.
type foreign struct {
	gpb.UnimplementedGNMIServer
	encodings []gpb.Encoding
	models    []string
	answer    func(list *gpb.SubscriptionList, stream gpb.GNMI_SubscribeServer) error
}

func (f *foreign) Capabilities(context.Context, *gpb.CapabilityRequest) (*gpb.CapabilityResponse, error) {
	res := &gpb.CapabilityResponse{SupportedEncodings: f.encodings}
	for _, m := range f.models {
		res.SupportedModels = append(res.SupportedModels, &gpb.ModelData{Name: m})
	}
	return res, nil
}

func (f *foreign) Subscribe(stream gpb.GNMI_SubscribeServer) error {
	req, err := stream.Recv()
	if err != nil {
		return err
	}
	return f.answer(req.GetSubscribe(), stream)
}

func note(n *gpb.Notification) *gpb.SubscribeResponse {
	return &gpb.SubscribeResponse{Response: &gpb.SubscribeResponse_Update{Update: n}}
}

func synced() *gpb.SubscribeResponse {
	return &gpb.SubscribeResponse{Response: &gpb.SubscribeResponse_SyncResponse{SyncResponse: true}}
}

func mustPath(t *testing.T, text string) *gpb.Path {
	t.Helper()
	p, err := path.ParsePath(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func newFaultServer(t *testing.T, src openconfig.Source) *openconfig.Server {
	t.Helper()
	s, err := openconfig.NewServer(src, openconfig.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// noteOf returns a notification with one text.
func noteOf(t *testing.T, at int64, path, text string) *gpb.Notification {
	t.Helper()
	return &gpb.Notification{Timestamp: at, Update: []*gpb.Update{{Path: mustPath(t, path), Val: &gpb.TypedValue{Value: &gpb.TypedValue_StringVal{StringVal: text}}}}}
}
