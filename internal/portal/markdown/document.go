// Package markdown reads the texts that an ISP publishes on the customers' portal, and renders them as HTML.
//
// A document is CommonMark with tables. It has no raw HTML and no images, and links only to http, https, mailto and relative addresses.
// Headings begin at level 2, because the title of the page is the heading of level 1. There are four additions:
//
//   - {漢字|かんじ} is ruby.
//   - {{name}} is a value that the portal knows, such as a port. In a paragraph of its own it can also be a list or a table.
//   - page:NAME as the destination of a link is a page of the portal.
//   - {#id} at the end of a heading is the heading's id.
//
// Parse refuses everything else with the position and a statement of what would be valid, so that nothing is left out silently. The package
// does not know the pages and values of the portal; a Vocabulary names them.
package markdown

import (
	"context"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"

	"op25b/internal/lang"
	"op25b/internal/strict"
)

// MaxSource is the maximum size of a document in bytes. The longest notices of ISPs have about 10 kB.
const MaxSource = 64 << 10

// A Vocabulary lists the names that a document may use.
type Vocabulary struct {
	Texts  []string // values within a line
	Blocks []string // values in a paragraph of their own
	Pages  []string // destinations of links
}

// A Source is the Markdown of a document.
type Source struct {
	File string
	Text []byte
	// Line is the line of the file at which Text begins, counted from 1.
	Line     int
	Language lang.Language
}

// A Document is a parsed document. It is safe for concurrent use.
type Document struct {
	src  Source
	root ast.Node
	ids  []Heading
}

// A Heading is a heading of level 2 that has an id, for a table of contents.
type Heading struct{ ID, Text string }

// Headings returns the headings of level 2 that have an id, in order.
func (d *Document) Headings() []Heading { return d.ids }

// Parse parses a document. The error is a strict.Faults of the kind ErrMarkdown.
func Parse(src Source, words Vocabulary) (*Document, error) {
	d := &Document{src: src}
	if fault := d.checkText(); fault != nil {
		return nil, strict.Faults{*fault}
	}
	d.root = markdown.Parser().Parse(text.NewReader(src.Text))
	c := checker{Collector: strict.NewCollector(context.Background()), doc: d, words: words, seen: map[string]bool{}}
	if err := c.Run(func() { c.document() }); err != nil {
		return nil, err
	}
	return d, nil
}

// markdown is only used to parse; Render has renderers of its own.
var markdown = goldmark.New(
	goldmark.WithExtensions(table),
	goldmark.WithParserOptions(parser.WithInlineParsers(util.Prioritized(braces{}, 150))), // after code spans and before links, as labels of links can have ruby
)

// table leaves out the alignment of cells, which would need inline styles or attributes that HTML has abandoned.
var table = extension.NewTable(extension.WithTableCellAlignMethod(extension.TableCellAlignNone))

// checkText returns a fault for a text that is too large, not UTF-8, or has control characters.
func (d *Document) checkText() *strict.Fault {
	fault := func(at int, what, way string) *strict.Fault {
		return &strict.Fault{Pos: d.pos(at), What: what, Way: way, Kind: ErrMarkdown}
	}
	if len(d.src.Text) > MaxSource {
		return fault(0, fmt.Sprintf("the text has %d bytes", len(d.src.Text)), fmt.Sprintf("must be at most %d: divide it", MaxSource))
	}
	for at := 0; at < len(d.src.Text); {
		r, size := utf8.DecodeRune(d.src.Text[at:])
		switch {
		case r == utf8.RuneError && size == 1:
			return fault(at, fmt.Sprintf("byte 0x%02x is not UTF-8", d.src.Text[at]), "save the file as UTF-8")
		case r < ' ' && !strings.ContainsRune("\t\r\n", r) || r >= 0x7f && r <= 0x9f:
			return fault(at, fmt.Sprintf("character U+%04X is a control character", r), "remove it")
		}
		at += size
	}
	return nil
}

// pos returns the position of a byte of the text.
func (d *Document) pos(at int) strict.Pos {
	before := d.src.Text[:max(0, min(at, len(d.src.Text)))]
	begin := strings.LastIndexByte(string(before), '\n') + 1
	return strict.Pos{File: d.src.File, Line: d.src.Line + strings.Count(string(before), "\n"), Col: 1 + utf8.RuneCount(before[begin:])}
}
