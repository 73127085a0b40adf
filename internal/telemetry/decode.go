package telemetry

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
)

// A scalar is the value of one leaf, in any form that a target may send.
type scalar struct {
	text     string
	number   uint64
	isNumber bool
}

// uint returns a number. RFC 7951 encodes some numbers as strings.
func (s scalar) uint(bits int) (uint64, error) {
	if !s.isNumber {
		return strconv.ParseUint(s.text, 10, bits)
	}
	if bits < 64 && s.number>>bits != 0 {
		return 0, fmt.Errorf("%d does not fit %d bits", s.number, bits)
	}
	return s.number, nil
}

func (s scalar) String() string {
	if s.isNumber {
		return strconv.FormatUint(s.number, 10)
	}
	return strconv.Quote(s.text)
}

// leaves calls visit for each leaf of an update, which is a scalar or a JSON subtree. Leaf-lists, nulls, booleans and fractions are
// skipped, because no leaf that this package reads has such a value.
func leaves(path []*gpb.PathElem, v *gpb.TypedValue, visit func([]*gpb.PathElem, scalar)) error {
	switch t := v.GetValue().(type) {
	case *gpb.TypedValue_UintVal:
		visit(path, scalar{number: t.UintVal, isNumber: true})
	case *gpb.TypedValue_IntVal:
		if t.IntVal < 0 {
			visit(path, scalar{text: strconv.FormatInt(t.IntVal, 10)})
			break
		}
		visit(path, scalar{number: uint64(t.IntVal), isNumber: true})
	case *gpb.TypedValue_StringVal:
		visit(path, scalar{text: t.StringVal})
	case *gpb.TypedValue_AsciiVal:
		visit(path, scalar{text: t.AsciiVal})
	case *gpb.TypedValue_JsonIetfVal:
		return jsonLeaves(path, t.JsonIetfVal, visit)
	case *gpb.TypedValue_JsonVal:
		return jsonLeaves(path, t.JsonVal, visit)
	}
	return nil
}

func jsonLeaves(path []*gpb.PathElem, raw []byte, visit func([]*gpb.PathElem, scalar)) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber() // a float64 has only 53 bits for an integer
	var v any
	if err := d.Decode(&v); err != nil {
		return fmt.Errorf("JSON: %w", err)
	}
	walkJSON(path, v, visit)
	return nil
}

func walkJSON(path []*gpb.PathElem, v any, visit func([]*gpb.PathElem, scalar)) {
	switch v := v.(type) {
	case string:
		visit(path, scalar{text: v})
	case json.Number:
		visit(path, scalar{text: v.String()})
	case map[string]any:
		for name, member := range v {
			name = local(name)
			entries, isList := member.([]any)
			if !isList {
				walkJSON(below(path, &gpb.PathElem{Name: name}), member, visit)
				continue
			}
			for _, e := range entries {
				if obj, ok := e.(map[string]any); ok {
					walkJSON(below(path, &gpb.PathElem{Name: name, Key: keysOf(obj)}), obj, visit)
				}
			}
		}
	}
}

// keysOf returns the keys of a list entry: the members whose names are keys of the lists that this package reads.
func keysOf(entry map[string]any) map[string]string {
	keys := make(map[string]string)
	for name, v := range entry {
		switch name = local(name); name {
		case "name", "id", "set-name", "type", "sequence-id":
			switch v := v.(type) {
			case string:
				keys[name] = v
			case json.Number:
				keys[name] = v.String()
			}
		}
	}
	return keys
}

// below returns a copy of path with one more element.
func below(path []*gpb.PathElem, e *gpb.PathElem) []*gpb.PathElem {
	return append(path[:len(path):len(path)], e)
}
