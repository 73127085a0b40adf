package strict

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// APIVersion is the apiVersion of every document.
const APIVersion = "op25b/v1"

// A File is a file's name, for messages, and its content.
type File struct {
	Name string
	Data []byte
}

// A Document is one document of a file. It finds the place of a value when a fault has to name it, so that valid documents pay nothing for
// places. The zero Document has none: its values were made in Go.
type Document struct {
	file string
	root *yaml.Node // nil after Forget
}

// Pos returns where the document begins.
func (d Document) Pos() Pos { return nodePos(d.file, d.root) }

// At returns the place of the value at a path, such as phases[1].rules[0], or of the nearest value around it if there is none.
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

// Place returns how a message points at another value: by its position, or by its path if the position is not known.
func (d Document) Place(path string) string {
	if pos := d.At(path); pos.Line > 0 {
		return pos.String()
	}
	return path
}

// Forget drops the nodes of the text, which take twenty times its room. Only the file's name remains.
func (d *Document) Forget() { d.root = nil }

// Decode reads a file that holds one document of a kind into a struct. The struct names its keys in yaml tags. See Decoder.Decode.
//
// The error is a Faults. The document finds the places of values for faults that the caller finds in their meaning.
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

// child returns the value of a key or the item at an index, or nil.
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

// nodePos returns where a node begins. A block mapping begins at its first key.
func nodePos(file string, n *yaml.Node) Pos { return Pos{File: file, Line: n.Line, Col: n.Column} }
