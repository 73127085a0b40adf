package markdown

import (
	"bytes"
	"fmt"
	"html/template"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	east "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/renderer"
	"github.com/yuin/goldmark/util"
)

// Values has the values of the names in a Vocabulary.
type Values struct {
	Text  map[string]string        // plain text, which Render escapes
	Block map[string]template.HTML // HTML that the portal made
	Page  map[string]string        // the URLs of pages, without a fragment
}

// Render returns the document as HTML. It returns ErrValue if v lacks a value that the document uses.
func (d *Document) Render(v Values) (template.HTML, error) {
	m := goldmark.New(
		goldmark.WithExtensions(table),
		goldmark.WithRendererOptions(renderer.WithNodeRenderers(util.Prioritized(values{v}, 100))), // before goldmark's own, which has 1000
	)
	var out bytes.Buffer
	if err := m.Renderer().Render(&out, d.src.Text, d.root); err != nil {
		return "", fmt.Errorf("%s: %w", d.src.File, err)
	}
	return template.HTML(out.String()), nil // goldmark escapes texts, and the checker refused raw HTML and other links
}

// IsLine reports whether the document is a single paragraph, so that RenderLine can render it.
func (d *Document) IsLine() bool {
	return d.root.ChildCount() == 1 && d.root.FirstChild().Kind() == ast.KindParagraph
}

// RenderLine is like Render, but leaves out the element of the paragraph. The document must be a line.
func (d *Document) RenderLine(v Values) (template.HTML, error) {
	out, err := d.Render(v)
	return template.HTML(strings.TrimSuffix(strings.TrimPrefix(string(out), "<p>"), "</p>\n")), err
}

// values renders links and the nodes of this package.
type values struct{ Values }

// RegisterFuncs implements renderer.NodeRenderer.
func (v values) RegisterFuncs(r renderer.NodeRendererFuncRegisterer) {
	r.Register(kindRuby, v.ruby)
	r.Register(kindValue, v.value)
	r.Register(kindBlock, v.block)
	r.Register(ast.KindLink, v.link)
	r.Register(east.KindTableCell, cell)
}

// cell renders the cells of the first row and of the first column as headers (WCAG 2.2 criterion 1.3.1).
func cell(w util.BufWriter, _ []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
	start, end := "<td>", "</td>\n"
	switch {
	case n.Parent().Kind() == east.KindTableHeader:
		start, end = `<th scope="col">`, "</th>\n"
	case n.PreviousSibling() == nil:
		start, end = `<th scope="row">`, "</th>\n"
	}
	if !entering {
		start = end
	}
	_, _ = w.WriteString(start)
	return ast.WalkContinue, nil
}

func (v values) ruby(w util.BufWriter, _ []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
	if entering {
		_, _ = w.WriteString(n.(*rubyNode).run.html()) // the buffer reports errors when it is flushed
	}
	return ast.WalkContinue, nil
}

func (v values) value(w util.BufWriter, _ []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
	if !entering {
		return ast.WalkContinue, nil
	}
	name := n.(*valueNode).name
	text, ok := v.Text[name]
	if !ok {
		return ast.WalkStop, fmt.Errorf("%w: {{%s}}", ErrValue, name)
	}
	_, _ = w.WriteString(template.HTMLEscapeString(text))
	return ast.WalkContinue, nil
}

func (v values) block(w util.BufWriter, _ []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
	if !entering {
		return ast.WalkContinue, nil
	}
	name := n.(*blockNode).name
	block, ok := v.Block[name]
	if !ok {
		return ast.WalkStop, fmt.Errorf("%w: {{%s}}", ErrValue, name)
	}
	_, _ = w.WriteString(string(block) + "\n")
	return ast.WalkContinue, nil
}

func (v values) link(w util.BufWriter, _ []byte, node ast.Node, entering bool) (ast.WalkStatus, error) {
	if !entering {
		_, _ = w.WriteString("</a>")
		return ast.WalkContinue, nil
	}
	to := string(node.(*ast.Link).Destination)
	if page, ok := strings.CutPrefix(to, pageScheme); ok {
		name, fragment, has := strings.Cut(page, "#")
		if to, ok = v.Page[name]; !ok {
			return ast.WalkStop, fmt.Errorf("%w: %s%s", ErrValue, pageScheme, name)
		}
		if has {
			to += "#" + fragment
		}
	}
	_, _ = w.WriteString(`<a href="` + template.HTMLEscapeString(to) + `">`)
	return ast.WalkContinue, nil
}

var _ renderer.NodeRenderer = values{}
