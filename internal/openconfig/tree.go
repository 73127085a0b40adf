package openconfig

import (
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
)

// A reading contains the values of one Snapshot. It is immutable, so any number of subscribers can share it.
type reading struct {
	shape   *shape
	numbers []uint64 // the numeric values, by the slot of the leaf
	texts   []string // all other values, by the slot of the leaf
	at      time.Time
}

// text returns the value of a leaf that is not a number.
func (r *reading) text(leaf *node) string { return r.texts[leaf.slot] }

// number returns the value of a leaf that is a number.
func (r *reading) number(leaf *node) uint64 { return r.numbers[leaf.slot] }

// A shape is the data tree without its values. It is immutable. Two readings with the same nodes have the same shape. A reading with other
// nodes has a new shape, which shares all unchanged subtrees with the previous one. A leaf that still exists is the same node.
type shape struct {
	root           *node
	numbers, texts []*node // the leaves by slot; nil for a free slot

	once   sync.Once
	places map[*place]bool // built by holds

	mu        sync.Mutex // guards everything below
	selecting map[string]*selection
	selected  int // the number of leaves in selecting
}

// A node is one node of a shape. A list has one node per entry, with the list's schema.
type node struct {
	schema   *schema
	keys     []key // the keys of a list entry, in the order of the schema
	elem     *gpb.PathElem
	place    *place // the place of the node and its siblings
	inner    *place // the place of the children; nil for a leaf
	children []*node
	slot     int32 // the position of a leaf's value in readings
}

// A place is the position of the children of one node. It holds the part of their paths that they share, also in encoded form.
type place struct {
	up    *place          // the place of the node itself; nil for the root
	path  []*gpb.PathElem // the path from the root to the node
	group *group          // the prefix of messages that contain leaves of this place
	rel   []byte          // the encoded elements from the end of the prefix to the node
}

// A group is the prefix of notifications, which is an interface or a container outside of interfaces.
type group struct {
	elems []*gpb.PathElem
	wire  []byte // the encoded elements
}

// A key is the value of one key of a list entry. A numeric key is formatted only when a node is created.
type key struct {
	text    string
	number  uint32
	numeric bool
}

func textKey(s string) key { return key{text: s} }

func numberKey(n uint32) key { return key{number: n, numeric: true} }

func (k key) String() string {
	if k.numeric {
		return strconv.FormatUint(uint64(k.number), 10)
	}
	return k.text
}

// is reports whether n is the child with the given name and keys.
func (n *node) is(name string, keys []key) bool {
	return n.schema.name == name && slices.Equal(n.keys, keys)
}

// path returns the path from the root to n.
func (n *node) path() []*gpb.PathElem {
	if n.place == nil {
		return nil
	}
	return append(n.place.path[:len(n.place.path):len(n.place.path)], n.elem)
}

// has reports whether a leaf of an older shape still exists.
func (s *shape) has(leaf *node) bool {
	of := s.texts
	if leaf.schema.typ.numeric() {
		of = s.numbers
	}
	return int(leaf.slot) < len(of) && of[leaf.slot] == leaf
}

// holds reports whether the node whose children are at inner still exists.
func (s *shape) holds(inner *place) bool {
	s.once.Do(func() {
		s.places = make(map[*place]bool)
		s.root.walk(func(n *node) bool {
			if n.inner != nil {
				s.places[n.inner] = true
			}
			return true
		})
	})
	return s.places[inner]
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

// eachLeaf calls visit for the leaves at and below n that are in set. The key leaves of lists only repeat the path, so a key leaf is visited
// only if it is n itself.
func (n *node) eachLeaf(set leafSet, visit func(*node)) {
	n.walk(func(c *node) bool {
		if c.schema.leaf() && c.schema.set()&set != 0 && (!c.schema.key || c == n) {
			visit(c)
		}
		return true
	})
}

// writeKey appends one [key=value] to the text of a path. It escapes closing brackets and backslashes in the value, so that only equal paths
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
