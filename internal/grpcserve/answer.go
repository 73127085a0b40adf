package grpcserve

import (
	"time"

	"google.golang.org/protobuf/proto"
)

// smallAnswer is the size in bytes up to which a sent message needs no share of the budget. The limit on calls also limits the memory of
// such messages.
const smallAnswer = 64 << 10

// A message that a client has not read yet occupies memory. A message above smallAnswer takes a share of the budget, and the client must
// read it within MessageWithin.

// answers takes the share of the budget for a unary answer. The share is held until the call ends.
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

// SendMsg sends one message of a stream.
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

// answerSize returns the memory of a message while it is sent: once as a whole, and once as frames.
func answerSize(m any) int64 {
	p, ok := m.(proto.Message)
	if !ok {
		return 0
	}
	return 2 * int64(proto.Size(p))
}
