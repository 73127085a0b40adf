package pagetest

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/chromedp"
)

// A Node is a node of the browser's accessibility tree, which is what a screen reader gets (Core Accessibility API Mappings 1.2). Nodes that
// the browser hides from screen readers are left out, and their children take their place.
type Node struct {
	Role        string // the ARIA role, or the browser's own name for roles that ARIA lacks, such as "StaticText"
	Name        string
	Description string
	Value       string
	// Properties are the states and properties, such as "level", "live" and "focusable".
	Properties map[string]string
	Children   []*Node
}

// Tree returns the root of the page's accessibility tree.
func Tree(t *testing.T, ctx context.Context) *Node {
	t.Helper()
	r, err := chromedp.Call(ctx, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Nodes) == 0 {
		t.Fatal("the browser has no accessibility tree for the page")
	}
	all := make(map[accessibility.NodeID]*accessibility.Node, len(r.Nodes))
	for _, n := range r.Nodes {
		all[n.NodeID] = n
	}
	roots := shown(all, r.Nodes[0])
	if len(roots) != 1 {
		t.Fatalf("the accessibility tree has %d roots, want 1", len(roots))
	}
	return roots[0]
}

// shown returns a node, or what takes the place of a hidden node.
func shown(all map[accessibility.NodeID]*accessibility.Node, n *accessibility.Node) []*Node {
	var below []*Node
	for _, id := range n.ChildIDs {
		if child := all[id]; child != nil {
			below = append(below, shown(all, child)...)
		}
	}
	if n.Ignored {
		return below
	}
	node := &Node{
		Role: text(n.Role), Name: text(n.Name), Description: text(n.Description), Value: text(n.Value), Properties: make(map[string]string), Children: below,
	}
	for _, p := range n.Properties {
		node.Properties[string(p.Name)] = text(p.Value)
	}
	return []*Node{node}
}

// text returns a value as text. A value that is not a string, such as a number, is returned as JSON.
func text(v *accessibility.Value) string {
	if v == nil {
		return ""
	}
	var s string
	if json.Unmarshal(v.Value, &s) == nil {
		return s
	}
	return string(v.Value)
}

// All returns the node and all nodes below it, in the order in which a screen reader reads them.
func (n *Node) All() iter.Seq[*Node] {
	return func(yield func(*Node) bool) { n.walk(yield) }
}

func (n *Node) walk(yield func(*Node) bool) bool {
	if !yield(n) {
		return false
	}
	return !slices.ContainsFunc(n.Children, func(c *Node) bool { return !c.walk(yield) })
}

// Find returns the first node with a role and a name, or nil. An empty name means any.
func (n *Node) Find(role, name string) *Node {
	for x := range n.All() {
		if x.Role == role && (name == "" || x.Name == name) {
			return x
		}
	}
	return nil
}

// Words returns the text of a node and of all nodes below it.
func (n *Node) Words() string {
	var words []string
	for x := range n.All() {
		if x.Role == "StaticText" {
			words = append(words, x.Name)
		}
	}
	return strings.Join(words, " ")
}

// outlined are the roles of an outline that also have the level, the value or the state of the node.
var outlined = []string{"level", "disabled", "required", "invalid", "checked", "expanded", "selected", "live"}

// words are the roles of text, and of marks on text, which are no structure.
var words = []string{"StaticText", "InlineTextBox", "ListMarker", "LineBreak"}

// passed are the roles of nodes without a meaning of their own. An outline has their children in their place.
var passed = []string{"generic", "none", "paragraph", "strong", "time", "Ruby", "LabelText", "Legend"}

// Outline returns the structure of the page as text: a line for each node, indented by its depth, with its role, its name and its states. Running
// text is left out, so that a new sentence does not change the structure.
func (n *Node) Outline() string {
	var b strings.Builder
	n.outline(&b, 0)
	return b.String()
}

func (n *Node) outline(b *strings.Builder, depth int) {
	switch {
	case slices.Contains(words, n.Role):
		return
	case slices.Contains(passed, n.Role):
		for _, c := range n.Children {
			c.outline(b, depth)
		}
		return
	}
	fmt.Fprintf(b, "%s%s", strings.Repeat("  ", depth), n.Role)
	if name := strings.Join(strings.Fields(n.Name), " "); name != "" {
		fmt.Fprintf(b, " %q", name)
	}
	if n.Value != "" {
		fmt.Fprintf(b, " value %q", n.Value)
	}
	for _, p := range outlined {
		if v := n.Properties[p]; v != "" && v != "false" {
			fmt.Fprintf(b, " %s=%s", p, v)
		}
	}
	b.WriteString("\n")
	for _, c := range n.Children {
		c.outline(b, depth+1)
	}
}
