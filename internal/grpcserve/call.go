package grpcserve

import (
	"context"
	"net/http"
	"sync"
	"time"

	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// A call is one RPC, from its headers to the end of its handler. It owns the budget share of its current message.
type call struct {
	server *Server
	conn   *connection
	http   *http.ResponseController
	ctx    context.Context // ends when the HTTP request ends

	// next contains a token if the body may read a message: at the start, and whenever the handler requests another message. Apart from
	// the first message, no message is read before the handler requests it.
	next  chan struct{}
	first bool // whether the handler has not requested a message yet; used only by the handler's goroutine

	// mu guards all following fields.
	mu      sync.Mutex
	held    int64       // number of bytes taken from the budget
	users   int         // number of users: the HTTP request and the handler; the last user to leave gives back held
	gone    bool        // whether the HTTP request has ended; http must then not be used
	ended   error       // status with which the server has ended the call, or nil
	recheck *time.Timer // timer of guard; nil except for streams
	abort   *time.Timer // timer that resets the stream; set when the server ends the call
}

type callKey struct{}

func callOf(ctx context.Context) *call {
	c, _ := ctx.Value(callKey{}).(*call)
	return c
}

func newCall(ctx context.Context, s *Server, conn *connection, w http.ResponseWriter) *call {
	c := &call{server: s, conn: conn, http: http.NewResponseController(w), ctx: ctx, next: make(chan struct{}, 1), first: true, users: 1}
	c.next <- struct{}{}
	return c
}

// enter adds the handler to the users of the call. It returns an error if the call has ended. This can happen because the goroutine of a
// handler may start after the end of the HTTP request.
func (c *call) enter() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.users == 0 {
		return errOver()
	}
	c.users++
	return nil
}

// leave removes one user of the call and reports whether it was the last one.
func (c *call) leave() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.users--
	if c.users > 0 {
		return false
	}
	c.releaseLocked()
	for _, t := range []*time.Timer{c.recheck, c.abort} {
		if t != nil {
			t.Stop()
		}
	}
	return true
}

// charge takes n bytes from the budget for the current message.
func (c *call) charge(n int64) error {
	l := &c.server.limits
	took, err := c.server.budget.take(c.ctx, n, l.BudgetWait)
	if err != nil {
		if c.ctx.Err() != nil {
			return status.FromContextError(c.ctx.Err()).Err()
		}
		c.server.refused(c, err)
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.users == 0 { // the call has ended
		c.server.budget.give(took)
		return errStopping()
	}
	c.held += took
	return nil
}

func (c *call) releaseLocked() {
	if c.held > 0 {
		c.server.budget.give(c.held)
		c.held = 0
	}
}

// another releases the current message's share of the budget and allows the body to read the next message.
func (c *call) another() {
	if c.first {
		c.first = false
		return
	}
	c.mu.Lock()
	c.releaseLocked()
	c.mu.Unlock()
	select {
	case c.next <- struct{}{}:
	default:
	}
}

// fail makes the server end the call. The handler's RecvMsg returns an error, and the client receives reason as the status. If the handler
// is blocked in a send, the stream is reset after 5 s.
func (c *call) fail(reason error) {
	const moment = 5 * time.Second
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended != nil || c.users == 0 {
		return
	}
	c.ended = reason
	if c.gone {
		return
	}
	_ = c.http.SetReadDeadline(time.Unix(1, 0))
	c.abort = time.AfterFunc(moment, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if !c.gone {
			_ = c.http.SetWriteDeadline(time.Unix(1, 0))
		}
	})
}

// over records that the HTTP request has ended.
func (c *call) over() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gone = true
}

// reason returns the status with which the server has ended the call, or nil.
func (c *call) reason() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ended
}

// A pending is the destination of a message that is being received. The codec weighs the message before it decodes the message.
type pending struct {
	call *call
	into any
	err  error
}

// decode weighs a message, takes a share of the budget for the decoded message, and decodes the message.
func (p *pending) decode(data mem.BufferSlice) {
	if p.err = p.call.reason(); p.err != nil {
		return
	}
	m, ok := p.into.(proto.Message)
	if !ok {
		p.err = status.Errorf(statusInternal, "message type %T is not protobuf", p.into)
		return
	}
	buf := data.MaterializeToBuffer(mem.DefaultBufferPool())
	defer buf.Free()
	b := buf.ReadOnlyData()
	var w weight
	if p.err = w.weigh(b, shapeOf(m.ProtoReflect().Descriptor()), &p.call.server.limits, 1); p.err != nil {
		p.call.server.refused(p.call, p.err)
		return
	}
	if p.err = p.call.charge(w.memory); p.err != nil {
		return
	}
	if err := proto.Unmarshal(b, m); err != nil {
		p.err = status.Errorf(statusInvalid, "the message cannot be decoded: %v", err)
	}
}
