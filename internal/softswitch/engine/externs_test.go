package engine

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"strings"
	"testing"
	"time"

	"op25b/internal/softswitch/extern"
)

func out1(prims ...any) l { return append(l{set(std("egress_spec"), hx("0x1"))}, prims...) }

func TestRegisters(t *testing.T) {
	for _, width := range []string{"8", "64", "100"} {
		p := newTestProgram()
		p.header("h", "i:8", "v:"+width, "pad:"+map[string]string{"8": "8", "64": "8", "100": "4"}[width])
		p.state("start", l{extract("h")}, l{}, otherwise(nil))
		w := map[string]int{"8": 8, "64": 64, "100": 100}[width]
		p.root["register_arrays"] = l{m{"name": "r", "id": 0, "size": 4, "bitwidth": w}}
		reg := m{"type": "register_array", "value": "r"}
		p.scalar("old", w)
		p.does(0, "t", nil, out1(prim("register_read", fld("scalars", "old"), reg, fld("h", "i")),
			prim("register_write", reg, fld("h", "i"), wrapped(op("+", fld("h", "v"), fld("scalars", "old")))),
			prim("register_read", fld("h", "v"), reg, fld("h", "i")))...)
		e := p.load(t, Options{})
		wk := e.NewWorker()
		bits := bitWriter{b: make([]byte, 32)}
		bits.put(2, 8)
		for n := w - 8; n > 0; n -= min(n, 64) {
			bits.put(0, min(n, 64))
		}
		bits.put(3, 8)
		bits.put(0, map[string]int{"8": 8, "64": 8, "100": 4}[width])
		frame := string(bits.end())
		one(t, wk, 1, frame)
		got := one(t, wk, 1, frame)
		reg2, _ := e.Register("r")
		b, err := reg2.Read(2)
		if err != nil || b[len(b)-1] != 6 || len(b) != (w+7)/8 {
			t.Errorf("%s bits: cell is %x (%v), want 6", width, b, err)
		}
		if got.frame == frame {
			t.Errorf("%s bits: the cell was not read back", width)
		}
		// An index outside the array changes neither a cell nor the field.
		if far := one(t, wk, 1, "\x09"+frame[1:]); far.frame != "\x09"+frame[1:] {
			t.Errorf("%s bits: index 9 of 4: got %x, want it as it came in", width, far.frame)
		}
		if err := reg2.Write(3, []byte{1, 2}); (err == nil) != (w > 8) {
			t.Errorf("%s bits: writing two bytes: %v", width, err)
		}
		if _, err := reg2.Read(4); !errors.Is(err, ErrNotFound) {
			t.Errorf("cell 4 of 4: %v", err)
		}
	}
}

func TestCountersAndMeters(t *testing.T) {
	p := newTestProgram()
	p.header("h", "i:8", "color:8")
	p.state("start", l{extract("h")}, l{}, otherwise(nil))
	p.root["counter_arrays"] = l{m{"name": "c", "id": 0, "size": 4, "is_direct": false}}
	p.root["meter_arrays"] = l{m{"name": "m", "id": 0, "size": 4, "is_direct": false, "type": "bytes", "rate_count": 2}}
	p.does(0, "t", nil, out1(prim("count", m{"type": "counter_array", "value": "c"}, fld("h", "i")),
		prim("execute_meter", m{"type": "meter_array", "value": "m"}, fld("h", "i"), fld("h", "color")))...)
	e := p.load(t, Options{})
	w := e.NewWorker()
	mt, _ := e.Meter("m")
	if err := mt.Write(1, &extern.MeterConfig{CIR: 1, CBurst: 10, PIR: 1, PBurst: 15}); err != nil {
		t.Fatal(err)
	}
	// Each packet has ten bytes, and the clock does not advance. The first packet uses up the committed burst, and leaves 5 peak tokens
	// for the second.
	for i, color := range []byte{0, 2} {
		if got := one(t, w, 1, "\x01\xffxxxxxxxx"); got.frame[1] != color {
			t.Errorf("packet %d: color %d, want %d", i, got.frame[1], color)
		}
	}
	if got := one(t, w, 1, "\x09\xffxx"); got.frame[1] != 0xff {
		t.Errorf("meter 9 of 4 wrote color %d", got.frame[1])
	}
	c, _ := e.Counter("c")
	if v, err := c.Read(1); err != nil || v != (CounterValue{2, 20}) {
		t.Errorf("counter 1: %v (%v), want 2 packets, 20 bytes", v, err)
	}
	if v, err := c.Read(0); err != nil || v != (CounterValue{}) {
		t.Errorf("counter 0: %v (%v)", v, err)
	}
	if err := c.Write(3, CounterValue{5, 6}); err != nil {
		t.Error(err)
	}
	if _, err := c.Read(4); !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), "0 to 3") {
		t.Errorf("counter 4 of 4: %v", err)
	}
	if err := mt.Write(0, &extern.MeterConfig{CIR: -1}); !errors.Is(err, ErrInvalid) {
		t.Errorf("a negative rate: %v", err)
	}
	if cfg, ok, err := mt.Read(1); err != nil || !ok || cfg.PBurst != 15 {
		t.Errorf("meter 1: %v %v %v", cfg, ok, err)
	}
}

func TestDigest(t *testing.T) {
	p := newTestProgram()
	p.header("h", "a:12", "b:4", "c:72")
	p.state("start", l{extract("h")}, l{}, otherwise(nil))
	p.root["learn_lists"] = l{m{"id": 3, "name": "mac_learn", "elements": l{fld("h", "a"), fld("h", "c"), std("ingress_port")}}}
	p.does(0, "t", nil, out1(prim("generate_digest", hx("0x1"), hx("0x3")), set(fld("h", "a"), hx("0xabc")))...)
	e := p.load(t, Options{DigestQueue: 1})
	w := e.NewWorker()
	one(t, w, 5, "\x12\x34cccccccccx")
	one(t, w, 5, "\x12\x34cccccccccx")
	d := <-e.Digests()
	frame, emit := []byte("\x12\x34cccccccccx"), func(uint32, []byte) {}
	if n := testing.AllocsPerRun(1, func() { w.Process(5, frame, emit) }); n != 0 {
		t.Errorf("%v allocations for a digest that is dropped", n)
	}
	if d.Name != "mac_learn" || d.ListID != 3 || string(d.Values[0]) != "\x0a\xbc" || string(d.Values[1]) != "ccccccccc" || string(d.Values[2]) != "\x00\x05" {
		t.Errorf("%v, want the values at the end of ingress", d)
	}
	if s := e.Stats(); s.Digests != 1 || s.DigestsDropped != 3 { // the receiver still holds the only digest
		t.Errorf("%+v, want one delivered and three dropped", s)
	}
	if n := testing.AllocsPerRun(10, func() {
		d.Release()
		w.Process(5, frame, emit)
		d = <-e.Digests()
	}); n != 0 {
		t.Errorf("%v allocations for a digest, want none", n)
	}
}

func TestHash(t *testing.T) {
	p := newTestProgram()
	p.header("h", "a:4", "b:12", "out:32")
	p.header("gone", "x:8")
	p.state("start", l{extract("h")}, l{}, otherwise(nil))
	p.root["calculations"] = l{m{"name": "k", "id": 0, "algo": "crc32", "input": l{
		fld("h", "a"), fld("gone", "x"), m{"type": "hexstr", "value": "0x5", "bitwidth": 4}, fld("h", "b"), m{"type": "hexstr", "value": "0x0", "bitwidth": 4},
	}}}
	p.does(0, "t", nil, out1(prim("modify_field_with_hash_based_offset", fld("h", "out"), hx("0x64"), m{"type": "calculation", "value": "k"}, hx("0x3e8")))...)
	got := one(t, p.load(t, Options{}).NewWorker(), 1, "\xa1\x23....").frame
	// The input consists of a = a, the constant 5, b = 123 and four padding bits: a5 12 30. The invalid header's field is omitted.
	want := crc32.ChecksumIEEE([]byte{0xa5, 0x12, 0x30})%1000 + 100
	if binary.BigEndian.Uint32([]byte(got[2:])) != want {
		t.Errorf("got %x, want %x", got[2:6], want)
	}
}

func TestChecksums(t *testing.T) {
	p := newTestProgram()
	p.header("h", "sum:16", "a:16", "kind:8", "b:8")
	result(p, "bad:8")
	p.state("start", l{extract("h")}, l{}, otherwise(nil))
	p.root["calculations"] = l{
		m{"name": "k", "id": 0, "algo": "csum16", "input": l{fld("h", "a"), fld("h", "kind"), fld("h", "b"), m{"type": "payload", "value": nil}}},
	}
	cond := op("==", fld("h", "kind"), hx("0x1"))
	p.root["checksums"] = l{
		m{"name": "v", "id": 0, "target": l{"h", "sum"}, "type": "generic", "calculation": "k", "verify": true, "update": false, "if_cond": cond},
		m{"name": "u", "id": 1, "target": l{"h", "sum"}, "type": "generic", "calculation": "k", "verify": false, "update": true, "if_cond": cond},
	}
	echo(p, prim("add_header", hdr("r")), set(fld("r", "bad"), std("checksum_error")), set(fld("h", "a"), hx("0x0304")))
	e := p.load(t, Options{})
	w := e.NewWorker()
	sum := func(words ...uint16) string {
		s := uint32(0)
		for _, x := range words {
			s += uint32(x)
		}
		s = s>>16 + s&0xffff
		return string(binary.BigEndian.AppendUint16(nil, ^uint16(s+s>>16)))
	}
	good, after := sum(0x0102, 0x0109, 0xaabb, 0xcc00), sum(0x0304, 0x0109, 0xaabb, 0xcc00)
	for _, c := range []struct{ name, in, out string }{
		{"good", good + "\x01\x02\x01\x09\xaa\xbb\xcc", "\x00" + after + "\x03\x04\x01\x09\xaa\xbb\xcc"},
		{"bad", "\x00\x00\x01\x02\x01\x09\xaa\xbb\xcc", "\x01" + after + "\x03\x04\x01\x09\xaa\xbb\xcc"},
		{"condition not met", "\x00\x00\x01\x02\x02\x09\xaa\xbb\xcc", "\x00\x00\x00\x03\x04\x02\x09\xaa\xbb\xcc"},
	} {
		if got := one(t, w, 1, c.in); got.frame != c.out {
			t.Errorf("%s: got %x, want %x", c.name, got.frame, c.out)
		}
	}
	if s := e.Stats(); s.ChecksumErrors != 1 {
		t.Errorf("%+v, want 1 checksum error", s)
	}
}

func TestRandom(t *testing.T) {
	p := forwarding(out1(prim("modify_field_rng_uniform", fld("h", "a"), hx("0x3"), hx("0x6"))), nil)
	draw := func(seed uint64) string {
		w := p.load(t, Options{Seed: seed}).NewWorker()
		out := ""
		for range 200 {
			out += one(t, w, 1, "\xff").frame
		}
		return out
	}
	a := draw(1)
	for _, b := range []byte(a) {
		if b < 3 || b > 6 {
			t.Fatalf("%d is not in 3 to 6", b)
		}
	}
	for b := byte(3); b <= 6; b++ {
		if !strings.Contains(a, string(rune(b))) {
			t.Errorf("%d never came", b)
		}
	}
	if a != draw(1) || a == draw(2) {
		t.Error("the sequence must depend on the seed alone")
	}
	p = forwarding(out1(prim("modify_field_rng_uniform", fld("h", "a"), hx("0x6"), hx("0x3"))), nil)
	if got := one(t, p.load(t, Options{}).NewWorker(), 1, "\xff"); got.frame != "\xff" {
		t.Errorf("low above high wrote %x", got.frame)
	}
}

func TestLogAndAssert(t *testing.T) {
	var lines []string
	p := forwarding(out1(
		prim("log_msg", m{"type": "string", "value": "a={} neg={}."}, m{"type": "parameters_vector", "value": l{fld("h", "a"), wrapped(op("-", hx("0x0"), fld("h", "a")))}}),
		prim("assert", wrapped(op("b2d", nil, op("==", fld("h", "a"), hx("0x1"))))),
		prim("assume", wrapped(op("b2d", nil, op("==", fld("h", "a"), hx("0x2"))))),
	), nil)
	e := p.load(t, Options{Log: func(s string) { lines = append(lines, s) }})
	one(t, e.NewWorker(), 1, "\x01")
	if len(lines) != 2 || lines[0] != "a=1 neg=-1." || !strings.Contains(lines[1], "assume failed") || !strings.Contains(lines[1], "act_in") {
		t.Errorf("logged %q", lines)
	}
	if e.Stats().AssertsFailed != 1 {
		t.Errorf("%+v, want 1 failed", e.Stats())
	}
}

func TestJumps(t *testing.T) {
	// This is a loop as p4c writes it: each turn decrements a and adds 3 to keep, until a is zero.
	p := forwarding(out1(
		prim("_jump_if_zero", fld("h", "a"), hx("0x5")),
		set(fld("h", "a"), wrapped(op("&", op("-", fld("h", "a"), hx("0x1")), hx("0xff")))),
		set(fld("scalars", "keep"), wrapped(op("&", op("+", fld("scalars", "keep"), hx("0x3")), hx("0xff")))),
		prim("_jump", hx("0x1")),
		set(fld("h", "a"), fld("scalars", "keep")),
	), nil)
	if got := one(t, p.load(t, Options{}).NewWorker(), 1, "\x05"); got.frame != "\x0f" {
		t.Errorf("got %x, want 15", got.frame)
	}
	e := forwarding(out1(prim("_jump", hx("0x1"))), nil).load(t, Options{})
	if got := one(t, e.NewWorker(), 1, "\x05"); got.frame != "\x05" || e.Stats().Looped != 1 {
		t.Errorf("an endless loop: got %x, %+v", got.frame, e.Stats())
	}
}

func TestSaturatingField(t *testing.T) {
	p := newTestProgram()
	p.header("h", "a:8", "s:sat<8>", "i:int<8>")
	p.state("start", l{extract("h")}, l{}, otherwise(nil))
	p.does(0, "t", nil, out1(set(fld("h", "s"), wrapped(op("+", fld("h", "a"), fld("h", "s")))),
		set(fld("h", "a"), wrapped(op("b2d", nil, op("<", fld("h", "i"), hx("0x0"))))))...)
	w := p.load(t, Options{}).NewWorker()
	for in, want := range map[string]string{"\xf0\x20\x80": "\x01\xff\x80", "\x01\x02\x7f": "\x00\x03\x7f"} {
		if got := one(t, w, 1, in); got.frame != want {
			t.Errorf("%x: got %x, want %x", in, got.frame, want)
		}
	}
}

func TestIdleTime(t *testing.T) {
	now := time.Unix(0, 0)
	p := newTestProgram()
	p.header("h", "a:8")
	p.state("start", l{extract("h")}, l{}, otherwise(nil))
	fwd := p.action("fwd", []string{"port:9"}, set(std("egress_spec"), param(0)))
	p.table(0, "t", "exact", l{key("exact", "h", "a")}, nil, -1, fwd)["support_timeout"] = true
	e := p.load(t, Options{Clock: func() time.Time { return now }})
	tb, _ := e.Table("t")
	k := []Match{{Value: []byte{1}}}
	if err := tb.Insert(Entry{Matches: k, Action: ActionCall{"fwd", [][]byte{{1}}}}); err != nil {
		t.Fatal(err)
	}
	check := func(want time.Duration) {
		t.Helper()
		if got, err := tb.SinceHit(k, 0); err != nil || got != want {
			t.Errorf("%v since the last hit (%v), want %v", got, err, want)
		}
	}
	now = now.Add(time.Minute)
	check(time.Minute)
	w := e.NewWorker()
	process(w, 1, "\x02")
	check(time.Minute)
	process(w, 1, "\x01")
	check(0)
	now = now.Add(time.Second)
	check(time.Second)
}
