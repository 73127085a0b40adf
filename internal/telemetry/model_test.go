package telemetry

import (
	"errors"
	"fmt"
	"testing"
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
)

const acl = "/acl/interfaces/interface[id=%s]/ingress-acl-sets/ingress-acl-set[set-name=%s][type=ACL_MIXED]/acl-entries/acl-entry[sequence-id=%d]"

// filled is a model of interfaces a and b, each with its state, a counter and two ACL entries.
func filled(t *testing.T) *model {
	t.Helper()
	m := newModel()
	n := &gpb.Notification{}
	add := func(path string, v *gpb.TypedValue) {
		n.Update = append(n.Update, &gpb.Update{Path: mustPath(t, path), Val: v})
	}
	number := &gpb.TypedValue{Value: &gpb.TypedValue_UintVal{UintVal: 1}}
	for _, name := range []string{"a", "b"} {
		state := "/interfaces/interface[name=" + name + "]/state"
		add(state+"/oper-status", &gpb.TypedValue{Value: &gpb.TypedValue_StringVal{StringVal: "UP"}})
		add(state+"/id", number)
		add(state+"/ifindex", number)
		add(state+"/counters/in-pkts", number)
		for seq := range 2 {
			add(fmt.Sprintf(acl, name, "s", seq)+"/state/matched-packets", number)
			add(fmt.Sprintf(acl, name, "s", seq)+"/state/matched-octets", number)
		}
	}
	if err := m.apply(n, time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if m.rejected != 0 || m.entries != 6 {
		t.Fatalf("rejected %d (%s), entries %d; want 2 interfaces and 4 ACL entries", m.rejected, m.first, m.entries)
	}
	return m
}

func TestDeletes(t *testing.T) {
	whole := func(in *Interface) bool {
		return in != nil && in.Oper == "UP" && in.Port == 1 && in.IfIndex == 1 && in.Counters.InPkts.Known() && len(in.ACL) == 2
	}
	for _, tc := range []struct {
		name    string
		deletes []string
		entries int
		left    func(a *Interface) bool // of a; b stays whole
	}{
		{"an interface", []string{"/interfaces/interface[name=a]"}, 6, func(a *Interface) bool {
			return a.Oper == "" && a.Port == 0 && a.IfIndex == 0 && !a.Counters.InPkts.Known() && len(a.ACL) == 2
		}},
		{"its counters", []string{"/interfaces/interface[name=a]/state/counters"}, 6, func(a *Interface) bool {
			return a.Oper == "UP" && !a.Counters.InPkts.Known() && len(a.ACL) == 2
		}},
		{"one leaf", []string{"/interfaces/interface[name=a]/state/oper-status"}, 6, func(a *Interface) bool {
			return a.Oper == "" && a.Port == 1 && a.Counters.InPkts.Known()
		}},
		{"an ACL entry", []string{fmt.Sprintf(acl, "a", "s", 1)}, 5, func(a *Interface) bool {
			_, ok := a.ACL[ACLKey{"s", "ACL_MIXED", 0}]
			return ok && len(a.ACL) == 1 && a.Oper == "UP"
		}},
		{
			"an ACL entry, leaf by leaf",
			[]string{fmt.Sprintf(acl, "a", "s", 1) + "/state/matched-octets", fmt.Sprintf(acl, "a", "s", 1) + "/state/matched-packets"},
			5,
			func(a *Interface) bool { return len(a.ACL) == 1 },
		},
		{
			"everything of one interface",
			[]string{"/interfaces/interface[name=a]", "/acl/interfaces/interface[id=a]"},
			3,
			func(a *Interface) bool { return a == nil },
		},
		{"what is not there", []string{"/interfaces/interface[name=z]", "/system"}, 6, whole},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := filled(t)
			before := m.snapshot()
			n := &gpb.Notification{}
			for _, d := range tc.deletes {
				n.Delete = append(n.Delete, mustPath(t, d))
			}
			if err := m.apply(n, time.Unix(2, 0)); err != nil {
				t.Fatal(err)
			}
			after := m.snapshot()
			if !tc.left(after.Interfaces["a"]) || !whole(after.Interfaces["b"]) {
				t.Errorf("left: %+v, %+v", after.Interfaces["a"], after.Interfaces["b"])
			}
			if m.entries != tc.entries {
				t.Errorf("%d entries counted, want %d", m.entries, tc.entries)
			}
			if !whole(before.Interfaces["a"]) {
				t.Errorf("the snapshot before has changed: %+v", before.Interfaces["a"])
			}
		})
	}
	for _, all := range []*gpb.Notification{
		{Delete: []*gpb.Path{mustPath(t, "/")}},
		{Delete: []*gpb.Path{mustPath(t, "/interfaces"), mustPath(t, "/acl/interfaces/interface[id=*]")}},
		{Atomic: true},
	} {
		m := filled(t)
		if err := m.apply(all, time.Unix(2, 0)); err != nil {
			t.Fatal(err)
		}
		if len(m.interfaces) != 0 || m.entries != 0 {
			t.Errorf("%v leaves %v (%d entries)", all, m.interfaces, m.entries)
		}
	}
}

func TestTooMuch(t *testing.T) {
	m := newModel()
	m.entries = maxEntries
	n := &gpb.Notification{Update: []*gpb.Update{{
		Path: mustPath(t, "/interfaces/interface[name=a]/state/oper-status"), Val: &gpb.TypedValue{Value: &gpb.TypedValue_StringVal{StringVal: "UP"}},
	}}}
	if err := m.apply(n, time.Unix(1, 0)); !errors.Is(err, ErrTooMuch) {
		t.Errorf("got %v", err)
	}
}

func TestRejected(t *testing.T) {
	text := func(s string) *gpb.TypedValue {
		return &gpb.TypedValue{Value: &gpb.TypedValue_StringVal{StringVal: s}}
	}
	number := func(n uint64) *gpb.TypedValue {
		return &gpb.TypedValue{Value: &gpb.TypedValue_UintVal{UintVal: n}}
	}
	for _, tc := range []struct {
		path string
		v    *gpb.TypedValue
		want string
	}{
		{"/interfaces/interface/state/counters/in-pkts", number(1), "/interfaces/interface/state/counters/in-pkts: no interface name"},
		{"/interfaces/interface/state/oper-status", text("UP"), "/interfaces/interface/state/oper-status: no interface name"},
		{"/interfaces/interface[name=a]/state/oper-status", number(1), "/interfaces/interface[name=a]/state/oper-status: 1"},
		{"/interfaces/interface[name=a]/state/id", number(1 << 32), "/interfaces/interface[name=a]/state/id: 4294967296"},
		{"/interfaces/interface[name=a]/state/id", text("-1"), `/interfaces/interface[name=a]/state/id: "-1"`},
		{"/interfaces/interface[name=a]/state/counters/in-pkts", text("18446744073709551616"), `/interfaces/interface[name=a]/state/counters/in-pkts: "18446744073709551616"`},
		{
			"/acl/interfaces/interface[id=a]/ingress-acl-sets/ingress-acl-set[set-name=s][type=T]/acl-entries/acl-entry[sequence-id=x]/state/matched-octets", number(1),
			`/acl/interfaces/interface[id=a]/ingress-acl-sets/ingress-acl-set[set-name=s][type=T]/acl-entries/acl-entry[sequence-id=x]/state/matched-octets: sequence-id "x"`,
		},
	} {
		m := newModel()
		if err := m.apply(&gpb.Notification{Update: []*gpb.Update{{Path: mustPath(t, tc.path), Val: tc.v}}}, time.Unix(1, 0)); err != nil {
			t.Fatal(err)
		}
		if m.rejected != 1 || m.first != tc.want || len(m.interfaces) != 0 {
			t.Errorf("%s: rejected %d, %q, interfaces %v\nwant %q", tc.path, m.rejected, m.first, m.interfaces, tc.want)
		}
	}
}

func TestPathText(t *testing.T) {
	for want, path := range map[string][]*gpb.PathElem{
		"/":               nil,
		"/a/b[k=v][l=]/c": {{Name: "a"}, {Name: "b", Key: map[string]string{"l": "", "k": "v"}}, {Name: "c"}},
		`/a[k=x/y\]\\[]`:  {{Name: "a", Key: map[string]string{"k": `x/y]\[`}}},
	} {
		if got := pathText(path); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
