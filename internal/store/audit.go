package store

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Limits of audit records.
const (
	// MaxDetail is the maximum size of a record's Detail in bytes.
	MaxDetail = 32 << 10
	// MaxTogether is the maximum number of audit records that one change of intent may carry.
	MaxTogether = 16
	// maxRecordBytes is the largest total size, as stored JSON, of the audit records of one change. It is two thirds of etcd's limit for a
	// request.
	maxRecordBytes = 1 << 20
)

// An AuditRecord describes one action. The caller sets the fields from Who to Detail and may set Time. The store sets the other fields.
type AuditRecord struct {
	Seq    uint64    `json:"seq"` // number of the record, which counts from 1
	Time   time.Time `json:"time"`
	Who    string    `json:"who"`
	Role   string    `json:"role,omitempty"`
	Verb   string    `json:"verb"`
	Object string    `json:"object,omitempty"`
	Reason string    `json:"reason,omitempty"`
	Detail string    `json:"detail,omitempty"`
	Prev   string    `json:"prev"` // hash of the previous record; empty in the first record
	Hash   string    `json:"hash"` // SHA-256 of the fields above, in hexadecimal
}

// A Head names the last record of a chain. If a copy of the head is kept elsewhere, Verify detects any later change to the records up to
// that head.
type Head struct {
	Seq  uint64 `json:"seq"` // number of the record; 0 if the chain has no records
	Hash string `json:"hash"`
}

// An Audit is the chain of audit records.
type Audit struct{ s *Store }

// Audit returns the store's audit chain.
func (s *Store) Audit() *Audit { return &Audit{s} }

func (s *Store) auditHeadKey() string { return s.key("audit/head") }
func (s *Store) auditKey(seq uint64) string {
	return s.key(fmt.Sprintf("audit/rec/%020d", seq))
}

// sum returns the record's hash. The hash covers each field in order. The length of each text precedes the text, so that different records
// never give the same input to the hash.
func (r *AuditRecord) sum() string {
	b := []byte("op25b audit 1\n")
	b = binary.BigEndian.AppendUint64(b, r.Seq)
	b = binary.BigEndian.AppendUint64(b, uint64(r.Time.UnixNano()))
	for _, text := range []string{r.Who, r.Role, r.Verb, r.Object, r.Reason, r.Detail, r.Prev} {
		b = binary.BigEndian.AppendUint64(b, uint64(len(text)))
		b = append(b, text...)
	}
	hash := sha256.Sum256(b)
	return hex.EncodeToString(hash[:])
}

// Append adds a record to the chain and returns the record as stored. Concurrent calls all succeed, one after the other.
func (a *Audit) Append(ctx context.Context, rec AuditRecord) (AuditRecord, error) {
	records := []AuditRecord{rec}
	if err := a.s.admit(ctx, "append audit record", recordsSize(records), false); err != nil {
		return AuditRecord{}, err
	}
	if _, err := a.s.commitRecorded(ctx, change{op: "append audit record"}, records); err != nil {
		return AuditRecord{}, err
	}
	return records[0], nil
}

// Records returns up to limit records, starting at number from. Archived records are skipped.
func (a *Audit) Records(ctx context.Context, from uint64, limit int) ([]AuditRecord, error) {
	if limit <= 0 {
		return nil, fmt.Errorf("%w: %d audit records: must be > 0", ErrInvalid, limit)
	}
	cp, err := a.Checkpoint(ctx)
	if err != nil {
		return nil, err
	}
	kvs, err := a.page(ctx, max(from, cp.Seq+1), int64(limit), 0)
	if err != nil {
		return nil, err
	}
	records := make([]AuditRecord, len(kvs))
	for i, kv := range kvs {
		if err := json.Unmarshal(kv.Value, &records[i]); err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrCorrupt, kv.Key, err)
		}
	}
	return records, nil
}

// Head returns the number and the hash of the last record.
func (a *Audit) Head(ctx context.Context) (Head, error) {
	found, _, err := a.s.get(ctx, "read audit head", a.s.auditHeadKey())
	if err != nil {
		return Head{}, err
	}
	return decodeHead(found[a.s.auditHeadKey()])
}

func (a *Audit) page(ctx context.Context, from uint64, limit, at int64) ([]*mvccpb.KeyValue, error) {
	resp, err := ask(ctx, a.s, "read audit records", func(ctx context.Context) (*clientv3.GetResponse, error) {
		return a.s.client.Get(ctx, a.s.auditKey(from), clientv3.WithRange(a.s.auditKey(1<<63)), clientv3.WithLimit(limit), clientv3.WithRev(at))
	})
	if err != nil {
		return nil, err
	}
	return resp.Kvs, nil
}

func decodeHead(kv *mvccpb.KeyValue) (Head, error) {
	var head Head
	if kv == nil {
		return head, nil
	}
	if err := json.Unmarshal(kv.Value, &head); err != nil {
		return head, fmt.Errorf("%w: %s: %w", ErrCorrupt, kv.Key, err)
	}
	return head, nil
}

// commitRecorded makes a change and appends records to the audit chain in one transaction. It sets the remaining fields of records in
// place. If another writer appends first, commitRecorded tries again. If one of the change's own guards does not hold, it returns
// errRefused and the values of the keys in c.read.
func (s *Store) commitRecorded(ctx context.Context, c change, records []AuditRecord) (map[string]*mvccpb.KeyValue, error) {
	if err := checkRecords(records); err != nil {
		return nil, err
	}
	if c.gen == nil {
		c.gen = s.Generation()
	}
	if len(records) == 0 {
		_, found, err := s.commit(ctx, c)
		return found, err
	}
	found, _, err := s.get(ctx, c.op, s.auditHeadKey())
	if err != nil {
		return nil, err
	}
	for {
		was := found[s.auditHeadKey()]
		recorded, err := s.withRecords(c, was, records)
		if err != nil {
			return nil, err
		}
		if _, found, err = s.commit(ctx, recorded); !errors.Is(err, errRefused) || sameKV(found[s.auditHeadKey()], was) {
			return found, err
		}
	}
}

// withRecords returns the change c, extended by the operations that append records to the audit chain whose head is headKV.
func (s *Store) withRecords(c change, headKV *mvccpb.KeyValue, records []AuditRecord) (change, error) {
	head, err := decodeHead(headKV)
	if err != nil {
		return c, err
	}
	c.guards = append(c.guards[:len(c.guards):len(c.guards)], unmoved(s.auditHeadKey(), headKV))
	c.then = c.then[:len(c.then):len(c.then)]
	c.read = append(c.read[:len(c.read):len(c.read)], s.auditHeadKey())
	size := 0
	for i := range records {
		r := &records[i]
		if r.Time.IsZero() {
			r.Time = s.cfg.Now()
		}
		r.Time = r.Time.UTC().Round(0)
		r.Seq, r.Prev = head.Seq+1, head.Hash
		r.Hash = r.sum()
		value, err := encode(r)
		if err != nil {
			return c, fmt.Errorf("%w: audit record: %w", ErrInvalid, err)
		}
		if size += len(value); size > maxRecordBytes {
			return c, fmt.Errorf("%w: %d bytes of audit records for one change: must be at most %d", ErrInvalid, size, maxRecordBytes)
		}
		c.then = append(c.then, clientv3.OpPut(s.auditKey(r.Seq), value))
		if c.witness == "" {
			c.witness, c.value = s.auditKey(r.Seq), value
		}
		head = Head{Seq: r.Seq, Hash: r.Hash}
	}
	value, err := encode(head)
	if err != nil {
		return c, fmt.Errorf("%w: audit head: %w", ErrInvalid, err)
	}
	c.then = append(c.then, clientv3.OpPut(s.auditHeadKey(), value))
	return c, nil
}

// recordsSize estimates how many bytes records take in the store.
func recordsSize(records []AuditRecord) (n int64) {
	for i := range records {
		r := &records[i]
		n += int64(len(r.Who) + len(r.Role) + len(r.Verb) + len(r.Object) + len(r.Reason) + len(r.Detail) + 512)
	}
	return n
}

func checkRecords(records []AuditRecord) error {
	if len(records) > MaxTogether {
		return fmt.Errorf("%w: %d audit records for one change: must be at most %d", ErrInvalid, len(records), MaxTogether)
	}
	for i := range records {
		r := &records[i]
		if r.Who == "" || r.Verb == "" {
			return fmt.Errorf("%w: audit record by %q of %q: who and verb must be given", ErrInvalid, r.Who, r.Verb)
		}
		for _, f := range []struct {
			name, text string
			most       int
		}{
			{"who", r.Who, MaxReason},
			{"role", r.Role, MaxReason},
			{"verb", r.Verb, MaxReason},
			{"object", r.Object, MaxReason},
			{"reason", r.Reason, MaxReason},
			{"detail", r.Detail, MaxDetail},
		} {
			if len(f.text) > f.most || !utf8.ValidString(f.text) {
				return fmt.Errorf("%w: %s of an audit record, %d bytes: must be UTF-8 text of at most %d bytes", ErrInvalid, f.name, len(f.text), f.most)
			}
		}
	}
	return nil
}

func sameKV(a, b *mvccpb.KeyValue) bool { return a.GetModRevision() == b.GetModRevision() }
