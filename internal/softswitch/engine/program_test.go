package engine

import (
	"cmp"
	"slices"
	"testing"
	"time"
)

// forwarding returns a program with a one-byte header h. Its ingress runs the primitives in, and its
// egress runs the primitives out.
func forwarding(in, out l) *testProgram {
	p := newTestProgram()
	p.header("h", "a:8")
	p.scalar("keep", 8)
	p.scalar("lose", 8)
	p.state("start", l{extract("h")}, l{}, otherwise(nil))
	p.does(0, "in", nil, in...)
	if out != nil {
		p.does(1, "out", nil, out...)
	}
	return p
}

func byPort(a, b sent) int { return cmp.Compare(a.port, b.port) }

// ifInstance returns primitives that run prims only for packets of the given instance type.
func ifInstance(kind int, prims ...any) l {
	return append(l{prim("_jump_if_zero", wrapped(op("b2d", nil, op("==", std("instance_type"), hx("0x%x", kind)))), hx("0x%x", len(prims)+1))}, prims...)
}

func TestUnicastAndDrop(t *testing.T) {
	w := forwarding(l{set(std("egress_spec"), hx("0x7"))}, l{set(fld("h", "a"), std("egress_port"))}).load(t, Options{}).NewWorker()
	if got := one(t, w, 3, "xyz"); got != (sent{7, "\x07yz"}) {
		t.Errorf("got %v", got)
	}
	drop := prim("mark_to_drop", hdr("standard_metadata"))
	for name, p := range map[string]*testProgram{
		"ingress":                 forwarding(l{set(std("egress_spec"), hx("0x7")), drop}, nil),
		"egress":                  forwarding(l{set(std("egress_spec"), hx("0x7"))}, l{drop}),
		"no multicast after drop": forwarding(l{set(std("mcast_grp"), hx("0x1")), drop}, nil),
	} {
		e := p.load(t, Options{})
		if err := e.SetMulticastGroup(1, []Replica{{1, 1}}); err != nil {
			t.Fatal(err)
		}
		if got := process(e.NewWorker(), 3, "xyz"); got != nil {
			t.Errorf("%s: %v left", name, got)
		}
		if s := e.Stats(); s.In != 1 || s.Out != 0 || s.IngressDrops+s.EgressDrops != 1 {
			t.Errorf("%s: %+v, want 1 in, 1 dropped", name, s)
		}
	}
}

func TestEgressSpecInEgressIsNotTheDropPort(t *testing.T) {
	w := forwarding(l{set(std("egress_spec"), hx("0x7"))}, l{set(fld("h", "a"), std("egress_spec"))}).load(t, Options{}).NewWorker()
	if got := one(t, w, 3, "xyz"); got.frame != "\x00yz" {
		t.Errorf("got %x, want egress_spec 512 cut to 9 bits", got.frame)
	}
}

func TestMulticast(t *testing.T) {
	p := forwarding(l{set(std("mcast_grp"), hx("0x5")), set(std("egress_spec"), hx("0x9"))},
		l{set(fld("h", "a"), wrapped(op("|", std("egress_rid"), op("<<", std("instance_type"), hx("0x4")))))})
	e := p.load(t, Options{})
	w := e.NewWorker()
	if got := process(w, 1, "xyz"); got != nil || e.Stats().NoReplica != 1 {
		t.Errorf("an unknown group sent %v, stats %+v", got, e.Stats())
	}
	if err := e.SetMulticastGroup(5, []Replica{{2, 1}, {3, 2}, {2, 3}}); err != nil {
		t.Fatal(err)
	}
	got := process(w, 1, "xyz")
	slices.SortStableFunc(got, byPort)
	if want := []sent{{2, "\x51yz"}, {2, "\x53yz"}, {3, "\x52yz"}}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if r, ok := e.MulticastGroup(5); !ok || len(r) != 3 {
		t.Errorf("group 5 is %v", r)
	}
	if err := e.DeleteMulticastGroup(5); err != nil {
		t.Error(err)
	}
	if err := e.DeleteMulticastGroup(5); err == nil {
		t.Error("deleted twice")
	}
	if err := e.SetMulticastGroup(0, nil); err == nil {
		t.Error("group 0 was taken")
	}
}

func TestIngressClone(t *testing.T) {
	p := forwarding(l{
		set(fld("h", "a"), hx("0x99")), set(fld("scalars", "keep"), hx("0x41")), set(fld("scalars", "lose"), hx("0x42")),
		set(std("egress_spec"), hx("0x7")), prim("clone_ingress_pkt_to_egress", hx("0x64"), hx("0x1")),
	}, ifInstance(1, set(fld("h", "a"), wrapped(op("+", fld("scalars", "keep"), fld("scalars", "lose")))), set(std("egress_rid"), hx("0x0"))))
	p.root["field_lists"] = l{m{"id": 1, "name": "fl", "elements": l{fld("scalars", "keep")}}}
	e := p.load(t, Options{})
	w := e.NewWorker()
	if got := one(t, w, 1, "xyz"); got != (sent{7, "\x99yz"}) {
		t.Errorf("without a session: %v", got)
	}
	if err := e.SetCloneSession(100, CloneSession{Replicas: []Replica{{Port: 2}, {Port: 3}}, TruncateBytes: 2}); err != nil {
		t.Fatal(err)
	}
	got := process(w, 1, "xyz")
	slices.SortStableFunc(got, byPort)
	// The clone is the received packet, truncated to 2 bytes. Of the metadata, it keeps only the
	// field in the list.
	if want := []sent{{2, "Ay"}, {3, "Ay"}, {7, "\x99yz"}}; !slices.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
}

func TestEgressClone(t *testing.T) {
	p := forwarding(l{set(std("egress_spec"), hx("0x7")), set(fld("scalars", "keep"), hx("0x41")), set(fld("scalars", "lose"), hx("0x42"))},
		append(ifInstance(0, set(fld("h", "a"), hx("0x50")), prim("clone_egress_pkt_to_egress", hx("0x1"), hx("0x1")), prim("_jump", hx("0x5"))),
			set(fld("h", "a"), wrapped(op("&", op("+", fld("h", "a"), op("-", fld("scalars", "keep"), fld("scalars", "lose"))), hx("0xff"))))))
	p.root["field_lists"] = l{m{"id": 1, "name": "fl", "elements": l{fld("scalars", "lose")}}}
	e := p.load(t, Options{})
	if err := e.SetCloneSession(1, CloneSession{Replicas: []Replica{{Port: 2}}}); err != nil {
		t.Fatal(err)
	}
	got := process(e.NewWorker(), 1, "xyz")
	slices.SortStableFunc(got, byPort)
	// The clone is the packet as egress left it, with a = 0x50. Of the metadata, it keeps only lose
	// = 0x42, so a becomes 0x50 - 0x42.
	if want := []sent{{2, "\x0eyz"}, {7, "\x50yz"}}; !slices.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
}

func TestResubmitAndRecirculate(t *testing.T) {
	for _, c := range []struct {
		name    string
		in, out l
		want    string
	}{
		{
			"resubmit", append(ifInstance(0, set(fld("h", "a"), hx("0x1")), set(fld("scalars", "keep"), hx("0x41")), prim("resubmit", hx("0x1")), prim("_jump", hx("0x7"))),
				set(fld("h", "a"), wrapped(op("&", op("+", fld("h", "a"), fld("scalars", "keep")), hx("0xff")))), set(std("egress_spec"), hx("0x7"))), nil,
			"\x43yz",
		}, // the first byte as received, 2, plus 0x41
		{
			"recirculate",
			l{set(fld("h", "a"), wrapped(op("&", op("+", fld("h", "a"), fld("scalars", "keep")), hx("0xff")))), set(std("egress_spec"), hx("0x7"))},
			ifInstance(0, prim("_jump_if_zero", wrapped(op("b2d", nil, op("==", fld("scalars", "keep"), hx("0x0")))), hx("0x4")), set(fld("scalars", "keep"), hx("0x41")),
				prim("recirculate", hx("0x1"))), "\x43yz",
		},
	} {
		p := forwarding(c.in, c.out)
		p.root["field_lists"] = l{m{"id": 1, "name": "fl", "elements": l{fld("scalars", "keep")}}}
		if got := process(p.load(t, Options{}).NewWorker(), 1, "\x02yz"); len(got) != 1 || got[0].frame != c.want {
			t.Errorf("%s: got %x, want one frame %x", c.name, got, c.want)
		}
	}
}

func TestEndlessRecirculationIsCutOff(t *testing.T) {
	p := forwarding(l{set(std("egress_spec"), hx("0x7"))}, l{prim("recirculate", hx("0x1"))})
	p.root["field_lists"] = l{m{"id": 1, "name": "fl", "elements": l{}}}
	e := p.load(t, Options{})
	if got := process(e.NewWorker(), 1, "xyz"); got != nil || e.Stats().Looped != 1 {
		t.Errorf("got %v, stats %+v", got, e.Stats())
	}
}

func TestTruncateExitAndLength(t *testing.T) {
	for _, c := range []struct {
		name    string
		in, out l
		want    string
	}{
		{"truncate", l{set(std("egress_spec"), hx("0x1")), prim("truncate", hx("0x2"))}, nil, "xy"},
		{"truncate to more", l{set(std("egress_spec"), hx("0x1")), prim("truncate", hx("0x20"))}, nil, "xyz"},
		{"packet_length in ingress", l{set(std("egress_spec"), hx("0x1")), set(fld("h", "a"), std("packet_length"))}, nil, "\x03yz"},
		{
			"packet_length in egress",
			l{set(std("egress_spec"), hx("0x1")), prim("remove_header", hdr("h"))},
			l{prim("add_header", hdr("h")), set(fld("h", "a"), std("packet_length"))},
			"\x02yz",
		},
		{"port", l{set(std("egress_spec"), hx("0x1")), set(fld("h", "a"), std("ingress_port"))}, nil, "\x09yz"},
	} {
		if got := one(t, forwarding(c.in, c.out).load(t, Options{}).NewWorker(), 9, "xyz"); got.frame != c.want {
			t.Errorf("%s: got %x, want %x", c.name, got.frame, c.want)
		}
	}
	p := newTestProgram()
	p.header("h", "a:8")
	p.state("start", l{extract("h")}, l{}, otherwise(nil))
	p.does(0, "first", "second", set(std("egress_spec"), hx("0x1")), prim("exit"))
	p.does(0, "second", nil, set(fld("h", "a"), hx("0x0")))
	p.does(1, "egress", nil, set(fld("h", "a"), hx("0x55")))
	if got := one(t, p.load(t, Options{}).NewWorker(), 1, "xyz"); got.frame != "Uyz" {
		t.Errorf("exit: got %q: ingress must stop and egress run", got.frame)
	}
}

func TestTimestamps(t *testing.T) {
	now := time.Unix(100, 0)
	p := forwarding(l{set(std("egress_spec"), hx("0x1"))}, l{set(fld("h", "a"), std("ingress_global_timestamp"))})
	e := p.load(t, Options{Clock: func() time.Time { return now }})
	now = now.Add(77 * time.Microsecond)
	if got := one(t, e.NewWorker(), 1, "xyz"); got.frame != "Myz" {
		t.Errorf("got %x, want 77 microseconds since Load", got.frame)
	}
}

func TestPriorityNamesAQueue(t *testing.T) {
	in := l{set(std("egress_spec"), hx("0x1")), set(std("priority"), hx("0x3"))}
	e := forwarding(in, nil).load(t, Options{})
	if got := process(e.NewWorker(), 1, "xyz"); got != nil || e.Stats().NoQueue != 1 {
		t.Errorf("one queue: got %v, stats %+v", got, e.Stats())
	}
	one(t, forwarding(in, nil).load(t, Options{PriorityQueues: 4}).NewWorker(), 1, "xyz")
}

func TestFrameSizes(t *testing.T) {
	e := forwarding(l{set(std("egress_spec"), hx("0x1"))}, nil).load(t, Options{})
	w := e.NewWorker()
	for n, out := range map[int]int{0: 0, 1: 1, MaxFrame: 1, MaxFrame + 1: 0} {
		if got := process(w, 1, string(make([]byte, n))); len(got) != out || out == 1 && len(got[0].frame) != n {
			t.Errorf("%d bytes: %d frames left, want %d of the same length", n, len(got), out)
		}
	}
	if s := e.Stats(); s.Empty != 1 || s.Oversize != 1 || s.In != 4 || s.Out != 2 {
		t.Errorf("%+v", s)
	}
	w.Close()
	if s := e.Stats(); s.In != 4 {
		t.Errorf("a closed worker's packets are forgotten: %+v", s)
	}
}
