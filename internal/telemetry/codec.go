package telemetry

import (
	"fmt"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
)

// A frame receives the bytes of a message. Its memory is reused.
type frame struct{ b []byte }

// maxKept is the largest buffer that a frame keeps between messages.
const maxKept = 1 << 16

// A rawCodec encodes proto messages, and passes received messages on as bytes.
type rawCodec struct{}

var _ encoding.CodecV2 = rawCodec{}

func (rawCodec) Name() string { return "proto" }

// Marshal encodes a request.
func (rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	m, ok := v.(proto.Message)
	if !ok {
		return nil, fmt.Errorf("a %T is not a proto message", v)
	}
	b, err := proto.Marshal(m)
	return mem.BufferSlice{mem.SliceBuffer(b)}, err
}

// Unmarshal copies a message into a *frame, because gRPC reuses the memory of data.
func (rawCodec) Unmarshal(data mem.BufferSlice, v any) error {
	f, ok := v.(*frame)
	if !ok {
		return fmt.Errorf("a %T is not a frame", v)
	}
	if cap(f.b) > maxKept {
		f.b = nil
	}
	f.b = f.b[:0]
	for _, part := range data {
		f.b = append(f.b, part.ReadOnlyData()...)
	}
	return nil
}
