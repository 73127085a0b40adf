package grpcserve

import (
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto" // registers the codec that this one wraps
	"google.golang.org/grpc/mem"
)

const (
	statusInternal = codes.Internal
	statusInvalid  = codes.InvalidArgument
)

// A codec is gRPC's protobuf codec, but it weighs received messages before decoding them.
type codec struct{ encoding.CodecV2 }

func newCodec() codec { return codec{encoding.GetCodecV2(proto.Name)} }

// Unmarshal decodes into a pending. The pending keeps the error for the caller of RecvMsg, because gRPC would turn an error of Unmarshal
// into INTERNAL.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	p, ok := v.(*pending)
	if !ok {
		return c.CodecV2.Unmarshal(data, v)
	}
	p.decode(data)
	return nil
}
