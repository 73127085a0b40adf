package strict

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// APIVersion is the required apiVersion of every document.
const APIVersion = "op25b/v1"

// A File is the content of a file and the name that messages use for it.
type File struct {
	Name string
	Data []byte
}

// A Document is one document of a file. It looks up the position of a value only when a fault is reported, so that valid documents have no
// extra cost. The zero Document has no positions and stands for values built in Go.
type Document struct {
	file string
	root *yaml.Node // nil after Forget
}

// Unplaced returns a Document without positions, for values that were not read from a document. Messages use the name in place of a file's.
func Unplaced(name string) Document { return Document{file: name} }

// Pos returns the position at which the document begins.
func (d Document) Pos() Pos { return nodePos(d.file, d.root) }

// At returns the position of the value at a path such as phases[1].rules[0]. If there is no such value, At returns the position of the
// innermost enclosing value.
func (d Document) At(path string) Pos {
	if d.root == nil {
		return Pos{File: d.file}
	}
	n := d.root
	for _, step := range strings.FieldsFunc(path, func(r rune) bool { return r == '.' || r == '[' || r == ']' }) {
		next := child(n, step)
		if next == nil {
			break
		}
		n = next
	}
	return nodePos(d.file, n)
}

// Place describes the position of a value for a message. It returns the file, line and column, or the path if the position is unknown.
func (d Document) Place(path string) string {
	if pos := d.At(path); pos.Line > 0 {
		return pos.String()
	}
	return path
}

// Forget drops the parsed nodes, which take twenty times the memory of the text. Only the file's name remains.
func (d *Document) Forget() { d.root = nil }

// Decode decodes a file that contains one document of the given kind into a struct. The fields' yaml tags name the keys; see
// Decoder.Decode.
//
// The error is a Faults. With the returned Document, the caller can find the positions of values that it refuses itself.
func Decode(f File, kind string, into any) (Document, error) {
	docs, fault := Parse(context.Background(), f)
	if fault != nil {
		return Document{}, Faults{*fault}
	}
	if len(docs) != 1 {
		return Document{}, Faults{{Pos: Pos{File: f.Name}, Kind: ErrDocuments, What: fmt.Sprintf("there are %d documents", len(docs)), Way: fmt.Sprintf("keep one, of kind: %s", kind)}}
	}
	d := NewDecoder(context.Background(), docs[0])
	if _, ok := d.Header(kind); ok {
		d.Decode(into)
	}
	return docs[0], d.Faults().OrNil()
}

// child returns the value of a key, or the item at an index. It returns nil if n does not have it.
func child(n *yaml.Node, step string) *yaml.Node {
	switch shapeOf(n) {
	case mappingShape:
		for pair := range slices.Chunk(n.Content, 2) {
			if key, ok := keyText(pair[0]); ok && key == step {
				return pair[1]
			}
		}
	case listShape:
		if i, err := strconv.Atoi(step); err == nil && i < len(n.Content) {
			return n.Content[i]
		}
	}
	return nil
}

// nodePos returns the position at which a node begins. A block mapping begins at its first key.
func nodePos(file string, n *yaml.Node) Pos { return Pos{File: file, Line: n.Line, Col: n.Column} }
