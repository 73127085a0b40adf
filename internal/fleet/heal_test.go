package fleet

import (
	"slices"
	"strings"
	"testing"
	"time"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"

	"op25b/internal/intent"
	"op25b/internal/p4rt"
	"op25b/internal/pipeline"
	"op25b/internal/reconcile"
	"op25b/p4src"
)

func entries(t *testing.T, x *testSwitch) []pipeline.Entry {
	t.Helper()
	s := must(p4rt.DialReader(within(t), p4rt.Config{Addr: x.addr, DeviceID: x.id}))(t)
	defer s.Close()
	return must(reconcile.Read(within(t), s))(t)
}

func pick(t *testing.T, all []pipeline.Entry, table string) pipeline.Entry {
	t.Helper()
	i := slices.IndexFunc(all, func(e pipeline.Entry) bool { return e.Table() == table })
	if i < 0 {
		t.Fatalf("the switch has no %s entry", table)
	}
	return all[i]
}

func foreignEntry(t *testing.T) pipeline.Entry {
	t.Helper()
	all := must((&pipeline.State{Bridge: map[pipeline.MAC]pipeline.BridgePort{{2, 9, 9, 9, 9, 9}: {Port: 7}}}).Entries())(t)
	return all[slices.IndexFunc(all, func(e pipeline.Entry) bool { return e.Table() == "bridge" })]
}

func update(kind p4v1.Update_Type, e *p4v1.Entity) *p4v1.Update {
	return &p4v1.Update{Type: kind, Entity: e}
}

// An audit finds the changes that another client made, reports them and repairs them (I7).
func TestAuditHeals(t *testing.T) {
	x := startTestSwitch(t, 1, "127.0.0.1:0")
	s := embeddedStore(t)
	c := clockAt(allDestinations)
	book := intent.NewBook(s, c.now)
	in := apply(t, book, documentsOf(t, x))
	r := start(t, Config{Name: "noc-1", Store: s, Book: book, Now: c.now, AuditEvery: 50 * time.Millisecond})
	r.converged(x.name, in.Number)
	before := entries(t, x)
	remote := pick(t, before, "remote_v4")
	changed := p4rt.Entity(pick(t, before, "subscriber_v4"))
	changed.GetTableEntry().GetAction().GetAction().GetParams()[0].Value = []byte{7}
	foreign := foreignEntry(t)
	x.handAtAudit(
		t,
		update(p4v1.Update_DELETE, p4rt.Entity(remote)),
		update(p4v1.Update_MODIFY, changed),
		update(p4v1.Update_INSERT, p4rt.Entity(foreign)),
		update(p4v1.Update_MODIFY, p4rt.Entity(pipeline.EpochEntry(200, false))),
	)
	r.await("drift", func(all map[string]Status) bool {
		return all[x.name].State == StateConverged && len(all[x.name].Drift) > 0
	})
	r.mu.Lock()
	st := r.last[x.name]
	r.mu.Unlock()
	drift := strings.Join(st.Drift, "\n")
	for _, want := range []string{"missing " + remote.String(), "changed subscriber_v4", "foreign " + foreign.String(), "changed running_epoch"} {
		if !strings.Contains(drift, want) {
			t.Errorf("%q is not in the drift:\n%s", want, drift)
		}
	}
	same := func(a, b []pipeline.Entry) bool {
		all := make(map[pipeline.Key]pipeline.Value)
		for _, e := range a {
			all[e.Key] = e.Value
		}
		return len(a) == len(b) && !slices.ContainsFunc(b, func(e pipeline.Entry) bool {
			v, there := all[e.Key]
			return !there || v != e.Value
		})
	}
	if after := entries(t, x); !same(before, after) {
		t.Errorf("the switch has %d entries, %d before", len(after), len(before))
	}
}

// A switch is repaired after it was rebooted, and after another client pushed another program.
func TestRebootAndWrongPipeline(t *testing.T) {
	x := startTestSwitch(t, 1, "127.0.0.1:0")
	s := embeddedStore(t)
	c := clockAt(allDestinations)
	book := intent.NewBook(s, c.now)
	in := apply(t, book, documentsOf(t, x))
	r := start(t, Config{Name: "noc-1", Store: s, Book: book, Now: c.now, AuditEvery: 50 * time.Millisecond})
	first := r.converged(x.name, in.Number)
	had := len(entries(t, x))
	x.stop()
	r.await("the loss", func(all map[string]Status) bool { return all[x.name].State == StateDisconnected })
	y := startTestSwitch(t, 1, x.addr)
	again := func(what string, after time.Time) Status {
		var st Status
		r.await(what, func(all map[string]Status) bool {
			st = all[x.name]
			return st.State == StateConverged && st.Pushed.After(after)
		})
		if got := len(entries(t, y)); got != had {
			t.Errorf("%s: %d entries, %d before", what, got, had)
		}
		if len(st.Drift) == 0 || !strings.Contains(st.Drift[0], "another pipeline, or none") {
			t.Errorf("%s: drift %q", what, st.Drift)
		}
		return st
	}
	second := again("reboot", first.Pushed)

	_, err := y.P4Runtime().SetForwardingPipelineConfig(within(t), &p4v1.SetForwardingPipelineConfigRequest{
		DeviceId: y.id, ElectionId: y.leader(), Action: p4v1.SetForwardingPipelineConfigRequest_VERIFY_AND_COMMIT,
		Config: &p4v1.ForwardingPipelineConfig{
			P4Info: p4src.P4Info(), P4DeviceConfig: p4src.DeviceConfig(), Cookie: &p4v1.ForwardingPipelineConfig_Cookie{Cookie: 1},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	again("another program", second.Pushed)
}

// With foreign: keep, entries of other clients are kept and counted. Entries of an earlier revision are removed, even if the controller
// was restarted in between.
func TestForeignIsKept(t *testing.T) {
	x := startTestSwitch(t, 1, "127.0.0.1:0")
	s := embeddedStore(t)
	c := clockAt(allDestinations)
	book := intent.NewBook(s, c.now)
	files := documentsOf(t, x)
	files = replaced(files, "    rejectFrom:", "    foreign: keep\n    rejectFrom:")
	in := apply(t, book, files)
	cfg := Config{Name: "noc-1", Store: s, Book: book, Now: c.now, AuditEvery: 50 * time.Millisecond}
	r := start(t, cfg)
	st := r.converged(x.name, in.Number)
	if st.Foreign != 0 {
		t.Errorf("%d foreign entries at first", st.Foreign)
	}
	foreign := foreignEntry(t)
	x.hand(t, update(p4v1.Update_INSERT, p4rt.Entity(foreign)))
	r.await("the foreign entry", func(all map[string]Status) bool { return all[x.name].Foreign == 1 })

	has := func(table, text string) bool {
		return slices.ContainsFunc(entries(t, x), func(e pipeline.Entry) bool { return e.Table() == table && strings.Contains(e.String(), text) })
	}
	if !has("bridge", "02:00:00:00:01:01") {
		t.Fatal("the switch does not have the station of adsl-home")
	}
	r.end()
	in = apply(t, book, replaced(files, `        macs: ["02:00:00:00:01:01"]`+"\n", "")) // without the MAC address of adsl-home
	r = start(t, cfg)
	if st := r.converged(x.name, in.Number); st.Foreign != 1 {
		t.Errorf("%d foreign entries after the restart", st.Foreign)
	}
	if !has("bridge", "02:09:09:09:09:09") || has("bridge", "02:00:00:00:01:01") {
		t.Errorf("the foreign station is there: %v; the old one: %v", has("bridge", "02:09:09:09:09:09"), has("bridge", "02:00:00:00:01:01"))
	}
	in = apply(t, book, replaced(files, "foreign: keep", "foreign: remove"))
	if st := r.converged(x.name, in.Number); st.Foreign != 0 || has("bridge", "02:09:09:09:09:09") {
		t.Errorf("%d foreign entries with foreign: remove", st.Foreign)
	}
}

// If a table is full, the switch is in StateFailed with the table's name, and no entry is changed (I10).
func TestTableIsFull(t *testing.T) {
	x := startTestSwitch(t, 1, "127.0.0.1:0")
	s := embeddedStore(t)
	c := clockAt(allDestinations)
	book := intent.NewBook(s, c.now)
	files := replaced(documentsOf(t, x), "    rejectFrom:", "    foreign: keep\n    rejectFrom:")
	in := apply(t, book, files)
	r := start(t, Config{Name: "noc-1", Store: s, Book: book, Now: c.now, AuditEvery: 20 * time.Millisecond})
	st := r.converged(x.name, in.Number)
	i := slices.IndexFunc(st.Tables, func(f TableFill) bool { return f.Table == "service" })
	services := make(map[pipeline.ServiceKey]pipeline.ServiceValue)
	for port := range uint16(st.Tables[i].Size - st.Tables[i].Entries) {
		services[pipeline.ServiceKey{Role: pipeline.Access, DstPort: pipeline.PortMatch{Port: 40000 + port, Exact: true}}] = pipeline.ServiceValue{
			Leg: pipeline.UpDst, Service: 1, Priority: 9,
		}
	}
	var updates []*p4v1.Update
	for _, e := range must((&pipeline.State{Services: services}).Entries())(t) {
		if e.Table() == "service" {
			updates = append(updates, update(p4v1.Update_INSERT, p4rt.Entity(e)))
		}
	}
	x.hand(t, updates...)
	x.forget()
	before := len(entries(t, x))
	in = apply(t, book, replaced(files, "  - {name: submissions, ports: [465]}", "  - {name: submissions, ports: [465]}\n  - {name: pop3, ports: [110]}"))
	r.await("failed", func(all map[string]Status) bool {
		st := all[x.name]
		return st.State == StateFailed && st.Reason == ReasonNoRoom && strings.Contains(st.Detail, `table "service"`) && st.Wanted == in.Number && st.Revision == in.Number-1
	})
	untouched(t, "full", x)
	if after := len(entries(t, x)); after != before {
		t.Errorf("%d entries, %d before", after, before)
	}
	// Further attempts count as the same failure. The status reports neither another state nor another time. // I11
	r.await("attempts", func(all map[string]Status) bool {
		return all[x.name].Failure != nil && all[x.name].Failure.Attempts >= 4
	})
	r.mu.Lock()
	var first Status
	for _, st := range r.seen {
		switch {
		case st.Switch != x.name || st.Wanted != in.Number || first.State == 0 && st.State != StateFailed:
		case first.State == 0:
			first = st
		case st.State != StateFailed || st.Reason != ReasonNoRoom || !st.Since.Equal(first.Since):
			t.Errorf("failed since %v; then %v, %v, since %v", first.Since, st.State, st.Reason, st.Since)
		}
	}
	r.mu.Unlock()
	// After the previous documents were restored, the failure is over.
	in = must(book.Restore(within(t), in.Number-1, in.Number, by))(t)
	if st := r.converged(x.name, in.Number); st.Failure != nil || st.Reason != ReasonAsWanted {
		t.Errorf("restored: %v, failure %+v", st.Reason, st.Failure)
	}
}
