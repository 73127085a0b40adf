package telemetry

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/protobuf/encoding/protowire"
)

// These are the bounds of a path from a target. No collected path has more than 9 elements, or more than 3 keys in an element.
const (
	maxElems = 32
	maxKeys  = 8
)

// An elem is one element of a path. Its names are not qualified by a module. It may share memory with the message that contained it.
type elem struct {
	name []byte
	keys []key
}

type key struct{ name, value []byte }

// key returns the value of a key, or nil.
func (e *elem) key(name string) []byte {
	for _, k := range e.keys {
		if string(k.name) == name {
			return k.value
		}
	}
	return nil
}

// local removes the module from a name or an identity: openconfig-acl:ACL_MIXED becomes ACL_MIXED.
func local(name []byte) []byte {
	return name[bytes.LastIndexByte(name, ':')+1:]
}

// The field numbers of gnmi.Path, gnmi.PathElem and their map entries (gnmi.proto).
const (
	pathElem  = 3
	elemName  = 1
	elemKey   = 2
	entryKey  = 1
	entryText = 2
)

// A route is a path whose memory is reused. Its elements share memory with the messages that contained them.
type route struct {
	elems []elem
	keys  []key // the keys of all elements
}

func (r *route) reset() { r.elems, r.keys = r.elems[:0], r.keys[:0] }

// add appends the elements of an encoded gnmi.Path.
func (r *route) add(b []byte) error {
	for len(b) > 0 {
		num, typ, value, n := field(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		if num != pathElem || typ != protowire.BytesType {
			continue // the fields origin and target, and the deprecated field element
		}
		if err := r.addElem(value); err != nil {
			return err
		}
	}
	return nil
}

// addElem appends an encoded gnmi.PathElem.
func (r *route) addElem(b []byte) error {
	if len(r.elems) == maxElems {
		return fmt.Errorf("a path of more than %d elements", maxElems)
	}
	e := elem{}
	first := len(r.keys)
	for len(b) > 0 {
		num, typ, value, n := field(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		switch {
		case typ != protowire.BytesType:
		case num == elemName:
			e.name = local(value)
		case num == elemKey:
			if len(r.keys)-first == maxKeys {
				return fmt.Errorf("a path element with more than %d keys", maxKeys)
			}
			k, err := parseKey(value)
			if err != nil {
				return err
			}
			r.keys = append(r.keys, k)
		}
	}
	e.keys = slices.Clip(r.keys[first:])
	r.elems = append(r.elems, e)
	return nil
}

// parseKey parses an encoded entry of gnmi.PathElem.key.
func parseKey(b []byte) (k key, err error) {
	for len(b) > 0 {
		num, typ, text, n := field(b)
		if n < 0 {
			return k, protowire.ParseError(n)
		}
		b = b[n:]
		switch {
		case typ != protowire.BytesType:
		case num == entryKey:
			k.name = local(text)
		case num == entryText:
			k.value = text
		}
	}
	return k, nil
}

// field returns the next field of an encoded message. value is only set for the BytesType. n is negative for an invalid encoding.
func field(b []byte) (num protowire.Number, typ protowire.Type, value []byte, n int) {
	num, typ, n = protowire.ConsumeTag(b)
	if n < 0 {
		return 0, 0, nil, n
	}
	if typ == protowire.BytesType {
		value, m := protowire.ConsumeBytes(b[n:])
		if m < 0 {
			return 0, 0, nil, m
		}
		return num, typ, value, n + m
	}
	m := protowire.ConsumeFieldValue(num, typ, b[n:])
	if m < 0 {
		return 0, 0, nil, m
	}
	return num, typ, nil, n + m
}

// elemsOf converts the elements of paths.
func elemsOf(paths ...*gpb.Path) ([]elem, error) {
	var out []elem
	for _, p := range paths {
		if len(out)+len(p.GetElem()) > maxElems {
			return nil, fmt.Errorf("a path of more than %d elements", maxElems)
		}
		for _, e := range p.GetElem() {
			c := elem{name: local([]byte(e.GetName()))}
			if len(e.GetKey()) > maxKeys {
				return nil, fmt.Errorf("a path element with more than %d keys", maxKeys)
			}
			for k, v := range e.GetKey() {
				c.keys = append(c.keys, key{local([]byte(k)), []byte(v)})
			}
			out = append(out, c)
		}
	}
	return out, nil
}

// steps returns a path of elements without keys. In a request, such a path selects all entries of its lists.
func steps(names ...string) *gpb.Path {
	p := &gpb.Path{}
	for _, n := range names {
		p.Elem = append(p.Elem, &gpb.PathElem{Name: n})
	}
	return p
}

// pathText formats a path in the usual notation, such as /interfaces/interface[name=access-1]. A closing bracket or a backslash in the
// value of a key is escaped with a backslash.
func pathText(path []elem) string {
	if len(path) == 0 {
		return "/"
	}
	var b strings.Builder
	for _, e := range path {
		b.WriteByte('/')
		b.Write(e.name)
		keys := slices.Clone(e.keys)
		slices.SortFunc(keys, func(a, b key) int { return bytes.Compare(a.name, b.name) })
		for _, k := range keys {
			fmt.Fprintf(&b, "[%s=%s]", k.name, strings.NewReplacer(`\`, `\\`, `]`, `\]`).Replace(string(k.value)))
		}
	}
	return b.String()
}
