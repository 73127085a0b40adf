package strict

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// A Decoder decodes a document into Go values and collects all faults. It refuses unknown and repeated keys, values of the wrong type, and
// anchors, aliases, merge keys and tags, because a reader cannot see their meaning in place.
type Decoder struct {
	collector Collector
	doc       Document
	known     map[reflect.Type]keySet // by struct type; cached because a document has few types and many mappings
	forms     map[reflect.Type]*form

	visited int               // the number of nodes visited
	moved   map[string]string // see Moved
}

// NewDecoder returns a Decoder for a document. Decoding stops early if ctx ends.
func NewDecoder(ctx context.Context, doc Document) *Decoder {
	return &Decoder{collector: NewCollector(ctx), doc: doc, known: make(map[reflect.Type]keySet), forms: make(map[reflect.Type]*form)}
}

// Decode decodes the document into a struct. The fields' yaml tags name the keys; a key without omitempty is required. A field must be a
// Scalar, a Number, a string, a bool, a netip.Prefix, a netip.Addr, a struct, or a slice of one of these. Decode skips apiVersion and
// kind, which Header reads.
func (d *Decoder) Decode(into any) {
	d.collector.attempt(func() { d.mapping(d.doc.root, reflect.ValueOf(into).Elem(), "", "apiVersion", "kind") })
}

// Moved makes Decode refuse a key of the document that earlier releases accepted. to says where the value is now.
func (d *Decoder) Moved(key, to string) { d.moved = map[string]string{key: to} }

// Fault adds a fault at the position of the document. path is the key that the fault is about, or empty for the whole document.
func (d *Decoder) Fault(kind error, path, what, way string) {
	d.collector.attempt(func() { d.fault(kind, d.doc.Pos(), path, what, way) })
}

// Faults returns the faults found so far.
func (d *Decoder) Faults() Faults { return d.collector.faults }

func (d *Decoder) fault(kind error, pos Pos, path, what, way string) {
	d.collector.Add(Fault{Pos: pos, Path: path, What: what, Way: way, Kind: kind})
}

// value decodes the node n into v. path is the path of n in the document.
func (d *Decoder) value(n *yaml.Node, v reflect.Value, path string) {
	if d.visited++; d.visited%1024 == 0 {
		d.collector.goOn()
	}
	written := shapeOf(n)
	switch written {
	case nullShape:
		d.fault(ErrDecode, d.pos(n), path, fmt.Sprintf("%s has no value", label(path)), "it must be "+d.accepted(v.Type())+", or leave the key out")
		return
	case anchorShape, aliasShape, tagShape:
		d.fault(ErrSyntax, d.pos(n), path, fmt.Sprintf("%s is written with %s", label(path), nodeName(n)),
			"anchors, aliases, tags and merge keys are not supported: write the value out")
		return
	}
	if f := d.form(v.Type()); f != nil {
		d.scalar(n, written, v, path, f)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		d.mapping(n, v, path)
	case reflect.Slice:
		d.list(n, v, path)
	default:
		panic(fmt.Sprintf("strict: %v is no Scalar and no Number", v.Type())) // programming error, which every test that decodes the type finds
	}
}

// mapping decodes a mapping into the struct v. It accepts and skips the keys in also, which Header has read.
func (d *Decoder) mapping(n *yaml.Node, v reflect.Value, path string, also ...string) {
	if shapeOf(n) != mappingShape {
		d.wrongType(n, v.Type(), path)
		return
	}
	of := d.keys(v.Type())
	known := of.inOrder
	if len(also) > 0 {
		known = slices.Concat(also, known)
	}
	seen := make(map[string]Pos, len(n.Content)/2)
	for pair := range slices.Chunk(n.Content, 2) {
		at := d.pos(pair[0])
		key, ok := keyText(pair[0])
		if !ok {
			d.fault(ErrSyntax, at, path, fmt.Sprintf("%s has a key written with %s", label(path), keyName(pair[0])), "keys are plain words: "+strings.Join(known, ", "))
			continue
		}
		if first, again := seen[key]; again {
			d.fault(ErrDecode, at, Join(path, key), fmt.Sprintf("key %q is given twice", key), fmt.Sprintf("the first is at %v: keep one", first))
			continue
		}
		seen[key] = at
		if field, ok := of.fields[key]; ok {
			d.value(pair[1], v.Field(field.index), Join(path, key))
		} else if to, moved := d.moved[key]; moved && path == "" {
			d.fault(ErrDecode, at, key, fmt.Sprintf("the key %q is no longer here", key), to)
		} else if !slices.Contains(also, key) {
			d.fault(ErrDecode, at, Join(path, key), fmt.Sprintf("unknown key %q", key), Nearest(key, known, "known keys"))
		}
	}
	for _, key := range known {
		if _, ok := seen[key]; ok || slices.Contains(also, key) || of.fields[key].optional {
			continue
		}
		d.fault(ErrDecode, d.pos(n), Join(path, key), fmt.Sprintf("%s has no %q", label(path), key), "it must be "+d.accepted(v.Field(of.fields[key].index).Type()))
	}
}

// list decodes a sequence into the slice v.
func (d *Decoder) list(n *yaml.Node, v reflect.Value, path string) {
	if shapeOf(n) != listShape {
		d.wrongType(n, v.Type(), path)
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
	for i, item := range n.Content {
		d.value(item, v.Index(i), fmt.Sprintf("%s[%d]", path, i))
	}
}

func (d *Decoder) wrongType(n *yaml.Node, want reflect.Type, path string) {
	d.fault(ErrDecode, d.pos(n), path, fmt.Sprintf("%s is %s", label(path), nodeName(n)), "it must be "+d.accepted(want))
}

// pos returns the position at which a node begins.
func (d *Decoder) pos(n *yaml.Node) Pos { return nodePos(d.doc.file, n) }

// A field is the struct field for a key.
type field struct {
	index    int
	optional bool
}

// A keySet contains the fields of a struct by key, and the keys in field order.
type keySet struct {
	fields  map[string]field
	inOrder []string
}

// keys returns the keys of a struct type. They are computed once per type.
func (d *Decoder) keys(t reflect.Type) keySet {
	k, ok := d.known[t]
	if !ok {
		k = keys(t)
		d.known[t] = k
	}
	return k
}

func keys(t reflect.Type) keySet {
	k := keySet{fields: make(map[string]field, t.NumField())}
	for i := range t.NumField() {
		tag, ok := t.Field(i).Tag.Lookup("yaml")
		if !ok || tag == "-" {
			continue
		}
		key, options, _ := strings.Cut(tag, ",")
		k.fields[key] = field{index: i, optional: options == "omitempty"}
		k.inOrder = append(k.inOrder, key)
	}
	return k
}

// Join returns the path of a key in the mapping at path.
func Join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// label returns the text that denotes a path in a sentence.
func label(path string) string {
	if path == "" {
		return "the document"
	}
	return path
}
