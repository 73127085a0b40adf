package engine

import (
	"testing"

	"pgregory.net/rapid"
)

// rawProgram returns a program that extracts headers of all kinds from a packet and then runs the given primitives. The
// program reads few of the headers' fields.
func rawProgram(prims ...any) *testProgram {
	p := newTestProgram()
	p.headerType("h_t", "a:8", "b:48", "c:128", "d:3", "e:13")
	p.headerType("v_t", "n:8", "v:*6", "t:16")
	p.headerType("odd_t", "x:3", "y:9")
	for _, h := range []string{"h", "k"} {
		p.instance(h, "h_t")
	}
	p.instance("odd", "odd_t")
	p.stack("s", "h_t", 3)
	for _, h := range []string{"v", "w"} {
		p.instance(h, "v_t")
	}
	p.emits = l{"h", "k", "s[0]", "s[1]", "s[2]", "v", "w", "odd"}
	bits := wrapped(op("&", op("*", op("&", fld("h", "d"), hx("0x3")), hx("0x8")), hx("0xff")))
	next := m{"op": "extract", "parameters": l{m{"type": "stack", "value": "s"}}}
	p.state("start", l{
		extract("h"), next, next, m{"op": "extract_VL", "parameters": l{m{"type": "regular", "value": "v"}, bits}}, extract("odd"),
	}, l{}, otherwise(nil))
	p.does(0, "t", nil, append(l{set(std("egress_spec"), hx("0x1"))}, prims...)...)
	return p
}

// eager makes an engine fill every header when it is extracted.
func eager(e *Engine) {
	for _, h := range e.lay.all {
		h.hotPack, h.hotFixed = h.typ.pack, nil
		h.typ.even = false
	}
}

// TestHeadersLeaveAsIfFilledIn verifies that the result is the same whether or not extraction leaves header bytes in the
// packet.
func TestHeadersLeaveAsIfFilledIn(t *testing.T) {
	indexed := func(i, f int) m {
		return wrapped(m{"type": "expression", "value": m{
			"op": "access_field", "right": f, "left": op("dereference_header_stack", stk("s"), hx("0x%x", i)),
		}})
	}
	last := func(f string) m { return wrapped(m{"type": "stack_field", "value": l{"s", f}}) }
	prims := map[string]any{
		"write a":         set(fld("h", "a"), hx("0x7f")),
		"write c":         set(fld("h", "c"), hx("0x11223344556677889900aabbccddeeff")),
		"move in":         set(fld("h", "b"), fld("h", "a")),
		"move between":    set(fld("s[0]", "e"), fld("h", "e")),
		"write indexed":   set(indexed(1, 1), hx("0x1234")),
		"read indexed":    set(fld("h", "e"), indexed(0, 4)),
		"wide indexed":    set(indexed(0, 2), fld("h", "c")),
		"write last":      set(last("a"), fld("s[0]", "a")),
		"copy":            prim("assign_header", hdr("k"), hdr("h")),
		"copy to itself":  prim("assign_header", hdr("v"), hdr("v")),
		"copy back":       prim("assign_header", hdr("h"), hdr("s[1]")),
		"copy variable":   prim("assign_header", hdr("w"), hdr("v")),
		"remove":          prim("remove_header", hdr("h")),
		"add":             prim("add_header", hdr("h")),
		"make valid":      prim("add_header_fast", hdr("h")),
		"add variable":    prim("add_header", hdr("w")),
		"assign variable": prim("assign_VL", fld("w", "v"), fld("v", "v")),
		"write beside":    set(fld("v", "t"), hx("0x5566")),
		"read beside":     set(fld("h", "d"), fld("v", "t")),
		"write odd":       set(fld("odd", "y"), fld("h", "e")),
		"push":            prim("push", stk("s"), hx("0x1")),
		"pop":             prim("pop", stk("s"), hx("0x1")),
		"compare":         set(fld("k", "a"), wrapped(op("b2d", nil, op("==", hdr("h"), hdr("s[0]"))))),
	}
	names := sortedKeys(prims)
	rapid.Check(t, func(t *rapid.T) {
		var does l
		for _, name := range rapid.SliceOfN(rapid.SampledFrom(names), 0, 5).Draw(t, "primitives") {
			does = append(does, prims[name])
		}
		b := rawProgram(does...).jsonRapid(t)
		lazy, err := Load(b, Options{})
		if err != nil {
			t.Fatal(err)
		}
		full, err := Load(b, Options{})
		if err != nil {
			t.Fatal(err)
		}
		eager(full)
		x, y := lazy.NewWorker(), full.NewWorker()
		for range 4 {
			frame := string(rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 0x7f, 0x80, 0xff, 0x5a}), 70, 90).Draw(t, "frame"))
			got, want := process(x, 1, frame), process(y, 1, frame)
			if len(got) != 1 || len(want) != 1 || got[0] != want[0] {
				t.Fatalf("%x: got %x, want %x", frame, got, want)
			}
		}
	})
}

// TestUntouchedFrameLeavesAsItCame verifies that fields that the program does not use are preserved.
func TestUntouchedFrameLeavesAsItCame(t *testing.T) {
	const h = "abbbbbbccccccccccccccccde"
	frame := h + h + h + "nvvvtt" + "\xf1\x20" + "rest" // d is 3, the length of v in bytes
	w := rawProgram().load(t, Options{}).NewWorker()
	if got := one(t, w, 1, frame); got.frame != frame {
		t.Errorf("got %q, want %q", got.frame, frame)
	}
}
