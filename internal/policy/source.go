package policy

import (
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// A source is where a document came from. It finds the place of a value when a fault has to name it, so that valid documents pay
// nothing for it. The zero source is a document made in Go: it has no places.
type source struct {
	file string
	root ast.Node // nil once the document has been found valid
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
func child(n ast.Node, step string) ast.Node {
	switch x := n.(type) {
	case *ast.MappingNode:
		for _, kv := range x.Values {
			if key, ok := keyText(kv.Key); ok && key == step {
				return kv.Value
			}
		}
	case *ast.SequenceNode:
		if i, err := strconv.Atoi(step); err == nil && i < len(x.Values) {
			return x.Values[i]
		}
	}
	return nil
}

// nodePos is where a node begins: its first key for a block mapping, whose own token is the colon behind it.
func nodePos(file string, n ast.Node) Pos {
	switch x := n.(type) {
	case nil:
		return Pos{File: file}
	case *ast.MappingNode:
		if !x.IsFlowStyle && len(x.Values) > 0 {
			return nodePos(file, x.Values[0].Key)
		}
	case *ast.MappingValueNode:
		return nodePos(file, x.Key)
	}
	token := n.GetToken()
	if token == nil || token.Position == nil {
		return Pos{File: file}
	}
	return Pos{File: file, Line: token.Position.Line, Col: token.Position.Column}
}
