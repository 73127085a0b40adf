package telemetry

import (
	"fmt"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
)

// A frame receives the bytes of a message. Its memory belongs to gRPC's pool, so that a session has no buffer of its own while it waits.
type frame struct{ buf mem.Buffer }

// bytes returns the message. It is valid until free is called.
func (f *frame) bytes() []byte { return f.buf.ReadOnlyData() }

// free gives the memory back.
func (f *frame) free() {
	f.buf.Free()
	f.buf = nil
}

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

// Unmarshal takes a message into a *frame, which must be freed. A message that arrived in one piece is not copied.
func (rawCodec) Unmarshal(data mem.BufferSlice, v any) error {
	f, ok := v.(*frame)
	if !ok {
		return fmt.Errorf("a %T is not a frame", v)
	}
	f.buf = data.MaterializeToBuffer(mem.DefaultBufferPool())
	return nil
}
