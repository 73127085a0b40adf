package p4rt

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"

	"op25b/internal/pipeline"
)

// clockTimeout limits how long Clock waits for the switch. A switch answers in a few milliseconds.
const clockTimeout = 2 * time.Second

// A ClockReading relates the clock of a switch to the clock of this host.
type ClockReading struct {
	// Switch is the time of the switch's clock, between Sent and Received. The clock starts at 0 with the switch, and again after 2^48 us.
	Switch time.Duration
	// Sent and Received are the times before the question was sent and after the answer was received. They have monotonic readings.
	Sent, Received time.Time
}

// A nonce is the payload by which a session recognizes the answer to its question. It is random, so that nobody can forge an answer in advance.
type nonce [16]byte

// clocks holds the questions that a switch has not yet answered.
type clocks struct {
	mu      sync.Mutex // guards waiting
	waiting map[nonce]chan clockAnswer
}

// A clockAnswer is the time of the switch's clock, or the reason why the switch does not return the packet.
type clockAnswer struct {
	clock    time.Duration
	received time.Time
	err      error
}

// Clock reads the switch's clock, by a packet-out that the program returns as a packet-in. It returns ErrNotPrimary if the session is not primary,
// and ErrNoClock if the switch refuses the packet or does not return it in time. It waits at most two seconds.
func (s *Session) Clock(ctx context.Context) (ClockReading, error) {
	const op = "read the clock"
	if err := s.mayWrite(ctx); err != nil {
		return ClockReading{}, s.fail(op, nil, err)
	}
	var n nonce
	_, _ = rand.Read(n[:]) // never fails
	answers := s.clocks.ask(n)
	defer s.clocks.forget(n)

	ctx, cancel := context.WithTimeoutCause(ctx, clockTimeout, errNoPacketIn)
	defer cancel()
	packet := newPacketOut(pipeline.ClockPacketOut(), n[:])
	sent := time.Now()
	if err := s.send(ctx, op, &p4v1.StreamMessageRequest{Update: &p4v1.StreamMessageRequest_Packet{Packet: packet}}); err != nil {
		return ClockReading{}, err
	}
	select {
	case a := <-answers:
		if a.err != nil {
			return ClockReading{}, s.fail(op, ErrNoClock, a.err)
		}
		return ClockReading{Switch: a.clock, Sent: sent, Received: a.received}, nil
	case <-s.finished:
		return ClockReading{}, s.fail(op, nil, s.Err())
	case <-ctx.Done():
		cause := context.Cause(ctx)
		if errors.Is(cause, errNoPacketIn) {
			return ClockReading{}, s.fail(op, ErrNoClock, cause)
		}
		return ClockReading{}, s.fail(op, nil, cause)
	}
}

var errNoPacketIn = fmt.Errorf("no packet-in within %v; bmv2 needs a CPU port: simple_switch_grpc ... -- --cpu-port %d", clockTimeout, pipeline.CPUPort)

func (c *clocks) ask(n nonce) <-chan clockAnswer {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting == nil {
		c.waiting = map[nonce]chan clockAnswer{}
	}
	answers := make(chan clockAnswer, 1)
	c.waiting[n] = answers
	return answers
}

func (c *clocks) forget(n nonce) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.waiting, n)
}

// answered passes a packet-in to the call of Clock that asked for it. It returns false if there is none. The goroutine that receives calls it, and
// is never blocked.
func (c *clocks) answered(p *p4v1.PacketIn) bool {
	received := time.Now()
	clock, ok := pipeline.ReadClockPacketIn(packetHeader(p))
	return ok && c.pass(p.GetPayload(), clockAnswer{clock: clock, received: received})
}

// refused passes an error about a packet-out to the call of Clock that sent it. It returns false if there is none.
func (c *clocks) refused(e *p4v1.StreamError) bool {
	out := e.GetPacketOut()
	return out != nil && c.pass(out.GetPacketOut().GetPayload(), clockAnswer{err: fmt.Errorf("the switch refuses the packet-out: %s", e.GetMessage())})
}

func (c *clocks) pass(payload []byte, a clockAnswer) bool {
	if len(payload) != len(nonce{}) {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	waiting, ok := c.waiting[nonce(payload)]
	if ok {
		delete(c.waiting, nonce(payload)) // so that a duplicate is not passed
		waiting <- a
	}
	return ok
}

// newPacketOut returns a packet-out with a header.
func newPacketOut(header []pipeline.PacketField, payload []byte) *p4v1.PacketOut {
	p := &p4v1.PacketOut{Payload: payload}
	for _, f := range header {
		p.Metadata = append(p.Metadata, &p4v1.PacketMetadata{MetadataId: f.ID, Value: f.Value})
	}
	return p
}

// packetHeader returns the header of a packet-in.
func packetHeader(p *p4v1.PacketIn) []pipeline.PacketField {
	header := make([]pipeline.PacketField, 0, len(p.GetMetadata()))
	for _, m := range p.GetMetadata() {
		header = append(header, pipeline.PacketField{ID: m.GetMetadataId(), Value: m.GetValue()})
	}
	return header
}
