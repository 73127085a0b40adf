package store

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"op25b/internal/store/storetest"
)

// replacements are the ways in which an etcd can come back with other content. The copy that is restored has revision 2 of the intent,
// and the newest revision that the store has seen is 4.
var replacements = []struct {
	name    string
	replace func(t *testing.T, e *storetest.Etcd, saved string)
	found   string
	head    uint64
}{
	{"older", func(_ *testing.T, e *storetest.Etcd, saved string) { e.Restore(saved) }, "etcd is at revision ", 2},
	{"empty", func(_ *testing.T, e *storetest.Etcd, _ string) { e.Empty(false) }, "etcd is at revision ", 0},
	{"another cluster", func(_ *testing.T, e *storetest.Etcd, _ string) { e.Empty(true) }, "etcd is cluster ", 0},
	{"older and gone on", func(t *testing.T, e *storetest.Etcd, saved string) {
		// The headers do not reveal the replacement. Only the record of revision 4 differs.
		e.Restore(saved)
		s := open(t, Config{Endpoints: []string{e.Endpoint()}, TTL: time.Second})
		goOn(t, s, 2, 40)
	}, "of the intent is not the one that was read", 42},
}

// goOn makes n revisions that follow the revision after.
func goOn(t *testing.T, s *Store, after uint64, n int) {
	t.Helper()
	for i := range uint64(n) {
		put(t, s.Revisions(), after+i, docs("a", fmt.Sprintf("%s%d", t.Name(), after+i)))
	}
}

// If etcd comes back with other content, the generation ends. Ownerships are lost, watches send the new content, and changes that were
// computed before the replacement are refused. The store gets an identity that it never had before.
func TestReplaced(t *testing.T) {
	for _, c := range replacements {
		t.Run(c.name, func(t *testing.T) {
			e := storetest.Start(t)
			// The store has its own connection to etcd, so that it does not notice what happens while the connection is refused.
			p := startProxy(t, "tcp", e.Endpoint())
			s := open(t, Config{Endpoints: []string{p.endpoint()}, TTL: 10 * time.Second, Timeout: deadline})
			rs := s.Revisions()
			goOn(t, s, 0, 2)
			saved := e.Save()
			goOn(t, s, 2, 2)
			record := JSON[string](s, "status")
			rev := must(record.PutIf(within(t), "edge-1", 0, "converged"))(t)
			o := must(s.TryOwn(within(t), "switch", "edge-1", "noc-1"))(t)
			heads, statuses := rs.Watch(t.Context(), 0), record.Watch(t.Context())
			for receive(t, "the head", heads).Number != 4 {
				continue
			}
			receive(t, "the statuses", statuses)
			g := s.Generation()
			was := must(g.Identity(within(t)))(t)

			p.refuse(true)
			c.replace(t, e, saved)
			p.refuse(false)
			closed(t, "the ownership", o.Lost())
			closed(t, "the generation", g.Done())
			wantError(t, g.Err(), ErrReplaced, c.found)
			if o.Held() {
				t.Error("an ownership of the store before is held")
			}

			now := s.Generation()
			is := must(now.Identity(within(t)))(t)
			if is.ID == was.ID || is.ID == "" || now.Number() != g.Number()+1 || !strings.Contains(now.Why(), c.found) {
				t.Errorf("generation %d of %+v, because %q; before %d of %+v", now.Number(), is, now.Why(), g.Number(), was)
			}
			for receive(t, "the head in the other store", heads).Number != c.head {
				continue
			}
			for _, ev := range receive(t, "the statuses in the other store", statuses) {
				if !ev.Deleted {
					t.Errorf("record %+v", ev)
				}
			}
			if _, err := record.PutIf(within(t), "edge-1", rev, "converged", o); err == nil {
				t.Error("a write of the generation before was made")
			}
			next := must(s.TryOwn(within(t), "switch", "edge-1", "noc-1"))(t)
			must(record.PutIf(within(t), "edge-1", 0, "converging", next))(t)
			put(t, rs, c.head, docs("a", "after"))
		})
	}
}

// Two stores detect the same replacement one after the other, and agree on one identity.
func TestReplacedForTwo(t *testing.T) {
	e := storetest.Start(t)
	one := open(t, Config{Endpoints: []string{e.Endpoint()}, TTL: time.Second})
	goOn(t, one, 0, 2)
	two := open(t, Config{Endpoints: []string{e.Endpoint()}, TTL: time.Second})
	a, b := must(one.Generation().Identity(within(t)))(t), must(two.Generation().Identity(within(t)))(t)
	if a.ID != b.ID {
		t.Fatalf("identities %v and %v", a, b)
	}
	saved := e.Save()
	goOn(t, one, 2, 2)
	must(two.Revisions().Head(within(t)))(t)
	e.Restore(saved)
	for _, g := range []*Generation{one.Generation(), two.Generation()} {
		if id, _ := g.ID(); id == a.ID {
			closed(t, "the generation", g.Done())
		}
	}
	for {
		a, b = must(one.Generation().Identity(within(t)))(t), must(two.Generation().Identity(within(t)))(t)
		if a.ID == b.ID {
			break
		}
		select { // one of the stores has not detected the replacement yet
		case <-one.Generation().Done():
		case <-two.Generation().Done():
		case <-time.After(deadline):
			t.Fatalf("identities %v and %v", a, b)
		}
	}
}

// A change that was computed before a replacement is refused by the new store, even if no process has detected the replacement yet.
func TestChangeOfAnotherStore(t *testing.T) {
	s := embeddedStore(t)
	put(t, s.Revisions(), 0, docs("a", "1"))
	g := s.Generation()
	must(s.client.Put(within(t), s.identityKey(), `{"id":"another"}`))(t)
	_, _, err := s.commit(within(t), change{op: "write", gen: g})
	wantError(t, err, ErrReplaced, "write: the store was replaced: its identity is another")
	if id := must(s.Generation().Identity(within(t)))(t); id.ID != "another" {
		t.Errorf("identity %+v", id)
	}
}
