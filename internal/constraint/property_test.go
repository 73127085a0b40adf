package constraint

import (
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"pgregory.net/rapid"
)

// A drawn is a random entry in two forms: as a P4Runtime message, and as plain numbers by the names of the fields in the language.
type drawn struct {
	entry  *p4v1.TableEntry
	fields map[string]*big.Int // the key is, for example, "vid::mask"
}

type key struct {
	id    uint32
	name  string
	kind  string
	width int
}

// keys lists the keys of acl that can be restricted.
var keys = []key{
	{1, "port", "exact", 9},
	{2, "hdr.eth.src", "ternary", 48},
	{3, "dst4", "lpm", 32},
	{4, "l4", "range", 16},
	{5, "vid", "optional", 12},
	{6, "src6", "ternary", 128},
	{7, "dst6", "lpm", 128},
	{8, "type", "ternary", 16},
	{11, "type2", "ternary", 16},
	{12, "tagged", "exact", 1},
}

var fieldsOf = map[string][]string{
	"exact": {"value"}, "ternary": {"value", "mask"}, "optional": {"value", "mask"}, "lpm": {"value", "prefix_length"}, "range": {"low", "high"},
}

func power(n int) *big.Int   { return new(big.Int).Lsh(big.NewInt(1), uint(n)) }
func allOnes(n int) *big.Int { return new(big.Int).Sub(power(n), big.NewInt(1)) }
func modulo(n *big.Int, width int) *big.Int {
	return new(big.Int).Mod(n, power(width))
}

// drawNumber prefers numbers that are likely to be equal: small numbers, the largest numbers and powers of two.
func drawNumber(t *rapid.T, width int) *big.Int {
	switch rapid.IntRange(0, 3).Draw(t, "which number") {
	case 0:
		return modulo(big.NewInt(rapid.Int64Range(0, 3).Draw(t, "small")), width)
	case 1:
		return modulo(big.NewInt(-rapid.Int64Range(1, 3).Draw(t, "from the end")), width)
	case 2:
		return power(rapid.IntRange(0, width-1).Draw(t, "bit"))
	}
	return modulo(new(big.Int).SetBytes(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "bytes")), width)
}

func wire(n *big.Int) []byte {
	if n.Sign() == 0 {
		return []byte{0}
	}
	return n.Bytes()
}

func drawEntry(t *rapid.T) drawn {
	d := drawn{&p4v1.TableEntry{TableId: aclID, Priority: rapid.SampledFrom([]int32{0, 1, 2, 16, 1<<31 - 1}).Draw(t, "priority")}, map[string]*big.Int{}}
	d.fields["::priority"] = big.NewInt(int64(d.entry.Priority))
	for _, k := range keys {
		a, b := new(big.Int), new(big.Int)
		m := &p4v1.FieldMatch{FieldId: k.id}
		given := k.kind == "exact" || rapid.Bool().Draw(t, "given")
		if given {
			a, b = drawNumber(t, k.width), drawNumber(t, k.width)
		}
		switch k.kind {
		case "exact":
			m.FieldMatchType = &p4v1.FieldMatch_Exact_{Exact: &p4v1.FieldMatch_Exact{Value: wire(a)}}
		case "ternary":
			a = new(big.Int).And(a, b)
			m.FieldMatchType = &p4v1.FieldMatch_Ternary_{Ternary: &p4v1.FieldMatch_Ternary{Value: wire(a), Mask: wire(b)}}
		case "optional":
			if given {
				b = allOnes(k.width)
			}
			m.FieldMatchType = &p4v1.FieldMatch_Optional_{Optional: &p4v1.FieldMatch_Optional{Value: wire(a)}}
		case "lpm":
			if given {
				b = big.NewInt(int64(rapid.IntRange(0, k.width).Draw(t, "length")))
			}
			m.FieldMatchType = &p4v1.FieldMatch_Lpm{Lpm: &p4v1.FieldMatch_LPM{Value: wire(a), PrefixLen: int32(b.Int64())}}
		case "range":
			if !given {
				b = allOnes(k.width)
			}
			m.FieldMatchType = &p4v1.FieldMatch_Range_{Range: &p4v1.FieldMatch_Range{Low: wire(a), High: wire(b)}}
		}
		if given {
			d.entry.Match = append(d.entry.Match, m)
		}
		for i, f := range fieldsOf[k.kind] {
			d.fields[k.name+"::"+f] = []*big.Int{a, b}[i]
		}
	}
	return d
}

// A tree is a random expression: its text, the precedence of its operator, and its type and value. The test computes the value from the
// language's specification, without the package's code.
type tree struct {
	text  string
	binds int

	truth  bool       // the value of a bool
	kind   string     // the type of any other expression: int, bit or a kind of key
	width  int        // the width of a bit or key
	values []*big.Int // a single value, or the values of the key's fields
}

// write adds parentheses where the surrounding operator needs them, and sometimes where it does not.
func (e tree) write(t *rapid.T, least int) string {
	if e.binds < least || rapid.IntRange(0, 7).Draw(t, "parentheses") == 0 {
		return "(" + e.text + rapid.SampledFrom([]string{"", " ", ";", "// )\n"}).Draw(t, "before )") + ")"
	}
	return e.text
}

func gap(t *rapid.T) string {
	return rapid.SampledFrom([]string{" ", " ", "\n", "\t", " /* && */ ", " // ;\n", "\r\n"}).Draw(t, "gap")
}

func drawBool(t *rapid.T, d drawn, depth int) tree {
	kind := rapid.IntRange(0, 7).Draw(t, "expression")
	if depth == 0 {
		kind = min(kind, 2)
	}
	both := func(op string, binds, left, right int, f func(a, b bool) bool) tree {
		a, b := drawBool(t, d, depth-1), drawBool(t, d, depth-1)
		return tree{text: a.write(t, left) + gap(t) + op + gap(t) + b.write(t, right), binds: binds, truth: f(a.truth, b.truth)}
	}
	switch kind {
	case 0:
		v := rapid.Bool().Draw(t, "constant")
		return tree{text: fmt.Sprint(v), binds: 7, truth: v}
	case 3:
		a := drawBool(t, d, depth-1)
		return tree{text: "!" + a.write(t, 6), binds: 6, truth: !a.truth}
	case 4:
		return both("&&", 4, 4, 5, func(a, b bool) bool { return a && b })
	case 5:
		return both("||", 3, 3, 4, func(a, b bool) bool { return a || b })
	case 6:
		return both("->", 2, 3, 3, func(a, b bool) bool { return !a || b })
	case 7:
		if rapid.Bool().Draw(t, "bools") {
			eq := rapid.Bool().Draw(t, "equal")
			return both(map[bool]string{true: "==", false: "!="}[eq], 5, 6, 6, func(a, b bool) bool { return (a == b) == eq })
		}
		return both(";", 1, 1, 2, func(a, b bool) bool { return a && b })
	}
	return drawComparison(t, d)
}

func drawComparison(t *rapid.T, d drawn) tree {
	k := rapid.SampledFrom(keys).Draw(t, "key")
	left := drawOperand(t, d, k, rapid.IntRange(0, 2).Draw(t, "left"))
	right := drawOperand(t, d, k, rapid.IntRange(0, 2).Draw(t, "right"))
	kind := left.kind
	for _, stronger := range []string{right.kind, left.kind} { // int converts to bit, and bit converts to a key
		if kind == "int" || kind == "bit" && stronger != "int" {
			kind = stronger
		}
	}
	a, b := convert(left, kind, k.width), convert(right, kind, k.width)
	ops := []string{"==", "!="}
	if kind == "int" || kind == "bit" || kind == "exact" {
		ops = append(ops, "<", "<=", ">", ">=")
	}
	op := rapid.SampledFrom(ops).Draw(t, "comparison")
	same := true
	for i := range a {
		same = same && a[i].Cmp(b[i]) == 0
	}
	sign := a[0].Cmp(b[0])
	truth := map[string]bool{"==": same, "!=": !same, "<": sign < 0, "<=": sign <= 0, ">": sign > 0, ">=": sign >= 0}[op]
	return tree{text: left.write(t, 6) + gap(t) + op + gap(t) + right.write(t, 6), binds: 5, truth: truth}
}

// drawOperand returns a number (kind 0), a field of a key of the same width (kind 1) or the key itself (kind 2).
func drawOperand(t *rapid.T, d drawn, k key, kind int) tree {
	if kind == 0 {
		return drawInt(t, d, k)
	}
	var same []key
	for _, o := range keys {
		if o.width == k.width && (kind == 1 || o.kind == k.kind) {
			same = append(same, o)
		}
	}
	o := rapid.SampledFrom(same).Draw(t, "of the same width")
	if kind == 2 {
		e := tree{text: strings.ReplaceAll(o.name, ".", rapid.SampledFrom([]string{".", " . "}).Draw(t, "dot")), binds: 7, kind: o.kind, width: o.width}
		for _, f := range fieldsOf[o.kind] {
			e.values = append(e.values, d.fields[o.name+"::"+f])
		}
		return e
	}
	f := rapid.SampledFrom(fieldsOf[o.kind]).Draw(t, "field")
	e := tree{text: o.name + "::" + f, binds: 7, kind: "bit", width: o.width, values: []*big.Int{d.fields[o.name+"::"+f]}}
	if f == "prefix_length" {
		e.kind = "int"
	}
	return e
}

func drawInt(t *rapid.T, d drawn, k key) tree {
	var e tree
	switch rapid.IntRange(0, 4).Draw(t, "int") {
	case 0:
		e = tree{text: "::priority", values: []*big.Int{d.fields["::priority"]}}
	case 1:
		e = tree{text: "dst4::prefix_length", values: []*big.Int{d.fields["dst4::prefix_length"]}}
	default:
		n := drawNumber(t, k.width+2)
		if f := fieldsOf[k.kind]; rapid.Bool().Draw(t, "met") {
			n = d.fields[k.name+"::"+rapid.SampledFrom(f).Draw(t, "field of the key")]
		}
		format := rapid.SampledFrom([]string{"%d", "0d%d", "%#x", "0X%X", "%#b", "0B%b", "%O", "0O%o", "00%d"}).Draw(t, "base")
		e = tree{text: fmt.Sprintf(format, n), values: []*big.Int{n}}
	}
	e.kind, e.binds = "int", 7
	for rapid.IntRange(0, 3).Draw(t, "negate") == 0 {
		e.text, e.binds = "-"+e.write(t, 6), 6
		e.values = []*big.Int{new(big.Int).Neg(e.values[0])}
	}
	return e
}

// convert returns an operand's values, converted to the type of the comparison.
func convert(e tree, kind string, width int) []*big.Int {
	if e.kind == kind {
		return e.values
	}
	v := modulo(e.values[0], width)
	switch kind {
	case "ternary", "optional":
		return []*big.Int{v, allOnes(width)}
	case "lpm":
		return []*big.Int{v, big.NewInt(int64(width))}
	case "range":
		return []*big.Int{v, v}
	}
	return []*big.Int{v}
}

// TestReadsWhatIsMeant writes a random expression and compiles it. It verifies that the result for a random entry is the value with
// which the expression was built.
func TestReadsWhatIsMeant(t *testing.T) {
	base := programWith(t, "", "")
	rapid.Check(t, func(t *rapid.T) {
		d := drawEntry(t)
		e := drawBool(t, d, rapid.IntRange(0, 5).Draw(t, "depth"))
		base.Tables[0].Preamble.Annotations = []string{annotate("entry_restriction", e.text)}
		s, err := Load(base)
		if err != nil {
			t.Fatalf("%s: %v", e.text, err)
		}
		err = s.CheckEntry(d.entry)
		if err != nil && !errors.Is(err, ErrViolated) {
			t.Fatalf("%s: %v", e.text, err)
		}
		if (err == nil) != e.truth {
			t.Fatalf("%s of %v: %v, want %v", e.text, d.entry, err, e.truth)
		}
	})
}

// FuzzLoad loads any text. If the text is a valid restriction, its clauses can be evaluated, and a restriction built from the clauses'
// texts has the same result.
func FuzzLoad(f *testing.F) {
	for _, text := range []string{
		"true", "port == 5;", "hdr.eth.src::mask == 0 || hdr.eth.src == mac('00:00:5e:00:53:01') -> !(dst4::prefix_length >= -0b101)",
		"/* a */ l4 == 0x19 // b\n; vid::mask != -1 && (type == type2; ::priority < 7)", "src6 == ipv6('::1') && dst4 != ipv4('1.2.3.4')", "((true)", "port == 'x", "/*",
	} {
		f.Add(text)
	}
	info := programWith(f, "", "")
	entry := parseText(f, &p4v1.TableEntry{}, exacts)
	load := func(text string) (*Set, error) {
		info.Tables[0].Preamble.Annotations = []string{annotate("entry_restriction", text)}
		return Load(info)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := load(text)
		if err != nil {
			if !errors.Is(err, ErrRestriction) {
				t.Fatal(err)
			}
			return
		}
		first := s.CheckEntry(entry)
		if first != nil && !errors.Is(first, ErrViolated) {
			t.Fatal(first)
		}
		var clauses []string
		for _, c := range s.tables[aclID].clauses {
			clauses = append(clauses, c.text)
		}
		s, err = load(strings.Join(clauses, "; "))
		if err != nil {
			t.Fatalf("%q: clauses %q: %v", text, clauses, err)
		}
		if again := s.CheckEntry(entry); fmt.Sprint(again) != fmt.Sprint(first) {
			t.Fatalf("%q: %v, its clauses: %v", text, first, again)
		}
	})
}
