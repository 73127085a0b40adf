package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	clientv3 "go.etcd.io/etcd/client/v3"
)

func docs(pairs ...string) map[string][]byte {
	d := make(map[string][]byte)
	for i := 0; i < len(pairs); i += 2 {
		d[pairs[i]] = []byte(pairs[i+1])
	}
	return d
}

func put(t testing.TB, rs *Revisions, base uint64, documents map[string][]byte) Revision {
	t.Helper()
	return must(rs.Put(within(t), Change{Base: base, Author: "ota", Reason: "a test", Documents: documents}))(t)
}

// restore creates a revision with the documents of an older revision.
func restore(ctx context.Context, rs *Revisions, revision uint64, c Change, records ...AuditRecord) (Revision, error) {
	old, err := rs.At(ctx, revision)
	if err != nil {
		return Revision{}, err
	}
	c.Documents, c.Reserved, c.Restores = old.Documents, true, revision
	return rs.Put(ctx, c, records...)
}

// With KeepOthers, a change keeps every document of its base that it does not name, whatever the document's size. Another store reads
// the same documents.
func TestIntentKeepOthers(t *testing.T) {
	s := embeddedStore(t)
	rs := s.Revisions()
	large := strings.Repeat("a line of exemptions\n", 20_000)
	put(t, rs, 0, docs("a.yaml", "1", "b.yaml", large, "c.yaml", "3"))
	r := must(rs.Put(within(t), Change{Base: 1, Author: "ota", Reason: "r", Documents: docs("a.yaml", "2", "d.yaml", large+"x"), KeepOthers: true}))(t)
	want := docs("a.yaml", "2", "b.yaml", large, "c.yaml", "3", "d.yaml", large+"x")
	if r.Number != 2 || r.Documents != 4 || r.Bytes != int64(len(large)*2+3) {
		t.Errorf("made as %+v", r)
	}
	for _, from := range []*Store{s, beside(t, s)} {
		if diff := cmp.Diff(want, must(from.Revisions().At(within(t), 2))(t).Documents); diff != "" {
			t.Error(diff)
		}
	}
	_, err := rs.Put(within(t), Change{Base: 2, Author: "ota", Reason: "r", Documents: docs("c.yaml", "3"), KeepOthers: true})
	wantError(t, err, ErrUnchanged, "revision 2 has the same documents")
	_, err = rs.Put(within(t), Change{Base: 1, Author: "ota", Reason: "r", Documents: docs("c.yaml", "4"), KeepOthers: true})
	wantError(t, err, ErrStale, "made on revision 1, the current revision is 2")
}

func TestIntentRefused(t *testing.T) {
	s := embeddedStore(t)
	rs := s.Revisions()
	put(t, rs, 0, docs("a.yaml", "1"))
	put(t, rs, 1, docs("a.yaml", "2"))
	valid := func() Change {
		return Change{Base: 2, Author: "ota", Reason: "r", Documents: docs("a.yaml", "3")}
	}
	for _, c := range []struct {
		name string
		edit func(*Change)
		kind error
		want string
	}{
		{"old base", func(c *Change) { c.Base = 1 }, ErrStale, "the change was made on revision 1, the current revision is 2"},
		{"base ahead", func(c *Change) { c.Base = 3 }, ErrStale, "made on revision 3, the current revision is 2"},
		{"unchanged", func(c *Change) { c.Documents = docs("a.yaml", "2") }, ErrUnchanged, "nothing to change: revision 2 has the same documents"},
		{"no author", func(c *Change) { c.Author = " " }, ErrInvalid, `author " ": must be UTF-8 text of 1 to 4096 bytes`},
		{"no reason", func(c *Change) { c.Reason = "" }, ErrInvalid, `reason "": must be`},
		{"long reason", func(c *Change) { c.Reason = strings.Repeat("x", MaxReason+1) }, ErrInvalid, "of 1 to 4096 bytes"},
		{"nothing", func(c *Change) { c.Documents = nil }, ErrInvalid, "a change without documents: give at least one"},
		{"up", func(c *Change) { c.Documents = docs("../a", "") }, ErrInvalid, `document path "../a": must be relative`},
		{"root", func(c *Change) { c.Documents = docs("/etc/passwd", "") }, ErrInvalid, `document path "/etc/passwd": must be relative`},
	} {
		t.Run(c.name, func(t *testing.T) {
			change := valid()
			c.edit(&change)
			_, err := rs.Put(within(t), change, AuditRecord{Who: "ota", Verb: "apply"})
			wantError(t, err, c.kind, c.want)
		})
	}
	var stale *StaleError
	if _, err := rs.Put(within(t), Change{Base: 1, Author: "a", Reason: "r", Documents: docs("x", "")}); !errors.As(err, &stale) || stale.Base != 1 || stale.Current != 2 {
		t.Errorf("stale is %+v", stale)
	}
	_, err := restore(within(t), rs, 1, Change{Base: 1, Author: "a", Reason: "r"})
	wantError(t, err, ErrStale, "made on revision 1, the current revision is 2")
	_, err = restore(within(t), rs, 7, Change{Base: 2, Author: "a", Reason: "r"})
	wantError(t, err, ErrNotFound, "revision 7 of intent")
	_, err = restore(within(t), rs, 0, Change{Base: 2, Author: "a", Reason: "r"})
	wantError(t, err, ErrInvalid, "a change without documents")
	_, err = rs.History(within(t), 0, 0)
	wantError(t, err, ErrInvalid, "history of 0 revisions")
	if head := must(rs.Head(within(t)))(t); head.Number != 2 {
		t.Errorf("refused changes moved the head to %d", head.Number)
	}
	if head := must(s.Audit().Head(within(t)))(t); head.Seq != 0 {
		t.Errorf("refused changes left %d audit records", head.Seq)
	}
}

// If many changes are based on the same revision, one succeeds.
func TestIntentOneWins(t *testing.T) {
	etcd := embeddedStore(t)
	const writers = 5
	results := make(chan error, writers)
	for w := range writers {
		s := beside(t, etcd)
		go func() {
			_, err := s.Revisions().Put(within(t), Change{Author: fmt.Sprint(w), Reason: "r", Documents: docs("a", fmt.Sprint(w))}, AuditRecord{Who: fmt.Sprint(w), Verb: "apply"})
			results <- err
		}()
	}
	won := 0
	for range writers {
		if err := receive(t, "a writer", results); err == nil {
			won++
		} else if !errors.Is(err, ErrStale) {
			t.Error(err)
		}
	}
	if head := must(etcd.Audit().Verify(within(t)))(t); won != 1 || head.Seq != 1 {
		t.Errorf("%d writers won, %d are recorded", won, head.Seq)
	}
}

// TestLargeIntent uses 100,000 exemptions, which take 20 MiB. etcd accepts far less in one request.
func TestLargeIntent(t *testing.T) {
	s := embeddedStore(t)
	rs := s.Revisions()
	r := rand.New(rand.NewPCG(1, 2))
	var b bytes.Buffer
	for b.Len() < 20<<20 {
		fmt.Fprintf(&b, "  - {prefix: 2001:db8:%x::/48, owner: %x, reason: a mail server, expires: 2030-01-01}\n", r.Uint32(), r.Uint64())
	}
	large := b.Bytes()
	put(t, rs, 0, map[string][]byte{"policy.yaml": large})
	before := raw(t, s, s.pieceKey(""), clientv3.WithPrefix(), clientv3.WithCountOnly()).Count

	at := bytes.IndexByte(large[1000:], '\n') + 1001
	edited := bytes.Join([][]byte{large[:at], []byte("  - {prefix: 192.0.2.0/24, owner: new}\n"), large[at:]}, nil)
	put(t, rs, 1, map[string][]byte{"policy.yaml": edited})
	after := raw(t, s, s.pieceKey(""), clientv3.WithPrefix(), clientv3.WithCountOnly()).Count
	if before < 20 || after-before > 4 {
		t.Errorf("%d pieces, and %d more for one line", before, after-before)
	}
	if got := must(rs.At(within(t), 2))(t).Documents["policy.yaml"]; !bytes.Equal(got, edited) {
		t.Errorf("%d bytes came back of %d", len(got), len(edited))
	}
	diffs := must(rs.Diff(within(t), 1, 2))(t)
	if len(diffs) != 1 || strings.Count(diffs[0].Unified, "\n+") != 2 || !strings.Contains(diffs[0].Unified, "+  - {prefix: 192.0.2.0/24") {
		t.Errorf("%.2000s", diffs[0].Unified)
	}
	put(t, rs, 2, map[string][]byte{"policy.yaml": bytes.Repeat([]byte("x"), 3<<20)}) // content without any natural boundary for a piece
	if got := must(rs.At(within(t), 3))(t).Documents["policy.yaml"]; len(got) != 3<<20 {
		t.Errorf("%d bytes came back", len(got))
	}
}

// A change may have so many small documents that they exceed etcd's limit of 128 operations in a transaction.
func TestManyDocuments(t *testing.T) {
	s := embeddedStore(t)
	rs := s.Revisions()
	many := make(map[string][]byte)
	for i := range 1000 {
		many[fmt.Sprintf("lines/%04d.yaml", i)] = fmt.Appendf(nil, "line: %d\n", i)
	}
	put(t, rs, 0, many)
	if diff := cmp.Diff(many, must(rs.At(within(t), 1))(t).Documents); diff != "" {
		t.Error(diff)
	}
}

// TestRemove verifies that a change can remove single documents and keep the others.
func TestRemove(t *testing.T) {
	s := embeddedStore(t)
	rs := s.Revisions()
	put(t, rs, 0, map[string][]byte{"a": []byte("1"), "b": []byte("2"), "c": []byte("3")})
	c := Change{Base: 1, Author: "alice", Reason: "test", KeepOthers: true, Remove: []string{"b", "d"}}
	must(rs.Put(within(t), c))(t)
	if got := must(rs.At(within(t), 2))(t).Documents; len(got) != 2 || string(got["a"]) != "1" || string(got["c"]) != "3" {
		t.Errorf("got %q", got)
	}
	c.Base, c.Remove, c.Documents = 2, []string{"a"}, map[string][]byte{"b": []byte("4")}
	must(rs.Put(within(t), c))(t)
	if got := must(rs.At(within(t), 3))(t).Documents; len(got) != 2 || string(got["b"]) != "4" || string(got["c"]) != "3" {
		t.Errorf("got %q", got)
	}
}

// TestUnproved verifies that a revision that keeps documents of an unproved one is unproved for the same reason, and that storing the same documents
// with a proof of all of them ends that.
func TestUnproved(t *testing.T) {
	s := embeddedStore(t)
	put := func(base uint64, c Change) Revision {
		t.Helper()
		c.Base, c.Author, c.Reason = base, "a", "b"
		r, err := s.Revisions().Put(within(t), c)
		if err != nil {
			t.Fatal(err)
		}
		if head, err := s.Revisions().Head(within(t)); err != nil || head.Unproved != r.Unproved {
			t.Errorf("the head is unproved because %q, %v, want %q", head.Unproved, err, r.Unproved)
		}
		return r
	}
	for i, x := range []struct {
		change Change
		want   string
	}{
		{Change{Documents: docs("a.yaml", "1"), Unproved: "late"}, "late"},
		{Change{Documents: docs("b.yaml", "1"), KeepOthers: true}, "late"},
		{Change{Documents: docs("b.yaml", "2"), KeepOthers: true, Unproved: "later"}, "later"},
		{Change{Documents: docs("a.yaml", "1", "b.yaml", "2")}, ""}, // the same documents
		{Change{Documents: docs("b.yaml", "3"), KeepOthers: true}, ""},
	} {
		if r := put(uint64(i), x.change); r.Unproved != x.want {
			t.Errorf("revision %d is unproved because %q, want %q", r.Number, r.Unproved, x.want)
		}
	}
	_, err := s.Revisions().Put(within(t), Change{Base: 5, Author: "a", Reason: "b", Documents: docs("a.yaml", "1", "b.yaml", "3")})
	wantError(t, err, ErrUnchanged, "revision 5 has the same documents")
}
