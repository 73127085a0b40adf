package constraint

import (
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"strings"
)

type operator int

const (
	opBool     operator = iota // a constant; num is 0 or 1
	opInt                      // a number; its value is in num
	opName                     // a key or parameter; its name is in the field name
	opPriority                 // the attribute ::priority
	opField                    // a field of the key kids[0]; its name is in the field name
	opNot
	opNegate
	opAnd // has two or more kids; also used for the operator ;
	opOr  // has two or more kids
	opImplies
	opEQ
	opNE
	opLT
	opLE
	opGT
	opGE
)

// A node is an expression. Its source is tokens[from:to].
type node struct {
	op       operator
	name     string
	num      *big.Int
	kids     []*node
	from, to int
	at       int // index of the operator's or the name's token, for messages

	typ typ // type of the expression, set by the checker
	ref int // for opName, the index of the variable in the scope, set by the checker
}

type infix struct {
	op         operator
	precedence int
	chains     bool // whether a op b op c is valid without parentheses
}

// infixes lists the binary operators. An operator with a higher precedence binds more tightly. The unary operators ! and - bind more
// tightly than all of them, and :: binds more tightly still.
var infixes = map[string]infix{
	";": {opAnd, 1, true}, "->": {opImplies, 2, false}, "||": {opOr, 3, true}, "&&": {opAnd, 4, true},
	"==": {opEQ, 5, false}, "!=": {opNE, 5, false}, "<": {opLT, 5, false}, "<=": {opLE, 5, false}, ">": {opGT, 5, false}, ">=": {opGE, 5, false},
}

const (
	unaryPrecedence = 6
	// maxNesting limits the recursion depth of the parser.
	maxNesting = 500
)

// A parser reads one restriction of a table or action.
type parser struct {
	src    string
	kind   scopeKind
	tokens []token
	i      int
	nested int // the number of active calls of expression
	parens int // the number of open parentheses
}

// faultAt returns an error with the position of a token.
func (p *parser) faultAt(i int, format string, args ...any) error {
	t := p.tokens[i]
	return fmt.Errorf("%v: %v: %w", t.at, t, fmt.Errorf(format, args...))
}

// unexpected returns an error that names the current token and what would be valid in its place.
func (p *parser) unexpected(valid string) error {
	if why := p.tokens[p.i].why; why != "" {
		return p.faultAt(p.i, "%s", why)
	}
	return p.faultAt(p.i, "unexpected; valid here: %s", valid)
}

func (p *parser) is(text string) bool {
	return p.tokens[p.i].kind == symbol && p.tokens[p.i].text == text
}

func (p *parser) accept(text string) bool {
	ok := p.is(text)
	if ok {
		p.i++
	}
	return ok
}

// parse parses a whole restriction.
func (p *parser) parse() (*node, error) {
	n, err := p.expression(0)
	if err != nil {
		return nil, err
	}
	if p.tokens[p.i].kind != end {
		return nil, p.unexpected(p.operators())
	}
	return n, nil
}

// expression parses an operand and the operators after it that bind more tightly than the given precedence.
func (p *parser) expression(outer int) (*node, error) {
	p.nested++
	defer func() { p.nested-- }()
	if p.nested > maxNesting {
		return nil, p.faultAt(p.i, "nested too deeply; at most %d levels are valid", maxNesting)
	}
	left, err := p.operand()
	if err != nil {
		return nil, err
	}
	for {
		t := p.tokens[p.i]
		if p.is("::") {
			if left, err = p.field(left); err != nil {
				return nil, err
			}
			continue
		}
		b, ok := infixes[t.text]
		if t.kind != symbol || !ok {
			return left, nil
		}
		if b.precedence == outer && !b.chains {
			return nil, p.faultAt(p.i, "does not chain; put parentheses around what is meant to come first")
		}
		if b.precedence <= outer {
			return left, nil
		}
		at := p.i
		p.i++
		if t.text == ";" && (p.tokens[p.i].kind == end || p.is(")") && p.parens > 0) {
			return left, nil // a trailing ; has no effect
		}
		right, err := p.expression(b.precedence)
		if err != nil {
			return nil, err
		}
		left = join(b.op, at, left, right)
	}
}

// join returns the node of a binary expression. A chain of && and ; operators, or of || operators, becomes one node, so that a long
// restriction is not deeply nested.
func join(op operator, at int, left, right *node) *node {
	if op != opAnd && op != opOr {
		return &node{op: op, at: at, from: left.from, to: right.to, kids: []*node{left, right}}
	}
	n := left
	if left.op != op {
		n = &node{op: op, at: at, from: left.from, kids: []*node{left}}
	}
	n.to = right.to
	if right.op == op {
		n.kids = append(n.kids, right.kids...)
	} else {
		n.kids = append(n.kids, right)
	}
	return n
}

// operators names the tokens that may follow an operand, for messages.
func (p *parser) operators() string {
	if p.parens > 0 {
		return `one of :: == != < <= > >= && || -> ; )`
	}
	return `one of :: == != < <= > >= && || -> ; or the end`
}

func (p *parser) operands() string {
	if p.kind == ofAction {
		return "true, false, a number, ipv4('...'), ipv6('...'), mac('...'), a parameter, ! - or ("
	}
	return "true, false, a number, ipv4('...'), ipv6('...'), mac('...'), a key, ::priority, ! - or ("
}

func (p *parser) operand() (*node, error) {
	t, at := p.tokens[p.i], p.i
	leaf := func(n node) *node {
		p.i++
		n.from, n.to, n.at = at, p.i, at
		return &n
	}
	switch {
	case t.kind == number:
		return leaf(node{op: opInt, num: t.num}), nil
	case t.kind == word && t.text == "true":
		return leaf(node{op: opBool, num: big.NewInt(1)}), nil
	case t.kind == word && t.text == "false":
		return leaf(node{op: opBool, num: new(big.Int)}), nil
	case t.kind == word && p.tokens[p.i+1].kind == symbol && p.tokens[p.i+1].text == "(":
		return p.address()
	case t.kind == word:
		return p.name()
	case p.accept("::"):
		if p.tokens[p.i].kind != word || p.tokens[p.i].text != "priority" || p.kind == ofAction {
			valid := "priority"
			if p.kind == ofAction {
				valid = "nothing; an action has no attributes, only a table's entries do"
			}
			return nil, p.faultAt(p.i, "not an attribute; valid after :: here: %s", valid)
		}
		p.i++
		return &node{op: opPriority, from: at, to: p.i, at: at}, nil
	case p.is("!"), p.is("-"):
		p.i++
		kid, err := p.expression(unaryPrecedence)
		if err != nil {
			return nil, err
		}
		op := opNot
		if t.text == "-" {
			op = opNegate
		}
		return &node{op: op, kids: []*node{kid}, from: at, to: kid.to, at: at}, nil
	case p.accept("("):
		p.parens++
		n, err := p.expression(0)
		if err != nil {
			return nil, err
		}
		if !p.accept(")") {
			return nil, p.unexpected(p.operators())
		}
		p.parens--
		n.from, n.to = at, p.i
		return n, nil
	}
	return nil, p.unexpected(p.operands())
}

// name parses the name of a key or parameter, which may contain dots.
func (p *parser) name() (*node, error) {
	n := &node{op: opName, name: p.tokens[p.i].text, from: p.i, at: p.i}
	p.i++
	for p.accept(".") {
		if p.tokens[p.i].kind != word {
			return nil, p.unexpected("the next part of the name " + n.name)
		}
		n.name += "." + p.tokens[p.i].text
		p.i++
	}
	n.to = p.i
	return n, nil
}

// field parses :: and the name of a field of the expression of.
func (p *parser) field(of *node) (*node, error) {
	if of.op == opField {
		return nil, p.faultAt(p.i, "a field has no fields of its own")
	}
	p.i++
	if p.tokens[p.i].kind != word {
		return nil, p.unexpected("value, mask, prefix_length, low or high")
	}
	p.i++
	return &node{op: opField, name: p.tokens[p.i-1].text, kids: []*node{of}, from: of.from, to: p.i, at: p.i - 1}, nil
}

// address parses an address constant such as ipv4('192.0.2.1'). Its value is a number.
func (p *parser) address() (*node, error) {
	at := p.i
	kind := p.tokens[p.i].text
	parse, ok := map[string]func(string) (*big.Int, bool){"ipv4": ipv4, "ipv6": ipv6, "mac": mac}[kind]
	if !ok {
		return nil, p.faultAt(p.i, "not an address type; ipv4, ipv6 and mac are")
	}
	p.i += 2
	t := p.tokens[p.i]
	if t.kind != quoted {
		return nil, p.unexpected("an address between single quotes")
	}
	n, ok := parse(t.text)
	if !ok {
		return nil, p.faultAt(p.i, "not an address of type %s; %s is one", kind, map[string]string{
			"ipv4": "ipv4('192.0.2.1')", "ipv6": "ipv6('2001:db8::1')", "mac": "mac('02:00:00:00:00:01')",
		}[kind])
	}
	p.i++
	if !p.accept(")") {
		return nil, p.unexpected(")")
	}
	return &node{op: opInt, num: n, from: at, to: p.i, at: at}, nil
}

func ipv4(s string) (*big.Int, bool) {
	a, err := netip.ParseAddr(s)
	return new(big.Int).SetBytes(a.AsSlice()), err == nil && a.Is4()
}

func ipv6(s string) (*big.Int, bool) {
	a, err := netip.ParseAddr(s)
	return new(big.Int).SetBytes(a.AsSlice()), err == nil && a.Is6() && a.Zone() == ""
}

func mac(s string) (*big.Int, bool) {
	a, err := net.ParseMAC(s)
	return new(big.Int).SetBytes(a), err == nil && len(a) == 6 && len(s) == len("02:00:00:00:00:01") && s[2] == ':'
}

// text returns the source of an expression, without comments and line ends.
func (p *parser) text(n *node) string {
	var b strings.Builder
	for i := n.from; i < n.to; i++ {
		t := p.tokens[i]
		if i > n.from && t.from > p.tokens[i-1].to {
			b.WriteByte(' ')
		}
		b.WriteString(p.src[t.from:t.to])
	}
	return b.String()
}
