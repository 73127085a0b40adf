package p4rt

import (
	"context"
	"fmt"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
)

// ReadEncoded is ReadEach without the decoding: fn gets each entity in the protobuf encoding in which the switch sent it, valid until fn
// returns. Who knows what to expect can compare.
func (r *Reader) ReadEncoded(ctx context.Context, fn func(entity []byte) error, filters ...*p4v1.Entity) error {
	const op = "read"
	var answer encodedMessage
	return r.follow(ctx, op, filters, func(stream grpc.ClientStream) error {
		return stream.RecvMsg(&answer)
	}, func() error {
		defer answer.free()
		for rest := answer.bytes(); len(rest) > 0; {
			field, kind, n := protowire.ConsumeTag(rest)
			if n < 0 {
				return r.fail(op, nil, fmt.Errorf("the answer is no ReadResponse: %w", protowire.ParseError(n)))
			}
			rest = rest[n:]
			var entity []byte
			if isEntity := field == entitiesField && kind == protowire.BytesType; isEntity {
				entity, n = protowire.ConsumeBytes(rest)
			} else {
				n = protowire.ConsumeFieldValue(field, kind, rest)
			}
			if n < 0 {
				return r.fail(op, nil, fmt.Errorf("the answer is no ReadResponse: %w", protowire.ParseError(n)))
			}
			rest = rest[n:]
			if entity == nil {
				continue
			}
			if err := fn(entity); err != nil {
				return err
			}
		}
		return nil
	}, grpc.ForceCodecV2(encodedCodec{encoding.GetCodecV2("proto")}))
}

// entitiesField is ReadResponse.entities.
const entitiesField = 1

// An encodedMessage is a message as it came.
type encodedMessage struct{ buffer mem.Buffer }

func (m *encodedMessage) bytes() []byte { return m.buffer.ReadOnlyData() }

func (m *encodedMessage) free() {
	m.buffer.Free()
	m.buffer = nil
}

// encodedCodec encodes messages, and leaves an encodedMessage as it came.
type encodedCodec struct{ encoding.CodecV2 }

// Name implements encoding.CodecV2: without one the content type is the one that P4Runtime servers are used to.
func (encodedCodec) Name() string { return "" }

// Unmarshal implements encoding.CodecV2.
func (c encodedCodec) Unmarshal(data mem.BufferSlice, v any) error {
	m, ok := v.(*encodedMessage)
	if !ok {
		return c.CodecV2.Unmarshal(data, v)
	}
	m.buffer = data.MaterializeToBuffer(mem.DefaultBufferPool())
	return nil
}
