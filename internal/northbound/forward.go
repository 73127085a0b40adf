package northbound

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"op25b/internal/auth"
	"op25b/internal/tlsfiles"
)

// These are the limits of forwarded calls.
const (
	// maxForwardedGet is the size of the largest forwarded answer to a Get, in bytes. It has room for 400,000 leaves (openconfig.MaxLeaves)
	// of 160 bytes.
	maxForwardedGet = 64 << 20
	// maxForwardedUpdate is the size of the largest forwarded message of a subscription, in bytes. The owner sends at most 512 changes of
	// 200 bytes in a message.
	maxForwardedUpdate = 4 << 20
	// getsAtOnce is the largest number of forwarded Gets in progress, which limits their memory. Other Gets wait.
	getsAtOnce = 4
	// connectWithin is the time within which the owner must accept the connection.
	connectWithin = 10 * time.Second
)

// A frame is a message that is forwarded without being decoded. All its fields are unknown fields, which are preserved.
type frame = emptypb.Empty

// outgoing returns the context of a forwarded call, or a gRPC status if the call must not be forwarded.
func (s *Service) outgoing(ctx context.Context, at home) (context.Context, error) {
	if by := forwardedBy(ctx); by != "" {
		return nil, status.Errorf(codes.Unavailable, "%.64q has forwarded the call to %s, but the switch is now owned by %s at %s, call again",
			by, s.cfg.Name, at.owner, at.addrs.GNMI)
	}
	id, authorization := s.cfg.Gate.Caller(ctx)
	if id.By == auth.ByCertificate {
		return nil, status.Errorf(codes.FailedPrecondition,
			"the switch is owned by %s at %s, and a call with a client certificate cannot be forwarded: call %s, or use a token", at.owner, at.addrs.GNMI, at.addrs.GNMI)
	}
	if at.addrs.GNMIPlain != (s.cfg.PeerTLS == nil) {
		return nil, status.Errorf(codes.FailedPrecondition,
			"the switch is owned by %s at %s, and the call cannot be forwarded: one of the two controllers has TLS and the other has not: give both a certificate, or call %s",
			at.owner, at.addrs.GNMI, at.addrs.GNMI)
	}
	if host, _, _ := net.SplitHostPort(at.addrs.GNMI); at.addrs.GNMIPlain && !s.cfg.Insecure && !tlsfiles.Loopback(host) {
		return nil, status.Errorf(codes.FailedPrecondition,
			"the switch is owned by %s at %s, and the token is not forwarded in plain text: give both controllers a certificate, or call %s",
			at.owner, at.addrs.GNMI, at.addrs.GNMI)
	}
	md := metadata.Pairs(forwardedKey, s.cfg.Name)
	if authorization != "" {
		md.Set("authorization", authorization)
	}
	return metadata.NewOutgoingContext(ctx, md), nil
}

// forwarded adds the owner to the message of a forwarded call's error.
func forwarded(err error, at home) error {
	st := status.Convert(err)
	return status.Error(st.Code(), fmt.Sprintf("forwarded to %s at %s: %s", at.owner, at.addrs.GNMI, st.Message()))
}

// forwardGet forwards a Get. The answer is not decoded.
func (s *Service) forwardGet(ctx context.Context, at home, req *gpb.GetRequest) (*gpb.GetResponse, error) {
	ctx, err := s.outgoing(ctx, at)
	if err != nil {
		return nil, err
	}
	select {
	case s.peers.gets <- struct{}{}:
		defer func() { <-s.peers.gets }()
	case <-ctx.Done():
		return nil, status.FromContextError(ctx.Err()).Err()
	}
	conn, release, err := s.peers.take(at.addrs.GNMI)
	if err != nil {
		return nil, forwarded(err, at)
	}
	defer release()
	var answer frame
	if err := conn.Invoke(ctx, gpb.GNMI_Get_FullMethodName, req, &answer, grpc.MaxCallRecvMsgSize(maxForwardedGet)); err != nil {
		return nil, forwarded(err, at)
	}
	out := &gpb.GetResponse{}
	out.ProtoReflect().SetUnknown(answer.ProtoReflect().GetUnknown()) // the unknown fields encode to the same bytes
	return out, nil
}

// forwardSubscribe forwards a subscription. It returns when the caller's or the owner's side ends, or when ctx ends.
func (s *Service) forwardSubscribe(ctx context.Context, at home, in *inbound) error {
	ctx, err := s.outgoing(ctx, at)
	if err != nil {
		return err
	}
	conn, release, err := s.peers.take(at.addrs.GNMI)
	if err != nil {
		return forwarded(err, at)
	}
	defer release()
	ctx, cancel := context.WithCancel(ctx)
	in.ctx = ctx // so that Recv returns when the owner has ended the stream
	out, err := conn.NewStream(ctx, &grpc.StreamDesc{StreamName: "Subscribe", ServerStreams: true, ClientStreams: true},
		gpb.GNMI_Subscribe_FullMethodName, grpc.MaxCallRecvMsgSize(maxForwardedUpdate))
	if err != nil {
		cancel()
		return forwarded(err, at)
	}
	requests := make(chan error, 1) // the reason why the caller's messages ended; nil if the caller closed its side
	go func() {
		err := passRequests(in, out)
		if err != nil {
			cancel()
		}
		requests <- err
	}()
	err = passAnswers(in, out)
	cancel()
	asked := <-requests
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case asked != nil && status.Code(err) == codes.Canceled:
		return asked
	}
	return forwarded(err, at) // passAnswers always returns an error
}

// passRequests sends the caller's messages to the owner until the caller closes its side.
func passRequests(in *inbound, out grpc.ClientStream) error {
	for {
		req, err := in.Recv()
		if errors.Is(err, io.EOF) {
			return out.CloseSend()
		}
		if err != nil {
			return err
		}
		if err := out.SendMsg(req); err != nil {
			if errors.Is(err, io.EOF) { // the owner has ended the stream; its status comes with the answers
				return nil
			}
			return err
		}
	}
}

// passAnswers sends the owner's messages to the caller. It holds one message at a time, so a slow caller slows down the owner.
func passAnswers(in *inbound, out grpc.ClientStream) error {
	for {
		var answer frame
		if err := out.RecvMsg(&answer); err != nil {
			return err
		}
		if err := in.SendMsg(&answer); err != nil {
			return err
		}
	}
}
