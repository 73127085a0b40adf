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
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Limits on compression. Deflate can reach a ratio of 1,000:1, whereas policy documents only reach 5:1 to 15:1.
const (
	maxInflation  = 20      // the maximum ratio of inflated bytes to compressed bytes
	inflationFree = 1 << 20 // the number of inflated bytes that are accepted at any ratio
)

var (
	errBusy      = errors.New("busy")
	errTooLarge  = errors.New("too large")
	errInflation = errors.New("compression ratio too high")
	errSlow      = errors.New("the request was not received in time")
	errBroken    = errors.New("the request ended early")
	errMalformed = errors.New("not a request")
)

// A form is the encoding of a request.
type form struct {
	enveloped bool // the message has a five-byte prefix, as in all protocols except unary Connect
	json      bool
	gzip      bool
}

// formOf determines the form of a request from its header. ok is false if no service accepts the form.
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

// measured counts the elements and the memory of an inflated message of the given type.
func (f form) measured(by *measure, of protoreflect.MessageDescriptor, data []byte) error {
	if f.json {
		return by.json(data)
	}
	return by.binary(data, of, 1)
}

// unmarshal decodes an inflated message.
func (f form) unmarshal(data []byte, m proto.Message) error {
	if f.json {
		return strictJSON{}.Unmarshal(data, m)
	}
	return proto.Unmarshal(data, m)
}

// An intake reads the message of one request within its limits.
type intake struct {
	call  *call
	claim *claim
	form  form
	// grow waits until a large request may proceed. It is called at most once.
	grow  func() error
	grown bool
}

// large is the size in bytes above which a request must wait for its turn. The budget has room for only a few such requests.
const large = 1 << 20

// message reads the whole body and returns the message inflated but not decoded.
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
		return nil, fmt.Errorf("%w: no message", errMalformed)
	case err != nil:
		return nil, broken(err)
	}
	size := int64(binary.BigEndian.Uint32(prefix[1:]))
	switch {
	case prefix[0] > 1 || prefix[0] == 1 && !in.form.gzip:
		return nil, fmt.Errorf("%w: flags %#02x, which the encoding does not have", errMalformed, prefix[0])
	case size > in.call.bytes:
		return nil, in.tooLarge(size)
	}
	data, err := in.read(io.LimitReader(body, size), size, size)
	switch {
	case err != nil:
		return nil, err
	case int64(len(data)) < size:
		return nil, fmt.Errorf("%w: received %d bytes of %d", errBroken, len(data), size)
	}
	switch n, err := io.ReadFull(body, prefix[:1]); {
	case n > 0:
		return nil, fmt.Errorf("%w: more than one message", errMalformed)
	case !errors.Is(err, io.EOF):
		return nil, broken(err)
	}
	if prefix[0] == 0 || len(data) == 0 {
		return data, nil
	}
	return in.inflate(data)
}

// read returns all bytes of from. It returns errTooLarge if there are more than most bytes. The buffer grows with the number of
// bytes received, because the announced length may be wrong.
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
		if len(free) == 0 { // the buffer is full
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

// inflate returns the inflated message and gives the memory of the compressed data back to the budget.
func (in *intake) inflate(data []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errMalformed, err)
	}
	most := min(in.call.bytes, max(inflationFree, maxInflation*int64(len(data))))
	inflated, err := in.read(z, 0, most)
	switch {
	case errors.Is(err, errTooLarge) && most < in.call.bytes:
		return nil, fmt.Errorf("%w: %d bytes of gzip inflate to more than %d bytes, %d times as many", errInflation, len(data), most, maxInflation)
	case errors.Is(err, errTooLarge), errors.Is(err, errBusy):
		return nil, err
	case err != nil:
		return nil, fmt.Errorf("%w: gzip: %w", errMalformed, err)
	}
	in.claim.give(int64(cap(data)))
	return inflated, nil
}

// tooLarge returns the error for a message with size bytes; size 0 means that the size is unknown.
func (in *intake) tooLarge(size int64) error {
	if size > 0 {
		return fmt.Errorf("%w: the message has %d bytes, and %s accepts at most %d", errTooLarge, size, in.call.procedure, in.call.bytes)
	}
	return fmt.Errorf("%w: %s accepts at most %d bytes", errTooLarge, in.call.procedure, in.call.bytes)
}

// broken wraps an error that occurred while a body was being read.
func broken(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("%w: the first bytes must arrive within %[3]v, and then %[2]d KiB a second", errSlow, bodyRate>>10, bodyWithin)
	}
	return fmt.Errorf("%w: %w", errBroken, err)
}

// decode checks the number of elements and the memory of a message, and then decodes it.
func (in *intake) decode(data []byte) (proto.Message, error) {
	m := in.call.measure.fresh()
	err := in.form.measured(m, in.call.request.Descriptor(), data)
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
	if err := in.form.unmarshal(data, message); err != nil {
		return nil, fmt.Errorf("%w: %s", errMalformed, brief(err.Error()))
	}
	in.claim.give(int64(cap(data)))
	return message, nil
}

// refusalOf returns the metric label and the connect error for an error from an intake.
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

// Limits on the time in which a body must arrive.
const (
	// bodyWithin is the time limit for the first bytes of a body, or for the whole of a small body.
	bodyWithin = 10 * time.Second
	// bodyRate is the minimum rate after bodyWithin, in bytes per second. It is 2 Mbit/s, so 64 MiB may take 4 minutes and 26 s.
	bodyRate = 256 << 10
)

// A paced is a request body. Its reads fail with os.ErrDeadlineExceeded if the body arrives too slowly.
type paced struct {
	io.Reader
	deadline time.Time
	set      time.Time // the last deadline set on the connection
	control  *http.ResponseController
}

func newPaced(w http.ResponseWriter, body io.Reader, within time.Duration) *paced {
	p := &paced{Reader: body, control: http.NewResponseController(w), deadline: time.Now().Add(within)}
	p.set = p.deadline
	_ = p.control.SetReadDeadline(p.set) // fails only in tests that have no connection
	return p
}

// Read reads from the body and extends the deadline in proportion to the number of bytes read.
func (p *paced) Read(b []byte) (int, error) {
	n, err := p.Reader.Read(b)
	p.deadline = p.deadline.Add(time.Duration(n) * time.Second / bodyRate)
	if err == nil && p.deadline.Sub(p.set) > time.Second {
		p.set = p.deadline
		_ = p.control.SetReadDeadline(p.set)
	}
	return n, err
}

// pause calls f without a deadline, because during f the controller delays the body, not the caller. Then pause sets a new deadline.
func (p *paced) pause(f func() error) error {
	_ = p.control.SetReadDeadline(time.Time{})
	err := f()
	p.deadline = time.Now().Add(bodyWithin)
	p.set = p.deadline
	_ = p.control.SetReadDeadline(p.set)
	return err
}

// done removes the deadline after the body has been read, because the deadline would otherwise end the connection.
func (p *paced) done() { _ = p.control.SetReadDeadline(time.Time{}) }

// A handover passes the message of a request from the door to its service.
type handover struct {
	message proto.Message
	end     func() // releases the memory and the turn of the request
}

type handoverKey struct{}

// spent releases the memory of a request whose contents are stored or no longer needed.
func spent(ctx context.Context) {
	if h, ok := ctx.Value(handoverKey{}).(*handover); ok {
		h.end()
	}
}

// A taker replaces the empty message that connect reads with the message that the door has read.
type taker struct{}

func take(ctx context.Context, to any) {
	h, ok := ctx.Value(handoverKey{}).(*handover)
	if m, is := to.(proto.Message); ok && is && h.message != nil {
		move(m, h.message)
		h.message = nil
	}
}

// WrapUnary passes the message of a unary call to its service.
func (taker) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		take(ctx, req.Any())
		return next(ctx, req)
	}
}

// WrapStreamingHandler passes the only request of a server stream to its service.
func (taker) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, conn connect.StreamingHandlerConn) error {
		return next(ctx, takingConn{conn, ctx})
	}
}

// WrapStreamingClient returns next unchanged, because the interceptor is for servers only.
func (taker) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

var _ connect.Interceptor = taker{}

type takingConn struct {
	connect.StreamingHandlerConn
	ctx context.Context
}

// Receive replaces the empty message with the message that the door has read.
func (c takingConn) Receive(m any) error {
	err := c.StreamingHandlerConn.Receive(m)
	if err == nil {
		take(c.ctx, m)
	}
	return err
}
