package p4rt

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"go.uber.org/goleak"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/anypb"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A fakeSwitch is a scripted P4Runtime server. It has no entries and applies no rules. Tests use it if a real server
// cannot be made to misbehave at the right time; the behaviour of a real server is tested with the embedded switch.
// Each function determines an answer. If a function is nil, the request succeeds with an empty answer.
type fakeSwitch struct {
	p4v1.UnimplementedP4RuntimeServer

	arbitrate func(*fakeStream, *p4v1.MasterArbitrationUpdate) error // nil means that the session becomes primary
	write     func(context.Context, *p4v1.WriteRequest) error
	read      func(*p4v1.ReadRequest, p4v1.P4Runtime_ReadServer) error
	set       func(context.Context, *p4v1.SetForwardingPipelineConfigRequest) error
	get       func(*p4v1.GetForwardingPipelineConfigRequest) (*p4v1.ForwardingPipelineConfig, error)
	alive     func(context.Context) error

	hungUp func(*fakeStream) // called after the session has closed its side of the stream; the stream ends when this function returns

	streams chan *fakeStream // receives every arbitrated stream, unless nil
}

// A fakeStream is the fake switch's end of a stream.
type fakeStream struct {
	p4v1.P4Runtime_StreamChannelServer
	got chan *p4v1.StreamMessageRequest // messages that the session sends after the arbitration
	end chan error                      // an error sent here ends the stream
}

func (s *fakeStream) arbitration(code codes.Code, leader ElectionID) {
	_ = s.Send(&p4v1.StreamMessageResponse{Update: &p4v1.StreamMessageResponse_Arbitration{
		Arbitration: &p4v1.MasterArbitrationUpdate{
			DeviceId: testDevice, ElectionId: leader.proto(), Status: &status.Status{Code: int32(code)},
		},
	}})
}

func (f *fakeSwitch) StreamChannel(stream p4v1.P4Runtime_StreamChannelServer) error {
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	s := &fakeStream{stream, make(chan *p4v1.StreamMessageRequest, 16), make(chan error, 1)}
	if f.arbitrate == nil {
		id := first.GetArbitration().GetElectionId()
		s.arbitration(codes.OK, ElectionID{id.GetHigh(), id.GetLow()})
	} else if err := f.arbitrate(s, first.GetArbitration()); err != nil {
		return err
	}
	if f.streams != nil {
		f.streams <- s
	}
	received := make(chan error, 1)
	go func() {
		for {
			m, err := stream.Recv()
			if err != nil {
				received <- err
				return
			}
			s.got <- m
		}
	}()
	select {
	case err := <-s.end:
		return err
	case err := <-received:
		if errors.Is(err, io.EOF) {
			if f.hungUp != nil {
				f.hungUp(s)
			}
			return nil
		}
		return err
	}
}

func (f *fakeSwitch) Write(ctx context.Context, req *p4v1.WriteRequest) (*p4v1.WriteResponse, error) {
	if f.write == nil {
		return &p4v1.WriteResponse{}, nil
	}
	return &p4v1.WriteResponse{}, f.write(ctx, req)
}

func (f *fakeSwitch) Read(req *p4v1.ReadRequest, stream p4v1.P4Runtime_ReadServer) error {
	if f.read == nil {
		return nil
	}
	return f.read(req, stream)
}

func (f *fakeSwitch) SetForwardingPipelineConfig(ctx context.Context, req *p4v1.SetForwardingPipelineConfigRequest) (*p4v1.SetForwardingPipelineConfigResponse, error) {
	if f.set == nil {
		return &p4v1.SetForwardingPipelineConfigResponse{}, nil
	}
	return &p4v1.SetForwardingPipelineConfigResponse{}, f.set(ctx, req)
}

func (f *fakeSwitch) GetForwardingPipelineConfig(_ context.Context, req *p4v1.GetForwardingPipelineConfigRequest) (*p4v1.GetForwardingPipelineConfigResponse, error) {
	if f.get == nil {
		return nil, grpcstatus.Error(codes.FailedPrecondition, "no pipeline")
	}
	config, err := f.get(req)
	return &p4v1.GetForwardingPipelineConfigResponse{Config: config}, err
}

func (f *fakeSwitch) Capabilities(ctx context.Context, _ *p4v1.CapabilitiesRequest) (*p4v1.CapabilitiesResponse, error) {
	if f.alive != nil {
		if err := f.alive(ctx); err != nil {
			return nil, err
		}
	}
	return &p4v1.CapabilitiesResponse{P4RuntimeApiVersion: "1.5.0"}, nil
}

const testDevice = 7

var testElection = ElectionID{Low: 42}

// serve runs the fake on its own TCP port until the end of the test. It returns the configuration for a session with
// the fake.
func (f *fakeSwitch) serve(t testing.TB) Config {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f.serveOn(t, ln)
	return Config{Addr: ln.Addr().String(), DeviceID: testDevice, ElectionID: testElection}
}

// serveInBubble runs the fake on an in-memory connection, for use with synctest. The caller must call stop.
func (f *fakeSwitch) serveInBubble(t testing.TB) (_ Config, stop func()) {
	t.Helper()
	ln := bufconn.Listen(1 << 20)
	stop = f.serveOn(nil, ln)
	return Config{
		Addr: "switch.invalid:9559", DeviceID: testDevice, ElectionID: testElection,
		DialOptions: []grpc.DialOption{grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return ln.DialContext(ctx) })},
	}, stop
}

func (f *fakeSwitch) serveOn(t testing.TB, ln net.Listener) (stop func()) {
	server := grpc.NewServer()
	p4v1.RegisterP4RuntimeServer(server, f)
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(ln)
	}()
	stop = func() {
		server.Stop()
		<-served
	}
	if t != nil {
		t.Cleanup(stop)
	}
	return stop
}

// dialed returns a session that is closed at the end of the test.
func dialed(t testing.TB, cfg Config) *Session {
	t.Helper()
	s, err := Dial(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// perUpdate returns an answer as defined in section 12.3: UNKNOWN, with one p4.v1.Error for each code.
func perUpdate(cs ...codes.Code) error {
	st := &status.Status{Code: int32(codes.Unknown), Message: "write failure"}
	for _, c := range cs {
		e := &p4v1.Error{CanonicalCode: int32(c)}
		if c != codes.OK {
			e.Message = "because"
		}
		packed, err := anypb.New(e)
		if err != nil {
			panic(err)
		}
		st.Details = append(st.Details, packed)
	}
	return grpcstatus.FromProto(st).Err()
}

// entry returns a table entry. n is part of its key and distinguishes entries.
func entry(table, n uint32) *p4v1.Entity {
	return &p4v1.Entity{Entity: &p4v1.Entity_TableEntry{TableEntry: &p4v1.TableEntry{
		TableId: table,
		Match: []*p4v1.FieldMatch{{FieldId: 1, FieldMatchType: &p4v1.FieldMatch_Exact_{
			Exact: &p4v1.FieldMatch_Exact{Value: []byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}},
		}}},
	}}}
}

func inserts(n int) []*p4v1.Update {
	updates := make([]*p4v1.Update, n)
	for i := range updates {
		updates[i] = &p4v1.Update{Type: p4v1.Update_INSERT, Entity: entry(1, uint32(i))}
	}
	return updates
}
