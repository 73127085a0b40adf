package strict

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// A Decoder fills Go values from a document. It refuses unknown and repeated keys, values of the wrong type, and anchors, aliases, merge
// keys and tags, whose meaning a reader cannot see in place. A Decoder collects all faults.
type Decoder struct {
	collector Collector
	doc       Document
	known     map[reflect.Type]keySet // by struct type; cached because there are few types and many mappings
	forms     map[reflect.Type]*form

	visited int // number of nodes visited
}

// NewDecoder returns a decoder of a document. Decoding ends early if ctx ends.
func NewDecoder(ctx context.Context, doc Document) *Decoder {
	return &Decoder{collector: NewCollector(ctx), doc: doc, known: make(map[reflect.Type]keySet), forms: make(map[reflect.Type]*form)}
}

// Decode fills a struct from the document. The struct names its keys in yaml tags; a key without omitempty must be given. A field is a
// Scalar, a Number, a string, a bool, a netip.Prefix, a netip.Addr, a struct, or a slice of these. Decode skips apiVersion and kind, which
// Header reads.
func (d *Decoder) Decode(into any) {
	d.collector.attempt(func() { d.mapping(d.doc.root, reflect.ValueOf(into).Elem(), "", "apiVersion", "kind") })
}

// Fault adds a fault of the document as a whole, or of one of its keys.
func (d *Decoder) Fault(kind error, path, what, way string) {
	d.collector.attempt(func() { d.fault(kind, d.doc.Pos(), path, what, way) })
}

// Faults returns the faults so far.
func (d *Decoder) Faults() Faults { return d.collector.faults }

func (d *Decoder) fault(kind error, pos Pos, path, what, way string) {
	d.collector.Add(Fault{Pos: pos, Path: path, What: what, Way: way, Kind: kind})
}

// value fills v from n, the node at path in the document.
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
		panic(fmt.Sprintf("strict: %v is no Scalar and no Number", v.Type())) // every test that decodes the type finds this
	}
}

// mapping fills the struct v. The keys in also are accepted and skipped; Header has read them.
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

// list fills the slice v from the sequence n.
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

// pos returns where a node begins.
func (d *Decoder) pos(n *yaml.Node) Pos { return nodePos(d.doc.file, n) }

// A field is the struct field of one key.
type field struct {
	index    int
	optional bool
}

// A keySet has the fields of a struct by key, and the keys in the order of the fields.
type keySet struct {
	fields  map[string]field
	inOrder []string
}

// keys returns the keys of a struct, which are computed once per type.
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
		if !ok {
			continue
		}
		key, options, _ := strings.Cut(tag, ",")
		k.fields[key] = field{index: i, optional: options == "omitempty"}
		k.inOrder = append(k.inOrder, key)
	}
	return k
}

// Join returns the path of a key.
func Join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// label returns a path as the subject of a sentence.
func label(path string) string {
	if path == "" {
		return "the document"
	}
	return path
}
