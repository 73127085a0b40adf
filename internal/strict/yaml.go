package strict

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// Parse parses the documents of a file. It leaves out empty documents. If ctx ends, Parse returns a fault that says so.
func Parse(ctx context.Context, f File) ([]Document, *Fault) {
	if Nodes([]File{f}) > MaxNodes { // policy.Load also checks the sum over all files
		return nil, TooMany(f.Name)
	}
	text := bytes.TrimPrefix(f.Data, []byte("\ufeff")) // remove the byte order mark that some editors write
	asked, fault := checkText(f.Name, text)
	if fault != nil {
		return nil, fault
	}
	loader, err := yaml.NewLoader(&patient{ctx, text}, yaml.WithStreamNodes(), yaml.WithPlugin(unresolved{new(int)}))
	if err != nil {
		return nil, syntaxFault(f.Name, err)
	}
	var docs []Document
	for {
		var n yaml.Node
		switch err := loader.Load(&n); {
		case errors.Is(err, io.EOF):
			return docs, nil
		case err != nil:
			return nil, syntaxFault(f.Name, err)
		case n.Kind == yaml.StreamNode:
			if n.Stream.Version != nil || len(n.Stream.TagDirectives) > 0 {
				return nil, &Fault{Pos: nodePos(f.Name, &n), Kind: ErrSyntax, What: "the document begins with a directive", Way: "leave the lines with a percent sign out"}
			}
		default:
			if doc := n.Content[0]; !absent(doc) {
				if len(docs) == maxDocuments {
					return nil, &Fault{Pos: nodePos(f.Name, doc), Kind: ErrDocuments, What: fmt.Sprintf("the file has more than %d documents", maxDocuments)}
				}
				asked.mark(doc)
				docs = append(docs, Document{f.Name, doc})
			}
		}
	}
}

// syntaxFault converts an error of the YAML parser to a fault at the position of the error.
func syntaxFault(file string, err error) *Fault {
	fault := &Fault{Pos: Pos{File: file}, What: "not valid YAML: " + err.Error(), Kind: ErrSyntax}
	if load := (*yaml.LoadError)(nil); errors.As(err, &load) {
		fault.Line, fault.Col = load.Mark.Line, load.Mark.Column
		fault.What = "not valid YAML: " + load.Message
		if load.ContextMsg != "" {
			fault.What += ", " + load.ContextMsg
			if from := load.ContextMark; from.Line > 0 && from != load.Mark {
				fault.What += fmt.Sprintf(" from %d:%d", from.Line, from.Column)
			}
		}
	}
	return fault
}

// unresolved is a plug-in that resolves each alias to a null node, whether or not the document defines its anchor. The decoder can then
// report the alias with its position.
//
// unresolved also counts anchors and aliases, and stops the parser after maxAnchors.
type unresolved struct{ count *int }

func (u unresolved) NewAliasDataContext(yaml.AliasDataServices) (yaml.AliasDataContext, error) {
	return u, nil
}

func (u unresolved) one() error {
	if *u.count++; *u.count > maxAnchors {
		return fmt.Errorf("more than %d anchors and aliases, and none is supported", maxAnchors)
	}
	return nil
}

func (unresolved) BeginDocument() error                    { return nil }
func (u unresolved) DefineAnchor(string, *yaml.Node) error { return u.one() }
func (unresolved) EndDocument() error                      { return nil }

func (u unresolved) ResolveAlias(string) (*yaml.Node, bool, error) {
	if err := u.one(); err != nil {
		return nil, false, err
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null"}, true, nil
}

var (
	_ yaml.AliasDataPlugin  = unresolved{}
	_ yaml.AliasDataContext = unresolved{}
)

// questions maps the position of the first non-blank character after each question mark to the position of the mark, because yaml.Node
// does not record question marks.
type questions map[Pos]Pos

// mark sets questionTag on each key that follows a question mark, and moves the key's position to the mark. In a block mapping, such a key
// is indented further than the mapping. In a flow mapping, only the text shows the mark.
func (q questions) mark(n *yaml.Node) {
	for i, c := range n.Content {
		q.mark(c)
		if n.Kind != yaml.MappingNode || i%2 != 0 {
			continue
		}
		at, ok := q[nodePos("", c)]
		if n.Style&yaml.FlowStyle == 0 && c.Column != n.Column {
			at, ok = Pos{Line: c.Line, Col: n.Column}, true
		}
		if ok {
			c.Tag, c.Line, c.Column = questionTag, at.Line, at.Col
		}
	}
}

// checkText returns the question marks of a text. It returns a fault for the first byte that is not UTF-8. It also returns a fault for a
// character that the YAML parser refuses without giving a position, and for one that the parser treats as a line end but editors do not.
func checkText(file string, text []byte) (questions, *Fault) {
	asked, last, at := questions{}, Pos{}, Pos{Line: 1, Col: 1}
	for rest := text; len(rest) > 0; {
		r, size := utf8.DecodeRune(rest)
		if r == utf8.RuneError && size == 1 {
			return nil, &Fault{Pos: Pos{file, at.Line, at.Col}, Kind: ErrSyntax, What: fmt.Sprintf("byte 0x%02x is not UTF-8", rest[0]), Way: "save the file as UTF-8"}
		}
		if !writable(r) {
			return nil, &Fault{
				Pos: Pos{file, at.Line, at.Col}, Kind: ErrSyntax, What: fmt.Sprintf("character U+%04X is not allowed unescaped", r),
				Way: fmt.Sprintf(`remove it, or write it as "\u%04x", in double quotes`, r),
			}
		}
		if last.Line > 0 && r != ' ' && r != '\t' {
			asked[at], last = last, Pos{}
		}
		rest = rest[size:]
		if r == '?' && (len(rest) == 0 || strings.IndexByte(" \t\r\n", rest[0]) >= 0) { // any other question mark is part of a text
			if len(asked) == maxQuestions {
				return nil, &Fault{Pos: Pos{file, at.Line, at.Col}, Kind: ErrSyntax, What: fmt.Sprintf("the file has more than %d question marks", maxQuestions), Way: "write keys without question marks"}
			}
			last = at
		}
		at.Col++
		if r == '\n' || r == '\r' && !bytes.HasPrefix(rest, []byte("\n")) {
			at = Pos{Line: at.Line + 1, Col: 1}
		}
	}
	return asked, nil
}

// writable reports whether a character may occur unescaped in a document.
func writable(r rune) bool {
	switch r {
	case '\t', '\n', '\r':
		return true
	case '\u0085', '\u2028', '\u2029', '\ufffe', '\uffff':
		return false
	}
	return r >= ' '
}
