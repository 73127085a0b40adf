package grpcserve

import (
	"encoding/binary"
	"io"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// prefix is the length of a message's prefix in gRPC over HTTP/2. The prefix consists of a flag byte and the length of the message.
const prefix = 5

// A body is the body of a request, which gRPC reads message by message. Read returns a message only after the previous message has been
// handled and if the budget has room. Read always fills the whole buffer, whatever the size of the DATA frames, because gRPC keeps each
// buffer.
type body struct {
	io.ReadCloser
	call *call

	single bool   // whether the method takes only one message
	head   []byte // unread part of the message's prefix
	left   int    // number of unread bytes of the message
	over   error  // error that Read returns after the current message; nil if another message may follow
	timer  *time.Timer
	once   sync.Once
	closed chan struct{}
}

func newBody(in io.ReadCloser, c *call, single bool) *body {
	return &body{ReadCloser: in, call: c, single: single, closed: make(chan struct{})}
}

// Close closes the body. It is called when the call has ended.
func (b *body) Close() error {
	b.once.Do(func() { close(b.closed) })
	return b.ReadCloser.Close()
}

// Read implements io.Reader for gRPC. If the server has ended the call, Read must not return an error, because gRPC would then answer
// with another status. Instead, Read fills the rest of the message with zeros or returns an empty message, and decode returns the
// reason.
func (b *body) Read(p []byte) (int, error) {
	if b.left == 0 && len(b.head) == 0 {
		if b.over != nil {
			return 0, b.over
		}
		if err := b.begin(); err != nil {
			if b.call.reason() == nil {
				return 0, err
			}
			b.head, b.over = make([]byte, prefix), io.EOF
		}
	}
	n := copy(p, b.head)
	b.head = b.head[n:]
	part := p[n : n+min(len(p)-n, b.left)]
	got, err := io.ReadFull(b.ReadCloser, part)
	if err != nil && b.call.reason() != nil {
		clear(part[got:])
		got, b.over = len(part), io.EOF
	}
	b.left -= got
	if b.timer != nil && (b.left == 0 || err != nil) {
		b.timer.Stop()
	}
	if n+got > 0 { // if there is an error, the next call returns it
		return n + got, nil
	}
	return 0, err
}

// begin waits until the next message may be read. It then reads the message's prefix and takes a share of the budget for the message.
func (b *body) begin() error {
	if b.single && b.timer != nil {
		return b.end()
	}
	select {
	case <-b.call.next:
	case <-b.closed:
		return io.EOF
	case <-b.call.ctx.Done():
		return b.call.ctx.Err()
	}
	head := make([]byte, prefix)
	if _, err := io.ReadFull(b.ReadCloser, head); err != nil {
		return err
	}
	length := int64(binary.BigEndian.Uint32(head[1:]))
	b.head = head
	most := int64(b.call.server.limits.Message)
	if length > most { // gRPC refuses the message when it has read the prefix
		b.over = status.Errorf(codes.ResourceExhausted, "the message has %d bytes, the limit is %d", length, most)
		b.timer = stopped()
		return nil
	}
	need := 2 * length // once for the received data and once for the whole message
	if head[0] != 0 {  // a compressed message may expand up to the limit
		need = length + 2*most
	}
	if err := b.call.charge(need); err != nil {
		b.call.fail(err)
		return err
	}
	b.left = int(length)
	within := b.call.server.limits.MessageWithin
	b.timer = time.AfterFunc(within, func() { b.call.fail(errSlow(within)) })
	return nil
}

// end reads until the end of the body after the only message of a call. This is necessary because gRPC waits for the end.
func (b *body) end() error {
	b.timer.Reset(b.call.server.limits.MessageWithin)
	defer b.timer.Stop()
	if _, err := io.ReadFull(b.ReadCloser, make([]byte, 1)); err != nil {
		return err
	}
	return status.Error(codes.InvalidArgument, "the method takes one message, but another one follows")
}

func stopped() *time.Timer {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return t
}
