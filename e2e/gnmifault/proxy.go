// Package gnmifault is a gNMI proxy for tests of gNMI clients. It forwards the calls of clients to a server, and disturbs the answers.
package gnmifault

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// Faults are the disturbances of a Proxy. The zero value disturbs nothing. A number n applies a fault to every nth notification of a call;
// 0 disables it.
type Faults struct {
	Swap   int // the notification is sent after the next message
	Repeat int // the notification is sent twice
	Replay int // the notification is followed by an earlier one, with the old values and the old timestamp
	Lower  int // the notification is preceded by a copy in which every counter has half of its value
	Ahead  int // the notification is preceded by a copy with a timestamp in the next century

	Merge      bool   // all values before the sync response are sent in one notification
	NoSync     bool   // the sync response is dropped
	NoOnChange bool   // a subscription to changes is refused
	Stop       int    // after this number of notifications, a call sends nothing until the fault ends; 0 means no stop
	Mute       bool   // calls are accepted, but not answered until the fault ends
	Garbage    []byte // these bytes replace each message
	Pad        int    // the number of bytes of an unknown field that are added to each message
}

// A Proxy is a gNMI server in front of another gNMI server. Serve it with the result of NewServer.
type Proxy struct {
	gpb.UnimplementedGNMIServer
	upstream gpb.GNMIClient

	mu      sync.Mutex // guards everything below
	faults  Faults
	changed chan struct{}                     // closed and replaced when faults change
	calls   map[*call]context.CancelCauseFunc // the open Subscribe calls
}

// New returns a proxy for the server behind a connection.
func New(upstream grpc.ClientConnInterface) *Proxy {
	return &Proxy{
		upstream: gpb.NewGNMIClient(upstream), changed: make(chan struct{}), calls: make(map[*call]context.CancelCauseFunc),
	}
}

// NewServer returns a gRPC server that serves the proxy.
func (p *Proxy) NewServer() *grpc.Server {
	s := grpc.NewServer(grpc.ForceServerCodecV2(codec{}))
	gpb.RegisterGNMIServer(s, p)
	return s
}

// Disturb replaces the faults. The new faults apply to the next messages of all calls.
func (p *Proxy) Disturb(f Faults) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = f
	close(p.changed)
	p.changed = make(chan struct{})
}

// Cut ends all open Subscribe calls.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, end := range p.calls {
		end(errCut)
	}
}

// Calls returns the number of open Subscribe calls.
func (p *Proxy) Calls() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.calls)
}

var errCut = status.Error(codes.Unavailable, "the connection was cut")

// now returns the current faults. It waits while the proxy is mute, or while the fault Stop applies to a call with this number of
// notifications.
func (p *Proxy) now(ctx context.Context, notifications int) (Faults, error) {
	for {
		p.mu.Lock()
		f, changed := p.faults, p.changed
		p.mu.Unlock()
		if !f.Mute && (f.Stop == 0 || notifications < f.Stop) {
			return f, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return f, context.Cause(ctx)
		}
	}
}

// Capabilities forwards the request.
func (p *Proxy) Capabilities(ctx context.Context, req *gpb.CapabilityRequest) (*gpb.CapabilityResponse, error) {
	if _, err := p.now(ctx, 0); err != nil {
		return nil, err
	}
	return p.upstream.Capabilities(ctx, req)
}

// Get forwards the request.
func (p *Proxy) Get(ctx context.Context, req *gpb.GetRequest) (*gpb.GetResponse, error) {
	if _, err := p.now(ctx, 0); err != nil {
		return nil, err
	}
	return p.upstream.Get(ctx, req)
}

// Subscribe forwards the messages of both sides.
func (p *Proxy) Subscribe(down gpb.GNMI_SubscribeServer) error {
	ctx, end := context.WithCancelCause(down.Context())
	defer end(nil)
	req, err := down.Recv()
	if err != nil {
		return err
	}
	f, err := p.now(ctx, 0)
	if err != nil {
		return err
	}
	for _, s := range req.GetSubscribe().GetSubscription() {
		if f.NoOnChange && s.GetMode() == gpb.SubscriptionMode_ON_CHANGE {
			return status.Error(codes.InvalidArgument, "changes are not reported; valid: SAMPLE")
		}
	}
	up, err := p.upstream.Subscribe(ctx)
	if err != nil {
		return err
	}
	if err := up.Send(req); err != nil && !errors.Is(err, io.EOF) { // after io.EOF, Recv returns the reason
		return err
	}
	go func() { // this goroutine ends when Subscribe has returned, at the latest
		for {
			req, err := down.Recv()
			if err != nil {
				_ = up.CloseSend()
				return
			}
			_ = up.Send(req)
		}
	}()
	c := &call{p: p, down: down}
	p.mu.Lock()
	p.calls[c] = end
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		delete(p.calls, c)
		p.mu.Unlock()
	}()
	for {
		r, err := up.Recv()
		if cause := context.Cause(ctx); err != nil && cause != nil {
			return cause
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := c.pass(ctx, r); err != nil {
			return err
		}
	}
}

// A codec encodes and decodes proto messages, and sends raw bytes unchanged.
type codec struct{}

var _ encoding.CodecV2 = codec{}

func (codec) Name() string { return "proto" }

func (codec) Marshal(v any) (mem.BufferSlice, error) {
	if b, ok := v.([]byte); ok {
		return mem.BufferSlice{mem.SliceBuffer(b)}, nil
	}
	m, ok := v.(proto.Message)
	if !ok {
		return nil, fmt.Errorf("a %T is no message", v)
	}
	b, err := proto.Marshal(m)
	return mem.BufferSlice{mem.SliceBuffer(b)}, err
}

func (codec) Unmarshal(data mem.BufferSlice, v any) error {
	m, ok := v.(proto.Message)
	if !ok {
		return fmt.Errorf("a %T is no message", v)
	}
	return proto.Unmarshal(data.Materialize(), m)
}
