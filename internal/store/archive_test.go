package store

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// archiveOf archives the records up to number last.
func archiveOf(t testing.TB, s *Store, last uint64) ([]byte, ArchiveInfo) {
	t.Helper()
	cp := must(s.Audit().Checkpoint(within(t)))(t)
	var file bytes.Buffer
	w := must(NewArchiveWriter(&file, Head{Seq: cp.Seq, Hash: cp.Hash}, last))(t)
	for _, r := range must(s.Audit().Records(within(t), 0, int(last-cp.Seq)))(t) {
		if err := w.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	return file.Bytes(), must(ReadArchive(bytes.NewReader(file.Bytes()), nil))(t)
}

func prune(t testing.TB, s *Store, info ArchiveInfo) (AuditRecord, error) {
	t.Helper()
	return s.Audit().Prune(within(t), Checkpoint{Seq: info.Last, Hash: info.Hash, Archive: info.Sum}, AuditRecord{Who: "ota", Role: "admin", Reason: "yearly"})
}

// TestArchive archives records twice. The chain must continue after each checkpoint. The remaining records must verify, also against
// heads from before the archiving.
func TestArchive(t *testing.T) {
	now := time.Date(2026, 11, 1, 9, 0, 0, 7, time.UTC)
	s := open(t, Config{Dir: t.TempDir(), Now: func() time.Time { return now }})
	all := appendRecords(t, s, 2*pruneChunk+5)
	heads := func(seqs ...uint64) (known []Head) {
		for _, seq := range seqs {
			known = append(known, Head{Seq: seq, Hash: all[seq-1].Hash})
		}
		return known
	}
	_, first := archiveOf(t, s, 2*pruneChunk+1)
	r := must(prune(t, s, first))(t)
	if r.Seq != 2*pruneChunk+6 || r.Verb != VerbArchive || r.Object != "records 1 to 2001" || r.Reason != "yearly" || !strings.Contains(r.Detail, first.Sum) {
		t.Errorf("the record is %+v", r)
	}
	if left := raw(t, s, s.auditKey(0), clientv3.WithRange(s.auditKey(1<<63)), clientv3.WithCountOnly()).Count; left != 5 {
		t.Errorf("%d records are left, want 5", left)
	}
	if got := must(s.Audit().Records(within(t), 1, 2))(t); len(got) != 2 || got[0].Seq != 2002 {
		t.Errorf("the first records are %+v", got)
	}
	v := must(s.Audit().VerifyFrom(within(t), heads(2001, 2003)...))(t)
	want := Checkpoint{Seq: 2001, Hash: all[2000].Hash, Archive: first.Sum, Time: now}
	if v.Checkpoint != want || v.Head != (Head{Seq: r.Seq, Hash: r.Hash}) {
		t.Errorf("verified %+v, want %+v up to %d", v, want, r.Seq)
	}
	_, err := s.Audit().Verify(within(t), Head{Seq: 2001, Hash: all[0].Hash})
	wantError(t, err, ErrBroken, "audit record 2001: audit chain broken: replaced: ")
	appendRecords(t, s, 2)

	_, second := archiveOf(t, s, 2008)
	if second.First != 2002 || second.Prev != all[2000].Hash {
		t.Errorf("the second archive is %+v", second)
	}
	must(prune(t, s, second))(t)
	must(s.Audit().Verify(within(t)))(t)
	if records := must(s.Audit().Records(within(t), 0, 10))(t); len(records) != 1 || records[0].Verb != VerbArchive {
		t.Errorf("left are %+v", records)
	}
}

// TestPruneRefuses verifies that records are not deleted if they differ from the archive.
func TestPruneRefuses(t *testing.T) {
	s := embeddedStore(t)
	all := appendRecords(t, s, 5)
	sum := strings.Repeat("0", 64)
	for _, c := range []struct {
		cp   Checkpoint
		kind error
		want string
	}{
		{Checkpoint{Seq: 3, Hash: all[3].Hash, Archive: sum}, ErrBroken, "audit record 3: audit chain broken: replaced: "},
		{Checkpoint{Seq: 6, Hash: all[4].Hash, Archive: sum}, ErrBroken, "removed: the chain ends at record 5, and is known up to 6"},
		{Checkpoint{Seq: 3, Hash: all[2].Hash, Archive: "x"}, ErrInvalid, `archive "x": must be the SHA-256 of its file, in hexadecimal`},
		{Checkpoint{Archive: sum}, ErrInvalid, "archive of records up to 0: those up to 0 are archived already"},
	} {
		_, err := s.Audit().Prune(within(t), c.cp, AuditRecord{Who: "ota"})
		wantError(t, err, c.kind, c.want)
	}
	must(s.client.Delete(within(t), s.auditKey(2)))(t)
	_, err := s.Audit().Prune(within(t), Checkpoint{Seq: 3, Hash: all[2].Hash, Archive: sum}, AuditRecord{Who: "ota"})
	wantError(t, err, ErrBroken, "audit record 2: audit chain broken: removed: ")
	if cp := must(s.Audit().Checkpoint(within(t)))(t); cp.Seq != 0 {
		t.Errorf("a broken chain was pruned up to %d", cp.Seq)
	}
}

// If Prune is interrupted after its transaction, the deletion is completed the next time the store is opened. Until then, the archived
// records are not returned. A checkpoint that no record names is detected.
func TestPruneIsCutShort(t *testing.T) {
	s := embeddedStore(t)
	all := appendRecords(t, s, 5)
	_, info := archiveOf(t, s, 3)
	must(prune(t, s, info))(t)
	for _, r := range all[:3] { // restore the archived records, as if nothing had been deleted yet
		must(s.client.Put(within(t), s.auditKey(r.Seq), string(must(encode(r))(t))))(t)
	}
	if records := must(s.Audit().Records(within(t), 0, 10))(t); len(records) != 3 || records[0].Seq != 4 {
		t.Errorf("the records are %+v", records)
	}
	must(s.Audit().Verify(within(t)))(t)
	gone := s.follow(t.Context(), s.key("audit/rec/"))
	beside(t, s)
	for n := 0; n < 3; {
		n += len(receive(t, "deletions", gone).gone)
	}
	forged := Checkpoint{Seq: 4, Hash: all[3].Hash, Archive: info.Sum}
	must(s.client.Put(within(t), s.checkpointKey(), string(must(encode(forged))(t))))(t)
	_, err := s.Audit().Verify(within(t))
	wantError(t, err, ErrBroken, "audit record 4: audit chain broken: removed: the chain begins behind it, and no record says that those up to it were archived")
}

// Archiving makes room in a store that is full of records, without a restart.
func TestArchiveMakesRoom(t *testing.T) { // I12
	if testing.Short() {
		t.Skip("fills a store with thousands of records")
	}
	s := open(t, Config{Dir: t.TempDir(), Quota: smallQuota})
	var err error
	for n := 0; err == nil; n++ {
		if n > 5000 {
			t.Fatal("never full")
		}
		_, err = s.Audit().Append(within(t), AuditRecord{Who: "a", Verb: "refused apply", Detail: strings.Repeat("x", MaxDetail)})
	}
	wantError(t, err, ErrFull, "append audit record: store is full: ")
	head := must(s.Audit().Head(within(t)))(t)
	_, info := archiveOf(t, s, head.Seq)
	must(prune(t, s, info))(t)
	if sp := s.Space(within(t)); sp.Warning() != "" || sp.InUse > 1<<20 {
		t.Errorf("the space is %v: %s", sp, sp.Warning())
	}
	put(t, s.Revisions(), 0, docs("a", "1"))
}

func TestReadArchiveRefuses(t *testing.T) {
	s := embeddedStore(t)
	appendRecords(t, s, 4)
	file, _ := archiveOf(t, s, 4)
	lines := strings.SplitAfter(strings.TrimSuffix(string(file), "\n"), "\n")
	for _, c := range []struct {
		name, text string
		kind       error
		want       string
	}{
		{"empty", "", ErrArchive, "not a usable audit archive: it is empty"},
		{"another file", "x\n", ErrArchive, `its first line is "x": want the header of "op25b audit archive 1"`},
		{"another version", strings.Replace(string(file), "archive 1", "archive 2", 1), ErrArchive, "its first line is "},
		{"cut off", strings.Join(lines[:3], ""), ErrArchive, "it was cut off: it ends at record 2 of 4"},
		{"cut within a line", string(file[:len(file)-20]), ErrBroken, "audit record 4: audit chain broken: changed: it cannot be read: "},
		{"longer than it says", strings.Replace(string(file), `"last":4`, `"last":3`, 1), ErrArchive, "it goes on behind record 3, and its header does not"},
		{"a record changed", strings.Replace(string(file), "line/2", "line/9", 1), ErrBroken, "audit record 3: audit chain broken: changed: its hash is "},
		{"a record removed", lines[0] + lines[1] + lines[3] + lines[4], ErrBroken, "audit record 2: audit chain broken: in its place is record 3"},
		{"a word added", strings.Replace(string(file), `"who"`, `"note":1,"who"`, 1), ErrBroken, `unknown field "note"`},
		{"a line without end", lines[0] + strings.Repeat("x", maxArchiveLine+1), ErrArchive, fmt.Sprintf("is longer than %d bytes", maxArchiveLine)},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := ReadArchive(strings.NewReader(c.text), nil)
			wantError(t, err, c.kind, c.want)
		})
	}
	if _, err := NewArchiveWriter(&bytes.Buffer{}, Head{Seq: 3}, 3); !errors.Is(err, ErrInvalid) {
		t.Errorf("an archive of nothing: %v", err)
	}
}

// A store with archived records is backed up and restored. The restored store must have the same checkpoint and the same chain.
func TestArchivedStoreMoves(t *testing.T) {
	s := embeddedStore(t)
	appendRecords(t, s, 5)
	_, info := archiveOf(t, s, 3)
	must(prune(t, s, info))(t)
	var file bytes.Buffer
	must(s.Backup(within(t), &file))(t)
	must(CheckBackup(bytes.NewReader(file.Bytes())))(t)
	other := embeddedStore(t)
	must(other.Restore(within(t), bytes.NewReader(file.Bytes()), false))(t)
	v, want := must(other.Audit().VerifyFrom(within(t)))(t), must(s.Audit().VerifyFrom(within(t)))(t)
	if v != want || v.Checkpoint.Seq != 3 {
		t.Errorf("restored as %+v, want %+v", v, want)
	}
}
