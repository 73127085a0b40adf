package policy

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// A decoder fills the documents' types from YAML nodes, strictly: every key known and given once, every value of its type, and nothing
// that a reader cannot see on the spot (anchors, aliases, merge keys, tags). It collects all faults.
//
// The types say their keys in yaml tags; a key without omitempty must be there.
type decoder struct {
	file   string
	faults Faults
}

func (d *decoder) fault(kind error, pos Pos, path, what, way string) {
	d.faults = append(d.faults, Fault{Pos: pos, Path: path, What: what, Way: way, Kind: kind})
}

// value fills v from n, which stands at path in the document.
func (d *decoder) value(n ast.Node, v reflect.Value, path string) {
	switch x := n.(type) {
	case nil, *ast.NullNode:
		d.fault(ErrDecode, d.pos(n), path, fmt.Sprintf("%s has no value", label(path)), "it wants "+wanted(v.Type())+", or leave the key out")
		return
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode, *ast.MergeKeyNode:
		d.fault(ErrSyntax, d.pos(n), path, fmt.Sprintf("%s is written with %s", label(path), nodeName(x)),
			"anchors, aliases, tags and merge keys are not read here: write the value out")
		return
	}
	if read := scalarReader(v.Type()); read != nil {
		d.scalar(n, v, path, read)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		d.mapping(n, v, path)
	case reflect.Slice:
		d.list(n, v, path)
	default:
		panic(fmt.Sprintf("policy: no YAML form for %v", v.Type())) // a type of this package, met by every test that decodes
	}
}

// mapping fills the struct v. Keys in also are known and belong to somebody else.
func (d *decoder) mapping(n ast.Node, v reflect.Value, path string, also ...string) {
	m, ok := n.(*ast.MappingNode)
	if !ok {
		d.wrongType(n, v.Type(), path)
		return
	}
	fields, known := keys(v.Type())
	known = append(append([]string(nil), also...), known...)
	seen := make(map[string]Pos, len(m.Values))
	for _, kv := range m.Values {
		at := d.pos(kv.Key)
		key, ok := keyText(kv.Key)
		if !ok {
			d.fault(ErrSyntax, at, path, fmt.Sprintf("%s has a key written with %s", label(path), nodeName(kv.Key)), "keys are plain words: "+strings.Join(known, ", "))
			continue
		}
		if first, again := seen[key]; again {
			d.fault(ErrDecode, at, join(path, key), fmt.Sprintf("key %q is given twice", key), fmt.Sprintf("the first is at %v: keep one", first))
			continue
		}
		seen[key] = at
		if field, ok := fields[key]; ok {
			d.value(kv.Value, v.Field(field.index), join(path, key))
		} else if !contains(also, key) {
			d.fault(ErrDecode, at, join(path, key), fmt.Sprintf("unknown key %q", key), nearest(key, known, "known keys"))
		}
	}
	for _, key := range known {
		if _, ok := seen[key]; ok || contains(also, key) || fields[key].optional {
			continue
		}
		d.fault(ErrDecode, d.pos(n), join(path, key), fmt.Sprintf("%s has no %q", label(path), key), "it wants "+wanted(v.Field(fields[key].index).Type()))
	}
}

// list fills the slice v.
func (d *decoder) list(n ast.Node, v reflect.Value, path string) {
	s, ok := n.(*ast.SequenceNode)
	if !ok {
		d.wrongType(n, v.Type(), path)
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(s.Values), len(s.Values)))
	for i, item := range s.Values {
		d.value(item, v.Index(i), fmt.Sprintf("%s[%d]", path, i))
	}
}

func (d *decoder) wrongType(n ast.Node, want reflect.Type, path string) {
	d.fault(ErrDecode, d.pos(n), path, fmt.Sprintf("%s is %s", label(path), nodeName(n)), "it wants "+wanted(want))
}

// pos is where a node begins.
func (d *decoder) pos(n ast.Node) Pos { return nodePos(d.file, n) }

// A field is a key of a struct.
type field struct {
	index    int
	optional bool
}

// keys are the fields of a struct by key, and the keys in the order of the fields.
func keys(t reflect.Type) (fields map[string]field, inOrder []string) {
	fields = make(map[string]field, t.NumField())
	for i := range t.NumField() {
		tag, ok := t.Field(i).Tag.Lookup("yaml")
		if !ok {
			continue
		}
		key, options, _ := strings.Cut(tag, ",")
		fields[key] = field{index: i, optional: options == "omitempty"}
		inOrder = append(inOrder, key)
	}
	return fields, inOrder
}

// keyText is a mapping's key, if it is a plain or quoted scalar.
func keyText(n ast.MapKeyNode) (string, bool) {
	switch x := n.(type) {
	case *ast.StringNode:
		return x.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.NullNode:
		return x.GetToken().Value, true
	}
	return "", false
}

func contains(list []string, s string) bool {
	for _, v := range list {
		if v == s {
			return true
		}
	}
	return false
}

// join is the path of a key.
func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// label is a path in a sentence.
func label(path string) string {
	if path == "" {
		return "the document"
	}
	return path
}
