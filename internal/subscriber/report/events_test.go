package report

import (
	"errors"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"op25b/internal/policy"
	"op25b/internal/strict"
	"op25b/internal/subscriber"
	op25bv1 "op25b/proto/op25b/v1"
)

func noon() time.Time { return time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC) }

func start() *op25bv1.SessionEvent {
	return &op25bv1.SessionEvent{Kind: op25bv1.SessionEventKind_SESSION_EVENT_KIND_START, Session: "1", Line: "home", Addresses: []string{"192.0.2.7"}, Time: timestamppb.New(noon())}
}

// TestEvents verifies what becomes of every field.
func TestEvents(t *testing.T) {
	m := start()
	m.Line, m.Identity = "", &op25bv1.LineIdentity{CircuitId: "0x6F6C742D31", RemoteId: "0x00FF", UserName: "ユーザー"}
	m.Addresses = []string{"192.0.2.7", "::ffff:192.0.2.8", "2001:db8:1:2::3/56"}
	m.Ends = timestamppb.New(noon().Add(time.Hour))
	all, err := Events(&op25bv1.ReportRequest{Source: "kea-1", Interim: durationpb.New(time.Minute), Events: []*op25bv1.SessionEvent{m, {Kind: op25bv1.SessionEventKind_SESSION_EVENT_KIND_RESTART}}}, noon().Add(time.Second))
	if err != nil {
		t.Fatal(err)
	}
	e := all[0]
	if e.Kind != subscriber.Start || e.NAS != "kea-1" || e.Session != "1" || e.Line != "" || !e.Time.Equal(noon()) || e.Estimated || e.Interval != time.Minute || !e.Ends.Equal(noon().Add(time.Hour)) {
		t.Errorf("%+v", e)
	}
	if len(e.Identities) != 3 || e.Identities[policy.IdentifyCircuitID] != "olt-1" || e.Identities[policy.IdentifyRemoteID] != "0x00ff" || e.Identities[policy.IdentifyUserName] != "ユーザー" {
		t.Errorf("%v", e.Identities)
	}
	got := ""
	for _, p := range e.Prefixes {
		got += p.String() + " "
	}
	if want := "192.0.2.7/32 192.0.2.8/32 2001:db8:1::/56 "; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if r := all[1]; r.Kind != subscriber.Restart || !r.Estimated || !r.Time.Equal(noon().Add(time.Second)) || r.NAS != "kea-1" {
		t.Errorf("%+v", r)
	}
	if all, err := Events(&op25bv1.ReportRequest{Source: "kea-1", Events: []*op25bv1.SessionEvent{start()}}, noon()); err != nil || all[0].Interval != subscriber.DefaultInterval || all[0].Line != "home" {
		t.Errorf("%+v, %v", all, err)
	}
}

// TestFaults verifies the error for each rule, which names the field and what would be valid, but has no value.
func TestFaults(t *testing.T) {
	request := func(change func(*op25bv1.ReportRequest)) *op25bv1.ReportRequest {
		r := &op25bv1.ReportRequest{Source: "kea-1", Events: []*op25bv1.SessionEvent{start(), start()}}
		change(r)
		return r
	}
	one := func(change func(*op25bv1.SessionEvent)) *op25bv1.ReportRequest {
		return request(func(r *op25bv1.ReportRequest) { change(r.Events[1]) })
	}
	restart := func(change func(*op25bv1.SessionEvent)) *op25bv1.ReportRequest {
		return one(func(m *op25bv1.SessionEvent) {
			proto.Reset(m)
			m.Kind = op25bv1.SessionEventKind_SESSION_EVENT_KIND_RESTART
			change(m)
		})
	}
	for want, r := range map[string]*op25bv1.ReportRequest{
		"source: the name of the source has 0 bytes; must be 1 to 64 bytes of printable text":                                      request(func(r *op25bv1.ReportRequest) { r.Source = "" }),
		"source: the name of the source has 65 bytes; must be 1 to 64 bytes of printable text":                                     request(func(r *op25bv1.ReportRequest) { r.Source = strings.Repeat("x", 65) }),
		"source: the name of the source has 3 bytes; must be 1 to 64 bytes of printable text":                                      request(func(r *op25bv1.ReportRequest) { r.Source = "a\nb" }),
		"source: the name of the source is an address; must be another name, because it is recorded":                               request(func(r *op25bv1.ReportRequest) { r.Source = "192.0.2.7" }),
		"interim: the time between interim events is out of range; must be from 1m0s to 24h0m0s":                                   request(func(r *op25bv1.ReportRequest) { r.Interim = durationpb.New(time.Second) }),
		"events: 513 events; must be at most 512 in a request":                                                                     request(func(r *op25bv1.ReportRequest) { r.Events = make([]*op25bv1.SessionEvent, 513) }),
		"events[1].kind: the kind of the event is not known; must be start, interim, stop or restart":                              one(func(m *op25bv1.SessionEvent) { m.Kind = 9 }),
		"events[1].time: the time is invalid; must be a time such as 2026-11-29T12:00:00Z":                                         one(func(m *op25bv1.SessionEvent) { m.Time.Nanos = -1 }),
		"events[1].session: the session id has 0 bytes; must have 1 to 253":                                                        one(func(m *op25bv1.SessionEvent) { m.Session = "" }),
		"events[1].session: the session id has 254 bytes; must have 1 to 253":                                                      one(func(m *op25bv1.SessionEvent) { m.Session = strings.Repeat("x", 254) }),
		"events[1].line: the event does not give the line; give its name in the inventory, or its circuit id or another attribute": one(func(m *op25bv1.SessionEvent) { m.Line = "" }),
		"events[1].line: the event gives both the line and its identity; give one of them":                                         one(func(m *op25bv1.SessionEvent) { m.Identity = &op25bv1.LineIdentity{UserName: "a"} }),
		"events[1].identity.circuit_id: the circuit-id has 3 bytes; must have 1 to 253 bytes of printable text, or 0x and their hexadecimal digits": one(func(m *op25bv1.SessionEvent) {
			m.Line, m.Identity = "", &op25bv1.LineIdentity{CircuitId: "a\nb"}
		}),
		"events[1].identity.remote_id: the remote-id has 5 bytes; must have 1 to 253 bytes of printable text, or 0x and their hexadecimal digits": one(func(m *op25bv1.SessionEvent) {
			m.Line, m.Identity = "", &op25bv1.LineIdentity{RemoteId: "0xabc"}
		}),
		"events[1].addresses[1]: this is no address or prefix; must be one such as 192.0.2.1, 2001:db8::1 or 2001:db8:1::/56": one(func(m *op25bv1.SessionEvent) { m.Addresses = []string{"192.0.2.7", "192.0.2.300"} }),
		"events[1].addresses: 17 addresses; must be at most 16":                                                               one(func(m *op25bv1.SessionEvent) { m.Addresses = make([]string, 17) }),
		"events[1].ends: the lease ends before the event; must be a time after the event":                                     one(func(m *op25bv1.SessionEvent) { m.Ends = m.Time }),
		"events[1].ends: the lease is too long; must end at most 366 days after the event":                                    one(func(m *op25bv1.SessionEvent) { m.Ends = timestamppb.New(noon().Add(367 * 24 * time.Hour)) }),
		"events[1].ends: a stop has no lease; must be empty: the session has ended": one(func(m *op25bv1.SessionEvent) {
			m.Kind, m.Ends = op25bv1.SessionEventKind_SESSION_EVENT_KIND_STOP, timestamppb.New(noon().Add(time.Hour))
		}),
		"events[1].session: a restart has no session; must be empty: a restart ends all sessions of the source": restart(func(m *op25bv1.SessionEvent) { m.Session = "1" }),
		"events[1].line: a restart has no line; must be empty: a restart ends all sessions of the source":       restart(func(m *op25bv1.SessionEvent) { m.Line = "home" }),
	} {
		all, err := Events(r, noon())
		if err == nil || err.Error() != want || !errors.Is(err, policy.ErrInvalid) || !errors.As(err, new(strict.Faults)) || all != nil {
			t.Errorf("%v, want %s", err, want)
		}
		if err != nil && strings.Contains(err.Error(), "192.0.2.300") {
			t.Errorf("%v has an address", err)
		}
	}
}
