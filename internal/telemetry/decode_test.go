package telemetry

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"
)

const acl = "/acl/interfaces/interface[id=%s]/ingress-acl-sets/ingress-acl-set[set-name=%s][type=ACL_MIXED]/acl-entries/acl-entry[sequence-id=%d]"

func number(n uint64) *gpb.TypedValue {
	return &gpb.TypedValue{Value: &gpb.TypedValue_UintVal{UintVal: n}}
}

func text(s string) *gpb.TypedValue {
	return &gpb.TypedValue{Value: &gpb.TypedValue_StringVal{StringVal: s}}
}

// A recorder feeds messages to a decoder.
type recorder struct {
	*decoder
	t interface {
		Helper()
		Fatal(...any)
	}
}

func newRecorder(t interface {
	Helper()
	Fatal(...any)
},
) *recorder {
	tables := newTables()
	return &recorder{newDecoder(newSeries(tables.entries), tables), t}
}

// take feeds a notification that arrived at the given second.
func (r *recorder) take(n *gpb.Notification, second int64) {
	r.t.Helper()
	b, err := proto.Marshal(note(n))
	if err == nil {
		_, err = r.message(b, time.Unix(second, 0).UnixNano())
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

func update(t *testing.T, path string, v *gpb.TypedValue) *gpb.Update {
	t.Helper()
	return &gpb.Update{Path: mustPath(t, path), Val: v}
}

// filled returns a recorder with the interfaces a and b. Each has its state, a counter and two ACL entries.
func filled(t *testing.T) *recorder {
	t.Helper()
	r := newRecorder(t)
	n := &gpb.Notification{Timestamp: 1}
	for _, name := range []string{"a", "b"} {
		state := "/interfaces/interface[name=" + name + "]/state"
		n.Update = append(n.Update, update(t, state+"/oper-status", text("UP")), update(t, state+"/id", number(1)),
			update(t, state+"/ifindex", number(1)), update(t, state+"/counters/in-pkts", number(1)))
		for seq := range 2 {
			n.Update = append(n.Update, update(t, fmt.Sprintf(acl, name, "s", seq)+"/state/matched-packets", number(1)),
				update(t, fmt.Sprintf(acl, name, "s", seq)+"/state/matched-octets", number(60)))
		}
	}
	r.take(n, 1)
	if s := r.series; s.rejected != 0 || s.values != 6 {
		t.Fatalf("rejected %d (%s), values %d; want 2 interfaces and 4 ACL entries", s.rejected, s.first, s.values)
	}
	return r
}

func TestDeletes(t *testing.T) {
	whole := func(in *Interface) bool {
		return in != nil && in.Oper == "UP" && in.Port == 1 && in.IfIndex == 1 && in.Counters[InPkts] == 1 && len(in.ACL) == 2
	}
	for name, tc := range map[string]struct {
		deletes []string
		left    func(a *Interface) bool // checks what is left of a; b must be unchanged
	}{
		"an interface": {[]string{"/interfaces/interface[name=a]"}, func(a *Interface) bool {
			return a.Oper == "" && a.Port == 0 && a.IfIndex == 0 && len(a.ACL) == 2
		}},
		"its counters": {[]string{"/interfaces/interface[name=a]/state/counters"}, func(a *Interface) bool {
			return a.Oper == "UP" && a.Counters[InPkts] == 1 && len(a.ACL) == 2
		}},
		"one leaf": {[]string{"/interfaces/interface[name=a]/state/oper-status"}, func(a *Interface) bool {
			return a.Oper == "" && a.Port == 1
		}},
		"everything of one interface": {
			[]string{"/interfaces/interface[name=a]", "/acl/interfaces/interface[id=a]"},
			func(a *Interface) bool { return a == nil },
		},
		"what is not there": {[]string{"/interfaces/interface[name=z]", "/system"}, whole},
	} {
		t.Run(name, func(t *testing.T) {
			r := filled(t)
			n := &gpb.Notification{Timestamp: 2}
			for _, d := range tc.deletes {
				n.Delete = append(n.Delete, mustPath(t, d))
			}
			r.take(n, 2)
			after := r.series.reading()
			if !tc.left(after.Interface("a")) || !whole(after.Interface("b")) {
				t.Errorf("left: %+v, %+v", after.Interface("a"), after.Interface("b"))
			}
		})
	}
	for _, all := range []*gpb.Notification{
		{Delete: []*gpb.Path{mustPath(t, "/")}},
		{Delete: []*gpb.Path{mustPath(t, "/interfaces"), mustPath(t, "/acl/interfaces/interface[id=*]")}},
		{Atomic: true},
	} {
		r := filled(t)
		r.take(all, 2)
		if s := r.series; len(s.ports) != 0 || s.values != 0 {
			t.Errorf("%v leaves %v (%d values)", all, s.ports, s.values)
		}
	}
}

// TestDeletedCounterReturns verifies that a deleted counter that returns adds nothing to its total, unless it belongs to a new table entry.
func TestDeletedCounterReturns(t *testing.T) {
	r := filled(t)
	leg := "/acl/acl-sets/acl-set[name=s][type=ACL_MIXED]/leg-entries/leg-entry[epoch=3][leg=UP_DST][sequence-id=5]"
	line := "/acl/acl-sets/acl-set[name=s][type=ACL_MIXED]/lines/line[id=7]"
	values := &gpb.Notification{Timestamp: 2, Update: []*gpb.Update{
		update(t, leg+"/state/matched-packets", number(10)), update(t, line+"/state/stopped-octets", number(600)),
	}}
	r.take(values, 2)
	r.take(&gpb.Notification{Timestamp: 3, Delete: []*gpb.Path{mustPath(t, leg), mustPath(t, line), mustPath(t, fmt.Sprintf(acl, "a", "s", 1))}}, 3)
	r.take(&gpb.Notification{Timestamp: 4, Update: []*gpb.Update{
		update(t, leg+"/state/matched-packets", number(4)), update(t, line+"/state/stopped-octets", number(601)),
		update(t, fmt.Sprintf(acl, "a", "s", 1)+"/state/matched-packets", number(9)),
	}}, 4)
	got := r.series.reading()
	if d := cmp.Diff([]LegCount{{LegKey{3, "UP_DST", 5}, Count{14, 0}}}, got.Legs); d != "" {
		t.Errorf("legs: want - got +:\n%s", d)
	}
	want := []LineCount{{Line: 7}}
	want[0].Outcomes[Stopped].Octets = 600
	if d := cmp.Diff(want, got.Lines); d != "" {
		t.Errorf("lines: want - got +:\n%s", d)
	}
	if e, _ := got.Interface("a").Entry("s", 1); e.Packets != 1 {
		t.Errorf("the ACL entry has %d packets, want 1", e.Packets)
	}
}

func TestTooMuch(t *testing.T) {
	r := newRecorder(t)
	r.series.values = maxValues
	b, err := proto.Marshal(note(&gpb.Notification{Update: []*gpb.Update{update(t, "/interfaces/interface[name=a]/state/oper-status", text("UP"))}}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.message(b, 1); !errors.Is(err, ErrTooMuch) {
		t.Errorf("got %v", err)
	}
}

func TestRejected(t *testing.T) {
	for _, tc := range []struct {
		path string
		v    *gpb.TypedValue
		want string
	}{
		{"/interfaces/interface/state/counters/in-pkts", number(1), "/interfaces/interface/state/counters/in-pkts: no interface name"},
		{"/interfaces/interface/state/oper-status", text("UP"), "/interfaces/interface/state/oper-status: no interface name"},
		{"/interfaces/interface[name=a]/state/oper-status", number(1), "/interfaces/interface[name=a]/state/oper-status: 1"},
		{"/interfaces/interface[name=a]/state/id", number(1 << 32), "/interfaces/interface[name=a]/state/id: 4294967296: must be a number of 32 bits"},
		{"/interfaces/interface[name=a]/state/id", text("-1"), `/interfaces/interface[name=a]/state/id: "-1": must be a number of 32 bits`},
		{
			"/interfaces/interface[name=a]/state/counters/in-pkts", text("18446744073709551616"),
			`/interfaces/interface[name=a]/state/counters/in-pkts: "18446744073709551616": must be a number of 64 bits`,
		},
		{
			"/acl/interfaces/interface[id=a]/ingress-acl-sets/ingress-acl-set[set-name=s][type=T]/acl-entries/acl-entry[sequence-id=x]/state/matched-octets", number(1),
			`/acl/interfaces/interface[id=a]/ingress-acl-sets/ingress-acl-set[set-name=s][type=T]/acl-entries/acl-entry[sequence-id=x]/state/matched-octets: sequence-id "x"`,
		},
		{
			"/acl/acl-sets/acl-set[name=s][type=T]/leg-entries/leg-entry[epoch=256][leg=UP_DST][sequence-id=5]/state/matched-octets", number(1),
			`/acl/acl-sets/acl-set[name=s][type=T]/leg-entries/leg-entry[epoch=256][leg=UP_DST][sequence-id=5]/state/matched-octets: epoch "256"`,
		},
		{"/system/state/boot-time", text("yesterday"), `/system/state/boot-time: "yesterday": must be a number of 64 bits`},
	} {
		r := newRecorder(t)
		r.take(&gpb.Notification{Timestamp: 1, Update: []*gpb.Update{update(t, tc.path, tc.v)}}, 1)
		if got := r.series.reading(); got.Rejected != 1 || got.FirstRejected != tc.want {
			t.Errorf("%s: rejected %d, %q\nwant %q", tc.path, got.Rejected, got.FirstRejected, tc.want)
		}
	}
}

func TestInvalidMessages(t *testing.T) {
	deep := &gpb.Path{}
	for range maxElems + 1 {
		deep.Elem = append(deep.Elem, &gpb.PathElem{Name: "x"})
	}
	keys := map[string]string{}
	for i := range maxKeys + 1 {
		keys[fmt.Sprint(i)] = "v"
	}
	many := &gpb.Path{Elem: []*gpb.PathElem{{Name: "x", Key: keys}}}
	for _, p := range []*gpb.Path{deep, many} {
		for _, n := range []*gpb.Notification{
			{Prefix: p}, {Update: []*gpb.Update{{Path: p, Val: number(1)}}}, {Delete: []*gpb.Path{p}}, {Update: []*gpb.Update{{Path: p, Val: &gpb.TypedValue{}}}},
		} {
			b, err := proto.Marshal(note(n))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := newRecorder(t).message(b, 1); !errors.Is(err, ErrMessage) {
				t.Errorf("%.60v: %v, want ErrMessage", n, err)
			}
		}
	}
	for _, b := range [][]byte{{0x0a, 0xff}, {0xff}, {0x0a, 2, 0x22, 9}} {
		if _, err := newRecorder(t).message(b, 1); !errors.Is(err, ErrMessage) {
			t.Errorf("% x: %v, want ErrMessage", b, err)
		}
	}
}

// TestOutOfOrder verifies that values that are older than the stored ones are ignored and counted, separately for each group of values.
func TestOutOfOrder(t *testing.T) {
	r := newRecorder(t)
	at := func(ts int64, pkts, matched uint64) {
		r.take(&gpb.Notification{Timestamp: ts, Update: []*gpb.Update{
			update(t, "/interfaces/interface[name=a]/state/counters/in-pkts", number(pkts)),
			update(t, fmt.Sprintf(acl, "a", "s", 1)+"/state/matched-packets", number(matched)),
		}}, ts)
	}
	at(10, 100, 50)
	at(30, 300, 150)
	at(20, 200, 100) // late
	at(30, 300, 150) // duplicate
	at(40, 310, 160)
	got := r.series.reading().Interface("a")
	if e, _ := got.Entry("s", 1); got.Counters[InPkts] != 310 || e.Packets != 160 || r.series.late != 2 {
		t.Errorf("%d frames, %d packets, %d late; want 310, 160 and 2", got.Counters[InPkts], e.Packets, r.series.late)
	}

	// Another session may begin with old values. If the target's clock was set back, the values are accepted after maxReorder.
	r.series.begin()
	for _, tc := range []struct {
		second int64
		want   uint64
	}{{40 + 119, 310}, {40 + 120, 320}} {
		r.take(&gpb.Notification{Timestamp: 5, Update: []*gpb.Update{
			update(t, "/interfaces/interface[name=a]/state/counters/in-pkts", number(320)),
		}}, tc.second)
		if got := r.series.reading().Interface("a"); got.Counters[InPkts] != tc.want {
			t.Errorf("%d frames after another session, at %d s, want %d", got.Counters[InPkts], tc.second, tc.want)
		}
	}
}

// TestBootTime verifies that the counters restart if the boot-time changes by more than a second, and not if it changes by less. The counters
// of an interface restart only if they have fallen.
func TestBootTime(t *testing.T) {
	r := filled(t)
	boot := func(ns uint64) {
		r.take(&gpb.Notification{Timestamp: 2, Update: []*gpb.Update{update(t, "/system/state/boot-time", number(ns))}}, 2)
	}
	count := func(n uint64) (matched, a, b uint64) {
		r.take(&gpb.Notification{Timestamp: 3, Update: []*gpb.Update{
			update(t, fmt.Sprintf(acl, "a", "s", 1)+"/state/matched-packets", number(n)),
			update(t, "/interfaces/interface[name=a]/state/counters/in-pkts", number(n)),
			update(t, "/interfaces/interface[name=b]/state/counters/in-pkts", number(2000-n)),
		}}, 3)
		in := r.series.reading().Interface("a")
		e, _ := in.Entry("s", 1)
		return e.Packets, in.Counters[InPkts], r.series.reading().Interface("b").Counters[InPkts]
	}
	for _, tc := range []struct {
		boot, n       uint64
		matched, a, b uint64
		name          string
	}{
		{1e18, 1001, 1001, 1001, 999, "the first boot-time, before the counters of its session"},
		{1e18 + 1e9, 1002, 1002, 1002, 999, "a boot-time that varies"},
		{2e18, 1050, 1002 + 1050, 1050, 999 + 950, "a restart"},
	} {
		if tc.boot == 1e18 {
			r.series.begin()
		}
		boot(tc.boot)
		if matched, a, b := count(tc.n); matched != tc.matched || a != tc.a || b != tc.b {
			t.Errorf("after %s: %d packets, %d and %d frames; want %d, %d and %d", tc.name, matched, a, b, tc.matched, tc.a, tc.b)
		}
	}
	if got := r.series.reading().Boot; !got.Equal(time.Unix(2e9, 0)) {
		t.Errorf("boot-time %v", got)
	}

	// An agent that was started beside a running switch reports a boot-time only after the first restart that it notices.
	r = filled(t)
	count(10)
	boot(1e18)
	if matched, _, _ := count(4); matched != 14 {
		t.Errorf("after the first boot-time of a session that has counted: %d packets, want 14", matched)
	}
}

// TestFormsOfOneMessage verifies that the fast decoder and the decoder to Go messages give the same result, however the target splits paths,
// orders keys and writes module names.
func TestFormsOfOneMessage(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		forms, slow := newRecorder(rt), newRecorder(rt)
		for round := range rapid.IntRange(1, 4).Draw(rt, "rounds") {
			var updates []*gpb.Update
			names := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c]", `d\`}), 1, 3, rapid.ID).Draw(rt, "interfaces")
			for _, name := range names {
				for i, leaf := range counterNames {
					if rapid.Bool().Draw(rt, "counter") {
						updates = append(updates, &gpb.Update{Path: keyedPath("interfaces", "interface", "name", name, "state", "counters", leaf), Val: number(uint64(round*100 + i))})
					}
				}
				for seq := range rapid.IntRange(0, 3).Draw(rt, "entries") {
					p := keyedPath("acl", "interfaces", "", "", "interface")
					p.Elem[2].Key = map[string]string{"id": name}
					p.Elem = append(p.Elem, &gpb.PathElem{Name: "ingress-acl-sets"},
						&gpb.PathElem{Name: "ingress-acl-set", Key: map[string]string{"set-name": "s", "type": rapid.SampledFrom([]string{"ACL_MIXED", "openconfig-acl:ACL_MIXED"}).Draw(rt, "type")}},
						&gpb.PathElem{Name: "acl-entries"}, &gpb.PathElem{Name: "acl-entry", Key: map[string]string{"sequence-id": fmt.Sprint(seq)}},
						&gpb.PathElem{Name: "state"}, &gpb.PathElem{Name: rapid.SampledFrom([]string{"matched-packets", "matched-octets", "sequence-id"}).Draw(rt, "leaf")})
					updates = append(updates, &gpb.Update{Path: p, Val: number(uint64(round * 10))})
				}
			}
			for _, u := range updates {
				cut := rapid.IntRange(0, len(u.Path.Elem)-1).Draw(rt, "cut")
				n := &gpb.Notification{Timestamp: int64(round + 1), Prefix: &gpb.Path{Elem: u.Path.Elem[:cut]}, Update: []*gpb.Update{{Path: &gpb.Path{Elem: u.Path.Elem[cut:]}, Val: u.Val}}}
				if rapid.Bool().Draw(rt, "module") {
					n = proto.Clone(n).(*gpb.Notification)
					for _, e := range slices.Concat(n.Prefix.Elem, n.Update[0].Path.Elem) {
						e.Name = "openconfig-x:" + e.Name
					}
				}
				forms.take(n, int64(round))
				whole := &gpb.Notification{Timestamp: n.Timestamp, Update: []*gpb.Update{u}, Delete: []*gpb.Path{{Elem: []*gpb.PathElem{{Name: "nothing"}}}}}
				slow.take(whole, int64(round))
			}
		}
		if d := cmp.Diff(slow.series.reading(), forms.series.reading()); d != "" {
			rt.Fatalf("slow - forms +:\n%s", d)
		}
	})
}

// keyedPath returns a path with the given names. Its second element has a key, unless the name of the key is empty.
func keyedPath(first, second, key, value string, rest ...string) *gpb.Path {
	e := &gpb.PathElem{Name: second}
	if key != "" {
		e.Key = map[string]string{key: value}
	}
	p := &gpb.Path{Elem: []*gpb.PathElem{{Name: first}, e}}
	for _, r := range rest {
		p.Elem = append(p.Elem, &gpb.PathElem{Name: r})
	}
	return p
}

// FuzzMessage verifies that any bytes from a target result in values or an error. Nothing may panic, and the limits must hold.
func FuzzMessage(f *testing.F) {
	for _, n := range []*gpb.Notification{
		{Timestamp: 1, Prefix: keyedPath("interfaces", "interface", "name", "a"), Update: []*gpb.Update{{Path: keyedPath("state", "counters", "", "", "in-pkts"), Val: number(1)}}},
		{Timestamp: 1, Update: []*gpb.Update{{Path: keyedPath("interfaces", "interface", "name", "a", "state", "oper-status"), Val: text("UP")}}},
		{Delete: []*gpb.Path{keyedPath("interfaces", "interface", "name", "a")}},
	} {
		b, err := proto.Marshal(note(n))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r := newRecorder(t)
		_, fast := r.message(b, 1)
		_, again := r.message(b, 1)
		if (fast == nil) != (again == nil) {
			t.Errorf("the first time %v, the second time %v", fast, again)
		}
		r.series.reading()
	})
}

func TestPathText(t *testing.T) {
	for want, path := range map[string]*gpb.Path{
		"/":               {},
		"/a/b[k=v][l=]/c": {Elem: []*gpb.PathElem{{Name: "a"}, {Name: "b", Key: map[string]string{"l": "", "k": "v"}}, {Name: "c"}}},
		`/a[k=x/y\]\\[]`:  {Elem: []*gpb.PathElem{{Name: "a", Key: map[string]string{"k": `x/y]\[`}}}},
	} {
		elems, err := elemsOf(path)
		if got := pathText(elems); err != nil || got != want {
			t.Errorf("got %s, %v, want %s", got, err, want)
		}
	}
}
