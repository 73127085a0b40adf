package api

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"op25b/examples"
	"op25b/internal/fleet"
	"op25b/internal/openconfig"
	"op25b/internal/tally"
	"op25b/internal/telemetry"
	op25bv1 "op25b/proto/op25b/v1"
)

// An edge is a switch whose rule counters a test sets.
type edge struct {
	mu      sync.Mutex
	rules   map[uint32]uint64 // packets by rule id
	changed func()
}

func (e *edge) Snapshot(context.Context, openconfig.Parts) (*openconfig.State, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := []openconfig.Interface{
		{Name: "access-1", Port: 1, Oper: openconfig.OperUp, Counters: &openconfig.InterfaceCounters{InPkts: 7, OutOctets: 9}},
		{Name: "spare", Port: 40, Oper: openconfig.OperDown},
	}
	for _, rule := range slices.Sorted(maps.Keys(e.rules)) {
		all[0].ACL = append(all[0].ACL, openconfig.ACLEntry{SequenceID: rule, MatchedPackets: e.rules[rule], MatchedOctets: 60 * e.rules[rule]})
	}
	return &openconfig.State{ACLSet: "op25b", Interfaces: all}, nil
}

func (e *edge) Watch(ctx context.Context, changed func()) error {
	e.mu.Lock()
	e.changed = changed
	e.mu.Unlock()
	changed()
	<-ctx.Done()
	return nil
}

func (e *edge) set(rules map[uint32]uint64) {
	e.mu.Lock()
	e.rules = rules
	changed := e.changed
	e.mu.Unlock()
	changed()
}

// gnmi serves an edge on loopback until the test ends.
func gnmi(t *testing.T, e *edge) (addr string) {
	t.Helper()
	server, err := openconfig.NewServer(e, openconfig.Options{MinSample: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	l, err := Listen(Listening{Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer()
	gpb.RegisterGNMIServer(g, server)
	var serving sync.WaitGroup
	serving.Go(func() { _ = g.Serve(l) })
	t.Cleanup(func() { g.Stop(); serving.Wait() })
	return l.Addr().String()
}

// newCounting returns a world with the worked example, whose API reports the counters of a real tally.
func newCounting(t *testing.T, e *edge) (*world, *tally.Tally, op25bv1.TelemetryServiceClient) {
	t.Helper()
	var counters *tally.Tally
	w := newWorld(t, func(d *Deps) {
		var err error
		counters, err = tally.New(tally.Config{Book: d.Book, Telemetry: telemetry.Config{Interval: 20 * time.Millisecond}})
		if err != nil {
			t.Fatal(err)
		}
		d.Name, d.Counters = "noc-1", counters
	})
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = w.store.Run(ctx) })
	running.Go(func() { counters.Run(ctx) })
	t.Cleanup(func() { stop(); running.Wait() })
	w.put(edited(t, examples.SpinNet2006(), "127.0.0.1:9339", gnmi(t, e)))
	for name, addr := range map[string]string{"noc-1": w.addr, "noc-2": fleet.Addresses{API: "192.0.2.2:2525", GNMI: "192.0.2.2:9339", Page: "https://noc-2.isp.example:2580"}.String()} {
		p, err := w.store.Join(within(t), name, addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = p.Leave(context.Background()) })
	}
	return w, counters, op25bv1.NewTelemetryServiceClient(w.dial())
}

// sayOf returns the packets and octets of a switch's rules.
func sayOf(c *op25bv1.SwitchCounters) []string {
	var all []string
	for _, r := range c.GetRules() {
		all = append(all, fmt.Sprintf("%s/%s/%s %d %d", r.Rule, r.Leg, r.Phase, r.Packets, r.Octets))
	}
	return all
}

func TestCounters(t *testing.T) {
	e := &edge{rules: map[uint32]uint64{2: 30, 5: 10}}
	w, counters, api := newCounting(t, e)
	list := func(q *op25bv1.ListCountersRequest) *op25bv1.SwitchCounters {
		t.Helper()
		r, err := api.ListCounters(within(t), q)
		if err != nil || len(r.Switches) != 1 || r.Controller != "noc-1" || r.UtcOffset != "+09:00" {
			t.Fatalf("%v, %v", r, err)
		}
		return r.Switches[0]
	}

	// A switch without an owner, and a switch of another controller, are reported as such.
	if c := list(&op25bv1.ListCountersRequest{}); c.State != op25bv1.CollectionState_COLLECTION_STATE_NOT_OWNED || c.Reason != op25bv1.CollectionReason_COLLECTION_REASON_NO_OWNER {
		t.Errorf("no owner: %v", c)
	}
	w.switches.tell(&op25bv1.SwitchStatus{Switch: "edge-1", Owner: "noc-2", Ownership: op25bv1.SwitchOwnership_SWITCH_OWNERSHIP_OWNED})
	c := list(&op25bv1.ListCountersRequest{Interfaces: []string{"only-its-owner-knows"}})
	if c.State != op25bv1.CollectionState_COLLECTION_STATE_ELSEWHERE || c.Reason != op25bv1.CollectionReason_COLLECTION_REASON_OTHER_OWNER || c.Owner != "noc-2" || c.OwnerAddress != "192.0.2.2:2525" || c.OwnerPage != "https://noc-2.isp.example:2580" {
		t.Errorf("another owner: %v", c)
	}

	// The owner reports the counters by name.
	w.switches.tell(&op25bv1.SwitchStatus{Switch: "edge-1", Owner: "noc-1", Ownership: op25bv1.SwitchOwnership_SWITCH_OWNERSHIP_OWNED})
	if c := list(&op25bv1.ListCountersRequest{}); c.State != op25bv1.CollectionState_COLLECTION_STATE_DISCONNECTED || c.Reason != op25bv1.CollectionReason_COLLECTION_REASON_SCHEDULED {
		t.Errorf("just owned: %v", c)
	}
	counters.Follow("edge-1", true, 1, "before")
	stream, err := api.WatchCounters(within(t), &op25bv1.WatchCountersRequest{})
	if err != nil {
		t.Fatal(err)
	}
	received := func(condition func(*op25bv1.SwitchCounters) bool) *op25bv1.SwitchCounters {
		t.Helper()
		for {
			r, err := stream.Recv()
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range r.Switches {
				if condition(c) {
					return c
				}
			}
		}
	}
	received(func(c *op25bv1.SwitchCounters) bool {
		return c.State == op25bv1.CollectionState_COLLECTION_STATE_SYNCED && c.RatesOver != nil && len(c.Rules) == 2
	})
	c = list(&op25bv1.ListCountersRequest{Switches: []string{"edge-1"}})
	if got, want := sayOf(c), []string{"relay//before 30 1800", "smtp-carrier//before 10 600"}; !slices.Equal(got, want) || c.State != op25bv1.CollectionState_COLLECTION_STATE_SYNCED || c.Owner != "noc-1" || c.OwnerAddress != w.addr || c.Updated == nil {
		t.Errorf("%v, want %v", c, want)
	}
	in := c.Interfaces[0]
	if len(c.Interfaces) != 2 || in.Interface != "access-1" || in.Port != 1 || in.OperStatus != "UP" || in.GetInPackets() != 7 || in.GetOutOctets() != 9 || in.InPacketsPerSecond == nil {
		t.Errorf("%v", c.Interfaces)
	}
	if spare := c.Interfaces[1]; spare.OperStatus != "DOWN" || spare.InPackets != nil || spare.InPacketsPerSecond != nil {
		t.Errorf("counters that the switch does not report: %v", spare)
	}
	c = list(&op25bv1.ListCountersRequest{Rules: []string{"smtp-carrier"}, Interfaces: []string{"spare"}})
	if len(c.Rules) != 1 || c.Rules[0].Rule != "smtp-carrier" || len(c.Interfaces) != 1 || c.Interfaces[0].Interface != "spare" {
		t.Errorf("selected: %v", c)
	}

	// The stream sends only changes.
	e.set(map[uint32]uint64{2: 30, 5: 14, 200: 1})
	c = received(func(c *op25bv1.SwitchCounters) bool { return len(c.Rules) == 3 })
	if got, want := sayOf(c), []string{"relay//before 30 1800", "smtp-carrier//before 14 840", "rule 200//before 1 60"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	counters.Follow("edge-1", false, 0, "")
	w.switches.tell(&op25bv1.SwitchStatus{Switch: "edge-1", Owner: "noc-2", Ownership: op25bv1.SwitchOwnership_SWITCH_OWNERSHIP_OWNED})
	received(func(c *op25bv1.SwitchCounters) bool {
		return c.State == op25bv1.CollectionState_COLLECTION_STATE_ELSEWHERE && c.OwnerAddress == "192.0.2.2:2525" && len(c.Rules) == 0
	})
	w.stop()
	if _, err := stream.Recv(); status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "the controller is stopping: call again") {
		t.Errorf("at the end: %v", err)
	}
}

// TestCountersErrors verifies that errors list the unknown names and the known names.
func TestCountersErrors(t *testing.T) {
	e := &edge{rules: map[uint32]uint64{2: 30}}
	_, counters, api := newCounting(t, e)
	counters.Follow("edge-1", true, 1, "before")
	for news := counters.News(); ; news = counters.News() {
		if all := counters.Samples(); len(all) == 1 && all[0].Status.State == telemetry.Synced {
			break
		}
		<-news.Changed
	}
	many := func(n int) []string {
		all := make([]string, n)
		for i := range all {
			all[i] = fmt.Sprint("x", i)
		}
		return all
	}
	for _, tc := range []struct {
		q    *op25bv1.ListCountersRequest
		code codes.Code
		want string
	}{
		{&op25bv1.ListCountersRequest{Switches: []string{"edge-9"}}, codes.NotFound, `unknown switch "edge-9"; known: edge-1`},
		{&op25bv1.ListCountersRequest{Rules: []string{"smtp"}}, codes.NotFound, `unknown rule "smtp"; known: exempt, fail-closed, later-fragment, relay, smtp-all, `},
		{&op25bv1.ListCountersRequest{Interfaces: []string{"eth0"}}, codes.NotFound, `unknown interface "eth0"; known: access-1, access-2, access-3, access-4, core-carrier, core-provider, core-relay, spare`},
		{&op25bv1.ListCountersRequest{Switches: many(1025)}, codes.InvalidArgument, `switches: 1025 names; must be at most 1024; none means all`},
		{&op25bv1.ListCountersRequest{Rules: many(257)}, codes.InvalidArgument, `rules: 257 names; must be at most 256; none means all`},
		{&op25bv1.ListCountersRequest{Interfaces: many(1025)}, codes.InvalidArgument, `interfaces: 1025 names; must be at most 1024; none means all`},
	} {
		if _, err := api.ListCounters(within(t), tc.q); status.Code(err) != tc.code || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%v, want %v: %s", err, tc.code, tc.want)
		}
		stream, err := api.WatchCounters(within(t), &op25bv1.WatchCountersRequest{Switches: tc.q.Switches, Rules: tc.q.Rules, Interfaces: tc.q.Interfaces})
		if err == nil {
			_, err = stream.Recv()
		}
		if status.Code(err) != tc.code || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("watch: %v, want %v: %s", err, tc.code, tc.want)
		}
	}
	w := newWorld(t, nil)
	if _, err := op25bv1.NewTelemetryServiceClient(w.dial()).ListCounters(within(t), &op25bv1.ListCountersRequest{}); status.Code(err) != codes.Unimplemented {
		t.Errorf("without a collector: %v", err)
	}
}
