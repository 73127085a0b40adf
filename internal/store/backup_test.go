package store

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"op25b/internal/store/storetest"
)

// filled fills a store with a history, audit records, records of other packages, and the keys of a running controller.
func filled(t *testing.T, s *Store, revisions int) {
	t.Helper()
	for i := range uint64(revisions) {
		c := Change{Base: i, Author: "ota", Reason: "r", Documents: docs("a", fmt.Sprint(i), "same", "same", "large", fmt.Sprint(bytes.Repeat([]byte{byte(i)}, 300<<10)))}
		must(s.Revisions().Put(within(t), c, AuditRecord{Who: "ota", Verb: "apply"}))(t)
	}
	must(JSON[string](s, "rank").PutIf(within(t), "edge-1", 0, "7"))(t)
	must(JSON[string](s, "status").PutIf(within(t), "edge-1", 0, "converged"))(t)
	must(JSON[string](s, "clock").PutIf(within(t), "noc-1", 0, "12:00"))(t)
	must(s.TryOwn(within(t), "switch", "edge-1", "noc-1"))(t)
	must(s.Join(within(t), "noc-1", "addr"))(t)
}

// sameAs compares all content of two stores that a backup contains.
func sameAs(t *testing.T, what string, a, b *Store) {
	t.Helper()
	x, y := must(a.Revisions().History(within(t), 0, 1000))(t), must(b.Revisions().History(within(t), 0, 1000))(t)
	if diff := cmp.Diff(x, y); diff != "" {
		t.Errorf("%s: history: %s", what, diff)
	}
	for _, r := range x {
		x, y := must(a.Revisions().At(within(t), r.Number))(t), must(b.Revisions().At(within(t), r.Number))(t)
		if diff := cmp.Diff(x, y, cmp.Comparer(bytes.Equal)); diff != "" {
			t.Errorf("%s: revision %d: %s", what, r.Number, diff)
		}
	}
	if h, is := must(a.Audit().Head(within(t)))(t), must(b.Audit().Verify(within(t)))(t); h != is {
		t.Errorf("%s: audit head %+v, want %+v", what, is, h)
	}
	if r := must(JSON[string](b, "rank").List(within(t)))(t); len(r) != 1 || r[0].Value != "7" {
		t.Errorf("%s: records %+v", what, r)
	}
}

// A store is moved from a data directory to a cluster and back. Its history, its numbers and its audit chain are kept. The keys of a
// running controller are not copied, and each store has its own identity.
func TestBackupMoves(t *testing.T) {
	first := open(t, Config{Dir: t.TempDir(), TTL: time.Second, History: 5})
	filled(t, first, 8)
	var file bytes.Buffer
	info := must(first.Backup(within(t), &file))(t)
	if info.Revision != 8 || info.Audit.Seq != 8 || info.Keys < 10 {
		t.Errorf("%+v", info)
	}
	if checked := must(CheckBackup(bytes.NewReader(file.Bytes())))(t); checked != info {
		t.Errorf("checked as %+v, made as %+v", checked, info)
	}

	cluster := open(t, Config{Endpoints: []string{storetest.Start(t).Endpoint()}, TTL: time.Second, History: 5})
	before := cluster.Generation()
	must(cluster.Restore(within(t), bytes.NewReader(file.Bytes()), false))(t)
	closed(t, "the generation before the restore", before.Done()) // changes that were begun in that generation are refused
	sameAs(t, "in the cluster", first, cluster)
	for _, kind := range []string{"status", "clock"} {
		if all := must(JSON[string](cluster, kind).List(within(t)))(t); len(all) != 0 {
			t.Errorf("%s: %+v", kind, all)
		}
	}
	put(t, cluster.Revisions(), 8, docs("a", "in the cluster"))

	var again bytes.Buffer
	must(cluster.Backup(within(t), &again))(t)
	back := open(t, Config{Dir: t.TempDir(), TTL: time.Second, History: 5})
	must(back.Restore(within(t), bytes.NewReader(again.Bytes()), false))(t)
	sameAs(t, "back", cluster, back)
	ids := []string{info.Store}
	for _, s := range []*Store{cluster, back} {
		ids = append(ids, must(s.Generation().Identity(within(t)))(t).ID)
	}
	if slices.Sort(ids); len(slices.Compact(ids)) != 3 {
		t.Errorf("identities %q", ids)
	}
}

// A store with content is overwritten only if replace is set, even while a controller uses the store. That controller loses its
// ownerships, detects the replacement, and works with the new content.
func TestRestoreOverAnother(t *testing.T) {
	s := open(t, Config{Endpoints: []string{storetest.Start(t).Endpoint()}, TTL: time.Second})
	filled(t, s, 3)
	var file bytes.Buffer
	must(s.Backup(within(t), &file))(t)
	goOn(t, s, 3, 4)
	g := s.Generation()
	o := must(s.TryOwn(within(t), "switch", "edge-2", "noc-1"))(t)
	heads := s.Revisions().Watch(t.Context(), 0)
	for receive(t, "the head", heads).Number != 7 {
		continue
	}

	restorer := beside(t, s)
	_, err := restorer.Restore(within(t), bytes.NewReader(file.Bytes()), false)
	wantError(t, err, ErrNotEmpty, "it has revision 7 of the intent and 3 audit records: --replace discards them")
	if !o.Held() || g.Err() != nil {
		t.Error("a refused restore changed something")
	}
	must(restorer.Restore(within(t), bytes.NewReader(file.Bytes()), true))(t)
	closed(t, "the generation", g.Done())
	closed(t, "the ownership", o.Lost())
	must(s.Generation().Identity(within(t)))(t)
	for receive(t, "the head", heads).Number != 3 {
		continue
	}
	put(t, s.Revisions(), 3, docs("a", "after"))
}

// After an interrupted restore, the store is unusable and its errors give the reason. The next restore makes it usable again.
func TestRestoreBrokenOff(t *testing.T) {
	s := open(t, Config{Endpoints: []string{storetest.Start(t).Endpoint()}, TTL: time.Second, Timeout: time.Second})
	filled(t, s, 2)
	var file bytes.Buffer
	info := must(s.Backup(within(t), &file))(t)
	g := s.Generation()
	x := &restoring{s: beside(t, s)}
	if err := x.begin(within(t), info, true); err != nil {
		t.Fatal(err)
	}
	closed(t, "the generation", g.Done())
	_, err := s.Revisions().Put(within(t), Change{Author: "a", Reason: "r", Documents: docs("a", "b")})
	wantError(t, err, ErrRestoring, "run op25b store restore --replace again")
	wantError(t, s.Ready(within(t)), ErrRestoring, "")
	must(s.Restore(within(t), bytes.NewReader(file.Bytes()), true))(t)
	must(s.Generation().Identity(within(t)))(t)
	put(t, s.Revisions(), 2, docs("a", "after"))
	if err := s.Ready(within(t)); err != nil {
		t.Error(err)
	}
}

// A backup file that is truncated, changed, too long or of another kind is refused with an error before anything is changed.
func TestDamagedBackup(t *testing.T) {
	s := embeddedStore(t)
	filled(t, s, 2)
	var file bytes.Buffer
	must(s.Backup(within(t), &file))(t)
	whole := file.Bytes()
	empty := open(t, Config{Dir: t.TempDir()})
	try := func(what string, data []byte) {
		t.Helper()
		if _, err := empty.Restore(within(t), bytes.NewReader(data), false); !errors.Is(err, ErrBackup) {
			t.Errorf("%s: %v, want ErrBackup", what, err)
		}
	}
	for n := 0; n < len(whole); n += 1 + len(whole)/40 {
		try(fmt.Sprintf("cut off at %d", n), whole[:n])
		changed := bytes.Clone(whole)
		changed[n] ^= 1
		try(fmt.Sprintf("byte %d changed", n), changed)
	}
	try("longer", append(bytes.Clone(whole), 0))
	try("another version", bytes.Replace(whole, []byte("backup 1"), []byte("backup 2"), 1))
	try("another file", []byte("policy: spinnet\n"))
	huge := append([]byte(backupMagic), frameHeader, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0)
	try("a frame of 4 GiB", huge)
	if head := must(empty.Revisions().Head(within(t)))(t); head.Number != 0 {
		t.Errorf("a damaged backup was restored: %+v", head)
	}
	must(empty.Restore(within(t), bytes.NewReader(whole), false))(t)
}
