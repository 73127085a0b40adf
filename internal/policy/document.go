package policy

import (
	"context"
	"fmt"
	"reflect"
)

// Decode reads a file that holds one document of another kind than Policy and Inventory into a struct, as strictly as Load reads those and
// with the same messages. The struct says its keys in yaml tags, as the types of this package do, and has their scalars alone: text, true
// or false, TCPPort, Date, prefixes and addresses.
//
// at is the place of the value at a path, such as entries[2].name, for faults that the caller finds in the meaning. The error is a Faults.
func Decode(f File, kind string, into any) (at func(path string) Pos, err error) {
	docs, fault := parse(context.Background(), f)
	if fault != nil {
		return nil, Faults{*fault}
	}
	d := decoder{file: f.Name}
	if len(docs) != 1 {
		return nil, Faults{{Pos: Pos{File: f.Name}, Kind: ErrDocuments, What: fmt.Sprintf("there are %d documents", len(docs)), Way: fmt.Sprintf("keep one, of kind: %s", kind)}}
	}
	if _, ok := d.header(docs[0], kind); ok {
		attempt(func() { d.mapping(docs[0], reflect.ValueOf(into).Elem(), "", "apiVersion", "kind") })
	}
	return source{file: f.Name, root: docs[0]}.at, d.faults.orNil()
}
