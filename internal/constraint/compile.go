package constraint

import (
	"fmt"
	"math/big"
	"slices"
	"strings"
)

// A clause is one condition of a restriction. The restriction is the conjunction of its clauses.
type clause struct {
	text     string // the clause as it is written, without comments
	holds    func(*env) bool
	vars     []int // indices of the variables that the clause uses, in the order of their first use
	priority bool  // whether the clause uses ::priority
}

// An env holds the values with which a restriction is evaluated: the values of the entry or action, and the defaults of omitted keys.
type env struct {
	vals     []value
	priority int64
}

// A value is the value of a variable: a value and a mask, a value and a prefix length, a low and a high bound, or only a value.
type value struct{ first, second u128 }

// compile parses a restriction and compiles it to clauses.
func compile(text string, s *scope) ([]clause, error) {
	p := &parser{src: text, kind: s.kind, tokens: lex(text)}
	root, err := p.parse()
	if err != nil {
		return nil, err
	}
	c := &checker{parser: p, scope: s}
	if err := c.check(root); err != nil {
		return nil, err
	}
	if err := c.wantBool(root); err != nil {
		return nil, err
	}
	all := []*node{root}
	if root.op == opAnd {
		all = root.kids
	}
	var out []clause
	for _, n := range all {
		cl := clause{text: c.text(n), holds: condition(n)}
		cl.uses(n)
		out = append(out, cl)
	}
	return out, nil
}

func (c *clause) uses(n *node) {
	switch {
	case n.op == opPriority:
		c.priority = true
	case n.op == opName && !slices.Contains(c.vars, n.ref):
		c.vars = append(c.vars, n.ref)
	}
	for _, k := range n.kids {
		c.uses(k)
	}
}

// check returns ErrViolated for the first clause that does not hold. If all clauses hold, it returns nil.
func (s *scope) check(e *env) error {
	for i := range s.clauses {
		c := &s.clauses[i]
		if c.holds(e) {
			continue
		}
		var with []string
		for _, v := range c.vars {
			with = append(with, s.vars[v].name+" is "+s.vars[v].typ.format(e.vals[v]))
		}
		if c.priority {
			with = append(with, fmt.Sprintf("::priority is %d", e.priority))
		}
		if len(with) == 0 {
			return fmt.Errorf("%v: %w: %s", s, ErrViolated, c.text)
		}
		return fmt.Errorf("%v: %w: %s: %s", s, ErrViolated, c.text, strings.Join(with, ", "))
	}
	return nil
}

// format formats a value in P4's notation.
func (t typ) format(v value) string {
	switch {
	case t.kind == ternaryType && v.second == u128{}, t.kind == optionalType && v.second == u128{}, t.kind == lpmType && v.second == u128{}:
		return "left out"
	case t.kind == rangeType && v.first == u128{} && v.second == ones(t.width):
		return "left out"
	case t.kind == ternaryType:
		return fmt.Sprintf("%v &&& %v", v.first, v.second)
	case t.kind == lpmType:
		return fmt.Sprintf("%v/%d", v.first, v.second.lo)
	case t.kind == rangeType:
		return fmt.Sprintf("%v..%v", v.first, v.second)
	}
	return v.first.String()
}

// condition compiles an expression of type bool.
func condition(n *node) func(*env) bool {
	switch n.op {
	case opBool:
		b := n.num.Sign() != 0
		return func(*env) bool { return b }
	case opNot:
		a := condition(n.kids[0])
		return func(e *env) bool { return !a(e) }
	case opImplies:
		a, b := condition(n.kids[0]), condition(n.kids[1])
		return func(e *env) bool { return !a(e) || b(e) }
	case opAnd, opOr:
		kids := make([]func(*env) bool, len(n.kids))
		for i, k := range n.kids {
			kids[i] = condition(k)
		}
		stop := n.op == opOr // the value of an operand that decides the result
		return func(e *env) bool {
			for _, k := range kids {
				if k(e) == stop {
					return stop
				}
			}
			return !stop
		}
	}
	return comparison(n)
}

func comparison(n *node) func(*env) bool {
	l, r := n.kids[0], n.kids[1]
	switch t, _ := unify(l.typ, r.typ); {
	case t.kind == boolType:
		a, b := condition(l), condition(r)
		if n.op == opEQ {
			return func(e *env) bool { return a(e) == b(e) }
		}
		return func(e *env) bool { return a(e) != b(e) }
	case t.kind == intType:
		return compareInts(n.op, l, r)
	case t.kind == bitType, t.kind == exactType:
		return compareBits(n.op, bitsOf(l, t.width), bitsOf(r, t.width))
	default:
		a, b := keyOf(l, t), keyOf(r, t)
		if n.op == opEQ {
			return func(e *env) bool { return a(e) == b(e) }
		}
		return func(e *env) bool { return a(e) != b(e) }
	}
}

func compareInts(op operator, l, r *node) func(*env) bool {
	if a, b := constant(l), constant(r); a != nil && b != nil {
		holds := byOrder(op, a.Cmp(b))
		return func(*env) bool { return holds }
	}
	a, b := intOf(l), intOf(r)
	switch op {
	case opEQ:
		return func(e *env) bool { return a(e) == b(e) }
	case opNE:
		return func(e *env) bool { return a(e) != b(e) }
	case opLT:
		return func(e *env) bool { return a(e) < b(e) }
	case opLE:
		return func(e *env) bool { return a(e) <= b(e) }
	case opGT:
		return func(e *env) bool { return a(e) > b(e) }
	default:
		return func(e *env) bool { return a(e) >= b(e) }
	}
}

func byOrder(op operator, sign int) bool {
	switch op {
	case opEQ:
		return sign == 0
	case opNE:
		return sign != 0
	case opLT:
		return sign < 0
	case opLE:
		return sign <= 0
	case opGT:
		return sign > 0
	default:
		return sign >= 0
	}
}

func compareBits(op operator, a, b func(*env) u128) func(*env) bool {
	switch op {
	case opEQ:
		return func(e *env) bool { return a(e) == b(e) }
	case opNE:
		return func(e *env) bool { return a(e) != b(e) }
	case opLT:
		return func(e *env) bool { return a(e).less(b(e)) }
	case opLE:
		return func(e *env) bool { return !b(e).less(a(e)) }
	case opGT:
		return func(e *env) bool { return b(e).less(a(e)) }
	default:
		return func(e *env) bool { return !a(e).less(b(e)) }
	}
}

// constant returns the value of an expression of type int that is the same for all entries. It returns nil for any other expression.
func constant(n *node) *big.Int {
	switch n.op {
	case opInt:
		return n.num
	case opNegate:
		if k := constant(n.kids[0]); k != nil {
			return new(big.Int).Neg(k)
		}
	}
	return nil
}

// intOf compiles an expression of type int. Constants are limited to ±2^62. This does not change a comparison, because the only
// variables of type int are prefix lengths and priorities, which are far smaller.
func intOf(n *node) func(*env) int64 {
	if k := constant(n); k != nil {
		const limit = 1 << 62
		v := int64(limit)
		switch {
		case k.IsInt64():
			v = min(max(k.Int64(), -limit), limit)
		case k.Sign() < 0:
			v = -limit
		}
		return func(*env) int64 { return v }
	}
	switch n.op {
	case opPriority:
		return func(e *env) int64 { return e.priority }
	case opNegate:
		a := intOf(n.kids[0])
		return func(e *env) int64 { return -a(e) }
	}
	ref := n.kids[0].ref // the only other int is the field ::prefix_length of an lpm key
	return func(e *env) int64 { return int64(e.vals[ref].second.lo) }
}

// bitsOf compiles an expression that is a bit<width>, an exact key of that width, or an int, which it converts.
func bitsOf(n *node, width int) func(*env) u128 {
	if k := constant(n); k != nil {
		v := fromBig(k, width)
		return func(*env) u128 { return v }
	}
	switch {
	case n.typ.kind == intType:
		a := intOf(n)
		return func(e *env) u128 { return fromInt(a(e), width) }
	case n.op == opName:
		ref := n.ref
		return func(e *env) u128 { return e.vals[ref].first }
	}
	ref := n.kids[0].ref
	if p, _ := n.kids[0].typ.part(n.name); p.second {
		return func(e *env) u128 { return e.vals[ref].second }
	}
	return func(e *env) u128 { return e.vals[ref].first }
}

// keyOf compiles an expression that is a ternary, lpm, range or optional key, or that converts to such a key.
func keyOf(n *node, t typ) func(*env) value {
	if n.typ == t {
		ref := n.ref
		return func(e *env) value { return e.vals[ref] }
	}
	a := bitsOf(n, t.width)
	var second u128
	switch t.kind {
	case rangeType:
		return func(e *env) value { v := a(e); return value{v, v} }
	case lpmType:
		second.lo = uint64(t.width)
	default:
		second = ones(t.width)
	}
	return func(e *env) value { return value{a(e), second} }
}
