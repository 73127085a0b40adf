package fleet

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"op25b/internal/intent"
	"op25b/internal/policy"
	"op25b/internal/store"
)

func TestConfig(t *testing.T) {
	good := Config{Name: "noc-1", Store: &store.Store{}, Book: &intent.Book{}}
	for want, change := range map[string]func(*Config){
		"no name: give each controller a unique one":                  func(c *Config) { c.Name = "" },
		`controller "noc-1" has no store or no book of intent`:        func(c *Config) { c.Store = nil },
		"audits every -1s: must be > 0, or 0 for 5m0s":                func(c *Config) { c.AuditEvery = -time.Second },
		"settle -1s: must be > 0, or 0 for 10s":                       func(c *Config) { c.Settle = -time.Second },
		"-1 switches converging at once: must be > 0, or 0 for 4 for": func(c *Config) { c.Converging = -1 },
	} {
		c := good
		change(&c)
		if err := Run(t.Context(), c); !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, want %q", err, want)
		}
	}
}

// If the store is closed, Run returns ErrClosed.
func TestStoreIsClosed(t *testing.T) {
	s := must(store.Open(within(t), store.Config{Dir: t.TempDir()}))(t)
	ended := make(chan error, 1)
	reg := prometheus.NewRegistry()
	go func() {
		ended <- Run(t.Context(), Config{Name: "noc-1", Store: s, Book: intent.NewBook(s, time.Now), Metrics: NewMetrics(reg)})
	}()
	for u := range s.WatchMembers(within(t)) {
		if len(u) == 1 {
			break
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, store.ErrClosed) {
		t.Errorf("Run returned %v, want ErrClosed", err)
	}
}

// If a session cannot be configured, the switch is in StateFailed until the intent changes.
func TestBadTLSFiles(t *testing.T) {
	x := startTestSwitch(t, 1, "127.0.0.1:0")
	s := embeddedStore(t)
	now := clockAt(allDestinations).now
	book := intent.NewBook(s, now)
	apply(t, book, replaced(documentsOf(t, x), "    rejectFrom:", "    tls: {ca: /nowhere/ca.pem}\n    rejectFrom:"))
	r := start(t, Config{Name: "noc-1", Store: s, Book: book, Now: now})
	r.await("failed", func(all map[string]Status) bool {
		st := all[x.name]
		return st.State == StateFailed && st.Reason == ReasonConfig && strings.Contains(st.Detail, "/nowhere/ca.pem")
	})
	in := apply(t, book, documentsOf(t, x))
	r.converged(x.name, in.Number)
}

func TestMetrics(t *testing.T) {
	x := startTestSwitch(t, 1, "127.0.0.1:0")
	s := embeddedStore(t)
	now := clockAt(allDestinations).now
	book := intent.NewBook(s, now)
	in := apply(t, book, documentsOf(t, x))
	reg := prometheus.NewRegistry()
	r := start(t, Config{Name: "noc-1", Store: s, Book: book, Now: now, Metrics: NewMetrics(reg)})
	r.converged(x.name, in.Number)
	in = must(book.Activate(within(t), in.Number, "before", policy.Scope{}, by))(t)
	r.converged(x.name, in.Number)
	got := make(map[string]float64)
	read := func() {
		for _, family := range must(reg.Gather())(t) {
			for _, m := range family.GetMetric() {
				name := family.GetName()
				for _, l := range m.GetLabel() {
					name += " " + l.GetValue()
				}
				got[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	read()
	for name, want := range map[string]float64{
		"op25b_fleet_switches converged": 1, "op25b_fleet_converge_seconds": 1, "op25b_fleet_phase_flips_total": 1,
		"op25b_fleet_ownership_changes_total taken": 1, "op25b_fleet_intent_revision": 2, "op25b_fleet_drift_total": 0, "op25b_fleet_entries_total added": 56,
	} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
	r.end()
	read()
	for name, n := range got {
		if strings.HasPrefix(name, "op25b_fleet_switches ") && n != 0 {
			t.Errorf("after the end %s is %v", name, n)
		}
	}
}

// A watch of statuses sends the newest statuses and ends when its context ends.
func TestWatchStatuses(t *testing.T) {
	s := embeddedStore(t)
	ctx, cancel := context.WithCancel(t.Context())
	watch := WatchStatuses(ctx, s)
	if all := <-watch; len(all) != 0 {
		t.Errorf("at first: %+v", all)
	}
	records := store.JSON[Status](s, statusKind)
	for _, name := range []string{"b", "a"} {
		must(records.PutIf(within(t), name, 0, Status{Switch: name, State: StateConverged}))(t)
	}
	awaitStored(t, watch, "both, by name", func(all []Status) bool { return len(all) == 2 && all[0].Switch == "a" && all[1].Switch == "b" })
	if err := records.Delete(within(t), "a", store.AnyVersion); err != nil {
		t.Fatal(err)
	}
	awaitStored(t, watch, "the other", func(all []Status) bool { return len(all) == 1 && all[0].Switch == "b" })
	cancel()
	for range watch {
	}
}
