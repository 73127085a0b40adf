package engine

import (
	"encoding/binary"
	"testing"
)

// filterProgram returns a program like a filter for an access network. It parses Ethernet, VLAN, IPv4 and TCP, and has two LPM tables,
// exact and ternary tables, and an action that p4c would inline. It verifies and updates the IPv4 checksum.
func filterProgram() *testProgram {
	p := newTestProgram()
	p.scalar("line", 16)
	p.scalar("class", 8)
	p.scalar("verdict", 2)
	p.scalar("side", 1)
	p.scalar("pad", 5)
	p.header("eth", "dst:48", "src:48", "type:16")
	p.header("vlan", "pcp:3", "dei:1", "vid:12", "type:16")
	p.header("ipv4", "version:4", "ihl:4", "tos:8", "len:16", "id:16", "flags:3", "frag:13", "ttl:8", "proto:8", "sum:16", "src:32", "dst:32")
	p.header("tcp", "sport:16", "dport:16", "seq:32", "ack:32", "off:4", "res:4", "flags:8", "win:16", "sum:16", "urg:16")
	field := func(h, f string) m { return m{"type": "field", "value": l{h, f}} }
	p.state("start", l{extract("eth")}, l{field("eth", "type")}, on("0x8100", "vlan"), on("0x0800", "ipv4"), otherwise(nil))
	p.state("vlan", l{extract("vlan")}, l{field("vlan", "type")}, on("0x0800", "ipv4"), otherwise(nil))
	p.state("ipv4", l{extract("ipv4")}, l{field("ipv4", "frag"), field("ipv4", "proto")}, on("0x000006", "tcp"), otherwise(nil))
	p.state("tcp", l{extract("tcp")}, l{}, otherwise(nil))
	p.root["counter_arrays"] = l{m{"name": "verdicts", "id": 0, "size": 8, "is_direct": false}}
	input := l{}
	for _, f := range []string{"version", "ihl", "tos", "len", "id", "flags", "frag", "ttl", "proto", "src", "dst"} {
		input = append(input, field("ipv4", f))
	}
	p.root["calculations"] = l{m{"name": "calc", "id": 0, "algo": "csum16", "input": input}}
	cond := op("d2b", nil, fld("ipv4", "$valid$"))
	p.root["checksums"] = l{
		m{"name": "c0", "id": 0, "target": l{"ipv4", "sum"}, "type": "generic", "calculation": "calc", "verify": true, "update": false, "if_cond": cond},
		m{"name": "c1", "id": 1, "target": l{"ipv4", "sum"}, "type": "generic", "calculation": "calc", "verify": false, "update": true, "if_cond": cond},
	}
	none := p.action("NoAction", nil)
	setLine := p.action("set_line", []string{"line:16"}, set(fld("scalars", "line"), param(0)))
	setClass := p.action("set_class", []string{"class:8"}, set(fld("scalars", "class"), param(0)))
	setSide := p.action("set_side", []string{"side:1"}, set(fld("scalars", "side"), param(0)))
	forward := p.action("forward", []string{"port:9"}, set(std("egress_spec"), param(0)))
	drop := p.action("drop", nil, prim("mark_to_drop", hdr("standard_metadata")))
	permit := p.action("permit", []string{"c:8"}, prim("count", m{"type": "counter_array", "value": "verdicts"}, param(0)))
	p.table(0, "port_side", "exact", l{key("exact", "standard_metadata", "ingress_port")}, "line", none, setSide, none)
	p.table(0, "line", "exact", l{key("exact", "vlan", "vid"), key("exact", "standard_metadata", "ingress_port")}, "line_by_address", none, setLine, none)
	t := p.table(0, "line_by_address", "lpm", l{key("lpm", "ipv4", "src")}, "remote", none, setLine, none)
	t["max_size"] = 200000
	t = p.table(0, "remote", "lpm", l{key("lpm", "ipv4", "dst")}, "exempt", none, setClass, none)
	t["max_size"] = 200000
	p.table(0, "exempt", "ternary", l{key("ternary", "ipv4", "src"), key("ternary", "ipv4", "dst")}, "is_tcp", none, setClass, none)
	p.conds[0] = l{m{
		"name": "is_tcp", "id": 0, "true_next": "verdict", "false_next": "out",
		"expression": op("and", op("d2b", nil, fld("tcp", "$valid$")), op("==", fld("tcp", "dport"), hx("0x0019"))),
	}}
	v := p.table(0, "verdict", "ternary", l{
		key("ternary", "scalars", "side"), key("ternary", "scalars", "line"), key("ternary", "scalars", "class"), key("ternary", "tcp", "dport"),
	}, "out", none, permit, drop, none)
	v["with_counters"] = true
	p.table(0, "out", "exact", l{key("exact", "standard_metadata", "ingress_port")}, "ttl", drop, forward, drop)
	p.does(0, "ttl", nil, set(fld("ipv4", "ttl"), wrapped(op("&", op("-", fld("ipv4", "ttl"), hx("0x01")), hx("0xff")))))
	p.does(1, "egress_tag", nil, set(fld("vlan", "pcp"), hx("0x3")))
	return p
}

func be(v uint64, n int) []byte {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], v)
	return b[8-n:]
}

// fillFilter puts the given number of prefixes into each LPM table and a few entries into the other tables.
func fillFilter(t testing.TB, e *Engine, prefixes int) {
	t.Helper()
	insert := func(table string, prio int32, call string, arg []byte, ms ...Match) {
		tb, _ := e.Table(table)
		c := ActionCall{Name: call}
		if arg != nil {
			c.Args = [][]byte{arg}
		}
		if err := tb.Insert(Entry{Matches: ms, Priority: prio, Action: c}); err != nil {
			t.Fatal(err)
		}
	}
	ex := func(v uint64, n int) Match { return Match{Value: be(v, n)} }
	insert("port_side", 0, "set_side", be(1, 1), ex(1, 2))
	for i := range 1000 {
		insert("line", 0, "set_line", be(uint64(i), 2), ex(uint64(i), 2), ex(1, 2))
	}
	for i := range prefixes {
		insert("line_by_address", 0, "set_line", be(uint64(i)&0xffff, 2), Match{Value: be(10<<24|uint64(i)<<6, 4), PrefixLen: 26})
		insert("remote", 0, "set_class", be(uint64(i)&0xff, 1), Match{Value: be(uint64(i)*0x9e3779b1&0xffffff00, 4), PrefixLen: 24})
	}
	for i := range 64 {
		insert("exempt", int32(i+1), "set_class", be(9, 1), Match{Value: be(10<<24|uint64(i)<<6, 4), Mask: be(0xffffffff, 4)}, Match{Wildcard: true})
	}
	any := Match{Wildcard: true}
	insert("verdict", 10, "permit", be(1, 1), any, any, Match{Value: be(9, 1), Mask: be(0xff, 1)}, any)
	insert("verdict", 5, "permit", be(2, 1), Match{Value: be(1, 1), Mask: be(1, 1)}, any, any, Match{Value: be(25, 2), Mask: be(0xffff, 2)})
	insert("out", 0, "forward", be(2, 2), ex(1, 2))
}

func filterFrames(n int) [][]byte {
	var out [][]byte
	for i := range n {
		f := make([]byte, 0, 64)
		f = append(f, "\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02\x81\x00"...)
		f = append(f, be(uint64(i%1000), 2)...)
		f = append(f, 8, 0)
		ip := append([]byte{0x45, 0, 0, 46, 0, 1, 0x40, 0, 64, 6, 0, 0}, be(10<<24|uint64(i*977)%100000<<6|1, 4)...)
		ip = append(ip, be(uint64(i)*31*0x9e3779b1&0xffffff00|7, 4)...)
		var s uint32
		for k := 0; k < 20; k += 2 {
			s += uint32(binary.BigEndian.Uint16(ip[k:]))
		}
		s = s>>16 + s&0xffff
		s = s>>16 + s&0xffff
		binary.BigEndian.PutUint16(ip[10:], ^uint16(s))
		f = append(f, ip...)
		f = append(f, 0x80, 0, 0, 25, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 0xff, 0xff, 0, 0, 0, 0)
		f = append(f, "payload"...)
		out = append(out, f)
	}
	return out
}

// BenchmarkFilter measures one worker on one core. Each of the two LPM tables has 100,000 prefixes.
func BenchmarkFilter(b *testing.B) {
	e := filterProgram().load(b, Options{})
	fillFilter(b, e, 100000)
	w := e.NewWorker()
	frames := filterFrames(4096)
	out := 0
	emit := func(uint32, []byte) { out++ }
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		w.Process(1, frames[i&4095], emit)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "packets/s")
	if out != b.N {
		b.Fatalf("%d of %d frames left", out, b.N)
	}
}

// TestNoAllocations verifies that a packet that passes the parser, eight tables, the checksums and the deparser causes no allocation.
func TestNoAllocations(t *testing.T) {
	e := filterProgram().load(t, Options{})
	fillFilter(t, e, 1000)
	w := e.NewWorker()
	frames := filterFrames(64)
	i, out := 0, 0
	emit := func(uint32, []byte) { out++ }
	run := func() {
		w.Process(1, frames[i&63], emit)
		i++
	}
	if n := testing.AllocsPerRun(2000, run); n != 0 {
		t.Errorf("%v allocations a packet, want 0", n)
	}
	if out != i {
		t.Errorf("%d of %d frames left", out, i)
	}
	if s := e.Stats(); s.ChecksumErrors != 0 || s.ParserErrors != 0 {
		t.Errorf("%+v, want no errors", s)
	}
}
