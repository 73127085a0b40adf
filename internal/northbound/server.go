package northbound

import (
	"context"
	"errors"
	"io"
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// Register registers the service with a gRPC server. The server must pass its calls through Gate.Admit first.
func (s *Service) Register(r grpc.ServiceRegistrar) { gpb.RegisterGNMIServer(r, server{s: s}) }

// A server implements the gNMI service.
type server struct {
	gpb.UnimplementedGNMIServer
	s *Service
}

var _ gpb.GNMIServer = server{}

// Capabilities returns the models and encodings, which are the same for all targets.
func (v server) Capabilities(ctx context.Context, req *gpb.CapabilityRequest) (answer *gpb.CapabilityResponse, err error) {
	err = v.s.cfg.Gate.Call(ctx, gpb.GNMI_Capabilities_FullMethodName, func(ctx context.Context) (err error) {
		answer, err = v.s.gnmi.Capabilities(ctx, req)
		return err
	})
	return answer, err
}

// Set refuses every request, because only the policy writes to the switches.
func (v server) Set(ctx context.Context, _ *gpb.SetRequest) (answer *gpb.SetResponse, err error) {
	err = v.s.cfg.Gate.Call(ctx, gpb.GNMI_Set_FullMethodName, func(context.Context) error {
		return status.Error(codes.Unimplemented, "Set is not supported: op25b serve only reports the state of the switches over gNMI; change the policy with op25b apply")
	})
	return answer, err
}

// Get answers from this controller's values, or forwards the request to the switch's owner.
func (v server) Get(ctx context.Context, req *gpb.GetRequest) (answer *gpb.GetResponse, err error) {
	err = v.s.cfg.Gate.Call(ctx, gpb.GNMI_Get_FullMethodName, func(ctx context.Context) (err error) {
		at, err := v.s.where(req.GetPrefix().GetTarget())
		if err != nil || at.owner == "" {
			answer, err = v.s.gnmi.Get(ctx, req) // s.gnmi describes the error of where
			return err
		}
		answer, err = v.s.forwardGet(ctx, at, req)
		return err
	})
	return answer, err
}

// Subscribe serves a subscription from this controller's values, or forwards it to the switch's owner. The stream ends when the owner
// changes.
func (v server) Subscribe(stream gpb.GNMI_SubscribeServer) error {
	return v.s.cfg.Gate.Stream(stream.Context(), gpb.GNMI_Subscribe_FullMethodName, func(ctx context.Context) error {
		in := &inbound{GNMI_SubscribeServer: stream, ctx: ctx}
		first, err := in.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		in.first = first
		name := first.GetSubscribe().GetPrefix().GetTarget()
		at, err := v.s.where(name)
		if err != nil {
			return v.s.gnmi.Subscribe(in) // s.gnmi describes the error
		}
		return v.s.subscribe(ctx, in, name, at)
	})
}

func (s *Service) subscribe(ctx context.Context, in *inbound, name string, at home) error {
	ctx, end := context.WithCancelCause(ctx)
	watching := make(chan struct{})
	go func() {
		defer close(watching)
		if err := s.awaitMove(ctx, name, at); err != nil {
			end(err)
		}
	}()
	in.ctx = ctx
	var err error
	if at.owner == "" {
		err = s.gnmi.Subscribe(in)
	} else {
		err = s.forwardSubscribe(ctx, at, in)
	}
	if now, lost := s.where(name); err != nil && ctx.Err() == nil && (lost != nil || now != at) {
		select { // The call failed because the owner of the switch changes, so its last message names the new owner.
		case <-watching:
		case <-time.After(2 * settleWithin): // the switch is back
		}
	}
	cause := context.Cause(ctx)
	end(nil)
	<-watching
	if _, isStatus := status.FromError(cause); err != nil && cause != nil && isStatus {
		return cause
	}
	return err
}

// An inbound is a caller's stream. Its context may end before the call, and Recv then returns.
type inbound struct {
	gpb.GNMI_SubscribeServer
	ctx   context.Context
	first *gpb.SubscribeRequest // the message that the next Recv returns; nil if there is none
}

// Context returns the context of the call's handler.
func (in *inbound) Context() context.Context { return in.ctx }

// Recv returns the caller's next message. If the context ends while Recv waits, a goroutine remains until the call ends.
func (in *inbound) Recv() (*gpb.SubscribeRequest, error) {
	if first := in.first; first != nil {
		in.first = nil
		return first, nil
	}
	type received struct {
		req *gpb.SubscribeRequest
		err error
	}
	next := make(chan received, 1)
	go func() {
		req, err := in.GNMI_SubscribeServer.Recv()
		next <- received{req, err}
	}()
	select {
	case r := <-next:
		return r.req, r.err
	case <-in.ctx.Done():
		return nil, status.FromContextError(in.ctx.Err()).Err()
	}
}

// forwardedKey is the metadata key for the name of the controller that forwarded a call. A forwarded call is not forwarded again.
const forwardedKey = "op25b-forwarded-by"

// forwardedBy returns the name of the controller that forwarded a call, or "" if none did.
func forwardedBy(ctx context.Context) string {
	md, _ := metadata.FromIncomingContext(ctx)
	if names := md.Get(forwardedKey); len(names) > 0 {
		return names[0]
	}
	return ""
}
