package engine

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// traced processes a frame. It returns the frames sent and the text of the trace, without the steps that p4c has
// inserted.
func traced(w *Worker, port uint32, frame string) (out []sent, text []string) {
	events := w.Trace(port, []byte(frame), func(p uint32, f []byte) { out = append(out, sent{p, string(f)}) })
	for _, e := range events {
		if !e.Hidden {
			text = append(text, e.String())
		}
	}
	return out, text
}

func wantTrace(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("trace:\n\t%s\nwant:\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

func TestTraceOfAFrame(t *testing.T) {
	e := filterProgram().load(t, Options{})
	fillFilter(t, e, 4)
	frame := string(filterFrames(2)[1])
	out, got := traced(e.NewWorker(), 1, frame)
	if len(out) != 1 || out[0].port != 2 {
		t.Fatalf("out %v, want one frame at port 2", out)
	}
	wantTrace(
		t, got,
		"received at port 1, 65 bytes",
		"state start",
		"select eth.type=33024",
		"state vlan",
		"select vlan.type=2048",
		"state ipv4",
		"select ipv4.frag=0 ipv4.proto=6",
		"state tcp",
		"parsed 58 bytes: NoError",
		"ingress",
		"table port_side standard_metadata.ingress_port=1: hit standard_metadata.ingress_port=1 => set_side side=1",
		"table line vlan.vid=1 standard_metadata.ingress_port=1: hit vlan.vid=1 standard_metadata.ingress_port=1 => set_line line=1",
		"table line_by_address ipv4.src=10.0.244.65: miss => NoAction",
		"table remote ipv4.dst=40.183.188.7: miss => NoAction",
		"table exempt ipv4.src=10.0.244.65 ipv4.dst=40.183.188.7: miss => NoAction",
		"condition is_tcp holds",
		"table verdict scalars.side=1 scalars.line=1 scalars.class=0 tcp.dport=25: "+
			"hit scalars.side=1 scalars.line=* scalars.class=* tcp.dport=25 priority 5 => permit c=2",
		"counter verdict counts 65 bytes",
		"counter verdicts[2] counts 65 bytes",
		"table out standard_metadata.ingress_port=1: hit standard_metadata.ingress_port=1 => forward port=2",
		"table ttl => act_ttl",
		"egress of port 2",
		"table egress_tag => act_egress_tag",
		"deparse eth vlan ipv4 tcp",
		"sent from port 2, 65 bytes",
	)
}

func TestTraceIsJSON(t *testing.T) {
	e := filterProgram().load(t, Options{})
	fillFilter(t, e, 4)
	events := e.NewWorker().Trace(1, filterFrames(2)[1], func(uint32, []byte) {})
	i := slices.IndexFunc(events, func(e Event) bool { return e.Name == "verdict" })
	got, err := json.Marshal(events[i])
	want := `{"kind":"table","name":"verdict","fields":[{"name":"scalars.side","width":1,"value":"0x01"},{"name":"scalars.line","width":16,"value":"0x0001"},` +
		`{"name":"scalars.class","width":8,"value":"0x00"},{"name":"tcp.dport","width":16,"value":"0x0019"}],"hit":true,"entry":[` +
		`{"name":"scalars.side","kind":"ternary","width":1,"value":"0x01","mask":"0x01"},{"name":"scalars.line","kind":"ternary","width":16,"any":true},` +
		`{"name":"scalars.class","kind":"ternary","width":8,"any":true},{"name":"tcp.dport","kind":"ternary","width":16,"value":"0x0019","mask":"0xffff"}],` +
		`"priority":5,"action":"permit","args":[{"name":"c","width":8,"value":"0x02"}]}`
	if err != nil || string(got) != want {
		t.Errorf("%v\n%s\nwant\n%s", err, got, want)
	}
}

// TestTraceOfEverything verifies that the trace also contains the steps that occur rarely.
func TestTraceOfEverything(t *testing.T) {
	drop := prim("mark_to_drop", hdr("standard_metadata"))
	out := func(prims ...any) l { return append(l{set(std("egress_spec"), hx("0x7"))}, prims...) }
	reg := m{"type": "register_array", "value": "r"}
	tests := []struct {
		name    string
		in, out l
		change  func(p *testProgram)
		prepare func(e *Engine)
		want    []string // the lines after "table in => act_in"
	}{
		{"drop in ingress", l{drop}, nil, nil, nil, []string{"dropped at the end of ingress"}},
		{"drop in egress", out(), l{drop}, nil, nil, []string{"egress of port 7", "table out => act_out", "dropped at the end of egress"}},
		{
			"registers", out(prim("register_write", reg, hx("0x2"), hx("0x1234")), prim("register_read", fld("h", "a"), reg, hx("0x2"))), nil,
			func(p *testProgram) {
				p.root["register_arrays"] = l{m{"name": "r", "id": 0, "size": 4, "bitwidth": 32}}
			}, nil,
			[]string{"register r[2] is now 4660", "register r[2] holds 4660", "egress of port 7", "deparse h", "sent from port 7, 3 bytes"},
		},
		{
			"meter and counter", out(
				prim("execute_meter", m{"type": "meter_array", "value": "m"}, hx("0x1"), fld("h", "a")),
				prim("count", m{"type": "counter_array", "value": "c"}, hx("0x3"))), nil,
			func(p *testProgram) {
				p.root["meter_arrays"] = l{m{"name": "m", "id": 0, "size": 4, "is_direct": false, "type": "bytes", "rate_count": 2}}
				p.root["counter_arrays"] = l{m{"name": "c", "id": 0, "size": 4, "is_direct": false}}
			}, nil,
			[]string{"meter m[1] says green", "counter c[3] counts 3 bytes", "egress of port 7", "deparse h", "sent from port 7, 3 bytes"},
		},
		{
			"digest",
			l{drop, prim("generate_digest", hx("0x1"), hx("0x3"))},
			nil,
			func(p *testProgram) {
				p.root["learn_lists"] = l{m{"id": 3, "name": "seen", "elements": l{fld("h", "a"), std("ingress_port")}}}
			}, nil,
			[]string{"digest seen a=120 ingress_port=1", "dropped at the end of ingress"},
		},
		{
			"multicast",
			l{set(std("mcast_grp"), hx("0x5"))},
			nil, nil,
			func(e *Engine) { _ = e.SetMulticastGroup(5, []Replica{{2, 1}, {3, 1}}) },
			[]string{"multicast to group 5", "egress of port 2", "deparse h", "sent from port 2, 3 bytes", "egress of port 3", "deparse h", "sent from port 3, 3 bytes"},
		},
		{
			"clone",
			l{drop, prim("clone_ingress_pkt_to_egress", hx("0x64"), hx("0x0"))},
			nil, nil,
			func(e *Engine) { _ = e.SetCloneSession(100, CloneSession{Replicas: []Replica{{Port: 2}}}) },
			[]string{
				"clone to session 100", "state start", "parsed 1 bytes: NoError", "dropped at the end of ingress",
				"egress of port 2", "deparse h", "sent from port 2, 3 bytes",
			},
		},
		{
			"resubmit",
			l{prim("resubmit", hx("0x1")), prim("_jump_if_zero", std("instance_type"), hx("0x4")), drop, prim("resubmit", hx("0x0"))},
			nil,
			func(p *testProgram) { p.root["field_lists"] = l{m{"id": 1, "name": "none", "elements": l{}}} }, nil,
			[]string{
				"resubmit", "received at port 1, 3 bytes", "state start", "parsed 1 bytes: NoError", "ingress", "table in => act_in",
				"dropped at the end of ingress",
			},
		},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			p := forwarding(tc.in, tc.out)
			if tc.change != nil {
				tc.change(p)
			}
			e := p.load(t, Options{})
			if tc.prepare != nil {
				tc.prepare(e)
			}
			_, got := traced(e.NewWorker(), 1, "xyz")
			wantTrace(t, got, append([]string{"received at port 1, 3 bytes", "state start", "parsed 1 bytes: NoError", "ingress", "table in => act_in"}, tc.want...)...)
		})
	}
	t.Run("a parser that fails", func(t *testing.T) {
		p := forwarding(l{drop}, nil)
		p.header("g", "a:32")
		p.states[0].(m)["parser_ops"] = l{extract("h"), extract("g")}
		_, got := traced(p.load(t, Options{}).NewWorker(), 1, "xyz")
		wantTrace(t, got[:3], "received at port 1, 3 bytes", "state start", "parsed 1 bytes: PacketTooShort")
	})
}

// TestTraceNamesTheSource verifies that a condition has its file, line and source text, and that tables that p4c
// created are marked as hidden.
func TestTraceNamesTheSource(t *testing.T) {
	var found, hidden bool
	for _, e := range op25b(t).NewWorker().Trace(1, mailFrames()[0], func(uint32, []byte) {}) {
		found = found || e.Kind == EventCondition && e.Text == "hdr.pppoe.isValid()" && strings.HasPrefix(e.Source, "op25b.p4:") && !e.Holds
		hidden = hidden || e.Kind == EventTable && e.Hidden
	}
	if !found || !hidden {
		t.Errorf("the condition on PPPoE was found: %v, a hidden table: %v; want both", found, hidden)
	}
}

// counted formats the part of an engine's state that packets change.
func counted(e *Engine) string {
	var b strings.Builder
	for _, c := range e.counters {
		for i, v := range c.cells {
			if v != (CounterValue{}) {
				fmt.Fprintln(&b, c.name, i, v)
			}
		}
	}
	for _, r := range e.registers {
		for i, v := range r.cells {
			if v != 0 {
				fmt.Fprintln(&b, r.name, i, v)
			}
		}
	}
	for _, t := range e.tables {
		t.RangeState(func(en Entry, s EntryState) bool {
			fmt.Fprintln(&b, t.name, describe(en.Matches, en.Priority), s)
			return true
		})
	}
	fmt.Fprintf(&b, "%+v", e.Stats())
	return b.String()
}

// TestTraceChangesNothing verifies that a traced packet has the same results and effects as an untraced packet.
func TestTraceChangesNothing(t *testing.T) {
	now := time.Unix(0, 0)
	clock := Options{Clock: func() time.Time { return now }}
	pair := func(load func() *Engine) [2]*Engine { return [2]*Engine{load(), load()} }
	var seeds [][]byte
	seeds = append(append(seeds, mailFrames()...), filterFrames(3)...)
	seeds = append(seeds, []byte("\x02\x04\x06\x09"))
	programs := [][2]*Engine{
		pair(func() *Engine {
			e := filterProgram().load(t, clock)
			fillFilter(t, e, 10)
			return e
		}),
		pair(func() *Engine { return stackProgram(prim("push", stk("s"), fld("r", "n"))).load(t, clock) }),
		pair(func() *Engine { return op25b(t) }),
	}
	rapid.Check(t, func(t *rapid.T) {
		frame := slices.Clone(rapid.SampledFrom(seeds).Draw(t, "frame"))
		for range rapid.IntRange(0, 3).Draw(t, "changes") {
			frame[rapid.IntRange(0, len(frame)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
		}
		frame = frame[:rapid.IntRange(1, len(frame)).Draw(t, "length")]
		port := rapid.Uint32Range(0, 3).Draw(t, "port")
		for i, pair := range programs {
			plain, other := pair[0].NewWorker(), pair[1].NewWorker()
			want := process(plain, port, string(frame))
			got, _ := traced(other, port, string(frame))
			plain.Close()
			other.Close()
			if !slices.Equal(got, want) {
				t.Fatalf("program %d: traced %x, untraced %x", i, got, want)
			}
		}
	})
	for i, pair := range programs[:2] { // the last program depends on a running clock
		if got, want := counted(pair[1]), counted(pair[0]); got != want {
			t.Errorf("program %d: traced packets left\n%s\nuntraced\n%s", i, got, want)
		}
	}
}
