package openconfig

import (
	"maps"
	"slices"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/protobuf/encoding/protowire"
)

// These are the field numbers of gnmi.proto from which messages are built. Messages are assembled from encoded paths, because encoding
// each path for each subscriber would be most of the cost of a notification.
const (
	fieldPathOrigin = 2
	fieldPathElem   = 3
	fieldPathTarget = 4

	fieldElemName = 1
	fieldElemKey  = 2

	fieldUpdatePath = 1
	fieldUpdateVal  = 3

	fieldValString   = 1
	fieldValUint     = 3
	fieldValJSON     = 10
	fieldValJSONIETF = 11

	fieldTimestamp = 1
	fieldPrefix    = 2
	fieldUpdate    = 4
	fieldDelete    = 5

	fieldResponseUpdate = 1
)

func appendBytes(b []byte, field protowire.Number, v []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), v)
}

func appendText(b []byte, field protowire.Number, v string) []byte {
	return protowire.AppendString(protowire.AppendTag(b, field, protowire.BytesType), v)
}

// appendElem appends a path element as a field of Path. Keys are ordered by name, so equal paths have equal encodings.
func appendElem(b []byte, e *gpb.PathElem) []byte {
	elem := appendText(nil, fieldElemName, e.GetName())
	for _, k := range slices.Sorted(maps.Keys(e.GetKey())) {
		elem = appendBytes(elem, fieldElemKey, appendText(appendText(nil, 1, k), 2, e.GetKey()[k]))
	}
	return appendBytes(b, fieldPathElem, elem)
}

// sizeBytes returns the size of a field that has a tag of one byte and n bytes of content.
func sizeBytes(n int) int { return 1 + protowire.SizeBytes(n) }

// appendUpdate appends the update of a leaf as a field of Notification. The path is relative to the prefix of the leaf's group.
func appendUpdate(b []byte, leaf *node, r *reading, e gpb.Encoding) []byte {
	rel, own := leaf.place.rel, leaf.schema.wire
	path := len(rel) + len(own)
	var room [64]byte
	field, text := protowire.Number(fieldValString), room[:0]
	switch {
	case e == gpb.Encoding_JSON_IETF:
		field, text = fieldValJSONIETF, appendLeaf(text, leaf, r, true)
	case e == gpb.Encoding_JSON:
		field, text = fieldValJSON, appendLeaf(text, leaf, r, false)
	case leaf.schema.typ.numeric():
		v := r.number(leaf)
		val := 1 + protowire.SizeVarint(v)
		b = appendPath(b, sizeBytes(path)+sizeBytes(val), path, rel, own)
		b = protowire.AppendTag(b, fieldUpdateVal, protowire.BytesType)
		b = protowire.AppendVarint(b, uint64(val))
		b = protowire.AppendTag(b, fieldValUint, protowire.VarintType)
		return protowire.AppendVarint(b, v)
	default:
		text = append(text, r.text(leaf)...)
	}
	val := sizeBytes(len(text))
	b = appendPath(b, sizeBytes(path)+sizeBytes(val), path, rel, own)
	b = protowire.AppendTag(b, fieldUpdateVal, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(val))
	return appendBytes(b, field, text)
}

// appendPath appends the beginning of an update of size bytes, up to the end of its path.
func appendPath(b []byte, size, path int, rel, own []byte) []byte {
	b = protowire.AppendTag(b, fieldUpdate, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(size))
	b = protowire.AppendTag(b, fieldUpdatePath, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(path))
	b = append(b, rel...)
	return append(b, own...)
}

// appendDelete appends a deleted path as a field of Notification.
func appendDelete(b []byte, path []*gpb.PathElem) []byte {
	var elems []byte
	for _, e := range path {
		elems = appendElem(elems, e)
	}
	return appendBytes(b, fieldDelete, elems)
}
