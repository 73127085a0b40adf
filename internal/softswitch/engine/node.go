package engine

import (
	"encoding/json"
	"math/big"
)

// A kind is the type of an expression's value.
type kind uint8

const (
	kData kind = iota
	kBool
	kHeader
	kStack
	kUnion
	kUnionStack
)

func (k kind) String() string {
	return [...]string{"a number", "a boolean", "a header", "a header stack", "a header union", "a header union stack"}[k]
}

// A node is an expression. bmv2 computes with integers of any size and truncates a value only when it is stored in a field. So every
// number node contains the range of its possible values, and the compiler uses machine words where the range allows it.
type node struct {
	kind kind
	op   string // the operation; for a leaf, one of the constants below

	lo, hi *big.Int // the range of a number's possible values
	l, r   *node
	cond   *node

	ref  ref    // for leafField, the field
	f    *field // for leafDynamic, the field; l is the expression for its header
	word int    // for leafLocal, the index of the first word in the action's arguments
	n    int    // for leafLocal, the number of words
	b    bool   // for leafBool, the value
	reg  *Register
	h    *header // for leafHeader, the header
	st   *stack
	u    *union
	us   *unionStack
	idx  int // for access_union_header, the index of the member
}

// The operations of leaf nodes.
const (
	leafConst   = "constant" // lo and hi are equal
	leafField   = "field"
	leafDynamic = "field of a header found at run time"
	leafLocal   = "parameter"
	leafReg     = "register"
	leafBool    = "boolean"
	leafHeader  = "header"
	leafLast    = "last element"
	leafStack   = "stack"
	leafUnion   = "union"
	leafUStack  = "union stack"
)

func constNode(v *big.Int) *node { return &node{op: leafConst, lo: v, hi: v} }

func (n *node) isConst() bool { return n.op == leafConst }

// fits64 reports whether all values of a number fit into an unsigned machine word.
func (n *node) fits64() bool { return n.lo.Sign() >= 0 && n.hi.BitLen() <= 64 }

func (n *node) fitsS64() bool { return n.lo.IsInt64() && n.hi.IsInt64() }

func (n *node) narrow() bool { return n.fits64() || n.fitsS64() }

// limbs returns the number of 64-bit words that are needed for all values of a number in two's complement.
func (n *node) limbs() int {
	bits := max(n.hi.BitLen(), new(big.Int).Not(n.lo).BitLen())
	return bits/64 + 1
}

func (c *compiler) want(n *node, k kind) *node {
	if n.kind != k {
		if k == kData && n.kind == kBool {
			return simplify(&node{op: "b2d", r: n, lo: new(big.Int), hi: big.NewInt(1)})
		}
		c.fail(ErrProgram, "want %v, got %v", k, n.kind)
	}
	return n
}

// expr builds the tree of an operand or expression.
func (c *compiler) expr(v *jsonValue) *node {
	if v == nil {
		c.fail(ErrProgram, "an operand is missing")
	}
	switch v.Type {
	case "expression":
		var probe struct {
			Op   *string `json:"op"`
			Type *string `json:"type"`
		}
		c.decode(v.Value, &probe, "an expression")
		if probe.Op != nil {
			var op jsonOp
			c.decode(v.Value, &op, "an operation")
			return c.operation(&op)
		}
		var in jsonValue
		c.decode(v.Value, &in, "an expression")
		return c.expr(&in)
	case "field":
		return c.fieldNode(v.Value)
	case "stack_field":
		var at [2]string
		c.decode(v.Value, &at, "a stack and a field")
		last := &node{kind: kHeader, op: leafLast, st: c.stackNamed(at[0])}
		f, err := last.st.typ.find(at[1])
		if err != nil && at[1] == "last" {
			return last // p4c represents the last element itself as a field
		}
		c.check(err)
		return c.dynamic(last, f)
	case "union_stack_field":
		var at [3]string
		c.decode(v.Value, &at, "a union stack, a member and a field")
		return c.unionLast(at)
	case "hexstr":
		b, err := hexBig(c.text(v.Value))
		c.check(err)
		return constNode(b)
	case "bool":
		var b bool
		c.decode(v.Value, &b, "a boolean")
		return &node{kind: kBool, op: leafBool, b: b}
	case "local", "runtime_data":
		var i int
		c.decode(v.Value, &i, "the index of a parameter")
		if c.act == nil || i < 0 || i >= len(c.act.params) {
			c.fail(ErrProgram, "no parameter %d", i)
		}
		lo, hi := (&field{width: c.act.params[i].Width}).span()
		n := c.act.words
		if i+1 < len(c.act.at) {
			n = c.act.at[i+1]
		}
		return &node{op: leafLocal, lo: lo, hi: hi, word: c.act.at[i], n: n - c.act.at[i]}
	case "register":
		var at [2]json.RawMessage
		c.decode(v.Value, &at, "a register and an index")
		r := c.register(c.text(at[0]))
		var ix jsonValue
		c.decode(at[1], &ix, "an index")
		lo, hi := r.span()
		c.uses(r)
		return &node{op: leafReg, lo: lo, hi: hi, reg: r, r: c.want(c.expr(&ix), kData)}
	case "header":
		return c.headerNode(c.text(v.Value))
	case "header_stack":
		return &node{kind: kStack, op: leafStack, st: c.stackNamed(c.text(v.Value))}
	case "header_union":
		return &node{kind: kUnion, op: leafUnion, u: c.unionNamed(c.text(v.Value))}
	case "header_union_stack":
		return &node{kind: kUnionStack, op: leafUStack, us: c.unionStackNamed(c.text(v.Value))}
	}
	c.fail(ErrUnsupported, "value of type %q in an expression", v.Type)
	return nil
}

func (c *compiler) headerNode(name string) *node {
	if h, ok := c.l.headers[name]; ok {
		return &node{kind: kHeader, op: leafHeader, h: h}
	}
	if u, ok := c.l.unions[name]; ok {
		return &node{kind: kUnion, op: leafUnion, u: u}
	}
	if s, ok := c.l.stacks[name]; ok {
		return &node{kind: kStack, op: leafStack, st: s}
	}
	c.fail(ErrProgram, "no header %q", name)
	return nil
}

func (c *compiler) stackNamed(name string) *stack {
	s, ok := c.l.stacks[name]
	if !ok {
		c.fail(ErrProgram, "no header stack %q", name)
	}
	return s
}

func (c *compiler) unionNamed(name string) *union {
	u, ok := c.l.unions[name]
	if !ok {
		c.fail(ErrProgram, "no header union %q", name)
	}
	return u
}

func (c *compiler) unionStackNamed(name string) *unionStack {
	u, ok := c.l.ustacks[name]
	if !ok {
		c.fail(ErrProgram, "no header union stack %q", name)
	}
	return u
}

// fieldNode builds a reference to a field. The field's header is given by its name or by an expression.
func (c *compiler) fieldNode(raw json.RawMessage) *node {
	var at [2]json.RawMessage
	c.decode(raw, &at, "a header and a field")
	name := c.text(at[1])
	if len(at[0]) > 0 && at[0][0] == '{' {
		h := c.want(c.expr(&jsonValue{Type: "expression", Value: at[0]}), kHeader)
		f, err := c.typeOf(h).find(name)
		c.check(err)
		return c.dynamic(h, f)
	}
	r, err := c.l.find(c.text(at[0]), name)
	c.check(err)
	return fieldLeaf(r)
}

func fieldLeaf(r ref) *node {
	r.h.hot[r.f] = true
	lo, hi := r.f.span()
	if r.f.variable {
		hi = new(big.Int).Lsh(big.NewInt(1), uint(8*r.h.typ.varMax))
	}
	return &node{op: leafField, lo: lo, hi: hi, ref: r}
}

func (c *compiler) dynamic(h *node, f *field) *node {
	if h.op == leafHeader {
		return fieldLeaf(ref{h.h, f})
	}
	for _, x := range c.l.all {
		if x.typ == c.typeOf(h) {
			x.hot[f] = true
		}
	}
	lo, hi := f.span()
	return &node{op: leafDynamic, lo: lo, hi: hi, l: h, f: f}
}

func (c *compiler) unionLast(at [3]string) *node {
	us := c.unionStackNamed(at[0])
	for i, name := range us.names {
		if name == at[1] {
			f, err := us.elems[0].members[i].typ.find(at[2])
			c.check(err)
			u := &node{kind: kUnion, op: leafLast, us: us}
			return c.dynamic(&node{kind: kHeader, op: "access_union_header", l: u, idx: i}, f)
		}
	}
	c.fail(ErrProgram, "union stack %q has no member %q", at[0], at[1])
	return nil
}

// typeOf returns the type of the headers to which a header expression can refer.
func (c *compiler) typeOf(h *node) *headerType {
	switch {
	case h.h != nil:
		return h.h.typ
	case h.st != nil:
		return h.st.typ
	case h.l.u != nil:
		return h.l.u.members[h.idx].typ
	case h.l.us != nil:
		return h.l.us.elems[0].members[h.idx].typ
	}
	c.fail(ErrUnsupported, "a header from %s", h.op)
	return nil
}

// arity maps each operation to its number of operands. The operands are numbers unless the method operation defines otherwise.
var arity = map[string]int{
	"+": 2, "-": 2, "*": 2, "/": 2, "%": 2, "<<": 2, ">>": 2, "&": 2, "|": 2, "^": 2, "~": 1,
	"==": 2, "!=": 2, "<": 2, "<=": 2, ">": 2, ">=": 2, "and": 2, "or": 2, "not": 1,
	"valid": 1, "valid_union": 1, "d2b": 1, "b2d": 1, "two_comp_mod": 2, "usat_cast": 2, "sat_cast": 2, "?": 2,
	"dereference_stack": 2, "dereference_header_stack": 2, "dereference_union_stack": 2,
	"last_stack_index": 1, "size_stack": 1, "access_field": 2, "access_union_header": 2,
}

// operation builds the tree of an operation.
func (c *compiler) operation(j *jsonOp) *node {
	n, ok := arity[j.Op]
	if !ok {
		c.fail(ErrUnsupported, "operation %q", j.Op)
	}
	defer c.at("operation %q", j.Op)()
	if j.Op == "access_field" || j.Op == "access_union_header" {
		return c.access(j)
	}
	var rv jsonValue
	c.decode(j.Right, &rv, "a right operand")
	r := c.expr(&rv)
	var l *node
	if n == 2 {
		if j.Left == nil && (j.Op == "+" || j.Op == "-") {
			l = constNode(new(big.Int))
		} else {
			l = c.expr(j.Left)
		}
	}
	out := &node{op: j.Op, l: l, r: r}
	switch j.Op {
	case "==", "!=":
		out.kind = kBool
		if l.kind != r.kind {
			out.l, out.r = c.want(l, kData), c.want(r, kData)
		}
		if l.kind == kStack || l.kind == kUnionStack {
			c.fail(ErrUnsupported, "comparison of %v", l.kind)
		}
	case "<", "<=", ">", ">=":
		out.kind, out.l, out.r = kBool, c.want(l, kData), c.want(r, kData)
	case "and", "or":
		out.kind, out.l, out.r = kBool, c.want(l, kBool), c.want(r, kBool)
	case "not":
		out.kind, out.r = kBool, c.want(r, kBool)
	case "valid":
		out.kind, out.r = kBool, c.want(r, kHeader)
	case "valid_union":
		out.kind, out.r = kBool, c.want(r, kUnion)
	case "d2b":
		out.kind, out.r = kBool, c.want(r, kData)
	case "b2d":
		out.r, out.lo, out.hi = c.want(r, kBool), new(big.Int), big.NewInt(1)
	case "?":
		out.cond = c.want(c.expr(j.Cond), kBool)
		if l.kind != r.kind {
			l, r = c.want(l, kData), c.want(r, kData)
		}
		out.kind, out.l, out.r = l.kind, l, r
		if l.kind == kData {
			out.lo, out.hi = least(l.lo, r.lo), most(l.hi, r.hi)
		} else if l.kind != kBool {
			c.fail(ErrUnsupported, "choice between two of %v", l.kind)
		}
	case "dereference_stack", "dereference_header_stack":
		out.kind, out.st, out.r = kHeader, c.want(l, kStack).st, c.want(r, kData)
	case "dereference_union_stack":
		out.kind, out.us, out.r = kUnion, c.want(l, kUnionStack).us, c.want(r, kData)
	case "last_stack_index", "size_stack":
		if r.kind != kUnionStack {
			out.st = c.want(r, kStack).st
		} else {
			out.us = r.us
		}
		// bmv2 computes the index as a size_t, so the last index of an empty stack is 2^64-1.
		out.lo, out.hi = (&field{width: 64}).span()
	default:
		if l != nil {
			out.l = c.want(l, kData)
		}
		out.r = c.want(r, kData)
		c.bound(out)
	}
	return simplify(out)
}

func (c *compiler) access(j *jsonOp) *node {
	var i int
	c.decode(j.Right, &i, "an index")
	l := c.expr(j.Left)
	if j.Op == "access_field" {
		t := c.typeOf(c.want(l, kHeader))
		if i < 0 || i >= len(t.fields) {
			c.fail(ErrProgram, "header type %q has no field %d", t.name, i)
		}
		return c.dynamic(l, t.fields[i])
	}
	u := c.want(l, kUnion)
	var members []*header
	if u.u != nil {
		members = u.u.members
	} else {
		members = u.us.elems[0].members
	}
	if i < 0 || i >= len(members) {
		c.fail(ErrProgram, "the union has no member %d", i)
	}
	if u.u != nil {
		return &node{kind: kHeader, op: leafHeader, h: members[i]}
	}
	return &node{kind: kHeader, op: "access_union_header", l: u, idx: i}
}
