package constraint

import "fmt"

type typeKind int

const (
	unknownType typeKind = iota // the type of a key whose match type the language does not support
	boolType
	intType // a signed integer of any size
	bitType
	exactType
	ternaryType
	lpmType
	rangeType
	optionalType
)

// A typ is the type of an expression. The types int and bool have no width.
type typ struct {
	kind  typeKind
	width int
}

func (t typ) String() string {
	name := [...]string{"an unknown type", "bool", "int", "bit", "exact", "ternary", "lpm", "range", "optional"}[t.kind]
	if t.kind < bitType {
		return name
	}
	return fmt.Sprintf("%s<%d>", name, t.width)
}

func (t typ) isKey() bool { return t.kind >= exactType }

// ordered reports whether values of the type can be compared with <, <=, > and >=.
func (t typ) ordered() bool { return t.kind == intType || t.kind == bitType || t.kind == exactType }

// A part describes a field of a key type. It selects the first or the second value of the key.
type part struct {
	name   string
	second bool
	number bool // the part is an int instead of a bit<W>
}

// parts lists the fields of each key type.
var parts = map[typeKind][]part{
	exactType:    {{name: "value"}},
	ternaryType:  {{name: "value"}, {name: "mask", second: true}},
	optionalType: {{name: "value"}, {name: "mask", second: true}},
	lpmType:      {{name: "value"}, {name: "prefix_length", second: true, number: true}},
	rangeType:    {{name: "low"}, {name: "high", second: true}},
}

func (t typ) part(field string) (part, bool) {
	for _, p := range parts[t.kind] {
		if p.name == field {
			return p, true
		}
	}
	return part{}, false
}

// fields names the fields of a type, for messages.
func (t typ) fields() string {
	switch p := parts[t.kind]; len(p) {
	case 0:
		return "no fields"
	case 1:
		return "the field " + p[0].name
	default:
		return "the fields " + p[0].name + " and " + p[1].name
	}
}

// unify returns the type to which two expressions are converted before they are compared. An int converts to a bit<W> or a key. A
// bit<W> converts to a key that matches only that value.
func unify(a, b typ) (typ, bool) {
	switch {
	case a == b:
		return a, true
	case converts(a, b):
		return b, true
	case converts(b, a):
		return a, true
	}
	return typ{}, false
}

func converts(from, to typ) bool {
	switch from.kind {
	case intType:
		return to.kind == bitType || to.isKey()
	case bitType:
		return to.isKey() && to.width == from.width
	}
	return false
}

// A checker assigns a type to every node of a restriction.
type checker struct {
	*parser
	scope *scope
}

// fault returns an error with the position and the text of an expression.
func (c *checker) fault(n *node, format string, args ...any) error {
	return fmt.Errorf("%v: %q: %w", c.tokens[n.from].at, clip(c.text(n)), fmt.Errorf(format, args...))
}

func (c *checker) check(n *node) error {
	for _, k := range n.kids {
		if err := c.check(k); err != nil {
			return err
		}
	}
	switch n.op {
	case opBool:
		n.typ.kind = boolType
	case opInt, opPriority:
		n.typ.kind = intType
	case opName:
		i, err := c.scope.lookup(n.name)
		if err != nil {
			return c.fault(n, "%w", err)
		}
		n.ref, n.typ = i, c.scope.vars[i].typ
	case opField:
		of := n.kids[0]
		p, ok := of.typ.part(n.name)
		if !ok {
			return c.faultAt(n.at, "not a field of %s; %v has %s", c.text(of), of.typ, of.typ.fields())
		}
		n.typ = typ{bitType, of.typ.width}
		if p.number {
			n.typ = typ{kind: intType}
		}
	case opNegate:
		if k := n.kids[0]; k.typ.kind != intType {
			return c.fault(k, "is %v; valid after - is an int: a number, a prefix_length%s", k.typ, map[scopeKind]string{ofTable: " or ::priority"}[c.kind])
		}
		n.typ.kind = intType
	case opNot, opAnd, opOr, opImplies:
		n.typ.kind = boolType
		for _, k := range n.kids {
			if err := c.wantBool(k); err != nil {
				return err
			}
		}
	default:
		n.typ.kind = boolType
		return c.comparison(n)
	}
	return nil
}

func (c *checker) wantBool(n *node) error {
	if n.typ.kind != boolType {
		return c.fault(n, "is %v; valid here is a bool, as a comparison with == != < <= > or >= is", n.typ)
	}
	return nil
}

func (c *checker) comparison(n *node) error {
	a, b := n.kids[0], n.kids[1]
	t, ok := unify(a.typ, b.typ)
	switch {
	case !ok:
		return c.faultAt(n.at, "cannot compare %v with %v; %v compares with %s", a.typ, b.typ, a.typ, a.typ.peers())
	case n.op != opEQ && n.op != opNE && !t.ordered():
		valid := "== and != are valid"
		if t.isKey() {
			valid += ", or comparing " + t.fields()
		}
		return c.faultAt(n.at, "%v has no order; %s", t, valid)
	}
	return nil
}

// peers names the types with which a type can be compared, for messages.
func (t typ) peers() string {
	switch {
	case t.kind == boolType:
		return "bool"
	case t.kind == intType:
		return "int, bit<W> and keys"
	case t.kind == bitType:
		return fmt.Sprintf("int, %v and keys of %d bits", t, t.width)
	}
	return fmt.Sprintf("int, bit<%d> and %v", t.width, t)
}
