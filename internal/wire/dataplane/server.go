// Package dataplane carries frames over gRPC between a software switch and the hosts at its ports. It is wire-compatible with bmv2's
// p4.bm.DataplaneInterface. The hosts use Client, and the switch uses Server.
//
// The package neither interprets frames nor decides where they go.
package dataplane

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"op25b/internal/wire"
	bmv1 "op25b/proto/bm/v1"
)

// Hooks are the functions through which a Server calls its switch.
type Hooks struct {
	// Receive accepts a frame that enters the switch at a port. The port number is not checked. The frame is valid only during the call,
	// and calls are sequential. id is the client's number for the frame, or 0 if the client does not use ids. The switch must pass the same
	// id to Send with every frame that results. Receive is required.
	Receive func(port uint32, id uint64, frame []byte)
	// PortStatus sets a port down or up on a client's request. If PortStatus is nil, such requests fail with UNIMPLEMENTED.
	PortStatus func(port uint32, up bool)
	// Drain returns when the switch has sent every frame that results from the frames received so far, or when ctx ends. The Server calls
	// it after a client has closed its side of the stream, so that the client gets every frame before the stream ends. A switch that sends
	// within Receive needs no Drain.
	Drain func(ctx context.Context)
}

// A Server is the packet service of a switch.
type Server struct {
	bmv1.UnimplementedDataplaneInterfaceServer

	deviceID uint64
	hooks    Hooks
	log      *zap.Logger
	counters wire.Counters
	ctx      context.Context // cancelled by Close
	cancel   context.CancelFunc
	streams  sync.WaitGroup // counts the goroutines of PacketStream

	mu  sync.Mutex // guards everything below
	out *wire.Queue[header]
}

// A header holds the port and the id of a frame that leaves the switch.
type header struct {
	id   uint64
	port uint32
}

// packetStream is the switch's side of a packet stream.
type packetStream = grpc.BidiStreamingServer[bmv1.PacketStreamRequest, bmv1.PacketStreamResponse]

var errStopping = status.Error(codes.Unavailable, "the switch stops")

var (
	_ bmv1.DataplaneInterfaceServer = (*Server)(nil)
	_ wire.Counted                  = (*Server)(nil)
)

// NewServer returns the packet service of the switch with the given device id. log may be nil.
func NewServer(deviceID uint64, hooks Hooks, log *zap.Logger) (*Server, error) {
	if hooks.Receive == nil {
		return nil, errors.New("packet service: Hooks.Receive is not set, so that no frame could enter the switch")
	}
	if log == nil {
		log = zap.NewNop()
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &Server{deviceID: deviceID, hooks: hooks, log: log, ctx: ctx, cancel: cancel}, nil
}

// Register adds the service to a gRPC server.
func (s *Server) Register(registrar grpc.ServiceRegistrar) {
	bmv1.RegisterDataplaneInterfaceServer(registrar, s)
}

// Stats returns the switch's frame counters. Sent counts the frames queued for a stream, and Received the frames that entered the switch.
// Dropped counts the frames that were lost because no client was connected or the queue was full. Invalid counts the frames that were
// empty, too long or for another device id.
func (s *Server) Stats() wire.Stats { return s.counters.Stats() }

// Send queues a copy of frame for the connected client, as output of the given port. id is the id of the frame that caused it. Send does
// not block. If no client is connected, Send returns ErrNoStream and the frame is lost, as with bmv2.
func (s *Server) Send(port uint32, id uint64, frame []byte) error {
	if err := wire.CheckSize(fmt.Sprintf("port %d", port), len(frame)); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.out == nil {
		s.counters.Dropped.Add(1)
		return ErrNoStream
	}
	if s.out.Push(header{id, port}, frame) {
		s.counters.Sent.Add(1)
	} else {
		s.counters.Dropped.Add(1)
	}
	return nil
}

// Close ends the connected stream and refuses further streams. It waits until no frame is being passed to the switch, so it must not be
// called within Receive. Close may be called more than once.
func (s *Server) Close() error {
	s.mu.Lock()
	s.cancel()
	s.mu.Unlock()
	s.streams.Wait()
	return nil
}

// PacketStream implements p4.bm.DataplaneInterface.
func (s *Server) PacketStream(stream packetStream) error {
	out := wire.NewQueue[header](queueLength)
	s.mu.Lock()
	switch {
	case s.ctx.Err() != nil:
		s.mu.Unlock()
		return errStopping
	case s.out != nil:
		s.mu.Unlock()
		return status.Error(codes.ResourceExhausted, "only one client authorized at a time")
	}
	s.out = out
	// Add is called under mu, and Close cancels ctx under mu. So Close waits for every stream that was accepted.
	s.streams.Add(3)
	s.mu.Unlock()
	s.log.Info("packet stream opened")

	defer s.streams.Done()
	sent := make(chan struct{})
	go func() {
		defer s.streams.Done()
		defer close(sent)
		s.transmit(stream, out)
	}()
	received := make(chan error, 1)
	go func() {
		defer s.streams.Done()
		received <- s.receive(stream)
	}()
	var err error
	select {
	case err = <-received:
	case <-s.ctx.Done():
		err = errStopping
	}
	if err == nil && s.hooks.Drain != nil {
		s.hooks.Drain(stream.Context())
	}
	s.mu.Lock()
	s.out = nil
	s.mu.Unlock()
	if err == nil {
		out.Finish()
		select {
		case <-sent:
		case <-s.ctx.Done():
			err = errStopping
		}
	}
	// If transmit is blocked by a slow client, it ends when this method has returned.
	out.Close()
	s.log.Info("packet stream ended", zap.Error(err))
	return err
}

// receive passes the client's frames to the switch. It returns nil when the client has closed its side.
func (s *Server) receive(stream packetStream) error {
	for {
		request, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case s.ctx.Err() != nil:
			return errStopping
		}
		if request.DeviceId != s.deviceID || wire.CheckSize("", len(request.Packet)) != nil {
			s.counters.Invalid.Add(1)
			continue
		}
		s.counters.Received.Add(1)
		s.hooks.Receive(request.Port, request.Id, request.Packet)
	}
}

// transmit is the only sender on the stream.
func (s *Server) transmit(stream packetStream, out *wire.Queue[header]) {
	// If Send fails, the stream has ended, and receive returns the reason.
	_ = out.Serve(stream.Context(), func(h header, frame []byte) error {
		return stream.Send(&bmv1.PacketStreamResponse{DeviceId: s.deviceID, Id: h.id, Port: h.port, Packet: bytes.Clone(frame)})
	})
}

// SetPortOperStatus implements p4.bm.DataplaneInterface.
func (s *Server) SetPortOperStatus(_ context.Context, request *bmv1.SetPortOperStatusRequest) (*bmv1.SetPortOperStatusResponse, error) {
	if request.DeviceId != s.deviceID {
		return nil, status.Errorf(codes.InvalidArgument, "device id %d: this switch is %d", request.DeviceId, s.deviceID)
	}
	if request.OperStatus != bmv1.PortOperStatus_OPER_STATUS_DOWN && request.OperStatus != bmv1.PortOperStatus_OPER_STATUS_UP {
		return nil, status.Errorf(codes.InvalidArgument, "port %d: oper_status %v, want OPER_STATUS_DOWN or OPER_STATUS_UP", request.Port, request.OperStatus)
	}
	if s.hooks.PortStatus == nil {
		return nil, status.Error(codes.Unimplemented, "this switch takes no port down")
	}
	s.hooks.PortStatus(request.Port, request.OperStatus == bmv1.PortOperStatus_OPER_STATUS_UP)
	return &bmv1.SetPortOperStatusResponse{}, nil
}
