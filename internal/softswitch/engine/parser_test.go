package engine

import (
	"strings"
	"testing"
)

// echo adds a table that runs prims and sends every packet out of port 5.
func echo(p *testProgram, prims ...any) *testProgram {
	p.does(0, "echo", nil, append(l{set(std("egress_spec"), hx("0x5"))}, prims...)...)
	return p
}

// result adds a header "r" that the deparser emits first. The other arguments are its fields.
func result(p *testProgram, fields ...string) {
	p.header("r", fields...)
	p.emits = append(l{"r"}, p.emits[:len(p.emits)-1]...)
}

func TestParserErrorsDoNotDrop(t *testing.T) {
	p := newTestProgram()
	p.header("h", "a:16", "b:16")
	p.header("g", "a:32")
	result(p, "e:8", "hv:8", "gv:8")
	p.state("start", l{
		extract("h"),
		m{"op": "verify", "parameters": l{op("!=", fld("h", "a"), hx("0xdead")), hx("0x7")}},
	}, l{fld("h", "b")}, on("0x0001", "more"), otherwise(nil))
	p.state("more", l{extract("g")}, l{}, otherwise(nil))
	echo(p, prim("add_header", hdr("r")), set(fld("r", "e"), std("parser_error")), set(fld("r", "hv"), fld("h", "$valid$")),
		set(fld("r", "gv"), fld("g", "$valid$")))
	w := p.load(t, Options{}).NewWorker()
	for _, c := range []struct{ name, in, out string }{
		{"no error", "\x00\x02\x00\x02rest", "\x00\x01\x00\x00\x02\x00\x02rest"},
		{"second header cut short", "\x00\x02\x00\x01\x09\x09\x09", "\x01\x01\x00\x00\x02\x00\x01\x09\x09\x09"},
		{"first header cut short", "\x00\x02\x00", "\x01\x00\x00\x00\x02\x00"},
		{"verify", "\xde\xad\x00\x01\x01\x02\x03\x04", "\x07\x01\x00\xde\xad\x00\x01\x01\x02\x03\x04"},
		{"both headers", "\x00\x02\x00\x01\x01\x02\x03\x04", "\x00\x01\x01\x00\x02\x00\x01\x01\x02\x03\x04"},
	} {
		if got := one(t, w, 1, c.in); got.frame != c.out || got.port != 5 {
			t.Errorf("%s: got %x on %d, want %x on 5", c.name, got.frame, got.port, c.out)
		}
	}
}

func TestLookaheadAdvanceAndMasks(t *testing.T) {
	p := newTestProgram()
	p.scalar("seen", 12)
	p.scalar("pad", 4)
	p.header("h", "a:8")
	result(p, "state:8", "seen:16")
	st := fld("scalars", "pad")
	look := m{"type": "lookahead", "value": l{4, 12}}
	p.state("start", l{m{"op": "set", "parameters": l{fld("scalars", "seen"), look}}}, l{m{"type": "lookahead", "value": l{0, 8}}},
		m{"type": "hexstr", "value": "0x40", "mask": "0xf0", "next_state": "four"}, on("0x51", "five"), otherwise("skip"))
	p.state("four", l{m{"op": "set", "parameters": l{st, hx("0x4")}}, extract("h")}, l{}, otherwise(nil))
	p.state("five", l{m{"op": "set", "parameters": l{st, hx("0x5")}}, extract("h")}, l{}, otherwise(nil))
	p.state("skip", l{m{"op": "advance", "parameters": l{hx("0x10")}}, extract("h")}, l{}, otherwise(nil))
	echo(p, prim("add_header", hdr("r")), set(fld("r", "state"), st), set(fld("r", "seen"), fld("scalars", "seen")))
	w := p.load(t, Options{}).NewWorker()
	for _, c := range []struct{ in, out string }{
		{"\x4a\xbcz", "\x04\x0a\xbc\x4a\xbcz"},
		{"\x51\x23z", "\x05\x01\x23\x51\x23z"},
		{"\x52\x34z!", "\x00\x02\x34z!"}, // advance has skipped two bytes
	} {
		if got := one(t, w, 1, c.in); got.frame != c.out {
			t.Errorf("%x: got %x, want %x", c.in, got.frame, c.out)
		}
	}
}

// stackProgram returns a program that parses up to three one-byte labels. The lowest bit is set in
// the last label.
func stackProgram(prims ...any) *testProgram {
	p := newTestProgram()
	p.headerType("label_t", "v:7", "last:1")
	p.stack("s", "label_t", 3)
	result(p, "n:8", "e:8")
	p.state("start", l{m{"op": "extract", "parameters": l{m{"type": "stack", "value": "s"}}}},
		l{m{"type": "stack_field", "value": l{"s", "last"}}}, on("0x00", "start"), otherwise(nil))
	return echo(p, append(l{
		prim("add_header", hdr("r")), set(fld("r", "n"), wrapped(op("last_stack_index", nil, stk("s")))), set(fld("r", "e"), std("parser_error")),
	}, prims...)...)
}

func TestHeaderStack(t *testing.T) {
	at := func(i any, f int) m {
		return wrapped(m{"type": "expression", "value": m{"op": "access_field", "right": f, "left": op("dereference_header_stack", stk("s"), i)}})
	}
	for _, c := range []struct {
		name    string
		prims   l
		in, out string
	}{
		{"next and last index", nil, "\x02\x05rest", "\x01\x00\x02\x05rest"},
		{"overflow", nil, "\x02\x04\x06\x09", "\x02\x03\x02\x04\x06\x09"},
		{"push", l{prim("push", stk("s"), hx("0x1"))}, "\x02\x05rest", "\x01\x00\x02\x05rest"},
		{"push and fill", l{
			prim("push", stk("s"), hx("0x1")), prim("add_header", hdr("s[0]")), set(fld("s[0]", "v"), hx("0x7f")),
		}, "\x02\x05rest", "\x01\x00\xfe\x02\x05rest"},
		{"push beyond the end", l{prim("push", stk("s"), hx("0x2"))}, "\x02\x05rest", "\x01\x00\x02rest"},
		{"push more than there are", l{prim("push", stk("s"), hx("0x9"))}, "\x02\x05rest", "\x01\x00rest"},
		{"pop", l{prim("pop", stk("s"), hx("0x1"))}, "\x02\x05rest", "\x01\x00\x05rest"},
		{"pop all", l{prim("pop", stk("s"), hx("0x5"))}, "\x02\x05rest", "\x01\x00rest"},
		{"pop moves the index", l{prim("pop", stk("s"), hx("0x2")), set(fld("r", "n"), wrapped(op("size_stack", nil, stk("s"))))}, "\x02\x05", "\x00\x00"},
		{"element by index", l{set(fld("r", "n"), at(fld("r", "n"), 0))}, "\x02\x05", "\x02\x00\x02\x05"},
		{"write by index", l{set(at(fld("r", "n"), 0), hx("0x11"))}, "\x02\x05", "\x01\x00\x02\x23"},
		{"an index beyond the end touches no element", l{set(at(hx("0x7"), 0), hx("0x11")), set(fld("r", "n"), at(hx("0x3"), 0))}, "\x02\x05", "\x11\x00\x02\x05"},
		{"last", l{set(fld("r", "n"), wrapped(m{"type": "stack_field", "value": l{"s", "v"}}))}, "\x02\x05", "\x02\x00\x02\x05"},
		{"assign header", l{prim("assign_header", hdr("s[2]"), hdr("s[0]"))}, "\x02\x05", "\x01\x00\x02\x05\x02"},
		{"assign invalid header", l{prim("assign_header", hdr("s[0]"), hdr("s[2]"))}, "\x02\x05", "\x01\x00\x05"},
	} {
		w := stackProgram(c.prims...).load(t, Options{}).NewWorker()
		if got := one(t, w, 1, c.in); got.frame != c.out {
			t.Errorf("%s: %x: got %x, want %x", c.name, c.in, got.frame, c.out)
		}
	}
}

func TestVariableField(t *testing.T) {
	build := func(prims ...any) *testProgram {
		p := newTestProgram()
		p.headerType("v_t", "n:8", "v:*5", "t:8")
		p.instance("h", "v_t")
		p.instance("k", "v_t")
		result(p, "e:8", "same:8")
		p.header("first", "n:8")
		p.state("start", l{extract("first"), m{"op": "extract_VL", "parameters": l{
			m{"type": "regular", "value": "h"},
			wrapped(op("&", op("*", fld("first", "n"), hx("0x8")), hx("0xffffffff"))),
		}}}, l{}, otherwise(nil))
		return echo(p, append(l{prim("add_header", hdr("r")), set(fld("r", "e"), std("parser_error"))}, prims...)...)
	}
	w := build().load(t, Options{}).NewWorker()
	for _, c := range []struct{ name, in, out string }{
		{"two bytes", "\x02\x09ab\x07rest", "\x00\x00\x09ab\x07\x02rest"},
		{"none", "\x00\x09\x07rest", "\x00\x00\x09\x07\x00rest"},
		{"three bytes", "\x03\x09abc\x07rest", "\x00\x00\x09abc\x07\x03rest"},
		{"more than the header has", "\x04\x09abcd\x07rest", "\x04\x00\x04\x09abcd\x07rest"},
		{"more than the packet has", "\x03\x09ab", "\x01\x00\x03\x09ab"},
	} {
		if got := one(t, w, 1, c.in); got.frame != c.out {
			t.Errorf("%s: got %x, want %x", c.name, got.frame, c.out)
		}
	}
	w = build(prim("assign_header", hdr("k"), hdr("h")), set(fld("r", "same"), wrapped(op("b2d", nil, op("==", hdr("h"), hdr("k"))))),
		prim("remove_header", hdr("h"))).load(t, Options{}).NewWorker()
	if got := one(t, w, 1, "\x02\x09ab\x07rest"); got.frame != "\x00\x01\x09ab\x07\x02rest" {
		t.Errorf("copy: got %x", got.frame)
	}
	w = build(prim("add_header", hdr("k")), prim("assign_VL", fld("k", "v"), fld("h", "v"))).load(t, Options{}).NewWorker()
	if got := one(t, w, 1, "\x02\x09ab\x07rest"); got.frame != "\x00\x00\x09ab\x07\x00ab\x00\x02rest" {
		t.Errorf("assign_VL: got %x", got.frame)
	}
}

func TestHeaderUnion(t *testing.T) {
	p := newTestProgram()
	p.headerType("x_t", "k:8", "x:8")
	p.headerType("y_t", "k:8", "y:24")
	var ids [2]l
	var unions l
	for i := range 2 {
		n := []string{"u[0]", "u[1]"}[i]
		ids[i] = l{p.instance(n+".x", "x_t"), p.instance(n+".y", "y_t")}
		id := p.id()
		p.add("header_unions", m{"name": n, "id": id, "union_type": "u_t", "header_ids": ids[i]})
		unions = append(unions, id)
	}
	p.add("header_union_types", m{"name": "u_t", "headers": l{l{"x", "x_t"}, l{"y", "y_t"}}})
	p.add("header_union_stacks", m{"name": "u", "id": 1, "union_type": "u_t", "header_union_ids": unions})
	result(p, "a:8", "b:8")
	take := func(member string) m {
		return m{"op": "extract", "parameters": l{m{"type": "union_stack", "value": l{"u", member}}}}
	}
	p.state("start", l{}, l{m{"type": "lookahead", "value": l{0, 8}}}, on("0x01", "x"), on("0x02", "y"), otherwise(nil))
	p.state("x", l{take("x")}, l{m{"type": "union_stack_field", "value": l{"u", "x", "x"}}}, on("0x00", nil), otherwise("start"))
	p.state("y", l{take("y")}, l{}, otherwise("start"))
	un := func(n string) m { return m{"type": "header_union", "value": n} }
	echo(p, prim("add_header", hdr("r")),
		set(fld("r", "a"), wrapped(op("b2d", nil, op("valid_union", nil, un("u[1]"))))),
		set(fld("r", "b"), wrapped(op("b2d", nil, op("==", un("u[0]"), un("u[1]"))))),
		prim("add_header", hdr("u[0].y")))
	w := p.load(t, Options{}).NewWorker()
	for _, c := range []struct{ in, out string }{
		{"\x01\x07\x02abc\x05", "\x01\x00\x00\x00\x00\x00\x02abc\x05"}, // adding y makes x invalid
		{"\x01\x07\x01\x07\x05", "\x01\x01\x00\x00\x00\x00\x01\x07\x05"},
		{"\x01\x00\x05", "\x00\x00\x00\x00\x00\x00\x05"},
		{"\x02abc\x05", "\x00\x00\x02abc\x05"}, // y is already valid, so it keeps its fields
	} {
		if got := one(t, w, 1, c.in); got.frame != c.out {
			t.Errorf("%x: got %x, want %x", c.in, got.frame, c.out)
		}
	}
}

func TestValueSet(t *testing.T) {
	p := newTestProgram()
	p.header("h", "a:8", "b:16")
	result(p, "hit:8")
	p.scalar("hit", 8)
	p.root["parse_vsets"] = l{m{"name": "vs", "id": 0, "compressed_bitwidth": 24}}
	p.state("start", l{extract("h")}, l{fld("h", "a"), fld("h", "b")},
		m{"type": "parse_vset", "value": "vs", "mask": nil, "next_state": "in"}, otherwise(nil))
	p.state("in", l{m{"op": "set", "parameters": l{fld("scalars", "hit"), hx("0x1")}}}, l{}, otherwise(nil))
	echo(p, prim("add_header", hdr("r")), set(fld("r", "hit"), fld("scalars", "hit")))
	e := p.load(t, Options{})
	w := e.NewWorker()
	hit := func(in string) bool { return one(t, w, 1, in).frame[0] == 1 }
	if hit("\x01\x02\x03") {
		t.Error("an empty set matches")
	}
	v := func(b ...byte) Match { return Match{Value: b} }
	if err := e.SetValueSet("vs", [][]Match{{v(1, 2, 3)}, {v(9), {Value: []byte{0x12, 0}, Mask: []byte{0xff, 0}}}, {v(8), {Wildcard: true}}}); err != nil {
		t.Fatal(err)
	}
	for in, want := range map[string]bool{
		"\x01\x02\x03": true, "\x01\x02\x04": false, "\x09\x12\x34": true, "\x09\x13\x34": false, "\x08\xff\xff": true, "\x07\xff\xff": false,
	} {
		if hit(in) != want {
			t.Errorf("%x: hit is %v, want %v", in, !want, want)
		}
	}
	vs, _ := e.ValueSet("vs")
	if len(vs.Members()) != 3 || vs.Width() != 24 || len(vs.Fields()) != 2 {
		t.Errorf("%v, %d, %v; want 3 members of 24 bits in 2 fields", vs.Members(), vs.Width(), vs.Fields())
	}
	for _, bad := range [][]Match{{v(1), v(2), v(3)}, {v(1, 2, 3, 4)}, {v(1, 1), v(2)}, {v(1), {Value: []byte{1}, PrefixLen: 17}}} {
		if err := e.SetValueSet("vs", [][]Match{bad}); err == nil {
			t.Errorf("%v was taken", bad)
		}
	}
	if !hit("\x01\x02\x03") {
		t.Error("a refused write changed the set")
	}
	if err := e.SetValueSet("none", nil); err == nil || !strings.Contains(err.Error(), `"none"`) {
		t.Errorf("unknown set: %v", err)
	}
}

func TestParserLoopEnds(t *testing.T) {
	p := newTestProgram()
	p.header("h", "a:8")
	result(p, "e:8")
	p.state("start", l{}, l{}, otherwise("start"))
	echo(p, prim("add_header", hdr("r")), set(fld("r", "e"), std("parser_error")))
	if got := one(t, p.load(t, Options{}).NewWorker(), 1, "x"); got.frame != "\x05x" {
		t.Errorf("got %x, want ParserTimeout (5) and the packet", got.frame)
	}
}
