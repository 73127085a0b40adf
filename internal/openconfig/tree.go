package openconfig

import (
	"slices"
	"strconv"
	"strings"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
)

// A value is the value of a leaf: text for strings, enumerations and identities, number for the rest.
type value struct {
	text   string
	number uint64
}

// A node is one node of the data tree. A list has one node for each entry, with the list's schema.
type node struct {
	schema   *schema
	elem     *gpb.PathElem
	keys     []string        // keys of a list entry, in the order of the schema
	path     []*gpb.PathElem // from the root to elem; never modified, because messages in flight share it
	id       string          // the path as text, to compare nodes of different readings
	value    value
	children []*node
	filled   int // number of children that the current fill has visited
}

// newTree returns the data tree of st. The tree has no leaf for a value that is unknown in st.
func newTree(root *schema, st *State) *node {
	t := &node{schema: root}
	t.fill(st)
	return t
}

// fill makes the root t the data tree of st. Existing nodes are reused and only their values are written. So a subscriber's next reading
// allocates almost nothing, because the ports and rules of a switch seldom change.
func (t *node) fill(st *State) {
	t.filled = 0
	t.addState(st)
	t.trim()
}

// trim removes the nodes that the last fill has not visited.
func (t *node) trim() {
	clear(t.children[t.filled:])
	t.children = t.children[:t.filled]
	for _, c := range t.children {
		c.trim()
	}
}

func (n *node) container(name string) *node { return n.add(name, nil, value{}) }

func (n *node) text(name, v string) { n.add(name, nil, value{text: v}) }

func (n *node) number(name string, v uint64) { n.add(name, nil, value{number: v}) }

// entry adds the list entry with these keys, in the order of the schema, and its key leaves.
func (n *node) entry(name string, keys ...string) *node {
	e := n.add(name, keys, value{})
	for i, k := range e.schema.keys {
		if e.schema.child(k).typ == typeUint32 {
			number, _ := strconv.ParseUint(keys[i], 10, 32) // written by fill.go from a uint32
			e.number(k, number)
			continue
		}
		e.text(k, keys[i])
	}
	return e
}

// add returns the next child of n: the existing child if its name and keys are equal, or otherwise a new child that replaces it and all
// following children.
func (n *node) add(name string, keys []string, v value) *node {
	if n.filled < len(n.children) {
		if c := n.children[n.filled]; c.schema.name == name && slices.Equal(c.keys, keys) {
			n.filled++
			c.value, c.filled = v, 0
			return c
		}
		clear(n.children[n.filled:])
		n.children = n.children[:n.filled]
	}
	n.filled++
	s := n.schema.child(name)
	c := &node{schema: s, elem: &gpb.PathElem{Name: name}, keys: keys, value: v}
	var id strings.Builder
	id.WriteString(n.id)
	id.WriteByte('/')
	id.WriteString(name)
	if len(keys) > 0 {
		c.elem.Key = make(map[string]string, len(keys))
		for i, k := range s.keys {
			c.elem.Key[k] = keys[i]
			writeKey(&id, k, keys[i])
		}
	}
	c.id = id.String()
	c.path = append(n.path[:len(n.path):len(n.path)], c.elem)
	n.children = append(n.children, c)
	return c
}

// walk calls visit for n and all nodes below it, parents first. It does not descend below a node for which visit returns false.
func (n *node) walk(visit func(*node) bool) {
	if !visit(n) {
		return
	}
	for _, c := range n.children {
		c.walk(visit)
	}
}

// eachLeaf calls visit for the leaves at and below n that are in set. The key leaves of lists repeat the path, so a key leaf is visited
// only if it is n itself.
func (n *node) eachLeaf(set leafSet, visit func(*node)) {
	n.walk(func(c *node) bool {
		if c.schema.leaf() && c.schema.set()&set != 0 && (!c.schema.key || c == n) {
			visit(c)
		}
		return true
	})
}

// writeKey appends one [key=value] of a path's text. A closing bracket and a backslash in a value are escaped, so that only equal paths
// have the same text.
func writeKey(b *strings.Builder, key, val string) {
	b.WriteByte('[')
	b.WriteString(key)
	b.WriteByte('=')
	if strings.ContainsAny(val, `\]`) {
		val = strings.NewReplacer(`\`, `\\`, `]`, `\]`).Replace(val)
	}
	b.WriteString(val)
	b.WriteByte(']')
}
