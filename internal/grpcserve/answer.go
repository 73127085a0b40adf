package grpcserve

import (
	"time"

	"google.golang.org/protobuf/proto"
)

// smallAnswer is the size in bytes up to which a message is sent without a share of the budget. The memory of these messages is limited
// by the limit on calls.
const smallAnswer = 64 << 10

// A message takes memory until the client has read it. So a message larger than smallAnswer takes a share of the budget, and the client
// must read it within MessageWithin.

// answers takes a share of the budget for the answer of a unary call. The share is held until the call ends.
func (c *call) answers(m any) error {
	n := answerSize(m)
	if n <= smallAnswer {
		return nil
	}
	if err := c.charge(n); err != nil {
		return err
	}
	c.readWithin(time.Now().Add(c.server.limits.MessageWithin))
	return nil
}

// SendMsg sends a message of a stream. If the message is large, it holds a share of the budget until the message was sent.
func (s *stream) SendMsg(m any) error {
	n := answerSize(m)
	if n <= smallAnswer {
		return s.ServerStream.SendMsg(m)
	}
	l := &s.call.server.limits
	took, err := s.call.server.budget.take(s.call.ctx, n, l.BudgetWait)
	if err != nil {
		s.call.server.refused(s.call, err)
		return err
	}
	defer s.call.server.budget.give(took)
	s.call.readWithin(time.Now().Add(l.MessageWithin))
	defer s.call.readWithin(time.Time{})
	return s.ServerStream.SendMsg(m)
}

// readWithin resets the stream if the client has not read the message by end. A zero time means no limit.
func (c *call) readWithin(end time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.gone {
		_ = c.http.SetWriteDeadline(end)
	}
}

// answerSize returns the memory in bytes that a message takes while it is sent: once for the whole message and once for its frames.
func answerSize(m any) int64 {
	p, ok := m.(proto.Message)
	if !ok {
		return 0
	}
	return 2 * int64(proto.Size(p))
}
