package grpcserve

import (
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto" // registers the codec that newCodec wraps
	"google.golang.org/grpc/mem"
)

const (
	statusInternal = codes.Internal
	statusInvalid  = codes.InvalidArgument
)

// A codec is gRPC's protobuf codec, except that it weighs received messages before it decodes them.
type codec struct{ encoding.CodecV2 }

func newCodec() codec { return codec{encoding.GetCodecV2(proto.Name)} }

// Unmarshal decodes a message into a *pending. An error is stored in the pending for the caller of RecvMsg, because gRPC would convert
// an error of Unmarshal to INTERNAL.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	p, ok := v.(*pending)
	if !ok {
		return c.CodecV2.Unmarshal(data, v)
	}
	p.decode(data)
	return nil
}
