package store

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestIntentHistory(t *testing.T) {
	now := time.Date(2006, 10, 1, 0, 0, 0, 0, time.UTC)
	s := open(t, Config{Dir: t.TempDir(), Now: func() time.Time { return now }})
	rs := s.Revisions()
	if head := must(rs.Head(within(t)))(t); head != (Revision{}) {
		t.Errorf("the head of an empty store is %+v", head)
	}
	if snap := must(rs.At(within(t), 0))(t); len(snap.Documents) != 0 {
		t.Errorf("revision 0 has %v", snap.Documents)
	}
	one := docs("policy.yaml", "kind: Policy\nname: a\n", "inventory/tokyo.yaml", "kind: Inventory\n")
	first := must(rs.Put(within(t), Change{Author: "ota", Reason: "the beginning", Documents: one}))(t)
	want := Revision{Number: 1, Author: "ota", Reason: "the beginning", Time: now, Documents: 2, Bytes: 37, ID: first.ID}
	if first != want {
		t.Errorf("the first revision is %+v, want %+v", first, want)
	}
	two := docs("policy.yaml", "kind: Policy\nname: b\n", "empty.yaml", "")
	put(t, rs, 1, two)
	if diff := cmp.Diff(one, must(rs.At(within(t), 1))(t).Documents); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(two, must(rs.At(within(t), 2))(t).Documents); diff != "" {
		t.Error(diff)
	}
	restored := must(restore(within(t), rs, 1, Change{Base: 2, Author: "kato", Reason: "b was wrong"}))(t)
	if restored.Number != 3 || restored.Restores != 1 || restored.Author != "kato" || restored.Bytes != 37 {
		t.Errorf("restored as %+v", restored)
	}
	third := must(rs.At(within(t), 3))(t)
	if diff := cmp.Diff(one, third.Documents); diff != "" {
		t.Error(diff)
	}
	if head := must(rs.Head(within(t)))(t); head != restored || third.Revision != restored {
		t.Errorf("the head is %+v, At says %+v, want %+v", head, third.Revision, restored)
	}
	for _, c := range []struct {
		before uint64
		limit  int
		want   []uint64
	}{{0, 10, []uint64{3, 2, 1}}, {0, 2, []uint64{3, 2}}, {3, 10, []uint64{2, 1}}, {1, 10, nil}} {
		var got []uint64
		for _, r := range must(rs.History(within(t), c.before, c.limit))(t) {
			got = append(got, r.Number)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("history before %d, limit %d: %s", c.before, c.limit, diff)
		}
	}
	_, err := rs.At(within(t), 4)
	wantError(t, err, ErrNotFound, "revision 4 of intent: not found: the current one is 3, and 1000 are kept")
}

func TestIntentDiff(t *testing.T) {
	s := embeddedStore(t)
	rs := s.Revisions()
	put(t, rs, 0, docs("a.yaml", "one\ntwo\n", "same.yaml", "same\n", "old.yaml", "old\n"))
	put(t, rs, 1, docs("a.yaml", "one\n2\n", "same.yaml", "same\n", "new.yaml", "new\n"))
	got := must(rs.Diff(within(t), 1, 2))(t)
	want := []DocumentDiff{
		{Path: "a.yaml", Unified: "--- a.yaml@1\n+++ a.yaml@2\n@@ -1,2 +1,2 @@\n one\n-two\n+2\n"},
		{Path: "new.yaml", Added: true, Unified: "--- /dev/null\n+++ new.yaml@2\n@@ -0,0 +1,1 @@\n+new\n"},
		{Path: "old.yaml", Removed: true, Unified: "--- old.yaml@1\n+++ /dev/null\n@@ -1,1 +0,0 @@\n-old\n"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got := must(rs.Diff(within(t), 0, 2))(t); len(got) != 3 || !got[0].Added {
		t.Errorf("from nothing: %+v", got)
	}
	if got := must(rs.Diff(within(t), 2, 2))(t); len(got) != 0 {
		t.Errorf("with itself: %+v", got)
	}
	_, err := rs.Diff(within(t), 1, 9)
	wantError(t, err, ErrNotFound, "revision 9 of intent: not found")
}
