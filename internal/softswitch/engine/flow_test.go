package engine

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// A flowStep is a node of a random pipeline. It is either a test of a variable or a table without a key that writes a variable.
type flowStep struct {
	test    bool
	op      string
	a, b    int
	k       uint64
	yes, no int // indices of the next nodes, which come later; the number of nodes means the end
}

// TestFlowIsTheGraph verifies that a pipeline's code computes the same variables as a walk from node to node, whichever of its tables are
// inlined.
func TestFlowIsTheGraph(t *testing.T) {
	const vars = 4
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 14).Draw(t, "nodes")
		steps := make([]flowStep, n)
		p := newTestProgram()
		var fields []string
		for v := range vars {
			p.scalar(fmt.Sprintf("x%d", v), 8)
			fields = append(fields, fmt.Sprintf("x%d:8", v))
		}
		p.header("h", fields...)
		p.state("start", l{extract("h")}, l{}, otherwise(nil))
		name := func(i int) string {
			if i == n {
				return "last"
			}
			return fmt.Sprintf("n%d", i)
		}
		x := func(v int) m { return fld("scalars", fmt.Sprintf("x%d", v)) }
		number := rapid.Uint64Range(0, 3)
		var enter, leave l
		for v := range vars {
			enter = append(enter, set(x(v), fld("h", fmt.Sprintf("x%d", v))))
			leave = append(leave, set(fld("h", fmt.Sprintf("x%d", v)), x(v)))
		}
		p.does(0, "first", name(0), enter...)
		for i := range steps {
			s := &steps[i]
			s.test = rapid.Bool().Draw(t, "test")
			s.a, s.b, s.k = rapid.IntRange(0, vars-1).Draw(t, "a"), rapid.IntRange(0, vars-1).Draw(t, "b"), number.Draw(t, "k")
			s.yes, s.no = rapid.IntRange(i+1, n).Draw(t, "yes"), rapid.IntRange(i+1, n).Draw(t, "no")
			if s.test {
				s.op = rapid.SampledFrom([]string{"==", "!=", "<", ">=", ">", "d2b"}).Draw(t, "op")
				e := op(s.op, x(s.a), hx("0x%x", s.k))
				if s.op == "d2b" {
					e = op("d2b", nil, x(s.a))
				}
				p.conds[0] = append(p.conds[0], m{"name": name(i), "id": i, "true_next": name(s.yes), "false_next": name(s.no), "expression": e})
				continue
			}
			s.op = rapid.SampledFrom([]string{"const", "move"}).Draw(t, "writes")
			from := hx("0x%x", s.k)
			if s.op == "move" {
				from = x(s.b)
			}
			p.does(0, name(i), name(s.yes), set(x(s.a), from))
			fix(p, rapid.Bool().Draw(t, "inlined"))
		}
		p.does(0, "last", nil, append(leave, set(std("egress_spec"), hx("0x1")))...)
		e, err := Load(p.jsonRapid(t), Options{})
		if err != nil {
			t.Fatal(err)
		}
		w := e.NewWorker()
		for range 8 {
			var v [vars]uint64
			frame := make([]byte, vars)
			for i := range v {
				v[i] = number.Draw(t, "variable")
				frame[i] = byte(v[i])
			}
			for at := 0; at < n; {
				s := &steps[at]
				at = s.yes
				switch {
				case s.test:
					yes := map[string]bool{
						"==": v[s.a] == s.k, "!=": v[s.a] != s.k, "<": v[s.a] < s.k, ">=": v[s.a] >= s.k, ">": v[s.a] > s.k, "d2b": v[s.a] != 0,
					}
					if !yes[s.op] {
						at = s.no
					}
				case s.op == "const":
					v[s.a] = s.k
				default:
					v[s.a] = v[s.b]
				}
			}
			want := string([]byte{byte(v[0]), byte(v[1]), byte(v[2]), byte(v[3])})
			if got := process(w, 1, string(frame)); len(got) != 1 || got[0].frame != want {
				t.Fatalf("%x: got %x, want %x of %+v", frame, got, want, steps)
			}
		}
	})
}

// fix makes the default action of the last table const if yes is set. Otherwise it makes it changeable.
func fix(p *testProgram, yes bool) {
	tb := p.tables[0][len(p.tables[0])-1].(m)
	tb["default_entry"].(m)["action_const"], tb["default_entry"].(m)["action_entry_const"] = yes, yes
}

// TestInlinedTableTakesEntries verifies that a table whose action is inlined into the pipeline's code is looked up again once it has an
// entry.
func TestInlinedTableTakesEntries(t *testing.T) {
	for name, c := range map[string]struct {
		does    l
		without string
	}{
		"an action of one step": {l{set(fld("h", "x"), hx("0x1"))}, "\x01"},
		"an action of none":     {l{}, "\x07"},
	} {
		p := newTestProgram()
		p.header("h", "x:8")
		p.state("start", l{extract("h")}, l{}, otherwise(nil))
		p.does(0, "first", "t", set(fld("h", "x"), hx("0x7")), set(std("egress_spec"), hx("0x1")))
		fix(p, true)
		dflt := p.action("default", nil, c.does...)
		two := p.action("two", nil, set(fld("h", "x"), hx("0x2")))
		p.table(0, "t", "exact", l{}, nil, dflt, dflt, two)
		fix(p, true)
		e := p.load(t, Options{})
		tb, _ := e.Table("t")
		if tb.in == nil {
			t.Fatal("the table is not inlined: this tests nothing")
		}
		w := e.NewWorker()
		want := func(when, frame string) {
			t.Helper()
			if got := one(t, w, 1, "\x00rest"); got.frame != frame+"rest" {
				t.Errorf("%s: %s: got %x, want %x", name, when, got.frame, frame)
			}
		}
		want("without an entry", c.without)
		if err := tb.Insert(Entry{Action: ActionCall{Name: "two"}}); err != nil {
			t.Fatal(err)
		}
		want("with an entry", "\x02")
		if err := tb.Delete(nil, 0); err != nil {
			t.Fatal(err)
		}
		want("without it again", c.without)
	}
}
