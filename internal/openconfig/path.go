package openconfig

import (
	"maps"
	"slices"
	"strings"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// anyDepth is the path element that matches any number of levels, including none (gNMI path conventions).
const anyDepth = "..."

// A pattern is a path of a request that has been checked against the schema. It selects nodes of a data tree.
type pattern struct {
	elems  []*gpb.PathElem
	text   string  // the path as requested, for error messages
	leaves leafSet // the sets of leaves that the path can select
	parts  Parts   // the parts of the State that contain these leaves
	deep   bool    // contains anyDepth
	wild   bool    // the path may select any number of nodes, including none
}

// parsePath joins the prefix of a request with one of its paths, and checks the result against the schema.
//
// Names may be qualified by their module ("openconfig-acl:acl"). A list without keys or with the key "*" selects all its entries, "*"
// matches any one element, and "..." matches any number of elements. The error is a gRPC status. It is INVALID_ARGUMENT for an invalid
// path and UNIMPLEMENTED for a path that is not served (gNMI specification 3.3.4 and 3.5.2.4).
func parsePath(root *schema, prefix, path *gpb.Path) (*pattern, error) {
	if err := checkPath(prefix, path); err != nil {
		return nil, err
	}
	if err := checkForm(prefix, path); err != nil {
		return nil, err
	}
	p := &pattern{}
	for _, from := range [][]*gpb.PathElem{prefix.GetElem(), path.GetElem()} {
		for _, e := range from {
			if e.GetName() == "" {
				return nil, status.Errorf(codes.InvalidArgument, "path %q: an element has no name", pathText(append(p.elems, e)))
			}
			p.elems = append(p.elems, localNames(e))
		}
	}
	p.text = pathText(p.elems)
	for _, e := range p.elems {
		p.deep = p.deep || e.Name == anyDepth
		p.wild = p.wild || e.Name == anyDepth || e.Name == "*"
		for _, v := range e.Key {
			p.wild = p.wild || v == "*"
		}
	}
	c := check{elems: p.elems}
	c.descend(root, 0, 0)
	if c.matched == 0 {
		return nil, c.refusal(p.text)
	}
	p.leaves, p.parts = c.matched, c.parts
	p.wild = p.wild || c.keyless
	return p, nil
}

func checkForm(prefix, path *gpb.Path) error {
	for _, p := range []*gpb.Path{prefix, path} {
		//lint:ignore SA1019 some clients set both fields
		if len(p.GetElement()) > 0 && len(p.GetElem()) == 0 {
			return status.Error(codes.InvalidArgument, "path: the field element is of gNMI before 0.4; use elem")
		}
	}
	if path.GetTarget() != "" {
		return status.Errorf(codes.InvalidArgument, "path %q: target %q belongs in the prefix", pathText(path.GetElem()), path.GetTarget())
	}
	if prefix.GetOrigin() != "" && path.GetOrigin() != "" {
		return status.Errorf(codes.InvalidArgument, "path %q: origin both in the prefix and in the path", pathText(path.GetElem()))
	}
	if o := prefix.GetOrigin() + path.GetOrigin(); o != "" && o != "openconfig" {
		return status.Errorf(codes.Unimplemented, "path %q: origin %q is not served, only openconfig", pathText(path.GetElem()), o)
	}
	return nil
}

// localNames returns e without the module names that a client may write before element names and identities.
func localNames(e *gpb.PathElem) *gpb.PathElem {
	local := func(s string) string {
		for _, m := range []string{modInterfaces, modP4RT, modACL, modSystem, modFilter} {
			if rest, ok := strings.CutPrefix(s, m+":"); ok {
				return rest
			}
		}
		return s
	}
	out := &gpb.PathElem{Name: local(e.Name)}
	if len(e.Key) > 0 {
		out.Key = make(map[string]string, len(e.Key))
	}
	for k, v := range e.Key {
		k = local(k)
		if k == "type" { // the only key whose value is an identity
			v = local(v)
		}
		out.Key[k] = v
	}
	return out
}

// A check matches a path against the schema.
type check struct {
	elems   []*gpb.PathElem
	matched leafSet // the leaves of all schema nodes that the path selects
	parts   Parts   // the parts of the State that contain these leaves
	keyless bool    // a list occurs without all its keys
	depth   int     // the largest number of elements that matched
	at      *schema // the schema node at depth
	badKey  string  // a requested key that the node at depth does not have
}

// descend matches the elements from depth on against the nodes below s. above holds the parts of the nodes above s.
func (c *check) descend(s *schema, depth int, above Parts) {
	above |= s.part
	if c.at == nil || depth > c.depth {
		c.depth, c.at, c.badKey = depth, s, ""
	}
	if depth == len(c.elems) {
		c.matched |= s.leaves()
		c.parts |= above | s.parts()
		return
	}
	e := c.elems[depth]
	if e.Name == anyDepth {
		c.descend(s, depth+1, above)
		for _, child := range s.children {
			c.descend(child, depth, above)
		}
		return
	}
	for _, child := range s.children {
		if e.Name != "*" && e.Name != child.name {
			continue
		}
		if k, ok := unknownKey(child, e); ok {
			if e.Name != "*" && depth >= c.depth {
				c.depth, c.at, c.badKey = depth, child, k
			}
			continue
		}
		c.keyless = c.keyless || len(e.Key) < len(child.keys)
		c.descend(child, depth+1, above)
	}
}

func unknownKey(s *schema, e *gpb.PathElem) (string, bool) {
	for k := range e.Key {
		if !s.hasKey(k) {
			return k, true
		}
	}
	return "", false
}

func (c *check) refusal(text string) error {
	above := pathText(c.elems[:c.depth])
	switch {
	case c.badKey != "" && !c.at.list():
		return status.Errorf(codes.InvalidArgument, "path %q: %s is not a list and has no key %q", text, c.at.name, c.badKey)
	case c.badKey != "":
		return status.Errorf(codes.InvalidArgument, "path %q: the list %s has no key %q; its keys: %s",
			text, c.at.name, c.badKey, strings.Join(c.at.keys, ", "))
	case c.at.leaf():
		return status.Errorf(codes.Unimplemented, "path %q is not served: %s is a leaf, nothing is below it", text, above)
	default:
		return status.Errorf(codes.Unimplemented, "path %q is not served; below %s there is: %s", text, above, c.at.childNames())
	}
}

// find returns the topmost nodes of a tree that p selects. None of them is below another one.
func (p *pattern) find(tree *node) []*node {
	var found []*node
	search(tree, p.elems, &found)
	if !p.deep {
		return found
	}
	// With "...", a node can be reached in several ways, and a selected node can be below another selected node.
	selected := make(map[*node]bool, len(found))
	for _, n := range found {
		selected[n] = true
	}
	var top []*node
	tree.walk(func(n *node) bool {
		if selected[n] {
			top = append(top, n)
		}
		return !selected[n]
	})
	return top
}

func search(n *node, elems []*gpb.PathElem, found *[]*node) {
	if len(elems) == 0 {
		*found = append(*found, n)
		return
	}
	if elems[0].Name == anyDepth {
		search(n, elems[1:], found)
		for _, c := range n.children {
			search(c, elems, found)
		}
		return
	}
	for _, c := range n.children {
		if selects(elems[0], c.elem) {
			search(c, elems[1:], found)
		}
	}
}

func selects(want, have *gpb.PathElem) bool {
	if want.Name != "*" && want.Name != have.Name {
		return false
	}
	for k, v := range want.Key {
		if got, ok := have.Key[k]; !ok || v != "*" && v != got {
			return false
		}
	}
	return true
}

// pathText formats a path in the usual notation: /interfaces/interface[name=access-1]/state. The root is "/".
func pathText(elems []*gpb.PathElem) string {
	if len(elems) == 0 {
		return "/"
	}
	var b strings.Builder
	for _, e := range elems {
		b.WriteByte('/')
		b.WriteString(e.GetName())
		for _, k := range slices.Sorted(maps.Keys(e.GetKey())) {
			writeKey(&b, k, e.Key[k])
		}
	}
	return b.String()
}
