package markdown

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/util"

	"op25b/internal/lang"
	"op25b/internal/strict"
)

// pageScheme begins the destination of a link to a page of the portal.
const pageScheme = "page:"

// validID is the form of a heading's id. It can be read out and typed.
var validID = regexp.MustCompile(`^[a-z][a-z0-9-]{0,63}$`)

// A checker checks a parsed document, and brings links and headings into the form that Render needs.
type checker struct {
	strict.Collector
	doc   *Document
	words Vocabulary
	seen  map[string]bool // ids of headings
	level int             // of the last heading
}

func (c *checker) fault(n ast.Node, what, way string) {
	at := n.Pos()
	for p := n; at < 0 && p != nil; p = p.Parent() {
		at = p.Pos()
	}
	c.Add(strict.Fault{Pos: c.doc.pos(at), What: what, Way: way, Kind: ErrMarkdown})
}

func (c *checker) document() {
	c.level = 1 // the title of the page
	c.blocks()
	// The visitor returns no error, so Walk returns none.
	_ = ast.Walk(c.doc.root, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if entering {
			c.node(n)
		}
		return ast.WalkContinue, nil
	})
}

// blocks replaces each paragraph that consists of the name of a block by a blockNode.
func (c *checker) blocks() {
	doc := c.doc.root
	for n := doc.FirstChild(); n != nil; {
		next := n.NextSibling()
		if value, ok := n.FirstChild().(*valueNode); ok && n.Kind() == ast.KindParagraph && n.ChildCount() == 1 && slices.Contains(c.words.Blocks, value.name) {
			doc.ReplaceChild(doc, n, &blockNode{name: value.name})
		}
		n = next
	}
}

func (c *checker) node(n ast.Node) {
	switch n := n.(type) {
	case *ast.HTMLBlock, *ast.RawHTML:
		c.fault(n, "the text has raw HTML", `write Markdown, or \< for the sign itself`)
	case *ast.Image:
		c.fault(n, "the text has an image", "images are not supported: describe in words what it shows")
	case *ast.Link:
		if n.Title != nil {
			c.fault(n, fmt.Sprintf("a link has the title %q, which phones and keyboards do not show", n.Title), "write it in the text")
		}
		n.Destination = util.URLEscape(n.Destination, true)
		c.link(n, string(n.Destination))
	case *ast.AutoLink:
		if n.AutoLinkType == ast.AutoLinkURL {
			c.link(n, string(n.URL(c.doc.src.Text)))
		}
	case *ast.Heading:
		c.heading(n)
	case *ast.Text:
		c.lineBreak(n)
	case *valueNode:
		if slices.Contains(c.words.Blocks, n.name) {
			c.fault(n, fmt.Sprintf("{{%s}} stands in a line", n.name), "write it in a paragraph of its own")
			return
		}
		if !slices.Contains(c.words.Texts, n.name) {
			c.fault(n, fmt.Sprintf("unknown value {{%s}}", n.name), strict.Nearest(n.name, slices.Concat(c.words.Texts, c.words.Blocks), "values"))
		}
	case *idNode:
		c.fault(n, fmt.Sprintf("the id {#%s} is not at the end of a heading", n.id), `move it there, or write \{ for the sign itself`)
	}
}

// lineBreak removes a line break within a Japanese paragraph, where it is not a space, unless it stands between two words in Latin letters.
func (c *checker) lineBreak(n *ast.Text) {
	if c.doc.src.Language != lang.Japanese || !n.SoftLineBreak() {
		return
	}
	before := string(n.Segment.Value(c.doc.src.Text))
	if prev := n.PreviousSibling(); before == "" && prev != nil {
		before = plain(prev, c.doc.src.Text)
	}
	after := ""
	if next := n.NextSibling(); next != nil {
		after = plain(next, c.doc.src.Text)
	}
	last, _ := utf8.DecodeLastRuneInString(before)
	first, _ := utf8.DecodeRuneInString(after)
	if last >= utf8.RuneSelf || first >= utf8.RuneSelf || before == "" || after == "" { // a value counts as Japanese
		n.SetSoftLineBreak(false)
	}
}

// link checks the destination of a link, which is in its escaped form.
func (c *checker) link(n ast.Node, to string) {
	if page, ok := strings.CutPrefix(to, pageScheme); ok {
		name, fragment, _ := strings.Cut(page, "#")
		if !slices.Contains(c.words.Pages, name) {
			c.fault(n, fmt.Sprintf("unknown page %q in a link", name), strict.Nearest(name, c.words.Pages, "pages"))
		} else if fragment != "" && !validID.MatchString(fragment) {
			c.fault(n, fmt.Sprintf("the link to page %q has the id %q", name, fragment), "an id has small letters, digits and hyphens")
		}
		return
	}
	u, err := url.Parse(to)
	ok := err == nil && to != "" && !strings.Contains(to, `\`)
	if ok {
		switch u.Scheme {
		case "http", "https":
			ok = u.Host != ""
		case "mailto":
			ok = strings.Contains(u.Opaque, "@")
		case "":
			ok = u.Host == "" && !strings.HasPrefix(to, "//")
		default:
			ok = false
		}
	}
	if !ok {
		c.fault(n, fmt.Sprintf("a link goes to %q", to), "a link goes to https://, http:// or mailto:, to page:NAME, or to a relative address")
	}
}

// heading checks the level of a heading and takes its id.
func (c *checker) heading(n *ast.Heading) {
	if n.Level == 1 || n.Level > c.level+1 {
		c.fault(n, fmt.Sprintf("a heading of level %d follows the level %d", n.Level, c.level),
			fmt.Sprintf("begin it with %s: the title of the page is level 1, and no level is left out", strings.Repeat("#", c.level+1)))
	}
	c.level = max(2, n.Level)
	for child := n.FirstChild(); child != nil; child = child.NextSibling() {
		if value, ok := child.(*valueNode); ok { // a table of contents is made without the values
			c.fault(value, fmt.Sprintf("a heading has the value {{%s}}", value.name), "write it in the text below")
		}
	}
	id, ok := n.LastChild().(*idNode)
	if !ok {
		return
	}
	switch {
	case !validID.MatchString(id.id):
		c.fault(id, fmt.Sprintf("a heading has the id %q", id.id), "an id begins with a small letter, and has at most 64 small letters, digits and hyphens")
	case c.seen[id.id]:
		c.fault(id, fmt.Sprintf("two headings have the id %q", id.id), "give each its own")
	}
	c.seen[id.id] = true
	n.RemoveChild(n, id)
	if text, ok := n.LastChild().(*ast.Text); ok {
		text.Segment = text.Segment.TrimRightSpace(c.doc.src.Text)
	}
	n.SetAttributeString("id", []byte(id.id))
	if n.Level == 2 {
		c.doc.ids = append(c.doc.ids, Heading{ID: id.id, Text: plain(n, c.doc.src.Text)})
	}
}

// plain returns the text of a node without markup and readings.
func plain(n ast.Node, source []byte) string {
	switch n := n.(type) {
	case *ast.Text:
		return string(n.Segment.Value(source))
	case *rubyNode:
		return n.run.base
	}
	var b strings.Builder
	for child := n.FirstChild(); child != nil; child = child.NextSibling() {
		b.WriteString(plain(child, source))
	}
	return b.String()
}
