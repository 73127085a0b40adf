package grpcserve

import (
	"reflect"
	"sync"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// maxDepth is the maximum nesting depth of messages. protobuf's C++ implementation has the same limit.
const maxDepth = 100

// Approximate memory in bytes that a decoded message takes in addition to its structs.
const (
	costPointer = 24  // for a pointer in a slice that grows, and for the overhead of its allocation
	costOneof   = 24  // for the struct that wraps the value of a oneof
	costBytes   = 40  // for a slice or string header in a slice that grows, and for rounding
	costScalar  = 16  // for a number in a slice that grows
	costMap     = 160 // for a map entry
	costUnknown = 2   // for each byte of an unknown field, which is kept in a slice that grows
)

// A shape contains the memory costs of a message type.
type shape struct {
	size   int64 // size of the struct in bytes
	fields map[protowire.Number]fieldShape
}

type fieldShape struct {
	message  *shape // shape of the submessage; nil for scalars, strings and bytes
	each     int64  // cost of each occurrence, in addition to its content
	counts   bool   // whether each occurrence counts as an element
	packable bool   // whether the field consists of repeated numbers, which may be packed into one value
}

// shapes caches the shapes of message types. Its size is limited by the number of message types that the registered services have.
var shapes struct {
	sync.Mutex
	of map[protoreflect.FullName]*shape
}

func shapeOf(d protoreflect.MessageDescriptor) *shape {
	shapes.Lock()
	defer shapes.Unlock()
	if shapes.of == nil {
		shapes.of = map[protoreflect.FullName]*shape{}
	}
	return shapeLocked(d)
}

func shapeLocked(d protoreflect.MessageDescriptor) *shape {
	if s, ok := shapes.of[d.FullName()]; ok {
		return s
	}
	s := &shape{size: structSize(d), fields: map[protowire.Number]fieldShape{}}
	shapes.of[d.FullName()] = s
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		var fs fieldShape
		switch {
		case f.IsMap():
			fs = fieldShape{each: costMap, counts: true}
		case f.Message() != nil:
			fs = fieldShape{message: shapeLocked(f.Message()), counts: true}
			if f.IsList() {
				fs.each = costPointer
			}
		case f.Kind() == protoreflect.StringKind || f.Kind() == protoreflect.BytesKind:
			fs = fieldShape{each: costBytes, counts: f.IsList()}
		case f.IsList():
			fs = fieldShape{each: costScalar, counts: true, packable: true}
		}
		if f.ContainingOneof() != nil {
			fs.each += costOneof
		}
		s.fields[f.Number()] = fs
	}
	return s
}

func structSize(d protoreflect.MessageDescriptor) int64 {
	const unknown = 256
	t, err := protoregistry.GlobalTypes.FindMessageByName(d.FullName())
	if err != nil {
		return unknown
	}
	v := reflect.TypeOf(t.Zero().Interface())
	if v.Kind() != reflect.Pointer {
		return unknown
	}
	return int64(v.Elem().Size()) + 16 // add the overhead of rounding up to a size class
}

// A weight is the number of elements and the memory of a message after decoding.
type weight struct {
	elements int
	memory   int64
}

// weigh computes the weight of an encoded message without allocating memory. It returns an error as soon as a limit is exceeded. It
// does not check whether the message is valid, because the decoder does so.
func (w *weight) weigh(b []byte, s *shape, l *Limits, depth int) error {
	if depth > maxDepth {
		return errDepth()
	}
	w.memory += s.size
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return nil
		}
		b = b[n:]
		n = protowire.ConsumeFieldValue(num, typ, b)
		if n < 0 {
			return nil
		}
		field, known := s.fields[num]
		switch {
		case !known:
			w.memory += costUnknown * int64(n+2)
		case typ == protowire.BytesType:
			if err := w.value(b[:n], &field, l, depth); err != nil {
				return err
			}
		default:
			w.memory += field.each
			if field.counts {
				w.elements++
			}
		}
		b = b[n:]
		if w.elements > l.Elements {
			return errElements(l.Elements)
		}
		if w.memory > l.Memory {
			return errMemory(l.Memory)
		}
	}
	return nil
}

func (w *weight) value(b []byte, field *fieldShape, l *Limits, depth int) error {
	v, n := protowire.ConsumeBytes(b)
	if n < 0 {
		return nil
	}
	if field.packable { // each number takes at least one byte, so len(v) is an upper bound
		w.elements += len(v)
		w.memory += costScalar * int64(len(v))
		return nil
	}
	w.memory += field.each
	if field.counts {
		w.elements++
	}
	if field.message != nil {
		return w.weigh(v, field.message, l, depth+1)
	}
	w.memory += int64(len(v))
	return nil
}
