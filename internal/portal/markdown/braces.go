package markdown

import (
	"strings"

	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
)

// The kinds of the nodes that this package adds to goldmark's.
var (
	kindRuby  = ast.NewNodeKind("Ruby")
	kindValue = ast.NewNodeKind("Value")
	kindBlock = ast.NewNodeKind("BlockValue")
	kindID    = ast.NewNodeKind("HeadingID")
)

// A rubyNode is {base|reading}.
type rubyNode struct {
	ast.BaseInline
	run run
}

// A valueNode is {{name}} within a line.
type valueNode struct {
	ast.BaseInline
	name string
}

// A blockNode is {{name}} in a paragraph of its own.
type blockNode struct {
	ast.BaseBlock
	name string
}

// An idNode is {#id}. The checker removes it from its heading.
type idNode struct {
	ast.BaseInline
	id string
}

func (*rubyNode) Kind() ast.NodeKind  { return kindRuby }
func (*valueNode) Kind() ast.NodeKind { return kindValue }
func (*blockNode) Kind() ast.NodeKind { return kindBlock }
func (*idNode) Kind() ast.NodeKind    { return kindID }

func (n *rubyNode) Dump(source []byte, level int)  { ast.DumpHelper(n, source, level, nil, nil) }
func (n *valueNode) Dump(source []byte, level int) { ast.DumpHelper(n, source, level, nil, nil) }
func (n *blockNode) Dump(source []byte, level int) { ast.DumpHelper(n, source, level, nil, nil) }
func (n *idNode) Dump(source []byte, level int)    { ast.DumpHelper(n, source, level, nil, nil) }

// braces parses what begins with a brace: ruby, values and ids. Any other brace is text.
type braces struct{}

// Trigger implements parser.InlineParser.
func (braces) Trigger() []byte { return []byte("{") }

// Parse implements parser.InlineParser.
func (braces) Parse(_ ast.Node, block text.Reader, _ parser.Context) ast.Node {
	line, _ := block.PeekLine()
	rest := string(line)
	if inner, ok := strings.CutPrefix(rest, "{{"); ok {
		if name, _, ok := strings.Cut(inner, "}}"); ok {
			block.Advance(len(name) + len("{{}}"))
			return &valueNode{name: strings.TrimSpace(name)}
		}
		return nil
	}
	if inner, ok := strings.CutPrefix(rest, "{#"); ok {
		if id, _, ok := strings.Cut(inner, "}"); ok {
			block.Advance(len(id) + len("{#}"))
			return &idNode{id: id}
		}
		return nil
	}
	r, n := rubyAt(rest)
	if n == 0 {
		return nil
	}
	block.Advance(n)
	return &rubyNode{run: r}
}

var _ parser.InlineParser = braces{}
