package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	clientv3 "go.etcd.io/etcd/client/v3"
	"pgregory.net/rapid"
)

func docs(pairs ...string) map[string][]byte {
	d := make(map[string][]byte)
	for i := 0; i < len(pairs); i += 2 {
		d[pairs[i]] = []byte(pairs[i+1])
	}
	return d
}

func put(t testing.TB, in *Intent, base uint64, documents map[string][]byte) Revision {
	t.Helper()
	return must(in.Put(within(t), Change{Base: base, Author: "ota", Reason: "a test", Documents: documents}))(t)
}

func TestIntentHistory(t *testing.T) {
	now := time.Date(2006, 10, 1, 0, 0, 0, 0, time.UTC)
	s := open(t, Config{Dir: t.TempDir(), Now: func() time.Time { return now }})
	in := s.Intent()
	if head := must(in.Head(within(t)))(t); head != (Revision{}) {
		t.Errorf("the head of an empty store is %+v", head)
	}
	if snap := must(in.At(within(t), 0))(t); len(snap.Documents) != 0 {
		t.Errorf("revision 0 has %v", snap.Documents)
	}
	one := docs("policy.yaml", "kind: Policy\nname: a\n", "inventory/tokyo.yaml", "kind: Inventory\n")
	first := must(in.Put(within(t), Change{Author: "ota", Reason: "the beginning", Documents: one}))(t)
	want := Revision{Number: 1, Author: "ota", Reason: "the beginning", Time: now, Documents: 2, Bytes: 37, ID: first.ID}
	if first != want {
		t.Errorf("the first revision is %+v, want %+v", first, want)
	}
	two := docs("policy.yaml", "kind: Policy\nname: b\n", "empty.yaml", "")
	put(t, in, 1, two)
	if diff := cmp.Diff(one, must(in.At(within(t), 1))(t).Documents); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(two, must(in.At(within(t), 2))(t).Documents); diff != "" {
		t.Error(diff)
	}
	restored := must(in.Restore(within(t), Restoration{Revision: 1, Base: 2, Author: "kato", Reason: "b was wrong"}))(t)
	if restored.Number != 3 || restored.Restores != 1 || restored.Author != "kato" || restored.Bytes != 37 {
		t.Errorf("restored as %+v", restored)
	}
	third := must(in.At(within(t), 3))(t)
	if diff := cmp.Diff(one, third.Documents); diff != "" {
		t.Error(diff)
	}
	if head := must(in.Head(within(t)))(t); head != restored || third.Revision != restored {
		t.Errorf("the head is %+v, At says %+v, want %+v", head, third.Revision, restored)
	}
	for _, c := range []struct {
		before uint64
		limit  int
		want   []uint64
	}{{0, 10, []uint64{3, 2, 1}}, {0, 2, []uint64{3, 2}}, {3, 10, []uint64{2, 1}}, {1, 10, nil}} {
		var got []uint64
		for _, r := range must(in.History(within(t), c.before, c.limit))(t) {
			got = append(got, r.Number)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("history before %d, limit %d: %s", c.before, c.limit, diff)
		}
	}
	_, err := in.At(within(t), 4)
	wantError(t, err, ErrNotFound, "revision 4 of intent: not found: the current one is 3, and 1000 are kept")
}

// A change that keeps the others has every document of its base that it does not name, whatever their size, and another store reads the same.
func TestIntentKeepOthers(t *testing.T) {
	s := embeddedStore(t)
	in := s.Intent()
	large := strings.Repeat("a line of exemptions\n", 20_000)
	put(t, in, 0, docs("a.yaml", "1", "b.yaml", large, "c.yaml", "3"))
	r := must(in.Put(within(t), Change{Base: 1, Author: "ota", Reason: "r", Documents: docs("a.yaml", "2", "d.yaml", large+"x"), KeepOthers: true}))(t)
	want := docs("a.yaml", "2", "b.yaml", large, "c.yaml", "3", "d.yaml", large+"x")
	if r.Number != 2 || r.Documents != 4 || r.Bytes != int64(len(large)*2+3) {
		t.Errorf("made as %+v", r)
	}
	for _, from := range []*Store{s, beside(t, s)} {
		if diff := cmp.Diff(want, must(from.Intent().At(within(t), 2))(t).Documents); diff != "" {
			t.Error(diff)
		}
	}
	_, err := in.Put(within(t), Change{Base: 2, Author: "ota", Reason: "r", Documents: docs("c.yaml", "3"), KeepOthers: true})
	wantError(t, err, ErrUnchanged, "revision 2 has the same documents")
	_, err = in.Put(within(t), Change{Base: 1, Author: "ota", Reason: "r", Documents: docs("c.yaml", "4"), KeepOthers: true})
	wantError(t, err, ErrStale, "made on revision 1, the current revision is 2")
}

func TestIntentDiff(t *testing.T) {
	s := embeddedStore(t)
	in := s.Intent()
	put(t, in, 0, docs("a.yaml", "one\ntwo\n", "same.yaml", "same\n", "old.yaml", "old\n"))
	put(t, in, 1, docs("a.yaml", "one\n2\n", "same.yaml", "same\n", "new.yaml", "new\n"))
	got := must(in.Diff(within(t), 1, 2))(t)
	want := []DocumentDiff{
		{Path: "a.yaml", Unified: "--- a.yaml@1\n+++ a.yaml@2\n@@ -1,2 +1,2 @@\n one\n-two\n+2\n"},
		{Path: "new.yaml", Added: true, Unified: "--- /dev/null\n+++ new.yaml@2\n@@ -0,0 +1,1 @@\n+new\n"},
		{Path: "old.yaml", Removed: true, Unified: "--- old.yaml@1\n+++ /dev/null\n@@ -1,1 +0,0 @@\n-old\n"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got := must(in.Diff(within(t), 0, 2))(t); len(got) != 3 || !got[0].Added {
		t.Errorf("from nothing: %+v", got)
	}
	if got := must(in.Diff(within(t), 2, 2))(t); len(got) != 0 {
		t.Errorf("with itself: %+v", got)
	}
	_, err := in.Diff(within(t), 1, 9)
	wantError(t, err, ErrNotFound, "revision 9 of intent: not found")
}

func TestIntentRefused(t *testing.T) {
	s := embeddedStore(t)
	in := s.Intent()
	put(t, in, 0, docs("a.yaml", "1"))
	put(t, in, 1, docs("a.yaml", "2"))
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
		{"nothing", func(c *Change) { c.Documents = nil }, ErrInvalid, "a change to no documents: give at least one"},
		{"up", func(c *Change) { c.Documents = docs("../a", "") }, ErrInvalid, `document path "../a": must be relative`},
		{"root", func(c *Change) { c.Documents = docs("/etc/passwd", "") }, ErrInvalid, `document path "/etc/passwd": must be relative`},
	} {
		t.Run(c.name, func(t *testing.T) {
			change := valid()
			c.edit(&change)
			_, err := in.Put(within(t), change, AuditRecord{Who: "ota", Verb: "apply"})
			wantError(t, err, c.kind, c.want)
		})
	}
	var stale *StaleError
	if _, err := in.Put(within(t), Change{Base: 1, Author: "a", Reason: "r", Documents: docs("x", "")}); !errors.As(err, &stale) || stale.Base != 1 || stale.Current != 2 {
		t.Errorf("stale is %+v", stale)
	}
	_, err := in.Restore(within(t), Restoration{Revision: 1, Base: 1, Author: "a", Reason: "r"})
	wantError(t, err, ErrStale, "made on revision 1, the current revision is 2")
	_, err = in.Restore(within(t), Restoration{Revision: 7, Base: 2, Author: "a", Reason: "r"})
	wantError(t, err, ErrNotFound, "revision 7 of intent")
	_, err = in.Restore(within(t), Restoration{Revision: 0, Base: 2, Author: "a", Reason: "r"})
	wantError(t, err, ErrInvalid, "restore revision 0")
	_, err = in.History(within(t), 0, 0)
	wantError(t, err, ErrInvalid, "history of 0 revisions")
	if head := must(in.Head(within(t)))(t); head.Number != 2 {
		t.Errorf("refused changes moved the head to %d", head.Number)
	}
	if head := must(s.Audit().Head(within(t)))(t); head.Seq != 0 {
		t.Errorf("refused changes left %d audit records", head.Seq)
	}
}

// Of many that change the same revision, one succeeds.
func TestIntentOneWins(t *testing.T) {
	etcd := embeddedStore(t)
	const writers = 5
	results := make(chan error, writers)
	for w := range writers {
		s := beside(t, etcd)
		go func() {
			_, err := s.Intent().Put(within(t), Change{Author: fmt.Sprint(w), Reason: "r", Documents: docs("a", fmt.Sprint(w))}, AuditRecord{Who: fmt.Sprint(w), Verb: "apply"})
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

// An ISP with 100,000 exemptions: 20 MiB, far more than etcd takes in one request.
func TestLargeIntent(t *testing.T) {
	s := embeddedStore(t)
	in := s.Intent()
	r := rand.New(rand.NewPCG(1, 2))
	var b bytes.Buffer
	for b.Len() < 20<<20 {
		fmt.Fprintf(&b, "  - {prefix: 2001:db8:%x::/48, owner: %x, reason: a mail server, expires: 2030-01-01}\n", r.Uint32(), r.Uint64())
	}
	large := b.Bytes()
	put(t, in, 0, map[string][]byte{"policy.yaml": large})
	before := raw(t, s, s.pieceKey(""), clientv3.WithPrefix(), clientv3.WithCountOnly()).Count

	at := bytes.IndexByte(large[1000:], '\n') + 1001
	edited := bytes.Join([][]byte{large[:at], []byte("  - {prefix: 192.0.2.0/24, owner: new}\n"), large[at:]}, nil)
	put(t, in, 1, map[string][]byte{"policy.yaml": edited})
	after := raw(t, s, s.pieceKey(""), clientv3.WithPrefix(), clientv3.WithCountOnly()).Count
	if before < 20 || after-before > 4 {
		t.Errorf("%d pieces, and %d more for one line", before, after-before)
	}
	if got := must(in.At(within(t), 2))(t).Documents["policy.yaml"]; !bytes.Equal(got, edited) {
		t.Errorf("%d bytes came back of %d", len(got), len(edited))
	}
	diffs := must(in.Diff(within(t), 1, 2))(t)
	if len(diffs) != 1 || strings.Count(diffs[0].Unified, "\n+") != 2 || !strings.Contains(diffs[0].Unified, "+  - {prefix: 192.0.2.0/24") {
		t.Errorf("%.2000s", diffs[0].Unified)
	}
	put(t, in, 2, map[string][]byte{"policy.yaml": bytes.Repeat([]byte("x"), 3<<20)}) // nothing to cut at
	if got := must(in.At(within(t), 3))(t).Documents["policy.yaml"]; len(got) != 3<<20 {
		t.Errorf("%d bytes came back", len(got))
	}
}

// Many small documents are more than etcd's 128 operations a transaction.
func TestManyDocuments(t *testing.T) {
	s := embeddedStore(t)
	in := s.Intent()
	many := make(map[string][]byte)
	for i := range 1000 {
		many[fmt.Sprintf("lines/%04d.yaml", i)] = fmt.Appendf(nil, "line: %d\n", i)
	}
	put(t, in, 0, many)
	if diff := cmp.Diff(many, must(in.At(within(t), 1))(t).Documents); diff != "" {
		t.Error(diff)
	}
}

func TestIntentWatch(t *testing.T) {
	s := embeddedStore(t)
	p := behindProxy(t, s)
	far := open(t, Config{Endpoints: []string{p.endpoint()}})
	in := s.Intent()
	ctx, cancel := context.WithCancel(t.Context())
	fromStart := far.Intent().Watch(ctx, 0)
	put(t, in, 0, docs("a", "1"))
	if r := receive(t, "the first", fromStart); r.Number != 1 || r.Author != "ota" {
		t.Errorf("told of %+v", r)
	}
	later := far.Intent().Watch(ctx, 2)
	put(t, in, 1, docs("a", "2"))
	put(t, in, 2, docs("a", "3"))
	if r := receive(t, "after 2", later); r.Number != 3 {
		t.Errorf("told of %+v, want revision 3", r)
	}
	// Nobody receives while there are many: the newest is what counts, in the end.
	for i := range uint64(20) {
		put(t, in, 3+i, docs("a", fmt.Sprint("slow", i)))
	}
	told := 0
	for n := uint64(0); n < 23; told++ {
		next := receive(t, "the newest", fromStart).Number
		if next <= n {
			t.Fatalf("told of %d after %d", next, n)
		}
		n = next
	}
	// The connection is lost, and what happens then is compacted before it is back.
	p.stall()
	put(t, in, 23, docs("a", "4"))
	last := put(t, in, 24, docs("a", "5"))
	must(s.client.Compact(within(t), raw(t, s, in.headKey()).Header.Revision, clientv3.WithCompactPhysical()))(t)
	p.cut()
	p.flow()
	for r := range fromStart {
		if r == last {
			break
		}
	}
	cancel()
	closed(t, "ended by its context", fromStart)
	open := far.Intent().Watch(t.Context(), last.Number)
	if err := far.Close(); err != nil {
		t.Fatal(err)
	}
	closed(t, "ended by Close", open)
	closed(t, "begun after Close", far.Intent().Watch(t.Context(), 0))
}

// What revisions that are kept need stays, all else goes.
func TestSweep(t *testing.T) {
	s := open(t, Config{Dir: t.TempDir(), History: 2})
	in := s.Intent()
	count := func() int64 {
		return raw(t, s, s.pieceKey(""), clientv3.WithPrefix(), clientv3.WithCountOnly()).Count
	}
	for i := range uint64(4) {
		put(t, in, i, docs("a", fmt.Sprint(i), "same", "same"))
	}
	if _, err := s.client.Put(within(t), s.pieceKey("left by a crash"), "x"); err != nil {
		t.Fatal(err)
	}
	_, err := in.At(within(t), 2)
	wantError(t, err, ErrNotFound, "revision 2 of intent: not found: the current one is 4, and 2 are kept")
	if n := must(in.sweep(within(t)))(t); n != 5 { // of revisions 1 and 2 a manifest and a document each, and the crash's
		t.Errorf("%d reclaimed", n)
	}
	if n := count(); n != 5 {
		t.Errorf("%d pieces left", n)
	}
	for _, r := range []uint64{3, 4} {
		if got := must(in.At(within(t), r))(t); string(got.Documents["same"]) != "same" || string(got.Documents["a"]) != fmt.Sprint(r-1) {
			t.Errorf("revision %d has %q", r, got.Documents)
		}
	}
	if n := must(in.sweep(within(t)))(t); n != 0 {
		t.Errorf("%d reclaimed by a second sweep", n)
	}
	// By itself, in time.
	for i := uint64(4); i < sweepEvery; i++ {
		put(t, in, i, docs("a", fmt.Sprint(i), "same", "same"))
	}
	s.sweeping <- struct{}{} // the sweep has ended
	if n := count(); n > 5 {
		t.Errorf("%d pieces left after revision %d", n, sweepEvery)
	}
}

// A change that is under way counts on pieces that a sweep takes for unused: those that are too large to go with its transaction.
func TestSweepDuringPut(t *testing.T) {
	s := open(t, Config{Dir: t.TempDir()})
	in := s.Intent()
	put(t, in, 0, docs("a", "1"))
	var mu sync.Mutex // guards swept
	swept := 0
	// Put asks for the time between the pieces and the head. The store asks for it in the background too: a sweep finds nothing then.
	sweeping := open(t, Config{Endpoints: s.Endpoints(), Now: func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		if swept == 0 {
			var err error
			if swept, err = in.sweep(within(t)); err != nil {
				t.Error(err)
			}
		}
		return time.Now()
	}})
	large := strings.Repeat("2", 2*littleBytes)
	r := put(t, sweeping.Intent(), 1, docs("a", large))
	mu.Lock()
	defer mu.Unlock()
	if r.Number != 2 || swept < 2 {
		t.Errorf("revision %d, and the sweep found %d", r.Number, swept)
	}
	if got := must(in.At(within(t), 2))(t).Documents["a"]; string(got) != large {
		t.Errorf("revision 2 has %d bytes", len(got))
	}
}

func TestDamagedContent(t *testing.T) {
	s := embeddedStore(t)
	in := s.Intent()
	put(t, in, 0, docs("a", "content"))
	for _, kv := range raw(t, s, s.pieceKey(""), clientv3.WithPrefix()).Kvs {
		if string(kv.Value) == "content" {
			must(s.client.Put(within(t), string(kv.Key), "c0ntent"))(t)
		}
	}
	_, err := beside(t, s).Intent().At(within(t), 1) // who has not read it before
	wantError(t, err, ErrCorrupt, "intent at revision 1: stored content is damaged: piece ")
}

// History behaves as a list of maps does.
func TestIntentModel(t *testing.T) {
	etcd := embeddedStore(t)
	run := 0
	rapid.Check(t, func(t *rapid.T) {
		run++
		const kept = 4
		s, err := Open(context.Background(), Config{Endpoints: etcd.Endpoints(), Prefix: fmt.Sprintf("/model/%d/", run), History: kept})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		in, ctx := s.Intent(), context.Background()
		model := []map[string][]byte{{}}
		documents := rapid.MapOfN(rapid.SampledFrom([]string{"a", "b/c", "d"}), rapid.SliceOfN(rapid.Byte(), 0, 3), 1, 3)
		head := func() uint64 { return uint64(len(model) - 1) }
		isKept := func(n uint64) bool { return n > 0 && n <= head() && n+kept > head() }
		made := func(t *rapid.T, r Revision, err error, base uint64, documents map[string][]byte) {
			switch same := head() > 0 && maps.EqualFunc(documents, model[head()], bytes.Equal); {
			case base != head():
				var stale *StaleError
				if !errors.As(err, &stale) || stale.Base != base || stale.Current != head() {
					t.Fatalf("on %d while at %d: %v", base, head(), err)
				}
			case same && !errors.Is(err, ErrUnchanged):
				t.Fatalf("no change: %v", err)
			case same:
			case err != nil || r.Number != head()+1:
				t.Fatalf("revision %d, %v", r.Number, err)
			default:
				model = append(model, documents)
			}
		}
		near := rapid.Custom(func(t *rapid.T) uint64 {
			return rapid.OneOf(rapid.Just(head()), rapid.Uint64Range(0, head()+1)).Draw(t, "near")
		})
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				base, d := near.Draw(t, "base"), documents.Draw(t, "documents")
				r, err := in.Put(ctx, Change{Base: base, Author: "a", Reason: "r", Documents: d}, AuditRecord{Who: "a", Verb: "put"})
				made(t, r, err, base, d)
			},
			"restore": func(t *rapid.T) {
				base, n := near.Draw(t, "base"), rapid.Uint64Range(1, head()+1).Draw(t, "revision")
				r, err := in.Restore(ctx, Restoration{Revision: n, Base: base, Author: "a", Reason: "r"}, AuditRecord{Who: "a", Verb: "restore"})
				if !isKept(n) {
					if !errors.Is(err, ErrNotFound) {
						t.Fatalf("restore %d at %d: %v", n, head(), err)
					}
					return
				}
				made(t, r, err, base, model[n])
			},
			"sweep": func(t *rapid.T) {
				if _, err := in.sweep(ctx); err != nil {
					t.Fatal(err)
				}
			},
			"": func(t *rapid.T) {
				n := near.Draw(t, "at")
				snap, err := in.At(ctx, n)
				if n > 0 && !isKept(n) {
					if !errors.Is(err, ErrNotFound) {
						t.Fatalf("at %d of %d: %v", n, head(), err)
					}
					return
				}
				if err != nil || !maps.EqualFunc(snap.Documents, model[n], bytes.Equal) {
					t.Fatalf("at %d: %q, %v; want %q", n, snap.Documents, err, model[n])
				}
			},
		})
		// Every change has its record, and nothing else has one.
		if h, err := s.Audit().Verify(ctx); err != nil || h.Seq != head() {
			t.Fatalf("%d audit records, %v, of %d changes", h.Seq, err, head())
		}
	})
}

// A change was made and its answer is lost: it is not made twice, and not told to be another's.
func TestAnswerLost(t *testing.T) {
	s := embeddedStore(t)
	p := behindProxy(t, s)
	var losing atomic.Bool
	far := open(t, Config{Endpoints: []string{p.endpoint()}, TTL: 60 * time.Second, Now: func() time.Time {
		if losing.Load() { // asked for between the last read and the transaction
			p.stallOnly(answers)
		}
		return time.Now()
	}})
	must(far.TryOwn(within(t), "switch", "warm", "noc"))(t) // has made the lease
	lost := func(key string, call func() error) {
		t.Helper()
		done := make(chan error)
		go func() { done <- call() }()
		for u := range s.follow(within(t), s.key(key)) {
			if len(u.kvs) > 0 { // made
				break
			}
		}
		p.flow()
		p.cut()
		if err := receive(t, key, done); err != nil {
			t.Errorf("%s: %v", key, err)
		}
		// The answer may have passed before the cut: connect again, before the next stop of the answers stops that, too.
		must(far.Intent().Head(within(t)))(t)
	}
	losing.Store(true)
	lost("intent/head", func() error {
		r, err := far.Intent().Put(within(t), Change{Author: "a", Reason: "r", Documents: docs("a", "1")})
		losing.Store(false)
		if err == nil && r.Number != 1 {
			err = fmt.Errorf("revision %d", r.Number)
		}
		return err
	})
	p.stallOnly(answers)
	lost("rec/status/a", func() error {
		rev, err := JSON[string](far, "status").PutIf(within(t), "a", 0, "up")
		if got := raw(t, s, s.key("rec/status/a")).Kvs[0].ModRevision; err == nil && got != rev {
			err = fmt.Errorf("revision %d, want %d", rev, got)
		}
		return err
	})
	p.stallOnly(answers)
	lost("own/switch/a", func() error {
		o, err := far.TryOwn(within(t), "switch", "a", "noc")
		if err == nil && (!o.Held() || int64(o.Epoch()) != raw(t, s, o.key).Kvs[0].CreateRevision) {
			err = fmt.Errorf("held %v, epoch %d", o.Held(), o.Epoch())
		}
		return err
	})
}
