package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func appendRecords(t testing.TB, s *Store, n int) []AuditRecord {
	t.Helper()
	var all []AuditRecord
	for i := range n {
		r := AuditRecord{Who: "ota", Role: "operator", Verb: "exempt", Object: fmt.Sprintf("line/%d", i), Reason: "a mail server", Detail: "{}"}
		all = append(all, must(s.Audit().Append(within(t), r))(t))
	}
	return all
}

func TestAuditChain(t *testing.T) {
	now := time.Date(2006, 10, 1, 0, 0, 0, 5, time.FixedZone("JST", 9*3600))
	s := open(t, Config{Dir: t.TempDir(), Now: func() time.Time { return now }})
	if head := must(s.Audit().Verify(within(t)))(t); head != (Head{}) {
		t.Errorf("the head of an empty chain is %+v", head)
	}
	all := appendRecords(t, s, 3)
	for i, r := range all {
		if r.Seq != uint64(i+1) || !r.Time.Equal(now) || i > 0 && r.Prev != all[i-1].Hash || len(r.Hash) != 64 {
			t.Errorf("record %d is %+v", i, r)
		}
	}
	got := must(s.Audit().Records(within(t), 0, 10))(t)
	if diff := cmp.Diff(all, got); diff != "" {
		t.Error(diff)
	}
	if got := must(s.Audit().Records(within(t), 2, 1))(t); len(got) != 1 || got[0].Seq != 2 {
		t.Errorf("from 2, one: %+v", got)
	}
	last := Head{Seq: 3, Hash: all[2].Hash}
	if head := must(s.Audit().Verify(within(t), Head{Seq: 1, Hash: all[0].Hash}, last, Head{}))(t); head != last {
		t.Errorf("verified up to %+v, want %+v", head, last)
	}
	if head := must(s.Audit().Head(within(t)))(t); head != last {
		t.Errorf("the head is %+v, want %+v", head, last)
	}
	_, err := s.Audit().Records(within(t), 0, 0)
	wantError(t, err, ErrInvalid, "0 audit records: must be > 0")
}

// TestAuditPages verifies a chain that is longer than one page.
func TestAuditPages(t *testing.T) {
	s := embeddedStore(t)
	appendRecords(t, s, 2*verifyPage+1)
	if head := must(s.Audit().Verify(within(t)))(t); head.Seq != 2*verifyPage+1 {
		t.Errorf("verified up to %d", head.Seq)
	}
}

func TestAuditRefused(t *testing.T) {
	s := embeddedStore(t)
	for _, c := range []struct {
		name string
		rec  AuditRecord
		want string
	}{
		{"nobody", AuditRecord{Verb: "apply"}, `audit record by "" of "apply": who and verb must be given`},
		{"nothing", AuditRecord{Who: "ota"}, `audit record by "ota" of "": who and verb must be given`},
		{"long detail", AuditRecord{Who: "ota", Verb: "apply", Detail: strings.Repeat("x", MaxDetail+1)}, "detail of an audit record, 32769 bytes: must be UTF-8 text of at most 32768 bytes"},
		{"not text", AuditRecord{Who: "ota", Verb: "apply", Object: "\xff"}, "object of an audit record, 1 bytes: must be UTF-8 text"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := s.Audit().Append(within(t), c.rec)
			wantError(t, err, ErrInvalid, c.want)
		})
	}
	_, err := s.Revisions().Put(within(t), Change{Author: "a", Reason: "r", Documents: docs("a", "")}, make([]AuditRecord, 17)...)
	wantError(t, err, ErrInvalid, "17 audit records for one change: must be at most 16")
	if head := must(s.Revisions().Head(within(t)))(t); head.Number != 0 {
		t.Error("the change was made without its records")
	}
}

// The largest number of records that a change of intent may carry fits into one request, whatever
// characters the records contain.
func TestAuditTogether(t *testing.T) {
	s := embeddedStore(t)
	records := make([]AuditRecord, MaxTogether)
	for i := range records {
		records[i] = AuditRecord{Who: "ota", Verb: "apply", Detail: strings.Repeat("<", MaxDetail)}
	}
	must(s.Revisions().Put(within(t), Change{Author: "a", Reason: "r", Documents: docs("a", "")}, records...))(t)
	if head := must(s.Audit().Verify(within(t)))(t); head.Seq != MaxTogether {
		t.Errorf("verified up to %d", head.Seq)
	}
	for i := range records {
		records[i].Detail = strings.Repeat("\x01", MaxDetail) // each byte takes six bytes in the stored JSON
	}
	_, err := s.Revisions().Put(within(t), Change{Base: 1, Author: "a", Reason: "r", Documents: docs("a", "2")}, records...)
	wantError(t, err, ErrInvalid, "bytes of audit records for one change: must be at most 1048576")
	if records[0].Seq != 0 {
		t.Error("the caller's records were written to")
	}
}

// No record is lost when several writers append concurrently, with and without a change of intent,
// and the chain stays intact.
func TestAuditConcurrent(t *testing.T) {
	etcd := embeddedStore(t)
	const writers, each = 4, 10
	done := make(chan error, writers)
	for w := range writers {
		s := beside(t, etcd)
		go func() {
			var all error
			for i := range each {
				_, err := s.Audit().Append(within(t), AuditRecord{Who: fmt.Sprint(w), Verb: "try", Object: fmt.Sprint(i)})
				all = errors.Join(all, err)
			}
			done <- all
		}()
	}
	for i := range uint64(each) {
		r := must(etcd.Revisions().Put(within(t), Change{Base: i, Author: "a", Reason: "r", Documents: docs("a", fmt.Sprint(i))},
			AuditRecord{Who: "a", Verb: "apply"}, AuditRecord{Who: "a", Verb: "activate"}))(t)
		if r.Number != i+1 {
			t.Errorf("revision %d", r.Number)
		}
	}
	for range writers {
		if err := receive(t, "a writer", done); err != nil {
			t.Error(err)
		}
	}
	if head := must(etcd.Audit().Verify(within(t)))(t); head.Seq != writers*each+2*each {
		t.Errorf("%d records, want %d", head.Seq, writers*each+2*each)
	}
}

// TestAuditBreaks verifies that the store detects recorded data that was changed directly in etcd.
func TestAuditBreaks(t *testing.T) {
	s := embeddedStore(t)
	edit := func(seq uint64, change func(*AuditRecord)) {
		var r AuditRecord
		if err := json.Unmarshal(raw(t, s, s.auditKey(seq)).Kvs[0].Value, &r); err != nil {
			t.Fatal(err)
		}
		change(&r)
		must(s.client.Put(within(t), s.auditKey(seq), string(must(json.Marshal(r))(t))))(t)
	}
	setHead := func(h Head) {
		must(s.client.Put(within(t), s.auditHeadKey(), string(must(json.Marshal(h))(t))))(t)
	}
	remove := func(seqs ...uint64) {
		for _, seq := range seqs {
			must(s.client.Delete(within(t), s.auditKey(seq)))(t)
		}
	}
	all := appendRecords(t, s, 5)
	stored := make(map[uint64]string)
	for _, r := range all {
		stored[r.Seq] = string(raw(t, s, s.auditKey(r.Seq)).Kvs[0].Value)
	}
	heads := make(map[uint64]Head)
	for _, r := range all {
		heads[r.Seq] = Head{Seq: r.Seq, Hash: r.Hash}
	}
	for _, c := range []struct {
		name  string
		edit  func()
		known []Head
		seq   uint64
		want  string
	}{
		{"changed", func() { edit(3, func(r *AuditRecord) { r.Who = "kato" }) }, nil, 3, "changed: its hash is "},
		{"moved in time", func() { edit(1, func(r *AuditRecord) { r.Time = r.Time.Add(1) }) }, nil, 1, "changed: its hash is "},
		{"between two fields", func() { edit(2, func(r *AuditRecord) { r.Role, r.Verb = r.Role+"e", r.Verb[1:] }) }, nil, 2, "changed: its hash is "},
		{"changed with its hash", func() {
			edit(3, func(r *AuditRecord) { r.Who = "kato"; r.Hash = r.sum() })
		}, nil, 4, "does not follow record 3: it names "},
		{"the last, with its hash", func() {
			edit(5, func(r *AuditRecord) { r.Who = "kato"; r.Hash = r.sum() })
		}, nil, 5, "the head of the chain is record 5, hash "},
		{"unreadable", func() { must(s.client.Put(within(t), s.auditKey(2), "x"))(t) }, nil, 2, "changed: it cannot be read: "},
		{"a word added", func() {
			must(s.client.Put(within(t), s.auditKey(2), strings.Replace(stored[2], `{`, `{"note":"x",`, 1)))(t)
		}, nil, 2, `changed: it cannot be read: json: unknown field "note"`},
		{"removed", func() { remove(2) }, nil, 2, "removed: after record 1 comes /op25b/audit/rec/00000000000000000003"},
		{"the first removed", func() { remove(1) }, nil, 1, "removed: after record 0 comes "},
		{"reordered", func() {
			must(s.client.Put(within(t), s.auditKey(2), stored[3]))(t)
			must(s.client.Put(within(t), s.auditKey(3), stored[2]))(t)
		}, nil, 2, "in its place is record 3"},
		{"cut off", func() { remove(4, 5) }, []Head{heads[1]}, 4, "removed: the chain ends at record 3, and is known up to 5"},
		{"all removed", func() { remove(1, 2, 3, 4, 5) }, nil, 1, "removed: the chain ends at record 0, and is known up to 5"},
		{"cut off with its head", func() { remove(4, 5); setHead(heads[3]) }, []Head{heads[2], heads[5]}, 4, "the chain ends at record 3, and is known up to 5"},
		{"one forged at the end", func() {
			must(s.client.Put(within(t), s.auditKey(6), stored[5]))(t)
		}, nil, 6, "in its place is record 5"},
		{"written anew", func() {
			prev := ""
			for seq := uint64(1); seq <= 5; seq++ {
				edit(seq, func(r *AuditRecord) {
					if seq == 2 {
						r.Who = "kato"
					}
					r.Prev = prev
					r.Hash = r.sum()
					prev = r.Hash
				})
			}
			setHead(Head{Seq: 5, Hash: prev})
		}, []Head{heads[3]}, 3, "replaced: its hash is "},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.edit()
			_, err := s.Audit().Verify(within(t), c.known...)
			wantError(t, err, ErrBroken, c.want)
			var b *BreakError
			if !errors.As(err, &b) || b.Seq != c.seq {
				t.Errorf("broken at %+v, want %d", b, c.seq)
			}
			must(s.client.Delete(within(t), s.auditKey(6)))(t)
			for seq, value := range stored {
				must(s.client.Put(within(t), s.auditKey(seq), value))(t)
			}
			setHead(heads[5])
			must(s.Audit().Verify(within(t), heads[1], heads[5]))(t)
		})
	}
}
