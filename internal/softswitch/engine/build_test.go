package engine

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// Tests build their programs from these types, which are marshalled to the JSON that p4c writes.
type (
	m = map[string]any
	l = []any
)

// A testProgram is a v1model program under construction.
type testProgram struct {
	root    m
	states  l
	tables  [2]l
	conds   [2]l
	profs   l
	actions l
	init    [2]any
	headers l
	types   l
	emits   l
	ids     int
}

func newTestProgram() *testProgram {
	p := &testProgram{}
	p.types = l{m{"name": "scalars_t", "id": 0, "fields": l{}}, m{"name": "standard_metadata", "id": 1, "fields": l{
		l{"ingress_port", 9, false},
		l{"egress_spec", 9, false},
		l{"egress_port", 9, false},
		l{"instance_type", 32, false},
		l{"packet_length", 32, false},
		l{"enq_timestamp", 32, false},
		l{"enq_qdepth", 19, false},
		l{"deq_timedelta", 32, false},
		l{"deq_qdepth", 19, false},
		l{"ingress_global_timestamp", 48, false},
		l{"egress_global_timestamp", 48, false},
		l{"mcast_grp", 16, false},
		l{"egress_rid", 16, false},
		l{"checksum_error", 1, false},
		l{"parser_error", 32, false},
		l{"priority", 3, false},
		l{"_padding", 3, false},
	}}}
	p.headers = l{
		m{"name": "scalars", "id": 0, "header_type": "scalars_t", "metadata": true},
		m{"name": "standard_metadata", "id": 1, "header_type": "standard_metadata", "metadata": true},
	}
	p.ids = 1
	p.root = m{
		"__meta__": m{"version": l{2, 23}},
		"errors": l{
			l{"NoError", 0},
			l{"PacketTooShort", 1},
			l{"NoMatch", 2},
			l{"StackOutOfBounds", 3},
			l{"HeaderTooShort", 4},
			l{"ParserTimeout", 5},
			l{"ParserInvalidArgument", 6},
			l{"Custom", 7},
		},
		"field_aliases": l{
			l{"queueing_metadata.enq_timestamp", l{"standard_metadata", "enq_timestamp"}},
			l{"queueing_metadata.enq_qdepth", l{"standard_metadata", "enq_qdepth"}},
			l{"queueing_metadata.deq_timedelta", l{"standard_metadata", "deq_timedelta"}},
			l{"queueing_metadata.deq_qdepth", l{"standard_metadata", "deq_qdepth"}},
			l{"intrinsic_metadata.ingress_global_timestamp", l{"standard_metadata", "ingress_global_timestamp"}},
			l{"intrinsic_metadata.egress_global_timestamp", l{"standard_metadata", "egress_global_timestamp"}},
			l{"intrinsic_metadata.mcast_grp", l{"standard_metadata", "mcast_grp"}},
			l{"intrinsic_metadata.egress_rid", l{"standard_metadata", "egress_rid"}},
			l{"intrinsic_metadata.priority", l{"standard_metadata", "priority"}},
		},
	}
	return p
}

func (p *testProgram) id() int {
	p.ids++
	return p.ids
}

// scalar adds a field of user metadata.
func (p *testProgram) scalar(name string, width int) {
	t := p.types[0].(m)
	t["fields"] = append(t["fields"].(l), l{name, width, false})
}

// header adds a header type "name_t" and an instance that the deparser emits. A field is "name:width", "name:int<width>",
// "name:sat<width>" or "name:*max", where max is the largest size of the header in bytes.
func (p *testProgram) header(name string, fields ...string) {
	p.headerType(name+"_t", fields...)
	p.instance(name, name+"_t")
}

func (p *testProgram) headerType(name string, fields ...string) {
	t := m{"name": name, "id": p.id()}
	var fs l
	for _, f := range fields {
		n, w, _ := strings.Cut(f, ":")
		var width int
		switch {
		case strings.HasPrefix(w, "*"):
			fmt.Sscanf(w, "*%d", &width)
			t["max_length"] = width
			fs = append(fs, l{n, "*"})
		case strings.HasPrefix(w, "int<"):
			fmt.Sscanf(w, "int<%d>", &width)
			fs = append(fs, l{n, width, true})
		case strings.HasPrefix(w, "sat<"):
			fmt.Sscanf(w, "sat<%d>", &width)
			fs = append(fs, l{n, width, false, true})
		default:
			fmt.Sscanf(w, "%d", &width)
			fs = append(fs, l{n, width, false})
		}
	}
	t["fields"] = fs
	p.types = append(p.types, t)
}

func (p *testProgram) instance(name, typ string) int {
	id := p.id()
	p.headers = append(p.headers, m{"name": name, "id": id, "header_type": typ, "metadata": false})
	p.emits = append(p.emits, name)
	return id
}

// stack adds a stack of headers "name[i]" of an existing type.
func (p *testProgram) stack(name, typ string, size int) {
	var ids l
	for i := range size {
		ids = append(ids, p.instance(fmt.Sprintf("%s[%d]", name, i), typ))
	}
	p.add("header_stacks", m{"name": name, "id": p.id(), "header_type": typ, "size": size, "header_ids": ids})
}

func (p *testProgram) add(list string, v any) {
	old, _ := p.root[list].(l)
	p.root[list] = append(old, v)
}

// state adds a parser state. The first state added is the start state.
func (p *testProgram) state(name string, ops l, key l, transitions ...any) {
	p.states = append(p.states, m{
		"name": name, "id": p.id(), "parser_ops": ops, "transition_key": key, "transitions": append(l{}, transitions...),
	})
}

// action adds an action and returns its id. Each of its parameters is given as "name:width".
func (p *testProgram) action(name string, params []string, prims ...any) int {
	var rd l
	for _, s := range params {
		n, w, _ := strings.Cut(s, ":")
		var width int
		fmt.Sscanf(w, "%d", &width)
		rd = append(rd, m{"name": n, "bitwidth": width})
	}
	id := len(p.actions)
	p.actions = append(p.actions, m{"name": name, "id": id, "runtime_data": rd, "primitives": append(l{}, prims...)})
	return id
}

// table adds a table to ingress (0) or egress (1). Every action is followed by the node next.
func (p *testProgram) table(pipe int, name, kind string, key l, next any, dflt int, actions ...int) m {
	nt := m{}
	var names, ids l
	for _, a := range actions {
		n := p.actions[a].(m)["name"].(string)
		nt[n] = next
		names, ids = append(names, n), append(ids, a)
	}
	t := m{
		"name": name, "id": p.id(), "match_type": kind, "type": "simple", "max_size": 1024, "with_counters": false,
		"support_timeout": false, "key": key, "action_ids": ids, "actions": names, "next_tables": nt,
		"base_default_next": next, "direct_meters": nil,
	}
	if dflt >= 0 {
		t["default_entry"] = m{"action_id": dflt, "action_const": false, "action_data": l{}, "action_entry_const": false}
	}
	p.tables[pipe] = append(p.tables[pipe], t)
	if p.init[pipe] == nil {
		p.init[pipe] = name
	}
	return t
}

// does adds a table without a key that always runs one action with the given primitives.
func (p *testProgram) does(pipe int, name string, next any, prims ...any) {
	a := p.action("act_"+name, nil, prims...)
	p.table(pipe, name, "exact", l{}, next, a, a)
}

func (p *testProgram) json(t testing.TB) []byte {
	t.Helper()
	r := p.root
	r["header_types"], r["headers"], r["actions"] = p.types, p.headers, p.actions
	if len(p.states) > 0 {
		first := p.states[0].(m)["name"]
		r["parsers"] = l{m{"name": "parser", "id": 0, "init_state": first, "parse_states": p.states}}
	}
	r["deparsers"] = l{m{"name": "deparser", "id": 0, "order": p.emits}}
	r["pipelines"] = l{
		m{"name": "ingress", "id": 0, "init_table": p.init[0], "tables": p.tables[0], "conditionals": p.conds[0], "action_profiles": p.profs},
		m{"name": "egress", "id": 1, "init_table": p.init[1], "tables": p.tables[1], "conditionals": p.conds[1]},
	}
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// load loads the program with a clock that does not advance.
func (p *testProgram) load(t testing.TB, o Options) *Engine {
	t.Helper()
	if o.Clock == nil {
		o.Clock = func() time.Time { return time.Unix(0, 0) }
	}
	e, err := Load(p.json(t), o)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// The functions below return operands and expressions in p4c's JSON.

func fld(h, f string) m { return m{"type": "field", "value": l{h, f}} }

func hx(format string, a ...any) m { return m{"type": "hexstr", "value": fmt.Sprintf(format, a...)} }
func hdr(n string) m               { return m{"type": "header", "value": n} }
func stk(n string) m               { return m{"type": "header_stack", "value": n} }
func param(i int) m                { return m{"type": "runtime_data", "value": i} }
func std(f string) m               { return fld("standard_metadata", f) }

// op returns an expression. A unary expression has a nil left side.
func op(name string, left, right any) m {
	return m{"type": "expression", "value": m{"op": name, "left": left, "right": right}}
}

// wrapped returns an expression in the form of a primitive's parameter.
func wrapped(e m) m { return m{"type": "expression", "value": e} }

func prim(name string, params ...any) m { return m{"op": name, "parameters": append(l{}, params...)} }
func set(dst, src any) m                { return prim("assign", dst, src) }

func extract(name string) m {
	return m{"op": "extract", "parameters": l{m{"type": "regular", "value": name}}}
}

func key(kind, h, f string) m {
	return m{"match_type": kind, "name": h + "." + f, "target": l{h, f}, "mask": nil}
}

func on(value string, next any) m {
	return m{"type": "hexstr", "value": value, "mask": nil, "next_state": next}
}

func otherwise(next any) m {
	return m{"type": "default", "value": nil, "mask": nil, "next_state": next}
}

// A sent is a frame that the program sent, with its port.
type sent struct {
	port  uint32
	frame string // the frame's bytes
}

func process(w *Worker, port uint32, frame string) []sent {
	var out []sent
	w.Process(port, []byte(frame), func(p uint32, f []byte) { out = append(out, sent{p, string(f)}) })
	return out
}

// one processes a frame that must result in exactly one output frame.
func one(t testing.TB, w *Worker, port uint32, frame string) sent {
	t.Helper()
	out := process(w, port, frame)
	if len(out) != 1 {
		t.Fatalf("%d frames left, want 1: %x", len(out), out)
	}
	return out[0]
}
