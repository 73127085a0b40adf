package api

import (
	"errors"
	"fmt"
	"reflect"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// maxDepth is the limit on the nesting of messages, objects and arrays. The most deeply nested request of the API is a saved plan, with 7
// levels in JSON.
const maxDepth = 32

var (
	errElements = errors.New("too many elements")
	errNested   = fmt.Errorf("the request is nested more than %d levels deep", maxDepth)
)

// A measure computes the number of elements and the memory of a decoded message from its encoded form. An empty element has 2 bytes when
// encoded, and uses a hundred times as much memory when decoded.
type measure struct {
	most     int // the maximum number of elements
	elements int
	memory   int64
	sizes    map[protoreflect.FullName]int64 // the sizes of the message structs, in bytes
	largest  int64                           // the largest value in sizes
}

// newMeasure returns a measure for messages of the given type that limits the number of elements to most.
func newMeasure(of protoreflect.MessageDescriptor, most int) *measure {
	m := &measure{most: most, sizes: make(map[protoreflect.FullName]int64)}
	m.know(of)
	return m
}

// know adds the struct sizes of a message type and of all message types that it may contain.
func (m *measure) know(of protoreflect.MessageDescriptor) {
	if _, known := m.sizes[of.FullName()]; known {
		return
	}
	size := int64(512) // more than the size of any message struct
	if t, err := protoregistry.GlobalTypes.FindMessageByName(of.FullName()); err == nil {
		size = int64(reflect.TypeOf(t.Zero().Interface()).Elem().Size())
	}
	m.sizes[of.FullName()] = size
	m.largest = max(m.largest, size)
	for i := range of.Fields().Len() {
		if f := of.Fields().Get(i); f.Message() != nil {
			m.know(f.Message())
		}
	}
}

// fresh returns a measure for the same message type with all counts set to zero.
func (m *measure) fresh() *measure {
	return &measure{most: m.most, sizes: m.sizes, largest: m.largest}
}

// slot is the memory that a list element uses in addition to its contents, in bytes: its pointer or header in a slice that grows by
// doubling.
const slot = 2 * 24

func (m *measure) element(memory int64) error {
	m.memory += memory
	if m.elements++; m.elements > m.most {
		return fmt.Errorf("%w: the request has more than %d", errElements, m.most)
	}
	return nil
}

// binary counts the elements and the memory of a message in the binary format of protobuf.
func (m *measure) binary(data []byte, of protoreflect.MessageDescriptor, depth int) error {
	if depth > maxDepth {
		return errNested
	}
	m.memory += m.sizes[of.FullName()]
	for len(data) > 0 {
		number, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			return protowire.ParseError(n)
		}
		data = data[n:]
		if kind == protowire.StartGroupType || kind == protowire.EndGroupType {
			return errors.New("the request contains a group, which no message of the API has")
		}
		if n = protowire.ConsumeFieldValue(number, kind, data); n < 0 {
			return protowire.ParseError(n)
		}
		value := data[:n]
		data = data[n:]
		if err := m.field(value, kind, of.Fields().ByNumber(number), depth); err != nil {
			return err
		}
	}
	return nil
}

// field counts the elements and the memory of a field's value. f is nil for an unknown field.
func (m *measure) field(value []byte, kind protowire.Type, f protoreflect.FieldDescriptor, depth int) error {
	switch {
	case f == nil: // unknown fields stay encoded in one slice, which grows by doubling
		return m.element(2 * int64(len(value)+protowire.SizeTag(1)))
	case kind != protowire.BytesType:
		return m.element(slot)
	}
	content, _ := protowire.ConsumeBytes(value)
	switch {
	case f.Message() != nil:
		if err := m.element(slot); err != nil {
			return err
		}
		return m.binary(content, f.Message(), depth+1)
	case f.Kind() == protoreflect.StringKind || f.Kind() == protoreflect.BytesKind:
		return m.element(slot + int64(len(content)))
	}
	m.elements += len(content) // the content is packed numbers of at least one byte each
	return m.element(slot * int64(len(content)))
}

// json counts the elements and the memory of a message in JSON. It does not check the syntax, because the decoder does.
func (m *measure) json(data []byte) error {
	m.memory += m.largest
	depth := 0
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '"':
			begin := i
			for i++; i < len(data) && data[i] != '"'; i++ {
				if data[i] == '\\' {
					i++
				}
			}
			m.memory += int64(i - begin)
		case '{', '[':
			if depth++; depth > maxDepth {
				return errNested
			}
			if err := m.element(slot + m.largest); err != nil {
				return err
			}
		case '}', ']':
			depth--
		case ',':
			if err := m.element(slot); err != nil {
				return err
			}
		}
	}
	return nil
}

// requestOf returns the request type of a procedure of this API, such as /op25b.v1.IntentService/Plan.
func requestOf(procedure string) (protoreflect.MessageType, error) {
	name := protoreflect.FullName(procedure[1:])
	for i, c := range procedure {
		if c == '/' && i > 0 {
			name = protoreflect.FullName(procedure[1:i] + "." + procedure[i+1:])
		}
	}
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(name)
	if err != nil {
		return nil, err
	}
	method, ok := d.(protoreflect.MethodDescriptor)
	if !ok {
		return nil, fmt.Errorf("%s is not a method", name)
	}
	return protoregistry.GlobalTypes.FindMessageByName(method.Input().FullName())
}

// move copies the fields of src to dst, so that the two messages share their values.
func move(dst, src proto.Message) {
	to := dst.ProtoReflect()
	src.ProtoReflect().Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		to.Set(f, v)
		return true
	})
	to.SetUnknown(src.ProtoReflect().GetUnknown())
}
