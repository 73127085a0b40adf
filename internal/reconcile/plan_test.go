package reconcile

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"op25b/internal/pipeline"
	"op25b/p4src"
)

// A memory contains the entries of a switch. Like P4Runtime, it refuses to insert an entry that exists, and to modify or
// delete an entry that does not.
type memory map[pipeline.Key]pipeline.Entry

func fresh() memory {
	m := memory{}
	reset, err := (&pipeline.State{}).Entries() // the default actions only
	if err != nil {
		panic(err)
	}
	for _, e := range append(reset, pipeline.EpochEntry(0, false)) {
		m[e.Key] = e
	}
	return m
}

func (m memory) entries() []pipeline.Entry { return slices.Collect(maps.Values(m)) }

func (m memory) update(u pipeline.Update) error {
	e := *u.Entry
	_, exists := m[e.Key]
	switch {
	case u.Kind == pipeline.Insert && exists:
		return fmt.Errorf("%s: already exists", e)
	case u.Kind != pipeline.Insert && !exists:
		return fmt.Errorf("%s: not found", e)
	case u.Kind == pipeline.Delete:
		delete(m, e.Key)
	default:
		m[e.Key] = e
	}
	return nil
}

func drawMatch[T ~uint8](t *rapid.T, label string, values ...T) pipeline.Match[T] {
	if rapid.Bool().Draw(t, label+" any") {
		return pipeline.Match[T]{}
	}
	return pipeline.Exactly(rapid.SampledFrom(values).Draw(t, label))
}

func drawVerdicts(t *rapid.T) map[pipeline.VerdictKey]pipeline.Verdict {
	verdicts := map[pipeline.VerdictKey]pipeline.Verdict{}
	for i := range rapid.IntRange(0, 6).Draw(t, "rules") {
		verdicts[pipeline.VerdictKey{
			Group:           drawMatch[pipeline.LineGroup](t, "group", 0, 1),
			Leg:             drawMatch(t, "leg", pipeline.UpDst),
			Service:         drawMatch[pipeline.Service](t, "service", 1, 2),
			RemoteClass:     drawMatch[pipeline.Class](t, "remote", 0, 1, 2),
			SubscriberClass: drawMatch[pipeline.Class](t, "subscriber", 0, 1),
			Priority:        int32(i + 1),
		}] = pipeline.Verdict{
			Action: rapid.SampledFrom([]pipeline.VerdictAction{pipeline.Permit, pipeline.Monitor, pipeline.Drop}).Draw(t, "action"),
			Rule:   pipeline.FirstRule + pipeline.RuleID(i),
		}
	}
	return verdicts
}

var prefixes = []netip.Prefix{
	netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("192.0.2.8/32"), netip.MustParsePrefix("0.0.0.0/1"),
	netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("2001:db8::25/128"),
}

func drawPrefixes(t *rapid.T, label string) map[netip.Prefix]pipeline.Class {
	classes := map[netip.Prefix]pipeline.Class{}
	for _, p := range prefixes {
		if rapid.Bool().Draw(t, label) {
			classes[p] = pipeline.Class(rapid.IntRange(1, 2).Draw(t, label+" class"))
		}
	}
	return classes
}

func drawState(t *rapid.T) *pipeline.State {
	s := &pipeline.State{
		Ports:        map[pipeline.Port]pipeline.PortRole{},
		Sources:      map[pipeline.SourceKey]struct{}{},
		SourceChecks: map[pipeline.LineGroup]pipeline.SourceCheck{},
		Limits:       map[pipeline.LimitKey]pipeline.Rate{},
		LinePorts:    map[pipeline.VLANKey]pipeline.Port{},
		SynOnly:      rapid.Bool().Draw(t, "syn only"),
		Lines:        map[pipeline.LineKey]pipeline.Line{},
		Services:     map[pipeline.ServiceKey]pipeline.ServiceValue{},
		Bridge:       map[pipeline.MAC]pipeline.BridgePort{},
		Remotes:      drawPrefixes(t, "remote"),
		Subscribers:  map[netip.Prefix]pipeline.Subscriber{},
		Verdicts:     drawVerdicts(t),
	}
	for p, class := range drawPrefixes(t, "subscriber") {
		s.Subscribers[p] = pipeline.Subscriber{Class: class, Line: pipeline.LineIndex(rapid.IntRange(0, 1).Draw(t, "home"))}
	}
	for port := range pipeline.Port(4) {
		if rapid.Bool().Draw(t, "network port") {
			s.Ports[port] = pipeline.Network
		}
		line := pipeline.Line{Group: pipeline.LineGroup(rapid.IntRange(0, 1).Draw(t, "group")), Index: pipeline.LineIndex(port + 1)}
		if rapid.Bool().Draw(t, "line") {
			s.Lines[pipeline.LineKey{Port: port, Session: pipeline.Session(rapid.IntRange(0, 1).Draw(t, "session"))}] = line
		}
		if rapid.Bool().Draw(t, "source") {
			s.Sources[pipeline.SourceKey{Line: line.Index, Prefix: rapid.SampledFrom(prefixes).Draw(t, "of")}] = struct{}{}
		}
		if rapid.Bool().Draw(t, "limit") {
			s.Limits[pipeline.LimitKey{Line: line.Index}] = pipeline.Rate{PerSecond: rapid.Uint32Range(1, 2).Draw(t, "rate"), Burst: 1}
		}
		if rapid.Bool().Draw(t, "line port") {
			s.LinePorts[pipeline.VLANKey{OuterVID: pipeline.VID(port + 1)}] = port
		}
		if rapid.Bool().Draw(t, "check") {
			s.SourceChecks[line.Group] = rapid.SampledFrom([]pipeline.SourceCheck{pipeline.SourceMonitor, pipeline.SourceDrop}).Draw(t, "as")
		}
		if rapid.Bool().Draw(t, "bridge") {
			s.Bridge[pipeline.MAC{2, 0, 0, 0, 0, byte(port)}] = pipeline.BridgePort{Port: port, Role: pipeline.PortRole(port % 2)}
		}
		if rapid.Bool().Draw(t, "flood") {
			s.AllPorts = append(s.AllPorts, port)
		}
	}
	for i, port := range []uint16{25, 587} {
		if rapid.Bool().Draw(t, "service") {
			s.Services[pipeline.ServiceKey{DstPort: pipeline.PortMatch{Port: port, Exact: true}}] = pipeline.ServiceValue{
				Leg: pipeline.UpDst, Service: pipeline.Service(i + 1), Priority: 1,
			}
		}
	}
	return s
}

// TestPlanConverges verifies that, whatever entries a switch has, it accepts all updates of a plan, and that a second plan is
// empty.
func TestPlanConverges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sw := fresh()
		for range rapid.IntRange(1, 4).Draw(t, "changes") {
			want := drawState(t)
			plan, err := Make(sw.entries(), want, nil, Options{})
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range plan.Steps {
				if len(s.Updates) == 0 {
					t.Fatalf("step %q has no update", s.Why)
				}
				for _, u := range s.Updates {
					if err := sw.update(u); err != nil {
						t.Fatalf("step %q: %v", s.Why, err)
					}
				}
			}
			again, err := Make(sw.entries(), want, nil, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if len(again.Steps) != 0 { // I5
				t.Fatalf("a second plan has %d steps, first: %s", len(again.Steps), again.Steps[0].Why)
			}
		}
	})
}

// TestRollbackIsOneModify verifies that a rollback to the previous rule set is a single MODIFY.
func TestRollbackIsOneModify(t *testing.T) {
	rule := func(a pipeline.VerdictAction) *pipeline.State {
		return &pipeline.State{Verdicts: map[pipeline.VerdictKey]pipeline.Verdict{{Priority: 1}: {Action: a, Rule: 2}}}
	}
	sw := fresh()
	for _, s := range []*pipeline.State{rule(pipeline.Monitor), rule(pipeline.Drop)} {
		plan, err := Make(sw.entries(), s, nil, Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range plan.Steps {
			for _, u := range step.Updates {
				if err := sw.update(u); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	plan, err := Make(sw.entries(), rule(pipeline.Monitor), nil, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(plan.Steps) != 1 || len(plan.Steps[0].Updates) != 1 || plan.Steps[0].Updates[0].Kind != pipeline.Modify {
		t.Fatalf("rollback is %+v, want one MODIFY", plan.Steps)
	}
	if got, want := plan.Steps[0].Why, "put epoch 1 in force in place of 2"; got != want {
		t.Errorf("rollback says %q, want %q", got, want)
	}
}

func TestNoRoom(t *testing.T) { // I10
	want := &pipeline.State{Remotes: map[netip.Prefix]pipeline.Class{
		netip.MustParsePrefix("192.0.2.0/24"): 1, netip.MustParsePrefix("198.51.100.0/24"): 1,
	}}
	info := proto.CloneOf(p4src.P4Info())
	for _, t := range info.GetTables() {
		if t.GetPreamble().GetAlias() == "remote_v4" {
			t.Size = 1
		}
	}
	contract, err := pipeline.NewContract(info)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Make(fresh().entries(), want, contract, Options{})
	if !errors.Is(err, ErrNoRoom) {
		t.Fatalf("error is %v, want ErrNoRoom", err)
	}
	if got, want := err.Error(), `table "remote_v4": no room: 1 entries, 2 wanted`; got != want {
		t.Errorf("error says %q, want %q", got, want)
	}
	for _, x := range []struct {
		room pipeline.SessionRoom
		want string
	}{
		{pipeline.SessionRoom{Sources: 20480, Subscribers: 40960}, ""},
		{pipeline.SessionRoom{Sources: 20481}, `table "source_v4": no room: 20480 entries, 0 wanted, and room for 20481 of sessions`},
		{pipeline.SessionRoom{Subscribers: 40961}, `table "subscriber_v6": no room: 40960 entries, 0 wanted, and room for 40961 of sessions`},
		{pipeline.SessionRoom{Leases: 40960}, ""},
		{pipeline.SessionRoom{Leases: 40961}, `table "subscriber_v6": no room: 40960 entries, 0 wanted, and room for 40961 of leases`},
		{pipeline.SessionRoom{Sources: 1, Leases: 40961}, `table "subscriber_v6": no room: 40960 entries, 0 wanted, and room for 40961 of sessions and leases`},
		{pipeline.SessionRoom{Subscribers: 1, Leases: 40960}, `table "subscriber_v6": no room: 40960 entries, 0 wanted, and room for 40961 of sessions and leases`},
	} {
		err := Room(&pipeline.State{Sessions: x.room}, contract)
		if got := fmt.Sprint(err); err == nil && x.want != "" || err != nil && (got != x.want || !errors.Is(err, ErrNoRoom)) {
			t.Errorf("%+v: error says %q, want %q", x.room, got, x.want)
		}
	}
}

// TestRestrictionsHoldBeforeTheFirstWrite verifies that Make refuses an entry that violates a restriction of the program.
func TestRestrictionsHoldBeforeTheFirstWrite(t *testing.T) {
	info := proto.CloneOf(p4src.P4Info())
	for _, t := range info.GetTables() {
		if t.GetPreamble().GetAlias() == "remote_v4" {
			t.Preamble.Annotations = []string{`@entry_restriction("prefix::prefix_length >= 24")`}
		}
	}
	contract, err := pipeline.NewContract(info)
	if err != nil {
		t.Fatal(err)
	}
	want := &pipeline.State{Remotes: map[netip.Prefix]pipeline.Class{netip.MustParsePrefix("192.0.0.0/16"): 1}}
	_, err = Make(fresh().entries(), want, contract, Options{})
	if !errors.Is(err, pipeline.ErrInvalid) || !strings.Contains(err.Error(), "remote_v4 prefix=192.0.0.0/16") || !strings.Contains(err.Error(), "prefix_length >= 24") {
		t.Errorf("error is %v, want ErrInvalid that names the entry and the restriction", err)
	}
}

func contractOf(t *testing.T) *pipeline.Contract {
	t.Helper()
	contract, err := pipeline.NewContract(p4src.P4Info())
	if err != nil {
		t.Fatal(err)
	}
	return contract
}
