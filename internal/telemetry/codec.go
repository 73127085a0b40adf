package telemetry

import (
	"fmt"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
)

// A frame receives the bytes of a message. The memory belongs to gRPC's pool, so a waiting session has no buffer of its own.
type frame struct{ buf mem.Buffer }

// bytes returns the message. It is valid until free is called.
func (f *frame) bytes() []byte { return f.buf.ReadOnlyData() }

// free returns the memory to the pool.
func (f *frame) free() {
	f.buf.Free()
	f.buf = nil
}

// newPool returns a pool for the messages of targets. gRPC's own pool has no size between 4 and 16 KiB, so a usual message of 5 kB would take
// a buffer of 16 KiB. When the machine is busy, the messages of many targets wait at the same time.
func newPool() mem.BufferPool {
	return mem.NewTieredBufferPool(1<<10, 2<<10, 4<<10, 6<<10, 8<<10, 12<<10, 16<<10, 32<<10, 64<<10, 1<<20)
}

// A rawCodec encodes proto messages, and returns received messages as bytes.
type rawCodec struct{ pool mem.BufferPool }

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

// Unmarshal stores a message in v, a *frame, which the caller must free. It does not copy a message that arrived in one piece.
func (c rawCodec) Unmarshal(data mem.BufferSlice, v any) error {
	f, ok := v.(*frame)
	if !ok {
		return fmt.Errorf("a %T is not a frame", v)
	}
	f.buf = data.MaterializeToBuffer(c.pool)
	return nil
}
