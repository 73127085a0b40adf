package engine

import (
	"encoding/json"
	"fmt"
	"math/big"
)

// A layout maps a packet's headers and metadata to the slots of its state.
//
// A header takes one slot for its validity. A field of up to 64 bits takes one slot. A wider field takes several slots, with the most
// significant word first. A field's bits are right-aligned, and a signed field is stored in two's complement with the field's width. The
// slot of a variable field contains its current width in bits. Its bytes are in a second array, at header.varAt. A stack takes one more
// slot, for the index of its next element.
type layout struct {
	types   map[string]*headerType
	headers map[string]*header
	byID    map[int]*header
	order   []*header
	all     []*header // every header, including the headers that stand in for stack elements out of bounds
	stacks  map[string]*stack
	unions  map[string]*union
	ustacks map[string]*unionStack
	alias   map[string][2]string

	slots    int
	varBytes int
	// initial is the state of a packet before parsing. All slots are zero, except the validity of metadata.
	initial []uint64
}

type headerType struct {
	name   string
	fields []*field
	byName map[string]int
	words  int // number of slots of one header, including the slot for its validity
	bytes  int // size on the wire, without the variable field
	varF   *field
	varMax int          // largest size of the variable field, in bytes
	varOff int          // number of bits before the variable field
	even   bool         // whether the fields of fixed width fill whole bytes
	fixed  []fixedField // all fields except the variable field
	lenExp *jsonValue
	pack   []chunk // wire layout; set only for headers without a variable field
}

type field struct {
	name        string
	width       int // in bits; 0 for a variable field
	words       int
	off         int // the field's first slot, relative to the header's first slot
	signed, sat bool
	variable    bool
}

// A fixedField is a field of fixed width in a header that also has a variable field.
type fixedField struct {
	f     *field
	bit   int  // offset in bits from the start of the header, without the variable field
	after bool // whether the field follows the variable field
}

// A header is an instance of a header or metadata struct.
type header struct {
	name     string
	typ      *headerType
	metadata bool
	base     int // the slot that contains the header's validity
	varAt    int // offset of the variable field in packet.vb
	in       *union

	// src is the slot that contains the header's position in the packet, counted from 1. Its value is 0 if the header was not extracted or
	// has been written since its extraction. While the value is not 0, only the fields in hot need be loaded, and fill loads the others.
	// For metadata, src is -1.
	src       int
	extracted bool // whether some parser state extracts the header
	hot       map[*field]bool
	hotPack   []chunk
	hotFixed  []fixedField // the fields in hot, for a header with a variable field
}

type stack struct {
	name  string
	typ   *headerType
	elems []*header
	next  int // the slot that contains the index of the next element
	// outside stands in for elements that do not exist. It is all zero at the start of each packet and is never sent.
	outside *header
}

type union struct {
	name    string
	typ     string
	members []*header
	names   []string
}

type unionStack struct {
	name    string
	elems   []*union
	names   []string // names of the members of each union
	next    int
	outside *union
}

// validName is the hidden field in which p4c represents a header's validity.
const validName = "$valid$"

func newLayout(p *jsonProgram) (*layout, error) {
	l := &layout{
		types: map[string]*headerType{}, headers: map[string]*header{}, byID: map[int]*header{},
		stacks: map[string]*stack{}, unions: map[string]*union{}, ustacks: map[string]*unionStack{},
		alias: map[string][2]string{},
	}
	for i := range p.HeaderTypes {
		if err := l.addType(&p.HeaderTypes[i]); err != nil {
			return nil, err
		}
	}
	for i := range p.Headers {
		h := &p.Headers[i]
		t, ok := l.types[h.HeaderType]
		if !ok {
			return nil, fmt.Errorf("header %q: %w: no header type %q", h.Name, ErrProgram, h.HeaderType)
		}
		if _, dup := l.headers[h.Name]; dup {
			return nil, fmt.Errorf("header %q: %w: declared twice", h.Name, ErrProgram)
		}
		hd := l.place(h.Name, t)
		hd.metadata = h.Metadata
		l.headers[h.Name], l.byID[h.ID] = hd, hd
		l.order = append(l.order, hd)
	}
	if err := l.addUnions(p); err != nil {
		return nil, err
	}
	for i := range p.HeaderStacks {
		if err := l.addStack(&p.HeaderStacks[i]); err != nil {
			return nil, err
		}
	}
	for _, a := range p.FieldAliases {
		l.alias[a.Name] = a.Field
	}
	for _, h := range l.all {
		if h.src = -1; !h.metadata {
			h.src = l.slots
			l.slots++
		}
	}
	if need := 8*l.slots + l.varBytes; need > maxWorker {
		return nil, fmt.Errorf("headers: %w: headers and metadata need %d bytes a packet; %d is the most", ErrProgram, need, maxWorker)
	}
	l.initial = make([]uint64, l.slots)
	for _, h := range l.order {
		if h.metadata {
			l.initial[h.base] = 1
		}
	}
	return l, nil
}

// place allocates the slots of a header.
func (l *layout) place(name string, t *headerType) *header {
	h := &header{name: name, typ: t, base: l.slots, varAt: l.varBytes, hot: map[*field]bool{}}
	l.all = append(l.all, h)
	l.slots += t.words
	l.varBytes += t.varMax
	return h
}

func (l *layout) addType(j *jsonHeaderType) error {
	t := &headerType{name: j.Name, byName: map[string]int{}, words: 1, lenExp: j.LengthExp}
	bits := 0
	for _, f := range j.Fields {
		bad := func(what string) error {
			return fmt.Errorf("header type %q: %w: field %v: %s", j.Name, ErrProgram, f, what)
		}
		if len(f) < 2 {
			return bad("want a name and a width")
		}
		name, ok := f[0].(string)
		if !ok {
			return bad("its name is not a string")
		}
		fd := &field{name: name, off: t.words, words: 1}
		switch w := f[1].(type) {
		case float64:
			fd.width = int(w)
			if fd.width < 0 || float64(fd.width) != w || fd.width > maxFieldBits {
				return bad(fmt.Sprintf("width must be a whole number up to %d", maxFieldBits))
			}
			fd.words = max(1, (fd.width+63)/64)
		case string:
			if w != "*" {
				return bad(`width must be a number or "*"`)
			}
			if t.varF != nil {
				return bad("a header can have only one variable field")
			}
			fd.variable, t.varF, t.varOff = true, fd, bits
		default:
			return bad(`width must be a number or "*"`)
		}
		if len(f) > 2 {
			fd.signed = truthy(f[2])
		}
		if len(f) > 3 {
			fd.sat = truthy(f[3])
		}
		t.byName[name] = len(t.fields)
		t.fields = append(t.fields, fd)
		t.words += fd.words
		bits += fd.width
	}
	if j.MaxLength < 0 || j.MaxLength > maxFieldBits {
		return fmt.Errorf("header type %q: %w: max_length %d, must be 0 to %d bytes", j.Name, ErrProgram, j.MaxLength, maxFieldBits)
	}
	if t.varF != nil {
		t.varMax = max(0, j.MaxLength-bits/8)
		if j.MaxLength == 0 {
			t.varMax = MaxFrame
		}
	}
	if t.varF != nil {
		at, after := 0, false
		for _, f := range t.fields {
			if !f.variable {
				t.fixed = append(t.fixed, fixedField{f, at, after})
			}
			at, after = at+f.width, after || f.variable
		}
	}
	t.bytes, t.even = (bits+7)/8, bits%8 == 0
	t.pack = packing(t.fields)
	l.types[j.Name] = t
	return nil
}

// maxFieldBits is the largest width of a field. P4 compilers stop at 2,048 bits by default.
const maxFieldBits = 1 << 16

func truthy(v any) bool {
	switch x := v.(type) {
	case bool:
		return x
	case float64:
		return x != 0
	}
	return false
}

func (l *layout) addStack(j *jsonStack) error {
	t, ok := l.types[j.HeaderType]
	if !ok {
		return fmt.Errorf("header stack %q: %w: no header type %q", j.Name, ErrProgram, j.HeaderType)
	}
	s := &stack{name: j.Name, typ: t, next: l.slots}
	l.slots++
	for _, id := range j.HeaderIDs {
		h, ok := l.byID[id]
		if !ok || h.typ != t {
			return fmt.Errorf("header stack %q: %w: header id %d is not a header of type %q", j.Name, ErrProgram, id, t.name)
		}
		s.elems = append(s.elems, h)
	}
	if len(s.elems) == 0 {
		return fmt.Errorf("header stack %q: %w: it has no elements", j.Name, ErrProgram)
	}
	s.outside = l.place(j.Name+"[out of bounds]", t)
	l.stacks[j.Name] = s
	return nil
}

func (l *layout) addUnions(p *jsonProgram) error {
	members := map[string][]string{}
	for _, t := range p.HeaderUnionTypes {
		for _, m := range t.Headers {
			members[t.Name] = append(members[t.Name], m[0])
		}
	}
	byID := map[int]*union{}
	for _, j := range p.HeaderUnions {
		u := &union{name: j.Name, typ: j.UnionType, names: members[j.UnionType]}
		for _, id := range j.HeaderIDs {
			h, ok := l.byID[id]
			if !ok {
				return fmt.Errorf("header union %q: %w: no header with id %d", j.Name, ErrProgram, id)
			}
			h.in = u
			u.members = append(u.members, h)
		}
		if len(u.members) == 0 || len(u.members) != len(u.names) {
			return fmt.Errorf("header union %q: %w: %d headers, its type %q has %d", j.Name, ErrProgram, len(u.members), j.UnionType, len(u.names))
		}
		l.unions[j.Name], byID[j.ID] = u, u
	}
	for _, j := range p.HeaderUnionStacks {
		s := &unionStack{name: j.Name, next: l.slots, names: members[j.UnionType]}
		l.slots++
		for _, id := range j.HeaderUnionIDs {
			u, ok := byID[id]
			if !ok || u.typ != j.UnionType {
				return fmt.Errorf("header union stack %q: %w: union id %d is not a union of type %q", j.Name, ErrProgram, id, j.UnionType)
			}
			s.elems = append(s.elems, u)
		}
		if len(s.elems) == 0 {
			return fmt.Errorf("header union stack %q: %w: it has no elements", j.Name, ErrProgram)
		}
		s.outside = &union{name: j.Name + "[out of bounds]", typ: j.UnionType, names: s.names}
		for _, m := range s.elems[0].members {
			h := l.place(s.outside.name, m.typ)
			h.in = s.outside
			s.outside.members = append(s.outside.members, h)
		}
		l.ustacks[j.Name] = s
	}
	return nil
}

// A ref refers to a field of a header that is known at load time.
type ref struct {
	h *header
	f *field
}

// slot returns the field's first slot.
func (r ref) slot() int { return r.h.base + r.f.off }

// valid is the field with the name validName.
var valid = &field{name: validName, width: 1, words: 1, off: 0}

// find returns the field with the given header name and field name in the program.
func (l *layout) find(hdr, name string) (ref, error) {
	h, ok := l.headers[hdr]
	if !ok {
		return ref{}, fmt.Errorf("%w: no header %q", ErrProgram, hdr)
	}
	f, err := h.typ.find(name)
	return ref{h, f}, err
}

func (t *headerType) find(name string) (*field, error) {
	if name == validName {
		return valid, nil
	}
	i, ok := t.byName[name]
	if !ok {
		return nil, fmt.Errorf("%w: header type %q has no field %q", ErrProgram, t.name, name)
	}
	return t.fields[i], nil
}

// standard returns the field that has this name in simple_switch, such as standard_metadata.egress_spec. It returns false if the program
// has no such field.
func (l *layout) standard(hdr, name string) (ref, bool) {
	if a, ok := l.alias[hdr+"."+name]; ok {
		r, err := l.find(a[0], a[1])
		return r, err == nil
	}
	r, err := l.find(hdr, name)
	return r, err == nil
}

// span returns the range of values that a field can hold.
func (f *field) span() (lo, hi *big.Int) {
	one := big.NewInt(1)
	if f.signed {
		hi = new(big.Int).Lsh(one, uint(max(f.width, 1)-1))
		lo = new(big.Int).Neg(hi)
		return lo, hi.Sub(hi, one)
	}
	hi = new(big.Int).Lsh(one, uint(f.width))
	return new(big.Int), hi.Sub(hi, one)
}

// str reads a JSON string.
func str(raw json.RawMessage) (string, error) {
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return "", fmt.Errorf("%w: want a string, got %s", ErrProgram, raw)
	}
	return s, nil
}

// hexBig parses a hexadecimal number of bmv2: an optional sign, an optional 0x, and digits.
func hexBig(s string) (*big.Int, error) {
	t, neg := s, false
	if len(t) > 0 && t[0] == '-' {
		t, neg = t[1:], true
	}
	if len(t) > 1 && t[0] == '0' && (t[1] == 'x' || t[1] == 'X') {
		t = t[2:]
	}
	v, ok := new(big.Int).SetString(t, 16)
	if !ok || v.Sign() < 0 {
		return nil, fmt.Errorf("%w: %q is not a hexadecimal number", ErrProgram, s)
	}
	if neg {
		v.Neg(v)
	}
	return v, nil
}
