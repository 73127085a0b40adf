package fleet

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"op25b/internal/intent"
	"op25b/internal/pipeline"
	"op25b/internal/store"
	"op25b/internal/store/storetest"
)

// carrier is a prefix of a class of servers in the worked example.
const carrier = "203.0.113.0/26"

// holds checks that a switch has the remote classes of an intent at the given time.
func holds(t *testing.T, x *testSwitch, in *intent.Intent, at time.Time) {
	t.Helper()
	classes := func(all []pipeline.Entry) []string {
		var some []string
		for _, e := range all {
			if e.Table() == "remote_v4" {
				some = append(some, e.String())
			}
		}
		slices.Sort(some)
		return some
	}
	c := must(in.Compile(x.name, at))(t)
	want, got := classes(must(c.Sharing().Entries())(t)), classes(entries(t, x))
	if !slices.Equal(got, want) {
		t.Errorf("the switch has %q, want %q of revision %d", got, want, in.Number)
	}
}

// While a controller runs, its etcd comes back with older content, empty, or as another cluster. The controller discards what it has read
// and brings the switch to the store's current content. It never confuses two revisions that have the same number. A change that is
// applied afterwards reaches the switch (I11).
func TestI11StoreReplaced(t *testing.T) {
	for _, c := range []struct {
		name    string
		replace func(t *testing.T, e *storetest.Etcd, saved string, backup []byte)
		left    uint64 // newest revision in the store after the replacement
	}{
		{"older", func(_ *testing.T, e *storetest.Etcd, saved string, _ []byte) { e.Restore(saved) }, 1},
		{"empty", func(_ *testing.T, e *storetest.Etcd, _ string, _ []byte) { e.Empty(false) }, 0},
		{"another cluster", func(_ *testing.T, e *storetest.Etcd, _ string, _ []byte) { e.Empty(true) }, 0},
		{"a backup restored", func(t *testing.T, e *storetest.Etcd, _ string, backup []byte) {
			s := openStore(t, store.Config{Endpoints: []string{e.Endpoint()}})
			must(s.Restore(within(t), bytes.NewReader(backup), true))(t)
		}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := startTestSwitch(t, 1, "127.0.0.1:0")
			e := storetest.Start(t)
			s := openStore(t, store.Config{Endpoints: []string{e.Endpoint()}, TTL: patient})
			now := clockAt(allDestinations).now
			book := intent.NewBook(s, now)
			files := documentsOf(t, x)
			apply(t, book, files)
			saved := e.Save()
			var backup bytes.Buffer
			must(s.Backup(within(t), &backup))(t)
			r := start(t, Config{Name: "noc-1", Store: s, Book: book, Now: now})
			r.converged(x.name, 1)
			second := apply(t, book, replaced(files, carrier, "203.0.113.0/27"))
			if st := r.converged(x.name, 2); st.RevisionID != second.ID || st.Store == "" {
				t.Fatalf("status %+v of revision %s", st, second.ID)
			}
			before := must(book.Current(within(t)))(t)
			g := s.Generation()
			was := must(g.Identity(within(t)))(t)

			c.replace(t, e, saved, backup.Bytes())
			select {
			case <-g.Done():
			case <-time.After(deadline):
				t.Fatal("the replacement was not found out")
			}
			current, err := book.Current(within(t))
			switch {
			case c.left == 0 && !errors.Is(err, intent.ErrNone):
				t.Fatalf("the intent of an empty store is %v, %v", current, err)
			case c.left > 0 && (err != nil || current.Number != c.left):
				t.Fatalf("the intent is %v, %v", current, err)
			case c.left > 0:
				st := r.converged(x.name, c.left)
				if st.Store == was.ID || st.RevisionID != current.ID || st.Reason != ReasonStoreReplaced || st.Detail == "" {
					t.Errorf("status %+v", st)
				}
				holds(t, x, current, now())
			}

			// The new store gets another revision with the number of the revision that was in force, but with other documents.
			var in *intent.Intent
			for bits := 28; in == nil || in.Number < before.Number; bits++ {
				in = apply(t, book, replaced(files, carrier, fmt.Sprintf("203.0.113.0/%d", bits)))
			}
			if in.ID == before.ID {
				t.Fatal("two revisions have one id")
			}
			r.await("the switch in the other revision of the number", func(all map[string]Status) bool {
				st := all[x.name]
				return st.State == StateConverged && st.RevisionID == in.ID && st.Store != was.ID
			})
			holds(t, x, in, now())
		})
	}
}
