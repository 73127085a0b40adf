package engine

import (
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// exprFields lists the header fields that random expressions use.
var exprFields = []struct {
	name   string
	width  int
	signed bool
}{
	{"a", 8, false},
	{"b", 16, false},
	{"c", 32, false},
	{"d", 64, false},
	{"e", 128, false},
	{"f", 72, false},
	{"g", 1, false},
	{"h", 7, false},
	{"s", 8, true},
	{"u", 32, true},
	{"v", 64, true},
	{"x", 96, true},
	{"y", 48, false},
	{"z", 16, true},
}

func exprProgram() *testProgram {
	p := newTestProgram()
	var fs []string
	for _, f := range exprFields {
		if f.signed {
			fs = append(fs, fmt.Sprintf("%s:int<%d>", f.name, f.width))
		} else {
			fs = append(fs, fmt.Sprintf("%s:%d", f.name, f.width))
		}
	}
	p.header("in", fs...)
	p.state("start", l{extract("in")}, l{}, otherwise(nil))
	return p
}

// A drawn is a random expression. It contains the expression's JSON and a function that computes its value from the fields. The
// function uses integers of any size, as bmv2 does.
type drawn struct {
	json m
	text string
	val  func(map[string]*big.Int) *big.Int
	cond func(map[string]*big.Int) bool
}

func drawData(t *rapid.T, depth int) drawn {
	if depth == 0 || rapid.IntRange(0, 5).Draw(t, "leaf") == 0 {
		if rapid.Bool().Draw(t, "const") {
			bits := rapid.SampledFrom([]int{1, 8, 31, 32, 63, 64, 65, 100}).Draw(t, "bits")
			b := new(big.Int).SetBytes(rapid.SliceOfN(rapid.Byte(), 13, 13).Draw(t, "constant"))
			b.Rsh(b, uint(104-bits))
			s := fmt.Sprintf("0x%x", b)
			return drawn{json: hx("%s", s), text: s, val: func(map[string]*big.Int) *big.Int { return b }}
		}
		f := rapid.SampledFrom(exprFields).Draw(t, "field")
		return drawn{json: fld("in", f.name), text: f.name, val: func(v map[string]*big.Int) *big.Int { return v[f.name] }}
	}
	kind := rapid.SampledFrom([]string{"+", "-", "*", "&", "|", "^", "~", "<<", ">>", "mod", "usat", "sat", "?", "b2d", "/", "%", "mask"}).Draw(t, "op")
	width := rapid.SampledFrom([]int{2, 8, 16, 31, 32, 48, 63, 64, 65, 96, 128}).Draw(t, "width")
	one := big.NewInt(1)
	pow := func(n int) *big.Int { return new(big.Int).Lsh(one, uint(n)) }
	x := drawData(t, depth-1)
	bin := func(op string, y drawn, f func(a, b *big.Int) *big.Int) drawn {
		return drawn{json: opj(op, x.json, y.json), text: "(" + x.text + " " + op + " " + y.text + ")", val: func(v map[string]*big.Int) *big.Int {
			return f(x.val(v), y.val(v))
		}}
	}
	w := drawn{json: hx("0x%x", width), text: fmt.Sprint(width), val: func(map[string]*big.Int) *big.Int { return big.NewInt(int64(width)) }}
	clamp := func(a, lo, hi *big.Int) *big.Int { return least(most(a, lo), hi) }
	natural := func(e drawn) drawn {
		mask := drawn{json: hx("0x%x", new(big.Int).Sub(pow(width), one)), text: "mask", val: func(map[string]*big.Int) *big.Int {
			return new(big.Int).Sub(pow(width), one)
		}}
		return drawn{json: opj("&", e.json, mask.json), text: "nat" + fmt.Sprint(width) + "(" + e.text + ")", val: func(v map[string]*big.Int) *big.Int {
			return new(big.Int).And(e.val(v), mask.val(v))
		}}
	}
	switch kind {
	case "+":
		return bin("+", drawData(t, depth-1), func(a, b *big.Int) *big.Int { return new(big.Int).Add(a, b) })
	case "-":
		return bin("-", drawData(t, depth-1), func(a, b *big.Int) *big.Int { return new(big.Int).Sub(a, b) })
	case "*":
		return bin("*", drawData(t, depth-1), func(a, b *big.Int) *big.Int { return new(big.Int).Mul(a, b) })
	case "&":
		return bin("&", drawData(t, depth-1), func(a, b *big.Int) *big.Int { return new(big.Int).And(a, b) })
	case "|":
		return bin("|", drawData(t, depth-1), func(a, b *big.Int) *big.Int { return new(big.Int).Or(a, b) })
	case "^":
		return bin("^", drawData(t, depth-1), func(a, b *big.Int) *big.Int { return new(big.Int).Xor(a, b) })
	case "~":
		return drawn{json: opj("~", nil, x.json), text: "~" + x.text, val: func(v map[string]*big.Int) *big.Int { return new(big.Int).Not(x.val(v)) }}
	case "<<", ">>":
		var by drawn
		if rapid.Bool().Draw(t, "shift by field") {
			by = drawn{json: fld("in", "h"), text: "h", val: func(v map[string]*big.Int) *big.Int { return v["h"] }}
		} else {
			n := rapid.IntRange(0, 130).Draw(t, "shift")
			by = drawn{json: hx("0x%x", n), text: fmt.Sprint(n), val: func(map[string]*big.Int) *big.Int { return big.NewInt(int64(n)) }}
		}
		if kind == "<<" {
			return bin("<<", by, func(a, b *big.Int) *big.Int { return new(big.Int).Lsh(a, uint(b.Uint64())) })
		}
		return bin(">>", by, func(a, b *big.Int) *big.Int { return new(big.Int).Rsh(a, uint(b.Uint64())) })
	case "mod":
		return bin("two_comp_mod", w, func(a, _ *big.Int) *big.Int {
			r := new(big.Int).Mod(a, pow(width))
			if r.Cmp(pow(width-1)) >= 0 {
				r.Sub(r, pow(width))
			}
			return r
		})
	case "usat":
		return bin("usat_cast", w, func(a, _ *big.Int) *big.Int { return clamp(a, new(big.Int), new(big.Int).Sub(pow(width), one)) })
	case "sat":
		return bin("sat_cast", w, func(a, _ *big.Int) *big.Int {
			return clamp(a, new(big.Int).Neg(pow(width-1)), new(big.Int).Sub(pow(width-1), one))
		})
	case "?":
		q, y := drawBool(t, depth-1), drawData(t, depth-1)
		j := opj("?", x.json, y.json)
		j["value"].(m)["cond"] = q.json
		return drawn{json: j, text: "(" + q.text + " ? " + x.text + " : " + y.text + ")", val: func(v map[string]*big.Int) *big.Int {
			if q.cond(v) {
				return x.val(v)
			}
			return y.val(v)
		}}
	case "b2d":
		q := drawBool(t, depth-1)
		return drawn{json: opj("b2d", nil, q.json), text: "b2d" + q.text, val: func(v map[string]*big.Int) *big.Int {
			if q.cond(v) {
				return one
			}
			return new(big.Int)
		}}
	case "/", "%":
		// bmv2 requires nonnegative operands and a divisor that is not zero.
		x = natural(x)
		y := natural(drawData(t, depth-1))
		div := drawn{json: opj("|", y.json, hx("0x1")), text: "(" + y.text + "|1)", val: func(v map[string]*big.Int) *big.Int {
			return new(big.Int).Or(y.val(v), one)
		}}
		if kind == "/" {
			return bin("/", div, func(a, b *big.Int) *big.Int { return new(big.Int).Quo(a, b) })
		}
		return bin("%", div, func(a, b *big.Int) *big.Int { return new(big.Int).Rem(a, b) })
	}
	return natural(x)
}

func drawBool(t *rapid.T, depth int) drawn {
	if depth <= 0 {
		return drawn{json: opj("d2b", nil, fld("in", "g")), text: "g", cond: func(v map[string]*big.Int) bool { return v["g"].Sign() != 0 }}
	}
	o := rapid.SampledFrom([]string{"==", "!=", "<", "<=", ">", ">=", "and", "or", "not", "d2b", "==b"}).Draw(t, "condition")
	switch o {
	case "and", "or", "==b":
		x, y := drawBool(t, depth-1), drawBool(t, depth-1)
		return drawn{json: opj(strings.TrimSuffix(o, "b"), x.json, y.json), text: "(" + x.text + o + y.text + ")", cond: func(v map[string]*big.Int) bool {
			switch a, b := x.cond(v), y.cond(v); o {
			case "and":
				return a && b
			case "or":
				return a || b
			default:
				return a == b
			}
		}}
	case "not":
		x := drawBool(t, depth-1)
		return drawn{json: opj("not", nil, x.json), text: "!" + x.text, cond: func(v map[string]*big.Int) bool { return !x.cond(v) }}
	case "d2b":
		x := drawData(t, depth-1)
		return drawn{json: opj("d2b", nil, x.json), text: "d2b" + x.text, cond: func(v map[string]*big.Int) bool { return x.val(v).Sign() != 0 }}
	}
	x, y := drawData(t, depth-1), drawData(t, depth-1)
	return drawn{json: opj(o, x.json, y.json), text: "(" + x.text + o + y.text + ")", cond: func(v map[string]*big.Int) bool {
		c := x.val(v).Cmp(y.val(v))
		return map[string]bool{"==": c == 0, "!=": c != 0, "<": c < 0, "<=": c <= 0, ">": c > 0, ">=": c >= 0}[o]
	}}
}

func opj(name string, left, right m) m {
	if left == nil {
		return op(name, nil, right)
	}
	return op(name, left, right)
}

// TestExpressions compiles random expressions and assigns their values to fields of every width and sign. It compares the results with
// the same expressions on integers of any size.
func TestExpressions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := exprProgram()
		ex := drawData(t, rapid.IntRange(0, 4).Draw(t, "depth"))
		out := []struct {
			name  string
			width int
		}{{"o8", 8}, {"o64", 64}, {"o13", 13}, {"o128", 128}, {"o65", 65}, {"s32", 32}, {"pad", 2}}
		p.header("out", "o8:8", "o64:64", "o13:13", "o128:128", "o65:65", "s32:int<32>", "pad:2")
		p.emits = l{"out"}
		prims := l{prim("add_header", hdr("out")), set(std("egress_spec"), hx("0x1"))}
		for _, o := range out {
			prims = append(prims, set(fld("out", o.name), wrapped(ex.json)))
		}
		p.does(0, "t", nil, prims...)
		b, err := json.Marshal(ex.json)
		if err != nil {
			t.Fatal(err)
		}
		e, err := Load(p.jsonRapid(t), Options{})
		if err != nil {
			t.Fatalf("%s\n%s: %v", ex.text, b, err)
		}
		w := e.NewWorker()
		for range 4 {
			frame, vals := drawHeader(t)
			want := bitWriter{b: make([]byte, 64)}
			v := ex.val(vals)
			for _, o := range out {
				words := bigWords(new(big.Int).And(v, new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), uint(o.width)), big.NewInt(1))), (o.width+63)/64)
				want.field(words, &field{width: o.width, words: len(words)})
			}
			got := process(w, 1, frame)
			if len(got) != 1 || got[0].frame != string(want.end()) {
				t.Fatalf("%s\n%s\nfields %v: got %x, want %x (value %x)", ex.text, b, vals, got, want.end(), v)
			}
		}
	})
}

func (p *testProgram) jsonRapid(t *rapid.T) []byte {
	var out []byte
	func() {
		out = p.json(new(testing.T))
	}()
	if out == nil {
		t.Fatal("the program does not marshal")
	}
	return out
}

func drawHeader(t *rapid.T) (string, map[string]*big.Int) {
	w := bitWriter{b: make([]byte, 128)}
	vals := map[string]*big.Int{}
	for _, f := range exprFields {
		n := (f.width + 7) / 8
		raw := rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 0x7f, 0x80, 0xff, 0x5a}), n, n).Draw(t, f.name)
		b := new(big.Int).SetBytes(raw)
		b.Rsh(b, uint(8*n-f.width))
		words := bigWords(b, (f.width+63)/64)
		w.field(words, &field{width: f.width, words: len(words)})
		if f.signed && b.Bit(f.width-1) == 1 {
			b = new(big.Int).Sub(b, new(big.Int).Lsh(big.NewInt(1), uint(f.width)))
		}
		vals[f.name] = b
	}
	return string(w.end()), vals
}
