package strict

import (
	"fmt"
	"slices"

	"go.yaml.in/yaml/v4"
)

// Header reads the document's apiVersion and kind. If apiVersion is not APIVersion or kind is not in kinds, Header adds faults and ok is
// false.
func (d *Decoder) Header(kinds ...string) (kind string, ok bool) {
	d.collector.attempt(func() { kind, ok = d.header(d.doc.root, kinds) })
	return kind, ok
}

func (d *Decoder) header(n *yaml.Node, kinds []string) (kind string, ok bool) {
	if shapeOf(n) != mappingShape {
		d.fault(ErrDecode, d.pos(n), "", "the document is "+nodeName(n), "it must be a mapping that begins with apiVersion: "+APIVersion+" and kind: "+OneOf(kinds))
		return "", false
	}
	kind, ok = d.headerKey(n, "kind", kinds)
	_, versionOK := d.headerKey(n, "apiVersion", []string{APIVersion})
	return kind, ok && versionOK
}

// headerKey returns the value of a key, which must be one of valid.
func (d *Decoder) headerKey(m *yaml.Node, key string, valid []string) (string, bool) {
	n := child(m, key)
	if n == nil {
		d.fault(ErrDecode, d.pos(m), key, fmt.Sprintf("the document has no %q", key), "it must be "+OneOf(valid))
		return "", false
	}
	if shapeOf(n) != textShape {
		d.fault(ErrDecode, d.pos(n), key, fmt.Sprintf("%s is %s", key, nodeName(n)), "it must be "+OneOf(valid))
		return "", false
	}
	if !slices.Contains(valid, n.Value) {
		d.fault(ErrDecode, d.pos(n), key, fmt.Sprintf("unknown %s %q", key, n.Value), Nearest(n.Value, valid, "known"))
		return "", false
	}
	return n.Value, true
}
