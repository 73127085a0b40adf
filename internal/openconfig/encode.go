package openconfig

import (
	"encoding/json"
	"strconv"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// encodings returns the supported encodings, in the order of Capabilities.
func encodings() []gpb.Encoding {
	return []gpb.Encoding{gpb.Encoding_JSON_IETF, gpb.Encoding_JSON, gpb.Encoding_PROTO}
}

func checkEncoding(e gpb.Encoding) error {
	for _, served := range encodings() {
		if e == served {
			return nil
		}
	}
	return status.Errorf(codes.Unimplemented, "encoding %v is not supported; supported: JSON_IETF, JSON, PROTO", e)
}

// leafValue encodes one leaf as a scalar for PROTO (gNMI specification 2.2.3), or as a JSON scalar for the two JSON encodings.
func leafValue(n *node, r *reading, e gpb.Encoding) *gpb.TypedValue {
	switch e {
	case gpb.Encoding_JSON_IETF:
		return &gpb.TypedValue{Value: &gpb.TypedValue_JsonIetfVal{JsonIetfVal: appendLeaf(nil, n, r, true)}}
	case gpb.Encoding_JSON:
		return &gpb.TypedValue{Value: &gpb.TypedValue_JsonVal{JsonVal: appendLeaf(nil, n, r, false)}}
	}
	if n.schema.typ.numeric() {
		return &gpb.TypedValue{Value: &gpb.TypedValue_UintVal{UintVal: r.number(n)}}
	}
	return &gpb.TypedValue{Value: &gpb.TypedValue_StringVal{StringVal: r.text(n)}}
}

// treeValue encodes the subtree at n in one of the JSON encodings. The result contains the leaves for which keep returns true. It is nil if
// there are no such leaves.
func treeValue(n *node, r *reading, e gpb.Encoding, keep func(*schema) bool) *gpb.TypedValue {
	ietf := e == gpb.Encoding_JSON_IETF
	if !holds(n, keep) {
		return nil
	}
	b := appendNode(nil, n, r, "", ietf, keep)
	if ietf {
		return &gpb.TypedValue{Value: &gpb.TypedValue_JsonIetfVal{JsonIetfVal: b}}
	}
	return &gpb.TypedValue{Value: &gpb.TypedValue_JsonVal{JsonVal: b}}
}

// holds reports whether keep returns true for a leaf at or below n. The key leaf of a list entry does not count.
func holds(n *node, keep func(*schema) bool) bool {
	if n.schema.leaf() {
		return keep(n.schema)
	}
	for _, c := range n.children {
		if !c.schema.key && holds(c, keep) {
			return true
		}
	}
	return false
}

// appendNode appends the JSON value of n. In JSON_IETF, a member's name is qualified with its module if its parent belongs to another
// module (RFC 7951 section 4). The members of the topmost object are therefore always qualified.
func appendNode(b []byte, n *node, r *reading, module string, ietf bool, keep func(*schema) bool) []byte {
	if n.schema.leaf() {
		return appendLeaf(b, n, r, ietf)
	}
	b = append(b, '{')
	first := true
	for i := 0; i < len(n.children); {
		c := n.children[i]
		// The entries of a list are adjacent, and together form one member.
		end := i + 1
		for c.schema.list() && end < len(n.children) && n.children[end].schema == c.schema {
			end++
		}
		group := n.children[i:end]
		i = end
		if !c.schema.key && !anyHolds(group, keep) {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = append(b, '"')
		if ietf && c.schema.module != module {
			b = append(b, c.schema.module...)
			b = append(b, ':')
		}
		b = append(b, c.schema.name...)
		b = append(b, '"', ':')
		if !c.schema.list() {
			b = appendNode(b, c, r, c.schema.module, ietf, keep)
			continue
		}
		b = appendList(b, group, r, ietf, keep)
	}
	return append(b, '}')
}

func appendList(b []byte, entries []*node, r *reading, ietf bool, keep func(*schema) bool) []byte {
	b = append(b, '[')
	first := true
	for _, e := range entries {
		if !holds(e, keep) {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = appendNode(b, e, r, e.schema.module, ietf, keep)
	}
	return append(b, ']')
}

func anyHolds(nodes []*node, keep func(*schema) bool) bool {
	for _, n := range nodes {
		if holds(n, keep) {
			return true
		}
	}
	return false
}

// appendLeaf appends a leaf's value. RFC 7951 encodes 64-bit numbers as strings, because many readers parse JSON numbers as doubles. It
// encodes identities with their module.
func appendLeaf(b []byte, n *node, r *reading, ietf bool) []byte {
	switch n.schema.typ {
	case typeUint32:
		return strconv.AppendUint(b, r.number(n), 10)
	case typeUint64, typeCounter64:
		if !ietf {
			return strconv.AppendUint(b, r.number(n), 10)
		}
		b = append(b, '"')
		b = strconv.AppendUint(b, r.number(n), 10)
		return append(b, '"')
	case typeIdentity:
		if ietf {
			return appendString(b, n.schema.module+":"+r.text(n))
		}
	}
	return appendString(b, r.text(n))
}

func appendString(b []byte, s string) []byte {
	quoted, err := json.Marshal(s)
	if err != nil { // marshalling a string never fails
		panic(err)
	}
	return append(b, quoted...)
}
