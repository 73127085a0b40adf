package p4rt

import (
	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
)

// An encodedMessage is a received message that has not been decoded.
type encodedMessage struct{ buffer mem.Buffer }

func (m *encodedMessage) bytes() []byte { return m.buffer.ReadOnlyData() }

func (m *encodedMessage) free() {
	m.buffer.Free()
	m.buffer = nil
}

// An encodedRequest is a request that has already been encoded.
type encodedRequest []byte

// asEncoded makes a call accept encodedMessages and encodedRequests in addition to protobuf messages.
var asEncoded = grpc.ForceCodecV2(encodedCodec{encoding.GetCodecV2("proto")})

// encodedCodec encodes and decodes protobuf messages, and passes encoded messages through unchanged.
type encodedCodec struct{ encoding.CodecV2 }

// Name implements encoding.CodecV2. An empty name keeps the content type that P4Runtime servers expect.
func (encodedCodec) Name() string { return "" }

// Marshal implements encoding.CodecV2.
func (c encodedCodec) Marshal(v any) (mem.BufferSlice, error) {
	if r, ok := v.(encodedRequest); ok {
		return mem.BufferSlice{mem.SliceBuffer(r)}, nil
	}
	return c.CodecV2.Marshal(v)
}

// Unmarshal implements encoding.CodecV2.
func (c encodedCodec) Unmarshal(data mem.BufferSlice, v any) error {
	m, ok := v.(*encodedMessage)
	if !ok {
		return c.CodecV2.Unmarshal(data, v)
	}
	m.buffer = data.MaterializeToBuffer(mem.DefaultBufferPool())
	return nil
}
