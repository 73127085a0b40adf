package p4rt

import (
	"context"
	"fmt"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/grpc"
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
	}, asEncoded)
}

// entitiesField is ReadResponse.entities.
const entitiesField = 1
