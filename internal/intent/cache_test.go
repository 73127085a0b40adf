package intent

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"op25b/examples"
	"op25b/internal/store"
)

// TestCacheIsBounded verifies that the cache is limited in number and size, and always keeps the
// newest revision.
func TestCacheIsBounded(t *testing.T) {
	s := open(t)
	g := s.Generation()
	revision := func(n uint64, bytes int64) *Intent {
		return &Intent{Revision: store.Revision{Number: n, ID: fmt.Sprint(n), Bytes: bytes}, broken: &broken{}}
	}
	var c cache
	c.put(g, revision(100, 1<<40))
	for n := range uint64(20) {
		c.put(g, revision(n+1, 1))
	}
	if c.find(g, revision(100, 0).Revision) == nil || len(c.older) != MaxCached || c.find(g, revision(20, 0).Revision) == nil || c.find(g, revision(1, 0).Revision) != nil {
		t.Errorf("after 20 of 1 byte: %d are kept", len(c.older))
	}
	c.find(g, revision(14, 0).Revision)
	c.put(g, revision(30, 1))
	if c.find(g, revision(14, 0).Revision) == nil || c.find(g, revision(15, 0).Revision) != nil {
		t.Error("the one that was used last went, and not the one that was not used")
	}
	c.put(g, revision(31, MaxCachedBytes))
	if len(c.older) != 1 || c.find(g, revision(31, 0).Revision) == nil {
		t.Errorf("after one of the largest size: %d are kept", len(c.older))
	}
	c.put(g, revision(32, MaxCachedBytes+1))
	if len(c.older) != 1 || c.find(g, revision(32, 0).Revision) == nil {
		t.Errorf("after one that is larger: %d are kept, want it alone", len(c.older))
	}
	shared := &broken{}
	for n := range uint64(3) {
		in := revision(n+40, MaxCachedBytes)
		in.broken = shared
		c.put(g, in)
	}
	if len(c.older) != 3 {
		t.Errorf("of three with the same documents %d are kept", len(c.older))
	}
	c.generation++
	if c.find(g, revision(100, 0).Revision) != nil || len(c.older) != 0 {
		t.Error("revisions of another generation are kept")
	}
}

// TestOldRevisionIsReadOnce verifies that concurrent callers of At share one read of an old
// revision.
func TestOldRevisionIsReadOnce(t *testing.T) {
	s := open(t)
	apply(t, book(s), examples.SpinNet2006())
	apply(t, book(s), edited(t, "lineGroups:\n", "lineGroups:\n  - {name: vdsl}\n"))
	b := book(s)
	var asking sync.WaitGroup
	got := make([]*Intent, 8)
	for i := range got {
		asking.Go(func() { got[i], _ = b.At(within(t), 1) })
	}
	asking.Wait()
	if got[0] == nil || slices.ContainsFunc(got, func(in *Intent) bool { return in != got[0] }) {
		t.Errorf("revision 1 was read more than once: %v", got)
	}
	if again := must(b.At(within(t), 1))(t); again != got[0] {
		t.Error("revision 1 was read again")
	}
	if current := must(b.Current(within(t)))(t); current.Number != 2 {
		t.Errorf("the current revision is %d, want 2", current.Number)
	}
}
