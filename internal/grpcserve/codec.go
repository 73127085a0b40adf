package grpcserve

import (
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto" // registers the codec that this one is around
	"google.golang.org/grpc/mem"
)

const (
	statusInternal = codes.Internal
	statusInvalid  = codes.InvalidArgument
)

// A codec is gRPC's own, but for what is received: that is weighed first.
type codec struct{ encoding.CodecV2 }

func newCodec() codec { return codec{encoding.GetCodecV2(proto.Name)} }

// Unmarshal decodes into a pending, whose error the caller of RecvMsg looks at: gRPC would make an INTERNAL of any error returned here.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	p, ok := v.(*pending)
	if !ok {
		return c.CodecV2.Unmarshal(data, v)
	}
	p.decode(data)
	return nil
}
