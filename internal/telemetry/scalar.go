package telemetry

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
)

// A scalar is the value of one leaf, in any form that a target may send it.
type scalar struct {
	text     string
	number   uint64
	isNumber bool
}

// uint returns the value as a number. RFC 7951 encodes some numbers as strings.
func (s scalar) uint(bits int) (uint64, error) {
	n := s.number
	var err error
	if !s.isNumber {
		n, err = strconv.ParseUint(s.text, 10, bits)
	} else if bits < 64 && n>>bits != 0 {
		err = strconv.ErrRange
	}
	if err != nil {
		return 0, fmt.Errorf("%s: must be a number of %d bits", s, bits)
	}
	return n, nil
}

func (s scalar) String() string {
	if s.isNumber {
		return strconv.FormatUint(s.number, 10)
	}
	const most = 64 // the longest part of a target's text that is repeated, in bytes
	return fmt.Sprintf("%.*q", most, s.text)
}

// scalars calls visit for each leaf of an update, whose value is a scalar or a JSON subtree. It skips leaf-lists, nulls, booleans
// and fractions, because no collected leaf has such a value.
func scalars(path []elem, v *gpb.TypedValue, visit func([]elem, scalar)) error {
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
		return jsonScalars(path, t.JsonIetfVal, visit)
	case *gpb.TypedValue_JsonVal:
		return jsonScalars(path, t.JsonVal, visit)
	}
	return nil
}

func jsonScalars(path []elem, raw []byte, visit func([]elem, scalar)) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber() // a float64 represents integers only up to 53 bits
	var v any
	if err := d.Decode(&v); err != nil {
		return fmt.Errorf("JSON: %w", err)
	}
	walkJSON(path, v, visit)
	return nil
}

func walkJSON(path []elem, v any, visit func([]elem, scalar)) {
	switch v := v.(type) {
	case string:
		visit(path, scalar{text: v})
	case json.Number:
		visit(path, scalar{text: v.String()})
	case map[string]any:
		for name, member := range v {
			e := elem{name: local([]byte(name))}
			list, isList := member.([]any)
			if !isList {
				walkJSON(below(path, e), member, visit)
				continue
			}
			for _, entry := range list {
				if obj, ok := entry.(map[string]any); ok {
					walkJSON(below(path, elem{name: e.name, keys: keysOf(obj)}), obj, visit)
				}
			}
		}
	}
}

// keysOf returns the keys of a list entry, which are the members whose names are keys in the collected lists.
func keysOf(entry map[string]any) []key {
	var keys []key
	for name, v := range entry {
		name := local([]byte(name))
		switch string(name) {
		case "name", "id", "set-name", "type", "sequence-id", "epoch", "leg":
			switch v := v.(type) {
			case string:
				keys = append(keys, key{name, []byte(v)})
			case json.Number:
				keys = append(keys, key{name, []byte(v.String())})
			}
		}
	}
	return keys
}

// below returns a copy of path with one more element.
func below(path []elem, e elem) []elem { return append(path[:len(path):len(path)], e) }
