package p4rtserver

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// A session is a StreamChannel, which is the connection of one controller.
//
// Two goroutines serve a session. The goroutine of the RPC sends messages from two bounded queues, and the other goroutine receives
// messages. No other goroutine waits for the controller. Messages that the controller does not read in time are dropped and counted. If an
// arbitration message cannot be queued, the stream ends, because a controller that missed such a message would have a wrong view of the
// primary.
type session struct {
	peer string
	arb  *arbiter

	// role, election and gone are guarded by the arbiter's mu.
	role     *role
	election *electionID
	gone     bool // the controller has been withdrawn and cannot arbitrate again

	control chan *p4v1.StreamMessageResponse // arbitration messages
	bulk    chan *p4v1.StreamMessageResponse // packets, digests, idle timeouts and errors
	dropped *atomic.Uint64
	waiting atomic.Int64  // number of bytes in bulk
	most    int64         // limit on waiting
	queued  *atomic.Int64 // number of bytes in the bulk queues of all sessions
	mostAll int64         // limit on queued

	once   sync.Once
	ended  chan struct{} // closed by end
	reason error         // the status that the controller receives; set before ended is closed
}

// end closes the stream with the gRPC status reason. If reason is nil, the status is OK. Only the first call has an effect.
func (s *session) end(reason error) {
	s.once.Do(func() {
		s.reason = reason
		close(s.ended)
	})
}

// sendArbitration queues an arbitration message. If the queue is full, it ends the session. It never blocks.
func (s *session) sendArbitration(m *p4v1.MasterArbitrationUpdate) {
	select {
	case s.control <- &p4v1.StreamMessageResponse{Update: &p4v1.StreamMessageResponse_Arbitration{Arbitration: m}}:
	default:
		s.end(status.Errorf(codes.ResourceExhausted, "stream: %d arbitration messages wait unread; read the stream", cap(s.control)))
	}
}

// send queues a message other than arbitration. If there is no room for the message or its bytes, send returns false. It never blocks.
func (s *session) send(m *p4v1.StreamMessageResponse) bool {
	n := sizeOf(m)
	if s.reserve(n) {
		select {
		case s.bulk <- m:
			return true
		default:
			s.taken(n)
		}
	}
	s.dropped.Add(1)
	return false
}

// reserve adds n to the number of waiting bytes. It returns false and adds nothing if there is no room. taken subtracts bytes that no
// longer wait.
func (s *session) reserve(n int64) bool {
	if s.waiting.Add(n) > s.most {
		s.waiting.Add(-n)
		return false
	}
	if s.queued.Add(n) > s.mostAll {
		s.taken(n)
		return false
	}
	return true
}

func (s *session) taken(n int64) {
	s.waiting.Add(-n)
	s.queued.Add(-n)
}

// sizeOf returns the approximate memory of a waiting message. The size of packets is computed separately and faster, because there are many
// of them.
func sizeOf(m *p4v1.StreamMessageResponse) int64 {
	const overhead = 256
	if p := m.GetPacket(); p != nil {
		return overhead + int64(len(p.Payload)) + int64(len(p.Metadata))*overhead
	}
	return overhead + 2*int64(proto.Size(m))
}

// StreamChannel serves one controller until either side ends the stream.
func (s *Server) StreamChannel(stream p4v1.P4Runtime_StreamChannelServer) error {
	sess, err := s.openSession(stream.Context())
	if err != nil {
		return err
	}
	defer s.closeSession(sess)
	// receive returns when Recv fails, which happens at the latest when this function returns.
	go s.receive(stream, sess)
	return transmit(stream, sess)
}

func (s *Server) openSession(ctx context.Context) (*session, error) {
	sess := &session{
		arb:     s.arb,
		control: make(chan *p4v1.StreamMessageResponse, s.opts.ControlQueue),
		bulk:    make(chan *p4v1.StreamMessageResponse, s.opts.StreamQueue),
		dropped: &s.stats.streamDropped,
		most:    s.opts.StreamBytes, queued: &s.queued, mostAll: s.opts.StreamsBytes,
		ended: make(chan struct{}),
	}
	if p, ok := peer.FromContext(ctx); ok {
		sess.peer = p.Addr.String()
	}
	s.sessMu.Lock()
	defer s.sessMu.Unlock()
	if s.closed {
		return nil, errClosed()
	}
	s.sessions[sess] = struct{}{}
	s.log.Debug("stream opened", zap.String("peer", sess.peer))
	return sess, nil
}

func (s *Server) closeSession(sess *session) {
	s.arb.withdraw(sess)
	s.sessMu.Lock()
	delete(s.sessions, sess)
	s.sessMu.Unlock()
	s.queued.Add(-sess.waiting.Load()) // unread messages are dropped
	s.log.Debug("stream ended", zap.String("peer", sess.peer))
}

// transmit sends queued messages, arbitration first, until the session ends or the controller disconnects.
func transmit(stream p4v1.P4Runtime_StreamChannelServer, sess *session) error {
	for {
		var m *p4v1.StreamMessageResponse
		select {
		case m = <-sess.control:
		default:
			select {
			case m = <-sess.control:
			case m = <-sess.bulk:
				sess.taken(sizeOf(m))
			case <-sess.ended:
				return finish(stream, sess)
			}
		}
		if err := stream.Send(m); err != nil {
			return err
		}
	}
}

// finish sends the arbitration messages that were queued before the session ended, and returns the status of the session.
func finish(stream p4v1.P4Runtime_StreamChannelServer, sess *session) error {
	for {
		select {
		case m := <-sess.control:
			if err := stream.Send(m); err != nil {
				return err
			}
		default:
			return sess.reason
		}
	}
}

// receive handles the controller's messages in order.
func (s *Server) receive(stream p4v1.P4Runtime_StreamChannelServer, sess *session) {
	// The controller is withdrawn from its role as soon as receive returns, even if a Send still blocks.
	defer s.arb.withdraw(sess)
	arbitrated := false
	for {
		m, err := stream.Recv()
		if err != nil {
			if errors.Is(err, io.EOF) { // the controller has closed its side
				err = nil
			}
			sess.end(err)
			return
		}
		select {
		case <-sess.ended:
			return
		default:
		}
		if u, ok := m.Update.(*p4v1.StreamMessageRequest_Arbitration); ok && u.Arbitration != nil {
			if err := s.arb.update(sess, u.Arbitration); err != nil {
				s.log.Info("arbitration refused", zap.String("peer", sess.peer), zap.Error(err))
				sess.end(err)
				return
			}
			arbitrated = true
			continue
		}
		if !arbitrated {
			sess.end(status.Errorf(codes.FailedPrecondition, "stream: first message is %s; it must be arbitration", kindOf(m)))
			return
		}
		s.handle(sess, m)
	}
}

// handle processes a message other than arbitration. If the message is refused, the error is sent on the stream (spec 16.6).
func (s *Server) handle(sess *session, m *p4v1.StreamMessageRequest) {
	switch u := m.Update.(type) {
	case *p4v1.StreamMessageRequest_Packet:
		if err := s.packetOut(sess, u.Packet); err != nil {
			s.stats.packetOutRefused.Add(1)
			e := streamError(err)
			e.Details = &p4v1.StreamError_PacketOut{PacketOut: &p4v1.PacketOutError{PacketOut: quote(u.Packet)}}
			sess.send(&p4v1.StreamMessageResponse{Update: &p4v1.StreamMessageResponse_Error{Error: e}})
		}
	case *p4v1.StreamMessageRequest_DigestAck:
		if err := s.digestAck(sess, u.DigestAck); err != nil {
			e := streamError(err)
			e.Details = &p4v1.StreamError_DigestListAck{DigestListAck: &p4v1.DigestListAckError{DigestListAck: u.DigestAck}}
			sess.send(&p4v1.StreamMessageResponse{Update: &p4v1.StreamMessageResponse_Error{Error: e}})
		}
	default:
		e := streamError(status.Errorf(codes.Unimplemented, "stream: %s: this server knows arbitration, packet and digest_ack", kindOf(m)))
		if other := m.GetOther(); proto.Size(other) <= maxQuote {
			e.Details = &p4v1.StreamError_Other{Other: &p4v1.StreamOtherError{Other: other}}
		}
		sess.send(&p4v1.StreamMessageResponse{Update: &p4v1.StreamMessageResponse_Error{Error: e}})
	}
}

func kindOf(m *p4v1.StreamMessageRequest) string {
	switch m.Update.(type) {
	case *p4v1.StreamMessageRequest_Arbitration:
		return "an empty arbitration"
	case *p4v1.StreamMessageRequest_Packet:
		return "packet"
	case *p4v1.StreamMessageRequest_DigestAck:
		return "digest_ack"
	case *p4v1.StreamMessageRequest_Other:
		return "other"
	}
	return "empty or of an unknown kind"
}

func streamError(err error) *p4v1.StreamError {
	st := status.Convert(err)
	return &p4v1.StreamError{CanonicalCode: int32(st.Code()), Message: st.Message(), Space: errorSpace}
}

// digestAck passes the primary's acknowledgement to the digester.
func (s *Server) digestAck(sess *session, ack *p4v1.DigestListAck) error {
	if !s.arb.isPrimary(sess) {
		return status.Error(codes.PermissionDenied, "digest_ack: only the primary may acknowledge digest lists")
	}
	d := s.digesting.Load()
	if d == nil {
		return errNoPipeline()
	}
	return d.ack(ack.GetDigestId(), ack.GetListId())
}

// toPrimaries queues a message for the primary of every role. It returns the number of primaries that had room for the message. Roles have
// no configuration in this server, so every role has full access to the pipeline and receives everything.
func (s *Server) toPrimaries(m *p4v1.StreamMessageResponse) int {
	n := 0
	for _, sess := range *s.arb.primaries.Load() {
		if sess.send(m) {
			n++
		}
	}
	return n
}
