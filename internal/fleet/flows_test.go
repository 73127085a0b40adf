package fleet

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"op25b/internal/intent"
	"op25b/internal/pipeline"
)

type told struct {
	name string
	flow pipeline.MailFlow
}

// hear returns an OnFlows and the flows that it was called with.
func hear() (func(string, []pipeline.MailFlow), chan told) {
	heard := make(chan told, 64)
	return func(name string, flows []pipeline.MailFlow) {
		for _, f := range flows {
			heard <- told{name, f}
		}
	}, heard
}

func next(t *testing.T, heard chan told) told {
	t.Helper()
	select {
	case f := <-heard:
		return f
	case <-time.After(deadline):
		t.Fatal("no mail flow arrived")
		return told{}
	}
}

// The owner of a switch receives the mail flow of a real packet. Another owner takes the subscription over, and a switch that was rebooted
// is subscribed again.
func TestOwnerHearsOfMailFlows(t *testing.T) {
	x := startTestSwitch(t, 1, "127.0.0.1:0")
	s := embeddedStore(t)
	begins := clockAt(time.Date(2006, 5, 20, 0, 0, 0, 0, time.UTC)) // in the phase "before", which monitors
	book := intent.NewBook(s, begins.now)
	in := apply(t, book, documentsOf(t, x))
	compiled := must(in.Compile(x.name, begins.now()))(t)
	rule, _ := compiled.RuleByName("smtp-all")
	listen, heard := hear()
	cfg := Config{
		Name: "noc-1", Store: s, Book: book, Now: begins.now, OnFlows: listen, Metrics: NewMetrics(prometheus.NewRegistry()),
		AuditEvery: 50 * time.Millisecond,
	}
	r := start(t, cfg)
	r.converged(x.name, in.Number)
	probe := func(what string, x *testSwitch) {
		t.Helper()
		p := startProber(t, x)
		if !p.probe() {
			t.Fatalf("%s: a monitored attempt was stopped", what)
		}
		p.end()
		got := next(t, heard)
		f := got.flow
		if got.name != x.name || f.Rule != rule.ID || f.Action != pipeline.Monitor || f.Remote != netip.MustParseAddr("203.0.113.129") ||
			f.Leg != pipeline.UpDst || f.SYNACK || compiled.Lines[f.Line] != "adsl-bot" {
			t.Errorf("%s: %+v, want the attempt of adsl-bot that rule %d monitors", what, got, rule.ID)
		}
	}
	awaitSubscribed(t, x, p4v1.Update_INSERT)
	probe("at first", x)
	if n := testutil.ToFloat64(cfg.Metrics.flows); n != 1 {
		t.Errorf("%v flows counted, want 1", n)
	}

	r.end()
	cfg.Name, cfg.Metrics = "noc-2", nil
	r = start(t, cfg)
	awaitSubscribed(t, x, p4v1.Update_MODIFY)

	x.stop()
	r.await("the loss", func(all map[string]Status) bool { return all[x.name].State == StateDisconnected })
	y := startTestSwitch(t, 1, x.addr)
	awaitSubscribed(t, y, p4v1.Update_INSERT)
	probe("after a reboot", y)
}

// A controller that nobody asks for mail flows subscribes no switch.
func TestNoSubscriptionWithoutListener(t *testing.T) {
	x := startTestSwitch(t, 1, "127.0.0.1:0")
	s := embeddedStore(t)
	book := intent.NewBook(s, clockAt(allDestinations).now)
	in := apply(t, book, documentsOf(t, x))
	r := start(t, Config{Name: "noc-1", Store: s, Book: book, Now: clockAt(allDestinations).now})
	r.converged(x.name, in.Number)
	r.end()
	if x.subscribed(p4v1.Update_INSERT) {
		t.Error("the switch was asked for mail flows")
	}
}

// subscribed reports whether the switch accepted such an update of the digest of mail flows.
func (x *testSwitch) subscribed(kind p4v1.Update_Type) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return slices.ContainsFunc(x.writes, func(w *p4v1.WriteRequest) bool {
		return slices.ContainsFunc(w.Updates, func(u *p4v1.Update) bool { return u.Type == kind && u.GetEntity().GetDigestEntry() != nil })
	})
}

// awaitSubscribed waits until the switch reports mail flows. The subscription follows the convergence.
func awaitSubscribed(t *testing.T, x *testSwitch, kind p4v1.Update_Type) {
	t.Helper()
	for over := time.After(deadline); !x.subscribed(kind); {
		select {
		case <-over:
			t.Fatal("the switch was not asked for mail flows")
		case <-time.After(time.Millisecond):
		}
	}
}
