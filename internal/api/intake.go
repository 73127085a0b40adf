package api

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
)

// Bounds of inflation: deflate can do 1,000:1, documents of policy do 5:1 to 15:1.
const (
	maxInflation  = 20
	inflationFree = 1 << 20 // up to here any ratio is accepted
)

var (
	errBusy      = errors.New("busy")
	errTooLarge  = errors.New("too large")
	errInflation = errors.New("inflates too much")
	errSlow      = errors.New("the request did not come in time")
	errBroken    = errors.New("the request ended early")
	errMalformed = errors.New("not a request")
)

// A form is how a request is encoded.
type form struct {
	enveloped bool // a prefix of 5 bytes before the message: everything but calls of one message of the Connect protocol
	json      bool
	gzip      bool
}

// formOf reads the form of a request from its header. It reports false for one that no service takes, which says so without a look at the body.
func formOf(h http.Header) (f form, ok bool) {
	kind, _, _ := strings.Cut(strings.ToLower(h.Get("Content-Type")), ";")
	kind = strings.TrimSpace(kind)
	encoding := "Content-Encoding"
	switch {
	case kind == "application/json" || kind == "application/proto":
		f.json = kind == "application/json"
	case strings.HasPrefix(kind, "application/connect+"):
		f.enveloped, encoding = true, "Connect-Content-Encoding"
		kind = strings.TrimPrefix(kind, "application/connect+")
	case kind == "application/grpc" || kind == "application/grpc-web":
		f.enveloped, encoding, kind = true, "Grpc-Encoding", "proto"
	case strings.HasPrefix(kind, "application/grpc+") || strings.HasPrefix(kind, "application/grpc-web+"):
		f.enveloped, encoding = true, "Grpc-Encoding"
		_, kind, _ = strings.Cut(kind, "+")
	default:
		return f, false
	}
	if f.enveloped {
		f.json = kind == "json"
		if kind != "json" && kind != "proto" {
			return f, false
		}
	}
	switch h.Get(encoding) {
	case "", "identity":
	case "gzip":
		f.gzip = true
	default:
		return f, false
	}
	return f, true
}

// An intake reads the message of one request within its bounds.
type intake struct {
	call  *call
	claim *claim
	form  form
	// grow waits for the turn of a request that turns out to be large. It is called once.
	grow  func() error
	grown bool
}

// large is the size from which on a request waits for its turn: few of these fit in the budget.
const large = 1 << 20

// message reads the body to its end and returns the encoded message, inflated.
func (in *intake) message(body io.Reader, length int64) ([]byte, error) {
	if !in.form.enveloped {
		if length > in.call.bytes {
			return nil, in.tooLarge(length)
		}
		data, err := in.read(body, max(length, 0), in.call.bytes)
		if err != nil || !in.form.gzip || len(data) == 0 {
			return data, err
		}
		return in.inflate(data)
	}
	var prefix [5]byte
	switch _, err := io.ReadFull(body, prefix[:]); {
	case errors.Is(err, io.EOF):
		return nil, fmt.Errorf("%w: it has no message", errMalformed)
	case err != nil:
		return nil, broken(err)
	}
	size := int64(binary.BigEndian.Uint32(prefix[1:]))
	switch {
	case prefix[0] > 1 || prefix[0] == 1 && !in.form.gzip:
		return nil, fmt.Errorf("%w: a message with the flags %#02x and no encoding that has them", errMalformed, prefix[0])
	case size > in.call.bytes:
		return nil, in.tooLarge(size)
	}
	data, err := in.read(io.LimitReader(body, size), size, size)
	switch {
	case err != nil:
		return nil, err
	case int64(len(data)) < size:
		return nil, fmt.Errorf("%w: %d bytes of %d", errBroken, len(data), size)
	}
	switch n, err := io.ReadFull(body, prefix[:1]); {
	case n > 0:
		return nil, fmt.Errorf("%w: there is more than one message", errMalformed)
	case !errors.Is(err, io.EOF):
		return nil, broken(err)
	}
	if prefix[0] == 0 || len(data) == 0 {
		return data, nil
	}
	return in.inflate(data)
}

// read reads to the end, at most most bytes. What it allocates grows with what comes, whatever length the caller has announced.
func (in *intake) read(from io.Reader, announced, most int64) ([]byte, error) {
	const first = 16 << 10
	size := min(first, most)
	if announced > 0 {
		size = min(size, announced)
	}
	if err := in.claim.take(size); err != nil {
		return nil, err
	}
	data := make([]byte, 0, size)
	var over [1]byte
	for {
		free := data[len(data):cap(data)]
		if len(free) == 0 { // full: is there more?
			n, err := io.ReadFull(from, over[:])
			switch {
			case n == 0 && errors.Is(err, io.EOF):
				return data, nil
			case n == 0:
				return nil, broken(err)
			case int64(cap(data)) >= most:
				return nil, in.tooLarge(0)
			}
			next := min(2*int64(cap(data)), most)
			if announced > int64(cap(data)) {
				next = min(next, announced)
			}
			if next > large && !in.grown {
				in.grown = true
				if err := in.grow(); err != nil {
					return nil, err
				}
			}
			if err := in.claim.take(next); err != nil {
				return nil, err
			}
			grown := make([]byte, len(data), next)
			copy(grown, data)
			in.claim.give(int64(cap(data)))
			data = append(grown, over[0])
			continue
		}
		n, err := from.Read(free)
		data = data[:len(data)+n]
		switch {
		case errors.Is(err, io.EOF):
			return data, nil
		case err != nil:
			return nil, broken(err)
		}
	}
}

// inflate inflates a message and gives back what the compressed one took.
func (in *intake) inflate(data []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errMalformed, err)
	}
	most := min(in.call.bytes, max(inflationFree, maxInflation*int64(len(data))))
	inflated, err := in.read(z, 0, most)
	switch {
	case errors.Is(err, errTooLarge) && most < in.call.bytes:
		return nil, fmt.Errorf("%w: %d bytes of gzip are more than %d, %d times as much", errInflation, len(data), most, maxInflation)
	case errors.Is(err, errTooLarge), errors.Is(err, errBusy):
		return nil, err
	case err != nil:
		return nil, fmt.Errorf("%w: gzip: %w", errMalformed, err)
	}
	in.claim.give(int64(cap(data)))
	return inflated, nil
}

// tooLarge is the error for a size, 0 for one that is not known.
func (in *intake) tooLarge(size int64) error {
	if size > 0 {
		return fmt.Errorf("%w: a message of %d bytes; %s takes %d at most", errTooLarge, size, in.call.procedure, in.call.bytes)
	}
	return fmt.Errorf("%w: %s takes %d bytes at most", errTooLarge, in.call.procedure, in.call.bytes)
}

// broken is what becomes of an error of reading the body.
func broken(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("%w: at least %d KiB a second are expected, and the first within %v", errSlow, bodyRate>>10, bodyWithin)
	}
	return fmt.Errorf("%w: %w", errBroken, err)
}

// decode makes the message of its encoded form.
func (in *intake) decode(data []byte) (proto.Message, error) {
	m := in.call.measure.fresh()
	var err error
	if in.form.json {
		err = m.json(data)
	} else {
		err = m.binary(data, in.call.request.Descriptor(), 1)
	}
	switch {
	case errors.Is(err, errElements), errors.Is(err, errNested):
		return nil, err
	case err != nil:
		return nil, fmt.Errorf("%w: %w", errMalformed, err)
	}
	if err := in.claim.take(m.memory); err != nil {
		return nil, err
	}
	message := in.call.request.New().Interface()
	if in.form.json {
		err = strictJSON{}.Unmarshal(data, message)
	} else {
		err = proto.Unmarshal(data, message)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %s", errMalformed, brief(err.Error()))
	}
	in.claim.give(int64(cap(data)))
	return message, nil
}

// refusalOf is how an error of an intake is counted and answered.
func refusalOf(err error) (refusalKind, *connect.Error) {
	for _, c := range []struct {
		err  error
		kind refusalKind
		code connect.Code
	}{
		{errBusy, refusedBusy, connect.CodeResourceExhausted},
		{errTooLarge, refusedSize, connect.CodeResourceExhausted},
		{errInflation, refusedInflation, connect.CodeResourceExhausted},
		{errElements, refusedElements, connect.CodeResourceExhausted},
		{errNested, refusedElements, connect.CodeInvalidArgument},
		{errSlow, refusedSlow, connect.CodeDeadlineExceeded},
		{errBroken, refusedBroken, connect.CodeInvalidArgument},
	} {
		if errors.Is(err, c.err) {
			return c.kind, connect.NewError(c.code, err)
		}
	}
	return refusedMalformed, connect.NewError(connect.CodeInvalidArgument, err)
}

// Bounds of the time that a body may take.
const (
	// bodyWithin is how long the first bytes of a body, and a small body as a whole, may take.
	bodyWithin = 10 * time.Second
	// bodyRate is how fast a body must come beside that, in bytes a second: 2 Mbit/s. 64 MiB have 4 minutes and 26 s.
	bodyRate = 256 << 10
)

// A paced body ends with os.ErrDeadlineExceeded when it comes more slowly than it may.
type paced struct {
	io.Reader
	deadline time.Time
	set      time.Time // what the connection was told last
	control  *http.ResponseController
}

func newPaced(w http.ResponseWriter, body io.Reader, within time.Duration) *paced {
	p := &paced{Reader: body, control: http.NewResponseController(w), deadline: time.Now().Add(within)}
	p.set = p.deadline
	_ = p.control.SetReadDeadline(p.set) // without one there is no connection, but a test
	return p
}

// Read reads, and moves the deadline by as much as was read.
func (p *paced) Read(b []byte) (int, error) {
	n, err := p.Reader.Read(b)
	p.deadline = p.deadline.Add(time.Duration(n) * time.Second / bodyRate)
	if err == nil && p.deadline.Sub(p.set) > time.Second {
		p.set = p.deadline
		_ = p.control.SetReadDeadline(p.set)
	}
	return n, err
}

// pause calls f without a deadline: the body waits, and not its caller.
func (p *paced) pause(f func() error) error {
	_ = p.control.SetReadDeadline(time.Time{})
	err := f()
	p.deadline = time.Now().Add(bodyWithin)
	p.set = p.deadline
	_ = p.control.SetReadDeadline(p.set)
	return err
}

// done takes the deadline back once the body has been read: later it would end the connection.
func (p *paced) done() { _ = p.control.SetReadDeadline(time.Time{}) }

// A handover has the message of a request on the way from the door to its service.
type handover struct {
	message proto.Message
	end     func() // gives back what the request holds
}

type handoverKey struct{}

// spent says that what the request had is no longer needed: it is stored, or left for good.
func spent(ctx context.Context) {
	if h, ok := ctx.Value(handoverKey{}).(*handover); ok {
		h.end()
	}
}

// A taker gives a service the message that the door has read. What connect itself reads is an empty one.
type taker struct{}

func take(ctx context.Context, to any) {
	h, ok := ctx.Value(handoverKey{}).(*handover)
	if m, is := to.(proto.Message); ok && is && h.message != nil {
		move(m, h.message)
		h.message = nil
	}
}

// WrapUnary hands over the message of a call of one message.
func (taker) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		take(ctx, req.Any())
		return next(ctx, req)
	}
}

// WrapStreamingHandler hands over the one message of a stream.
func (taker) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, conn connect.StreamingHandlerConn) error {
		return next(ctx, takingConn{conn, ctx})
	}
}

// WrapStreamingClient is for clients, of which there are none here.
func (taker) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

var _ connect.Interceptor = taker{}

type takingConn struct {
	connect.StreamingHandlerConn
	ctx context.Context
}

// Receive receives the empty message, and makes it what the door has read.
func (c takingConn) Receive(m any) error {
	err := c.StreamingHandlerConn.Receive(m)
	if err == nil {
		take(c.ctx, m)
	}
	return err
}
