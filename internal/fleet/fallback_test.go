package fleet

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"

	"op25b/internal/intent"
	"op25b/internal/p4rt"
	"op25b/internal/pipeline"
	"op25b/internal/policy"
	"op25b/internal/store"
	"op25b/internal/strict"
)

// exempting returns the documents with n more exemptions, one for each address.
func exempting(files []strict.File, n int) []strict.File {
	var b strings.Builder
	b.WriteString("exemptions:\n")
	addr := netip.MustParseAddr("100.64.0.0")
	for range n {
		fmt.Fprintf(&b, "  - {prefix: %v/32, owner: noc@isp.example, reason: test, expires: 2099-12-31}\n", addr)
		addr = addr.Next()
	}
	return replaced(files, "exemptions:\n", b.String())
}

// modified checks that the only write to a switch was one MODIFY of the running epoch.
func modified(t *testing.T, what string, x *testSwitch) {
	t.Helper()
	writes, pushes := x.forget()
	if len(writes) != 1 || len(writes[0].GetUpdates()) != 1 || pushes != 0 {
		t.Fatalf("%s: %d writes, %d pushes, want one write of one update: %v", what, len(writes), pushes, writes)
	}
	u := writes[0].GetUpdates()[0]
	e := must(p4rt.EntryOf(u.GetEntity()))(t)
	if _, running := e.IsRunningEpoch(); !running || u.GetType() != p4v1.Update_MODIFY {
		t.Errorf("%s: %v of %s, want MODIFY of the running epoch", what, u.GetType(), e)
	}
}

// TestI13PhaseWhereTheDocumentsDoNotFit verifies that the phase of a switch without room for the newest documents can be changed and
// changed back with one MODIFY each, even after a restart of the controller. The switch's status reports what is in force and what is
// not.
func TestI13PhaseWhereTheDocumentsDoNotFit(t *testing.T) {
	if testing.Short() {
		t.Skip("82,200 exemptions take most of a minute under the race detector")
	}
	x := startTestSwitch(t, 1, "127.0.0.1:0")
	s := embeddedStore(t)
	c := clockAt(time.Date(2006, 5, 20, 0, 0, 0, 0, time.UTC)) // in the phase "before"
	book := intent.NewBook(s, c.now)
	files := documentsOf(t, x)
	apply(t, book, files)
	cfg := Config{Name: "noc-1", Store: s, Book: book, Now: c.now}
	r := start(t, cfg)
	r.converged(x.name, 1)
	failed := func(what string, revision uint64, reason Reason, inForce string) {
		t.Helper()
		r.await(what, func(all map[string]Status) bool {
			st := all[x.name]
			return st.State == StateFailed && st.Reason == reason && st.Wanted == revision && st.InForce == inForce && st.Revision == 1 &&
				strings.Contains(st.Detail, `table "subscriber_v4": no room: 81920 entries, 82`)
		})
	}
	x.forget()
	apply(t, book, exempting(files, 82_200)) // an earlier release could store such documents, because it did not check them against the sizes of tables
	failed("no room", 2, ReasonNoRoom, "before")
	untouched(t, "no room", x)

	must(book.Activate(within(t), 2, "all-destinations", policy.Scope{}, by))(t)
	failed("activation", 3, ReasonPhaseOnly, "all-destinations")
	modified(t, "activation", x)
	must(book.Rollback(within(t), 3, policy.Scope{}, by))(t)
	failed("rollback", 4, ReasonPhaseOnly, "before")
	modified(t, "rollback", x)

	r.end()
	r = start(t, cfg)
	must(book.Activate(within(t), 4, "mobile-carriers", policy.Scope{}, by))(t)
	failed("activation after a restart", 5, ReasonPhaseOnly, "mobile-carriers")
	modified(t, "activation after a restart", x)

	// The restoration also undoes the activation, because the activation was made after revision 1.
	must(book.Restore(within(t), 1, 5, by))(t)
	if st := r.converged(x.name, 6); st.InForce != "before" || st.Failure != nil {
		t.Errorf("after the restoration: %+v", st)
	}
}

// TestI13PhaseWhereTheDocumentsAreBroken verifies that a phase can be changed and changed back with one MODIFY each while the newest
// documents cannot be used. This is also possible after a restart, and on a switch that an earlier release brought to these documents.
func TestI13PhaseWhereTheDocumentsAreBroken(t *testing.T) {
	x := startTestSwitch(t, 1, "127.0.0.1:0")
	s := embeddedStore(t)
	c := clockAt(time.Date(2006, 5, 20, 0, 0, 0, 0, time.UTC)) // in the phase "before"
	book := intent.NewBook(s, c.now)
	apply(t, book, documentsOf(t, x))
	cfg := Config{Name: "noc-1", Store: s, Book: book, Now: c.now}
	r := start(t, cfg)
	r.converged(x.name, 1)
	is := func(what string, wanted, revision uint64, reason Reason, inForce string) {
		t.Helper()
		r.await(what, func(all map[string]Status) bool {
			st := all[x.name]
			return st.State == StateFailed && st.Reason == reason && st.Wanted == wanted && st.InForce == inForce && st.Revision == revision &&
				strings.Contains(st.Detail, "the documents cannot be used: ")
		})
	}
	x.forget()
	broken := func(base uint64, texts map[string][]byte) store.Revision {
		t.Helper()
		return must(s.Revisions().Put(within(t), store.Change{Base: base, Author: "another hand", Reason: "test", Documents: texts, KeepOthers: true}))(t)
	}
	name := "files/" + documentsOf(t, x)[1].Name
	broken(1, map[string][]byte{name: []byte("kind: [Policy")})
	is("broken", 2, 1, ReasonCompile, "before")
	untouched(t, "broken", x)
	must(book.Activate(within(t), 2, "all-destinations", policy.Scope{}, by))(t)
	is("activation", 3, 1, ReasonPhaseOnly, "all-destinations")
	modified(t, "activation", x)
	r.end()
	cfg.Book = intent.NewBook(s, c.now)
	r = start(t, cfg)
	must(cfg.Book.Rollback(within(t), 3, policy.Scope{}, by))(t)
	is("rollback", 4, 1, ReasonPhaseOnly, "before")
	modified(t, "rollback", x)

	// An earlier release accepted the following documents and brought the switch to them.
	r.end()
	texts := map[string][]byte{name: documentsOf(t, x)[1].Data}
	for path, text := range must(s.Revisions().At(within(t), 4))(t).Documents {
		if strings.HasPrefix(path, "exemptions/") {
			texts[path] = bytes.ReplaceAll(text, []byte("2007-03-31"), []byte("2006-03-31")) // the exemption ends before its review
		}
	}
	old := broken(4, texts)
	records := store.JSON[Status](s, statusKind)
	had := must(records.Get(within(t), x.name))(t)
	had.Value.Revision, had.Value.RevisionID, had.Value.Wanted, had.Value.Failure, had.Value.InForce = 5, old.ID, 5, nil, "before"
	must(records.PutIf(within(t), x.name, had.Version, had.Value))(t)
	cfg.Book = intent.NewBook(s, c.now)
	r = start(t, cfg)
	is("documents of an earlier release", 5, 5, ReasonCompile, "before")
	x.forget()
	must(cfg.Book.Activate(within(t), 5, "mobile-carriers", policy.Scope{}, by))(t)
	is("activation", 6, 5, ReasonPhaseOnly, "mobile-carriers")
	modified(t, "activation under documents of an earlier release", x)

	must(cfg.Book.Restore(within(t), 1, 6, by))(t)
	if st := r.converged(x.name, 7); st.InForce != "before" || st.Failure != nil {
		t.Errorf("after the restoration: %+v", st)
	}
}

// TestI13PhaseOnAFullTable verifies a change of phase on a switch that cannot be repaired: another client has removed an entry and filled
// the entry's table with foreign entries that are kept. The phase can still be changed and changed back.
func TestI13PhaseOnAFullTable(t *testing.T) {
	x := startTestSwitch(t, 1, "127.0.0.1:0")
	s := embeddedStore(t)
	c := clockAt(time.Date(2006, 5, 20, 0, 0, 0, 0, time.UTC)) // in the phase "before"
	book := intent.NewBook(s, c.now)
	apply(t, book, replaced(documentsOf(t, x), "    rejectFrom:", "    foreign: keep\n    rejectFrom:"))
	r := start(t, Config{Name: "noc-1", Store: s, Book: book, Now: c.now, AuditEvery: 20 * time.Millisecond})
	st := r.converged(x.name, 1)
	var updates []*p4v1.Update
	for _, e := range entries(t, x) {
		if e.Table() == "service" {
			updates = append(updates, update(p4v1.Update_DELETE, p4rt.Entity(e)))
			break
		}
	}
	i := slices.IndexFunc(st.Tables, func(f TableFill) bool { return f.Table == "service" })
	services := make(map[pipeline.ServiceKey]pipeline.ServiceValue)
	for port := range uint16(st.Tables[i].Size - st.Tables[i].Entries + 1) {
		services[pipeline.ServiceKey{Role: pipeline.Access, DstPort: pipeline.PortMatch{Port: 40000 + port, Exact: true}}] = pipeline.ServiceValue{
			Leg: pipeline.UpDst, Service: 1, Priority: 9,
		}
	}
	for _, e := range must((&pipeline.State{Services: services}).Entries())(t) {
		if e.Table() == "service" {
			updates = append(updates, update(p4v1.Update_INSERT, p4rt.Entity(e)))
		}
	}
	x.hand(t, updates...)
	failed := func(what string, revision uint64, reason Reason, inForce string) {
		t.Helper()
		r.await(what, func(all map[string]Status) bool {
			st := all[x.name]
			return st.State == StateFailed && st.Reason == reason && st.Wanted == revision && st.InForce == inForce && strings.Contains(st.Detail, `table "service": no room`)
		})
	}
	failed("full", 1, ReasonNoRoom, "before")
	x.forget()
	must(book.Activate(within(t), 1, "all-destinations", policy.Scope{}, by))(t)
	failed("activation", 2, ReasonPhaseOnly, "all-destinations")
	modified(t, "activation", x)
	must(book.Rollback(within(t), 2, policy.Scope{}, by))(t)
	failed("rollback", 3, ReasonPhaseOnly, "before")
	modified(t, "rollback", x)
}
