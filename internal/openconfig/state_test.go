package openconfig

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// whole returns a State with every part.
func whole() *State {
	st := twoPorts()
	st.System = &System{Hostname: "edge-1", SoftwareVersion: "1.2", BootTime: time.Unix(3, 7), Clock: time.Unix(1159660800, 5)}
	st.Rules = []Rule{
		{SequenceID: 2, Description: "relay", Action: ActionAccept},
		{SequenceID: 7, Description: "phase rule", Action: ActionReject},
	}
	st.Interfaces[1].ACL = []ACLEntry{{SequenceID: 3, MatchedPackets: 2, MatchedOctets: 120}}
	st.Interfaces[1].Transitions = new(uint64(4))
	st.Lines = []Line{{ID: 16000, Passed: Tally{1, 2}, Monitored: Tally{3, 4}, Stopped: Tally{5, 6}, Unsolicited: Tally{7, 8}}}
	st.Legs = []LegEntry{
		{Epoch: 255, Leg: LegAny, SequenceID: 2, Matched: Tally{1, 2}},
		{Epoch: 255, Leg: LegUpSrc, SequenceID: 7, Matched: Tally{3, 4}},
		{Epoch: 255, Leg: 5, SequenceID: 7, Matched: Tally{5, 6}}, // this leg is not defined in the module
	}
	return st
}

// get returns the single value at a path in JSON_IETF.
func get(t *testing.T, c gpb.GNMIClient, req *gpb.GetRequest) string {
	t.Helper()
	req.Encoding = gpb.Encoding_JSON_IETF
	res, err := c.Get(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, n := range res.GetNotification() {
		for _, u := range n.GetUpdate() {
			all = append(all, string(u.GetVal().GetJsonIetfVal()))
		}
	}
	return strings.Join(all, " ")
}

func TestGetSystem(t *testing.T) {
	c := serve(t, newFake(whole()), Options{})
	sameJSON(t, "system", get(t, c, &gpb.GetRequest{Path: []*gpb.Path{at("system")}}), `{"openconfig-system:state":{
		"hostname":"edge-1","current-datetime":"2006-10-01T00:00:00.000000005Z","boot-time":"3000000007","software-version":"1.2"}}`)
	sameJSON(t, "operational", get(t, c, &gpb.GetRequest{Type: gpb.GetRequest_OPERATIONAL, Path: []*gpb.Path{at("system")}}), `{"openconfig-system:state":{
		"current-datetime":"2006-10-01T00:00:00.000000005Z","boot-time":"3000000007","software-version":"1.2"}}`)
	empty := serve(t, newFake(&State{System: &System{}}), Options{})
	if got := get(t, empty, &gpb.GetRequest{Path: []*gpb.Path{at("system")}}); got != "" {
		t.Errorf("a system of which nothing is known: %s", got)
	}
}

// TestGetAggregate verifies that the counters of an entry are the sums over the interfaces, and that
// only described entries have configuration.
func TestGetAggregate(t *testing.T) {
	c := serve(t, newFake(whole()), Options{})
	const entries = `[
		{"sequence-id":2,"config":{"sequence-id":2,"description":"relay"},
			"state":{"sequence-id":2,"description":"relay","matched-packets":"0","matched-octets":"0"},
			"actions":{"config":{"forwarding-action":"openconfig-acl:ACCEPT"},"state":{"forwarding-action":"openconfig-acl:ACCEPT"}}},
		{"sequence-id":3,"state":{"sequence-id":3,"matched-packets":"10","matched-octets":"600"}},
		{"sequence-id":7,"config":{"sequence-id":7,"description":"phase rule"},
			"state":{"sequence-id":7,"description":"phase rule","matched-packets":"1","matched-octets":"60"},
			"actions":{"config":{"forwarding-action":"openconfig-acl:REJECT"},"state":{"forwarding-action":"openconfig-acl:REJECT"}}}]`
	sameJSON(t, "entries", get(t, c, &gpb.GetRequest{Path: []*gpb.Path{at("acl", "acl-sets", "acl-set", "name=op25b", "type=ACL_MIXED", "acl-entries")}}),
		`{"openconfig-acl:acl-entry":`+entries+`}`)
	sameJSON(t, "capability", get(t, c, &gpb.GetRequest{Path: []*gpb.Path{at("acl", "state", "counter-capability")}}), `"openconfig-acl:INTERFACE_AGGREGATE"`)
	sameJSON(t, "configuration", get(t, c, &gpb.GetRequest{Type: gpb.GetRequest_CONFIG, Path: []*gpb.Path{at("acl", "acl-sets")}}), `{"openconfig-acl:acl-set":[
		{"name":"op25b","type":"openconfig-acl:ACL_MIXED","acl-entries":{"acl-entry":[
			{"sequence-id":2,"config":{"sequence-id":2,"description":"relay"},"actions":{"config":{"forwarding-action":"openconfig-acl:ACCEPT"}}},
			{"sequence-id":7,"config":{"sequence-id":7,"description":"phase rule"},"actions":{"config":{"forwarding-action":"openconfig-acl:REJECT"}}}]}}]}`)
}

// TestGetLinesAndLegs verifies that lines and legs are served below the ACL set, in the module
// op25b-filter.
func TestGetLinesAndLegs(t *testing.T) {
	c := serve(t, newFake(whole()), Options{})
	sameJSON(t, "lines", get(t, c, &gpb.GetRequest{Path: []*gpb.Path{at("acl", "acl-sets", "acl-set", "op25b-filter:lines")}}), `{"op25b-filter:line":[
		{"id":16000,"state":{"id":16000,"passed-packets":"1","passed-octets":"2","monitored-packets":"3","monitored-octets":"4",
			"stopped-packets":"5","stopped-octets":"6","unsolicited-packets":"7","unsolicited-octets":"8"}}]}`)
	sameJSON(t, "one model", get(t, c, &gpb.GetRequest{UseModels: []*gpb.ModelData{{Name: "op25b-filter", Version: "2026-11-29"}}, Path: []*gpb.Path{at("acl")}}),
		`{"openconfig-acl:acl-sets":{"acl-set":[{"name":"op25b","type":"openconfig-acl:ACL_MIXED",
		"op25b-filter:lines":{"line":[{"id":16000,"state":{"id":16000,"passed-packets":"1","passed-octets":"2","monitored-packets":"3","monitored-octets":"4",
			"stopped-packets":"5","stopped-octets":"6","unsolicited-packets":"7","unsolicited-octets":"8"}}]},
		"op25b-filter:leg-entries":{"leg-entry":[
			{"epoch":255,"leg":"ANY","sequence-id":2,"state":{"epoch":255,"leg":"ANY","sequence-id":2,"matched-packets":"1","matched-octets":"2"}},
			{"epoch":255,"leg":"UP_SRC","sequence-id":7,"state":{"epoch":255,"leg":"UP_SRC","sequence-id":7,"matched-packets":"3","matched-octets":"4"}}]}}]}}`)
	sameJSON(t, "one leg", get(t, c, &gpb.GetRequest{Path: []*gpb.Path{
		at("acl", "acl-sets", "acl-set", "leg-entries", "leg-entry", "epoch=255", "leg=UP_SRC", "sequence-id=7", "state", "matched-packets"),
	}}), `"3"`)
}

func TestTransitions(t *testing.T) {
	c := serve(t, newFake(whole()), Options{})
	sameJSON(t, "uncounted", get(t, c, &gpb.GetRequest{Path: []*gpb.Path{at("interfaces", "interface", "name=network", "state", "counters")}}),
		`{"openconfig-interfaces:interface-transitions":"4"}`)
}

// TestParts verifies that a part of the State is read only for paths that need it.
func TestParts(t *testing.T) {
	for _, tc := range []struct {
		path *gpb.Path
		want Parts
	}{
		{at(), AllParts},
		{at("interfaces"), 0},
		{at("system"), 0},
		{at("acl", "state"), 0},
		{at("acl", "interfaces"), PartACL},
		{at("acl", "interfaces", "...", "matched-packets"), PartACL},
		{at("acl", "acl-sets", "acl-set", "state"), 0},
		{at("acl", "acl-sets", "acl-set", "acl-entries", "acl-entry", "state", "matched-packets"), PartACL},
		{at("acl", "acl-sets", "acl-set", "lines"), PartLines},
		{at("acl", "acl-sets", "acl-set", "leg-entries", "leg-entry", "state", "*"), PartLegs},
		{at("...", "matched-packets"), PartACL | PartLegs},
		{at("*", "acl-sets"), AllParts},
	} {
		p, err := parsePath(newSchema(), nil, tc.path)
		if err != nil {
			t.Fatal(err)
		}
		if p.parts != tc.want {
			t.Errorf("%s: parts %b, want %b", p.text, p.parts, tc.want)
		}
	}
}

// TestClock verifies that a clock leaf is sampled, and that its changes are not reported.
func TestClock(t *testing.T) {
	at := func(second int64) *State { return &State{System: &System{Clock: time.Unix(second, 0)}} }
	const path = "/system/state/current-datetime"
	clock := &gpb.Path{Elem: []*gpb.PathElem{{Name: "system"}}}
	for _, tc := range []struct {
		name  string
		sub   *gpb.Subscription
		every time.Duration // the interval; 0 means never
	}{
		{"sample", sample(3*time.Second, clock), 3 * time.Second},
		{"on change", onChange(clock), 0},
		{"target defined", &gpb.Subscription{Path: clock}, DefaultCounterInterval},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, at(0), func(t *testing.T, src *fakeSource, c gpb.GNMIClient) {
				s := subscribe(t, c, listOf(gpb.SubscriptionList_STREAM, tc.sub))
				if got := s.initial(); got[path] != "1970-01-01T00:00:00Z" {
					t.Fatalf("initial %v", got)
				}
				start := time.Now()
				src.set(at(9), true)
				if tc.every == 0 {
					time.Sleep(time.Minute)
					booted := at(99)
					booted.System.BootTime = time.Unix(98, 0)
					src.set(booted, true)
					s.wantNext(map[string]string{"/system/state/boot-time": "98000000000"})
					return
				}
				s.wantNext(map[string]string{path: "1970-01-01T00:00:09Z"})
				elapsed(t, start, tc.every)
			})
		})
	}
}

// two contains the targets of a server with two switches.
type two map[string]Source

func (m two) Names(ctx context.Context) (names []string) {
	for n := range m {
		names = append(names, n)
	}
	return names
}

func (m two) Source(_ context.Context, target string) (Source, error) {
	switch target {
	case "secret":
		return nil, status.Error(codes.PermissionDenied, "not yours")
	case "far":
		return nil, fmt.Errorf("its owner is away")
	}
	if s, ok := m[target]; ok {
		return s, nil
	}
	return nil, fmt.Errorf("%w: %q", ErrNoTarget, target)
}

func TestTargets(t *testing.T) {
	one, other := newFake(onePort(1, 0)), newFake(onePort(2, 0))
	c := serveTargets(t, two{"edge-1": one, "edge-2": other})
	for target, want := range map[string]string{"edge-1": "1", "edge-2": "2"} {
		l := listOf(gpb.SubscriptionList_ONCE, &gpb.Subscription{Path: inPkts})
		l.Prefix = &gpb.Path{Target: target}
		s := subscribe(t, c, l)
		got := s.next()
		if got.updates[inPktsA] != want || got.note.GetPrefix().GetTarget() != target {
			t.Errorf("%s: %v, prefix %v", target, got.updates, got.note.GetPrefix())
		}
		if got := get(t, c, &gpb.GetRequest{Prefix: l.Prefix, Path: []*gpb.Path{inPkts}}); got != `"`+want+`"` {
			t.Errorf("%s: get %s", target, got)
		}
	}
	for _, tc := range []struct {
		target string
		code   codes.Code
		text   string
	}{
		{"", codes.InvalidArgument, "prefix.target is missing: this server has several targets; valid: edge-1, edge-2"},
		{"*", codes.Unimplemented, `prefix.target "*" is not supported: name one target in each request; valid: edge-1, edge-2`},
		{"edge-3", codes.NotFound, `prefix.target "edge-3" is unknown; valid: edge-1, edge-2`},
		{"secret", codes.PermissionDenied, "not yours"},
		{"far", codes.Unavailable, `prefix.target "far": its owner is away`},
	} {
		prefix := &gpb.Path{Target: tc.target}
		_, err := c.Get(t.Context(), &gpb.GetRequest{Prefix: prefix, Path: []*gpb.Path{at()}})
		wantStatus(t, err, tc.code, tc.text)
		for _, mode := range []gpb.SubscriptionList_Mode{gpb.SubscriptionList_ONCE, gpb.SubscriptionList_POLL, gpb.SubscriptionList_STREAM} {
			l := listOf(mode, onChange(everyStatus))
			l.Prefix = prefix
			subscribe(t, c, l).wantEnd(tc.code, tc.text)
		}
	}
	if n := one.readCount() + other.readCount(); n != 4 {
		t.Errorf("%d readings, want one of each answer", n)
	}
}

func TestValidTargets(t *testing.T) {
	many := two{}
	for i := range 12 {
		many[fmt.Sprintf("edge-%02d", i)] = newFake(&State{})
	}
	for want, targets := range map[string]Targets{
		"prefix.target is missing: this server has several targets; valid: none now":                                                                                            two{},
		"prefix.target is missing: this server has several targets; valid: edge-00, edge-01, edge-02, edge-03, edge-04, edge-05, edge-06, edge-07, edge-08, edge-09 and 2 more": many,
	} {
		_, err := serveTargets(t, targets).Get(t.Context(), &gpb.GetRequest{Path: []*gpb.Path{at()}})
		wantStatus(t, err, codes.InvalidArgument, want)
	}
}
