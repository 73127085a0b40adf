package policy

import (
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// A source is where a document came from. It finds the place of a value when a fault has to name it, so that valid documents pay
// nothing for it. The zero source is a document made in Go: it has no places.
type source struct {
	file string
	root *yaml.Node // nil once the document has been found valid
}

// at is the place of the value at a path, or of what is nearest around it where the value is absent.
func (s source) at(path string) Pos {
	if s.root == nil {
		return Pos{File: s.file}
	}
	n := s.root
	for _, step := range strings.FieldsFunc(path, func(r rune) bool { return r == '.' || r == '[' || r == ']' }) {
		next := child(n, step)
		if next == nil {
			break
		}
		n = next
	}
	return nodePos(s.file, n)
}

// child is the value of a key, or the item of an index.
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

// nodePos is where a node begins: its first key for a block mapping.
func nodePos(file string, n *yaml.Node) Pos { return Pos{File: file, Line: n.Line, Col: n.Column} }
