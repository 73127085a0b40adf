package tally

import (
	"bytes"
	"context"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/test/bufconn"

	"op25b/examples"
	"op25b/internal/intent"
	"op25b/internal/openconfig"
	"op25b/internal/store"
	"op25b/internal/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// An edge is a gNMI server of a switch whose rule counters the test sets.
type edge struct {
	mu      sync.Mutex
	rules   map[uint32]uint64 // packets by rule id
	changed func()
}

func (e *edge) Snapshot(context.Context, openconfig.Parts) (*openconfig.State, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	in := openconfig.Interface{Name: "access-1", Port: 1, Oper: openconfig.OperUp, Counters: &openconfig.InterfaceCounters{InPkts: 7, OutOctets: 9}}
	for rule := range uint32(256) {
		if n := e.rules[rule]; n > 0 {
			in.ACL = append(in.ACL, openconfig.ACLEntry{SequenceID: rule, MatchedPackets: n, MatchedOctets: 60 * n})
		}
	}
	return &openconfig.State{ACLSet: "op25b", Interfaces: []openconfig.Interface{in}}, nil
}

func (e *edge) Watch(ctx context.Context, changed func()) error {
	e.mu.Lock()
	e.changed = changed
	e.mu.Unlock()
	changed()
	<-ctx.Done()
	return nil
}

// set replaces the counters. At least one rule must be new, so that the subscribers are notified of the
// change.
func (e *edge) set(rules map[uint32]uint64) {
	e.mu.Lock()
	e.rules = rules
	changed := e.changed
	e.mu.Unlock()
	if changed != nil {
		changed()
	}
}

// begin runs a tally on the worked example, in which e is the switch edge-1.
func begin(t *testing.T, e *edge) *Tally {
	t.Helper()
	server, err := openconfig.NewServer(e, openconfig.Options{MinSample: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	lis := bufconn.Listen(1 << 16)
	g := grpc.NewServer()
	gpb.RegisterGNMIServer(g, server)
	var running sync.WaitGroup
	running.Go(func() { _ = g.Serve(lis) })
	s, err := store.Open(t.Context(), store.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	running.Go(func() { _ = s.Run(ctx) })
	book := intent.NewBook(s, time.Now)
	proposal, err := book.Propose(ctx, examples.SpinNet2006())
	if err == nil {
		_, err = book.Put(ctx, proposal, intent.By{Who: "test", Reason: "test"})
	}
	if err != nil {
		t.Fatal(err)
	}
	tally, err := New(Config{Book: book, Telemetry: telemetry.Config{
		Interval:    10 * time.Millisecond,
		DialOptions: []grpc.DialOption{grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return lis.DialContext(ctx) })},
	}})
	if err != nil {
		t.Fatal(err)
	}
	running.Go(func() { tally.Run(ctx) })
	t.Cleanup(func() {
		stop()
		g.Stop()
		running.Wait()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return tally
}

// until reads the switch after each of its changes and samples until the condition is met.
func until(t *testing.T, tally *Tally, condition func(Switch) bool) Switch {
	t.Helper()
	for t.Context().Err() == nil {
		for _, s := range tally.Read("edge-1") {
			if condition(s) {
				return s
			}
		}
		time.Sleep(time.Millisecond) // poll, because samples are not announced here
	}
	return Switch{}
}

// written returns a gatherer that parses the metrics as Prometheus does.
func written(tally *Tally) prometheus.Gatherer {
	return prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
		var page bytes.Buffer
		if err := tally.WriteMetrics(&page); err != nil {
			return nil, err
		}
		parser := expfmt.NewTextParser(model.UTF8Validation)
		families, err := parser.TextToMetricFamilies(&page)
		for _, f := range families { // a registry orders labels and metrics
			for _, m := range f.Metric {
				slices.SortFunc(m.Label, func(a, b *dto.LabelPair) int { return strings.Compare(a.GetName(), b.GetName()) })
			}
			slices.SortFunc(f.Metric, func(a, b *dto.Metric) int {
				return slices.CompareFunc(a.Label, b.Label, func(a, b *dto.LabelPair) int { return strings.Compare(a.GetValue(), b.GetValue()) })
			})
		}
		return slices.SortedFunc(maps.Values(families), func(a, b *dto.MetricFamily) int { return strings.Compare(a.GetName(), b.GetName()) }), err
	})
}

func counts(s Switch) map[Key]uint64 {
	all := map[Key]uint64{}
	for _, n := range s.Totals {
		all[n.Key] = n.Packets
		if n.Octets != 60*n.Packets {
			all[Key{Rule: "octets of " + n.Rule}] = n.Octets
		}
	}
	return all
}

// TestNamesAndPhases verifies that counters have the names of the policy, and that packets are assigned
// to the phase that was in force.
func TestNamesAndPhases(t *testing.T) {
	e := &edge{rules: map[uint32]uint64{1: 4, 2: 30, 5: 10}} // fail-closed, relay, smtp-carrier
	tally := begin(t, e)
	if got := tally.Read(); len(got) != 0 {
		t.Errorf("a switch that is not owned was read: %+v", got)
	}
	tally.Follow("edge-1", true, 1, "before")
	first := until(t, tally, func(s Switch) bool { return s.Status.State == telemetry.Synced && len(s.Totals) == 3 })
	want := map[Key]uint64{{Rule: "fail-closed", Phase: "before"}: 4, {Rule: "relay", Phase: "before"}: 30, {Rule: "smtp-carrier", Phase: "before"}: 10}
	if d := cmp.Diff(want, counts(first)); d != "" {
		t.Errorf("want - got +:\n%s", d)
	}
	tally.Follow("edge-1", true, 2, "mobile-carriers")
	e.set(map[uint32]uint64{1: 4, 2: 31, 5: 15, 6: 2, 200: 1})
	want = map[Key]uint64{
		{Rule: "fail-closed", Phase: "before"}: 4, {Rule: "relay", Phase: "before"}: 30, {Rule: "smtp-carrier", Phase: "before"}: 10,
		{Rule: "relay", Phase: "mobile-carriers"}: 1, {Rule: "smtp-carrier", Phase: "mobile-carriers"}: 5,
		{Rule: "smtp-all", Phase: "mobile-carriers"}: 2, {Rule: "rule 200", Phase: "mobile-carriers"}: 1,
	}
	got := until(t, tally, func(s Switch) bool { return len(s.Totals) == len(want) })
	if d := cmp.Diff(want, counts(got)); d != "" {
		t.Errorf("after a change of phase: want - got +:\n%s", d)
	}

	// The metrics have the same numbers, and no other labels.
	const metrics = `
# HELP op25b_rule_packets_total Packets that a rule matched, by leg and by the phases in force.
# TYPE op25b_rule_packets_total counter
op25b_rule_packets_total{leg="",phase="before",rule="fail-closed",switch="edge-1"} 4
op25b_rule_packets_total{leg="",phase="before",rule="relay",switch="edge-1"} 30
op25b_rule_packets_total{leg="",phase="before",rule="smtp-carrier",switch="edge-1"} 10
op25b_rule_packets_total{leg="",phase="mobile-carriers",rule="relay",switch="edge-1"} 1
op25b_rule_packets_total{leg="",phase="mobile-carriers",rule="rule 200",switch="edge-1"} 1
op25b_rule_packets_total{leg="",phase="mobile-carriers",rule="smtp-all",switch="edge-1"} 2
op25b_rule_packets_total{leg="",phase="mobile-carriers",rule="smtp-carrier",switch="edge-1"} 5
# HELP op25b_interface_octets_total Octets of the frames that entered or left an interface.
# TYPE op25b_interface_octets_total counter
op25b_interface_octets_total{direction="in",interface="access-1",switch="edge-1"} 0
op25b_interface_octets_total{direction="out",interface="access-1",switch="edge-1"} 9
# HELP op25b_rule_action 1 for the action that a rule has in the phases in force.
# TYPE op25b_rule_action gauge
op25b_rule_action{action="drop",rule="fail-closed",switch="edge-1"} 1
op25b_rule_action{action="drop",rule="smtp-carrier",switch="edge-1"} 1
op25b_rule_action{action="drop",rule="tiny-fragment",switch="edge-1"} 1
op25b_rule_action{action="drop",rule="undetermined",switch="edge-1"} 1
op25b_rule_action{action="monitor",rule="smtp-all",switch="edge-1"} 1
op25b_rule_action{action="permit",rule="exempt",switch="edge-1"} 1
op25b_rule_action{action="permit",rule="later-fragment",switch="edge-1"} 1
op25b_rule_action{action="permit",rule="relay",switch="edge-1"} 1
op25b_rule_action{action="permit",rule="spoofed",switch="edge-1"} 1
op25b_rule_action{action="permit",rule="submission",switch="edge-1"} 1
# HELP op25b_telemetry_up 1 while the counters of a switch are current, and 0 otherwise.
# TYPE op25b_telemetry_up gauge
op25b_telemetry_up{switch="edge-1"} 1
`
	if err := testutil.GatherAndCompare(written(tally), strings.NewReader(metrics),
		"op25b_rule_packets_total", "op25b_interface_octets_total", "op25b_telemetry_up", "op25b_rule_action"); err != nil {
		t.Error(err)
	}
	if problems, err := testutil.GatherAndLint(written(tally)); err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}

	// The series of a switch vanish when the controller loses the switch.
	tally.Follow("edge-1", false, 0, "")
	if n, err := testutil.GatherAndCount(written(tally)); err != nil || n != 0 {
		t.Errorf("%d series of a switch that is not owned, %v", n, err)
	}
}
