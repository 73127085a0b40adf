package p4rtserver

import (
	"fmt"

	p4cfg "github.com/p4lang/p4runtime/go/p4/config/v1"
	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
)

// A dataType converts values of one P4 type (spec 8.5). P4Runtime represents such a value as P4Data in registers and digests, and the
// engine represents it as a flat list of big-endian words.
//
// A dataType supports bit<W>, int<W>, bool, serializable enums, new types of these, and structs and tuples of all of them. A P4Info with
// headers, unions, stacks, varbits, safe enums or errors as types is refused when it is bound.
type dataType struct {
	kind    dataKind
	width   int
	members []*dataType
	names   []string // names of the members, for error messages; empty for a tuple
}

type dataKind uint8

const (
	dataBit dataKind = iota
	dataInt
	dataBool
	dataEnum
	dataStruct
	dataTuple
)

// maxTypeDepth is the largest nesting depth of types. It rejects a P4Info with recursive types.
const maxTypeDepth = 16

// newDataType resolves a type specification against the named types of the P4Info.
func newDataType(spec *p4cfg.P4DataTypeSpec, info *p4cfg.P4TypeInfo) (*dataType, error) {
	return resolveType(spec, info, 0)
}

func resolveType(spec *p4cfg.P4DataTypeSpec, info *p4cfg.P4TypeInfo, depth int) (*dataType, error) {
	if depth > maxTypeDepth {
		return nil, fmt.Errorf("type_spec: nested more than %d deep", maxTypeDepth)
	}
	switch t := spec.GetTypeSpec().(type) {
	case *p4cfg.P4DataTypeSpec_Bitstring:
		return bitstringType(t.Bitstring)
	case *p4cfg.P4DataTypeSpec_Bool:
		return &dataType{kind: dataBool, width: 1}, nil
	case *p4cfg.P4DataTypeSpec_SerializableEnum:
		e, ok := info.GetSerializableEnums()[t.SerializableEnum.GetName()]
		if !ok {
			return nil, fmt.Errorf("type_spec: serializable enum %q is not in type_info", t.SerializableEnum.GetName())
		}
		return &dataType{kind: dataEnum, width: int(e.GetUnderlyingType().GetBitwidth())}, nil
	case *p4cfg.P4DataTypeSpec_NewType:
		n, ok := info.GetNewTypes()[t.NewType.GetName()]
		if !ok {
			return nil, fmt.Errorf("type_spec: new type %q is not in type_info", t.NewType.GetName())
		}
		if n.GetTranslatedType() != nil {
			return nil, fmt.Errorf("type_spec: new type %q has @p4runtime_translation, which is not supported", t.NewType.GetName())
		}
		return resolveType(n.GetOriginalType(), info, depth+1)
	case *p4cfg.P4DataTypeSpec_Struct:
		s, ok := info.GetStructs()[t.Struct.GetName()]
		if !ok {
			return nil, fmt.Errorf("type_spec: struct %q is not in type_info", t.Struct.GetName())
		}
		out := &dataType{kind: dataStruct}
		for _, m := range s.GetMembers() {
			mt, err := resolveType(m.GetTypeSpec(), info, depth+1)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", m.GetName(), err)
			}
			out.members, out.names = append(out.members, mt), append(out.names, m.GetName())
		}
		return out, nil
	case *p4cfg.P4DataTypeSpec_Tuple:
		out := &dataType{kind: dataTuple}
		for i, m := range t.Tuple.GetMembers() {
			mt, err := resolveType(m, info, depth+1)
			if err != nil {
				return nil, fmt.Errorf("member %d: %w", i, err)
			}
			out.members, out.names = append(out.members, mt), append(out.names, fmt.Sprint(i))
		}
		return out, nil
	case nil:
		return nil, fmt.Errorf("type_spec: not set")
	default:
		return nil, fmt.Errorf("type_spec: %T is not supported; bit, int, bool, serializable enum, struct and tuple are", t)
	}
}

func bitstringType(b *p4cfg.P4BitstringLikeTypeSpec) (*dataType, error) {
	switch t := b.GetTypeSpec().(type) {
	case *p4cfg.P4BitstringLikeTypeSpec_Bit:
		return &dataType{kind: dataBit, width: int(t.Bit.GetBitwidth())}, nil
	case *p4cfg.P4BitstringLikeTypeSpec_Int:
		return &dataType{kind: dataInt, width: int(t.Int.GetBitwidth())}, nil
	}
	return nil, fmt.Errorf("type_spec: varbit is not supported")
}

// widths returns the widths of the flat list's words, in order.
func (d *dataType) widths() []int {
	if d.kind != dataStruct && d.kind != dataTuple {
		return []int{d.width}
	}
	var out []int
	for _, m := range d.members {
		out = append(out, m.widths()...)
	}
	return out
}

// encode builds P4Data from the first words. It returns the words that it has not used.
func (d *dataType) encode(words [][]byte) (*p4v1.P4Data, [][]byte) {
	switch d.kind {
	case dataStruct, dataTuple:
		s := &p4v1.P4StructLike{}
		for _, m := range d.members {
			var v *p4v1.P4Data
			v, words = m.encode(words)
			s.Members = append(s.Members, v)
		}
		if d.kind == dataStruct {
			return &p4v1.P4Data{Data: &p4v1.P4Data_Struct{Struct: s}}, words
		}
		return &p4v1.P4Data{Data: &p4v1.P4Data_Tuple{Tuple: s}}, words
	case dataBool:
		return &p4v1.P4Data{Data: &p4v1.P4Data_Bool{Bool: !isZero(words[0])}}, words[1:]
	case dataEnum:
		return &p4v1.P4Data{Data: &p4v1.P4Data_EnumValue{EnumValue: shortest(words[0])}}, words[1:]
	case dataInt:
		return &p4v1.P4Data{Data: &p4v1.P4Data_Bitstring{Bitstring: signExtended(words[0], d.width)}}, words[1:]
	default:
		return &p4v1.P4Data{Data: &p4v1.P4Data_Bitstring{Bitstring: shortest(words[0])}}, words[1:]
	}
}

// signExtended returns the shortest two's complement form of the low width bits of a word.
func signExtended(word []byte, width int) []byte {
	b := append([]byte{0}, padded(word, (width+7)/8)...)
	maskTo(b[1:], width)
	sign := len(b) - 1 - (width-1)/8
	if b[sign]>>((width-1)%8)&1 == 1 {
		b[0] = 0xff
		if r := width % 8; r != 0 {
			b[1] |= 0xff << r
		}
	}
	c, err := canonicalSigned(b, width)
	if err != nil { // cannot happen, because the value was truncated to this width
		return b
	}
	return c
}

// decode is the inverse of encode. It returns an error if the value does not have the type.
func (d *dataType) decode(v *p4v1.P4Data) ([][]byte, error) {
	switch d.kind {
	case dataStruct, dataTuple:
		s, kind := v.GetStruct(), "struct"
		if d.kind == dataTuple {
			s, kind = v.GetTuple(), "tuple"
		}
		if s == nil {
			return nil, fmt.Errorf("data is %s; the P4Info says %s", dataName(v), kind)
		}
		if len(s.Members) != len(d.members) {
			return nil, fmt.Errorf("data: %s of %d members; the P4Info has %d", kind, len(s.Members), len(d.members))
		}
		var out [][]byte
		for i, m := range d.members {
			w, err := m.decode(s.Members[i])
			if err != nil {
				return nil, fmt.Errorf("%s: %w", d.names[i], err)
			}
			out = append(out, w...)
		}
		return out, nil
	case dataBool:
		b, ok := v.GetData().(*p4v1.P4Data_Bool)
		if !ok {
			return nil, fmt.Errorf("data is %s; the P4Info says bool", dataName(v))
		}
		if b.Bool {
			return [][]byte{{1}}, nil
		}
		return [][]byte{{0}}, nil
	case dataEnum:
		e, ok := v.GetData().(*p4v1.P4Data_EnumValue)
		if !ok {
			return nil, fmt.Errorf("data is %s; the P4Info says enum_value", dataName(v))
		}
		c, err := canonical(e.EnumValue, d.width)
		return [][]byte{c}, err
	}
	b, ok := v.GetData().(*p4v1.P4Data_Bitstring)
	if !ok {
		return nil, fmt.Errorf("data is %s; the P4Info says bitstring", dataName(v))
	}
	if d.kind == dataInt {
		c, err := canonicalSigned(b.Bitstring, d.width)
		if err != nil {
			return nil, err
		}
		word := make([]byte, (d.width+7)/8)
		if c[0] >= 0x80 {
			for i := range word {
				word[i] = 0xff
			}
		}
		copy(word[max(0, len(word)-len(c)):], c[max(0, len(c)-len(word)):])
		maskTo(word, d.width)
		return [][]byte{word}, nil
	}
	c, err := canonical(b.Bitstring, d.width)
	return [][]byte{c}, err
}

func dataName(v *p4v1.P4Data) string {
	if v.GetData() == nil {
		return "not set"
	}
	m := v.ProtoReflect()
	return string(m.WhichOneof(m.Descriptor().Oneofs().ByName("data")).Name())
}
