package openconfig

import (
	"strings"
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
)

// A builder converts States to readings. It compares each State with the shape of the previous one, and creates only the new nodes. A
// reading of an unchanged tree therefore allocates little more than its values. A builder must not be used by several goroutines at a time.
type builder struct {
	shape                  *shape
	freeNumbers, freeTexts []int32 // the slots of leaves that have vanished
	sums                   map[uint32]Tally

	// numbers and texts are the values of the reading in progress.
	numbers []uint64
	texts   []string
	stack   []frame
}

// A frame is a node whose children are being added.
type frame struct {
	node    *node // the node of the previous shape, or a new node
	known   bool  // the node belongs to the previous shape
	next    int   // the number of children of a known node that have been processed
	changed bool  // the children have changed, and are now in out
	out     []*node
	index   map[string]int // the children of a known node by name and keys; built when a child is not at its previous position
}

func newBuilder(root *schema) *builder {
	top := &node{schema: root, inner: &place{group: &group{}}}
	return &builder{shape: &shape{root: top}}
}

// read returns the reading of a State. It leaves out leaves whose values are unknown.
func (b *builder) read(st *State, at time.Time) *reading {
	b.numbers, b.texts = make([]uint64, len(b.shape.numbers)), make([]string, len(b.shape.texts))
	b.stack = append(b.stack[:0], frame{node: b.shape.root, known: true})
	b.addState(st)
	if root := b.result(&b.stack[0]); root != b.shape.root {
		b.renew(root)
	}
	r := &reading{shape: b.shape, numbers: b.numbers, texts: b.texts, at: at}
	b.numbers, b.texts = nil, nil
	clear(b.stack[:cap(b.stack)])
	return r
}

// renew creates the shape of a new root, and frees the slots of leaves that have vanished.
func (b *builder) renew(root *node) {
	s := &shape{root: root, numbers: make([]*node, len(b.numbers)), texts: make([]*node, len(b.texts))}
	root.walk(func(n *node) bool {
		switch {
		case !n.schema.leaf():
		case n.schema.typ.numeric():
			s.numbers[n.slot] = n
		default:
			s.texts[n.slot] = n
		}
		return true
	})
	freed := func(free []int32, before, now []*node) []int32 {
		for i, n := range before {
			if n != nil && now[i] == nil {
				free = append(free, int32(i))
			}
		}
		return free
	}
	b.freeNumbers = freed(b.freeNumbers, b.shape.numbers, s.numbers)
	b.freeTexts = freed(b.freeTexts, b.shape.texts, s.texts)
	b.shape = s
}

// open adds a container or a list entry to the node on top of the stack, and pushes it onto the stack. The caller must call close.
func (b *builder) open(name string, keys ...key) {
	parent := &b.stack[len(b.stack)-1]
	if c := parent.find(name, keys); c != nil {
		b.push(frame{node: c, known: true})
		return
	}
	c := newNode(parent.node, name, keys)
	c.inner = c.within()
	b.push(frame{node: c})
}

func (b *builder) push(f frame) { b.stack = append(b.stack, f) }

// entry opens a list entry and sets its key leaves.
func (b *builder) entry(name string, keys ...key) {
	b.open(name, keys...)
	for i, k := range b.stack[len(b.stack)-1].node.schema.keys {
		if keys[i].numeric {
			b.number(k, uint64(keys[i].number))
		} else {
			b.text(k, keys[i].text)
		}
	}
}

// close ends the node on top of the stack.
func (b *builder) close() {
	top := len(b.stack) - 1
	f := b.stack[top]
	b.stack = b.stack[:top]
	n := b.result(&f)
	b.stack[top-1].passed(n, f.known && n == f.node)
}

// result returns the node of a frame with its children.
func (b *builder) result(f *frame) *node {
	switch {
	case !f.known:
		f.node.children = f.out
		return f.node
	case !f.changed && f.next == len(f.node.children):
		return f.node
	case !f.changed: // the last children have vanished
		f.out = f.node.children[:f.next:f.next]
	}
	n := *f.node
	n.children = f.out
	return &n
}

func (b *builder) text(name, v string) {
	leaf := b.leaf(name)
	b.texts[leaf.slot] = v
}

func (b *builder) number(name string, v uint64) {
	leaf := b.leaf(name)
	b.numbers[leaf.slot] = v
}

// leaf returns the leaf with the given name below the node on top of the stack.
func (b *builder) leaf(name string) *node {
	parent := &b.stack[len(b.stack)-1]
	if c := parent.find(name, nil); c != nil {
		parent.passed(c, true)
		return c
	}
	c := newNode(parent.node, name, nil)
	if c.schema.typ.numeric() {
		c.slot, b.freeNumbers = slot(b.freeNumbers, len(b.numbers))
		if int(c.slot) == len(b.numbers) {
			b.numbers = append(b.numbers, 0)
		}
	} else {
		c.slot, b.freeTexts = slot(b.freeTexts, len(b.texts))
		if int(c.slot) == len(b.texts) {
			b.texts = append(b.texts, "")
		}
	}
	parent.passed(c, false)
	return c
}

// slot returns a free slot, or next if there is none.
func slot(free []int32, next int) (int32, []int32) {
	if n := len(free); n > 0 {
		return free[n-1], free[:n-1]
	}
	return int32(next), free
}

// find returns the child of the previous shape with the given name and keys, or nil. The caller must then call passed with the resulting
// child.
func (f *frame) find(name string, keys []key) *node {
	if !f.known {
		return nil
	}
	children := f.node.children
	if f.next < len(children) && children[f.next].is(name, keys) {
		f.next++
		return children[f.next-1]
	}
	// The child is new, or it was at another position before.
	f.change(f.next)
	if f.index == nil {
		f.index = make(map[string]int, len(children))
		for i, c := range children {
			f.index[childText(c.schema.name, c.keys)] = i
		}
	}
	i, ok := f.index[childText(name, keys)]
	if !ok {
		return nil
	}
	f.next = i + 1
	return children[i]
}

// passed adds a child. same means that the child is the known one that find returned.
func (f *frame) passed(c *node, same bool) {
	if f.known && !f.changed {
		if same {
			return
		}
		f.change(f.next - 1)
	}
	f.out = append(f.out, c)
}

// change makes out the list of children of f. It begins with the first n children, which have been processed.
func (f *frame) change(n int) {
	if !f.changed {
		f.changed, f.out = true, append([]*node(nil), f.node.children[:n]...)
	}
}

func childText(name string, keys []key) string {
	var b strings.Builder
	b.WriteString(name)
	for _, k := range keys {
		b.WriteByte(0)
		b.WriteString(k.String())
	}
	return b.String()
}

// newNode returns a new child of parent.
func newNode(parent *node, name string, keys []key) *node {
	s := parent.schema.child(name)
	c := &node{schema: s, elem: s.elem, place: parent.inner}
	if len(keys) > 0 {
		c.keys = append(c.keys, keys...)
		c.elem = &gpb.PathElem{Name: name, Key: make(map[string]string, len(keys))}
		for i, k := range s.keys {
			c.elem.Key[k] = keys[i].String()
		}
	}
	return c
}

// within returns the place of the children of n.
func (n *node) within() *place {
	path := n.path()
	if n.schema.group {
		g := &group{elems: path}
		for _, e := range path {
			g.wire = appendElem(g.wire, e)
		}
		return &place{up: n.place, path: path, group: g}
	}
	return &place{up: n.place, path: path, group: n.place.group, rel: appendElem(append([]byte(nil), n.place.rel...), n.elem)}
}
