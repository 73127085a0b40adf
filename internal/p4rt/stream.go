package p4rt

import (
	"context"
	"sync/atomic"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
)

// A queue passes stream messages of one kind to their reader. The goroutine that receives never waits for a reader,
// because the same stream reports the loss of the primary role. If the queue is full, messages are dropped and
// counted.
type queue[T any] struct {
	ch      chan T
	dropped atomic.Uint64
}

// offer adds a message to the queue, or drops it if the queue is full. firstDrop reports whether this is the first
// message that was dropped.
func (q *queue[T]) offer(m T) (firstDrop bool) {
	select {
	case q.ch <- m:
		return false
	default:
		return q.dropped.Add(1) == 1
	}
}

type inbox struct {
	digests  queue[*p4v1.DigestList]
	packets  queue[*p4v1.PacketIn]
	timeouts queue[*p4v1.IdleTimeoutNotification]
	errors   queue[*p4v1.StreamError]
}

func newInbox(size int) inbox {
	return inbox{
		digests:  queue[*p4v1.DigestList]{ch: make(chan *p4v1.DigestList, size)},
		packets:  queue[*p4v1.PacketIn]{ch: make(chan *p4v1.PacketIn, size)},
		timeouts: queue[*p4v1.IdleTimeoutNotification]{ch: make(chan *p4v1.IdleTimeoutNotification, size)},
		errors:   queue[*p4v1.StreamError]{ch: make(chan *p4v1.StreamError, size)},
	}
}

// receive handles all messages that the switch sends on the stream, until the stream ends. Dial starts it, and Close
// waits for its end.
func (s *Session) receive() {
	defer close(s.gone)
	defer func() {
		close(s.inbox.digests.ch)
		close(s.inbox.packets.ch)
		close(s.inbox.timeouts.ch)
		close(s.inbox.errors.ch)
	}()
	for {
		m, err := s.stream.Recv()
		if err != nil {
			s.finish(s.streamEnd(err))
			return
		}
		var kind string
		var dropped bool
		switch update := m.GetUpdate().(type) {
		case *p4v1.StreamMessageResponse_Arbitration:
			s.arbitrated(update.Arbitration)
		case *p4v1.StreamMessageResponse_Digest:
			kind, dropped = "digest", s.inbox.digests.offer(update.Digest)
		case *p4v1.StreamMessageResponse_Packet:
			if s.clocks.answered(update.Packet) || s.frameProbes.answered(update.Packet) {
				continue
			}
			kind, dropped = "packet in", s.inbox.packets.offer(update.Packet)
		case *p4v1.StreamMessageResponse_IdleTimeoutNotification:
			kind, dropped = "idle timeout", s.inbox.timeouts.offer(update.IdleTimeoutNotification)
		case *p4v1.StreamMessageResponse_Error:
			if s.clocks.refused(update.Error) || s.frameProbes.refused(update.Error) {
				continue
			}
			kind, dropped = "stream error", s.inbox.errors.offer(update.Error)
			s.log.Warn("the switch refused a stream message",
				zap.Stringer("code", codes.Code(update.Error.GetCanonicalCode())),
				zap.String("message", update.Error.GetMessage()))
		default:
			s.log.Debug("stream message of an unknown kind ignored")
		}
		if dropped {
			s.log.Warn("stream messages are being dropped: nobody reads them, or not fast enough", zap.String("kind", kind))
		}
	}
}

// Digests returns a channel of digest lists. Each list must be acknowledged with Ack. The channel is closed when the
// session has ended.
func (s *Session) Digests() <-chan *p4v1.DigestList { return s.inbox.digests.ch }

// PacketIns returns a channel of packets that the switch sends to the controller. The channel is closed when the
// session has ended.
func (s *Session) PacketIns() <-chan *p4v1.PacketIn { return s.inbox.packets.ch }

// IdleTimeouts returns a channel of notifications about entries that no packet has hit for their idle timeout. The
// channel is closed when the session has ended.
func (s *Session) IdleTimeouts() <-chan *p4v1.IdleTimeoutNotification { return s.inbox.timeouts.ch }

// StreamErrors returns a channel of errors by which the switch reports acknowledgements and packets that it could
// not use (section 16.6). The errors are also logged. The channel is closed when the session has ended.
func (s *Session) StreamErrors() <-chan *p4v1.StreamError { return s.inbox.errors.ch }

// Drops contains the numbers of stream messages that were dropped because the queue of their kind was full.
type Drops struct{ Digests, PacketIns, IdleTimeouts, StreamErrors uint64 }

// Drops returns the numbers of messages dropped since Dial. A dropped digest list is not acknowledged, and the
// switch may send it again.
func (s *Session) Drops() Drops {
	return Drops{
		Digests:      s.inbox.digests.dropped.Load(),
		PacketIns:    s.inbox.packets.dropped.Load(),
		IdleTimeouts: s.inbox.timeouts.dropped.Load(),
		StreamErrors: s.inbox.errors.dropped.Load(),
	}
}

// Ack acknowledges a digest list (section 16.3). Until a list is acknowledged or its timeout has passed, bmv2 sends
// no further list of the same digest. Ack returns ErrNotPrimary if the session is not primary.
func (s *Session) Ack(ctx context.Context, list *p4v1.DigestList) error {
	const op = "acknowledge digest"
	if err := s.mayWrite(ctx); err != nil {
		return s.fail(op, nil, err)
	}
	return s.send(ctx, op, &p4v1.StreamMessageRequest{Update: &p4v1.StreamMessageRequest_DigestAck{
		DigestAck: &p4v1.DigestListAck{DigestId: list.GetDigestId(), ListId: list.GetListId()},
	}})
}

// PacketOut makes the switch send a packet (section 16.1). A nil error means only that the request was sent. If the
// switch cannot use the packet, it may report an error, which StreamErrors returns. PacketOut returns ErrNotPrimary
// if the session is not primary.
func (s *Session) PacketOut(ctx context.Context, packet *p4v1.PacketOut) error {
	const op = "packet out"
	if err := s.mayWrite(ctx); err != nil {
		return s.fail(op, nil, err)
	}
	return s.send(ctx, op, &p4v1.StreamMessageRequest{Update: &p4v1.StreamMessageRequest_Packet{Packet: packet}})
}
