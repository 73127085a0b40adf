package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Limits of records.
const (
	// MaxRecord is the maximum size of a record in bytes. It is below 1.5 MiB because etcd refuses larger requests.
	MaxRecord = 1 << 20
	// MaxName is the maximum size in bytes of a name: the name of a record, of an owned thing or of a member.
	MaxName = 512
)

// MaxPuts is the maximum number of records that one call of PutAll writes. It is half of the number of operations that etcd allows in a
// transaction.
const MaxPuts = 64

// AnyVersion is passed to PutIf to replace a record of any version, or to create the record.
const AnyVersion int64 = -1

// A Records reads and writes the records of one kind. T is the type of their values.
type Records[T any] struct {
	s    *Store
	kind string
	path string
}

// A Record is one stored value.
type Record[T any] struct {
	Name    string
	Value   T
	Version int64 // the revision of etcd at which the record was written
}

// JSON returns the records of a kind, whose values are stored as JSON. A kind is a word, such as "activation".
func JSON[T any](s *Store, kind string) *Records[T] {
	return &Records[T]{s: s, kind: kind, path: s.key("rec/" + kind + "/")}
}

// Get returns a record, or ErrNotFound.
func (r *Records[T]) Get(ctx context.Context, name string) (Record[T], error) {
	if err := r.check(name); err != nil {
		return Record[T]{}, err
	}
	found, _, err := r.s.get(ctx, "read "+r.kind, r.path+name)
	if err != nil {
		return Record[T]{}, err
	}
	kv := found[r.path+name]
	if kv == nil {
		return Record[T]{}, fmt.Errorf("%s %q: %w", r.kind, name, ErrNotFound)
	}
	return r.record(kv)
}

// List returns all records, ordered by name.
func (r *Records[T]) List(ctx context.Context) ([]Record[T], error) {
	resp, err := ask(ctx, r.s, "list "+r.kind, func(ctx context.Context) (*clientv3.GetResponse, error) {
		return r.s.client.Get(ctx, r.path, clientv3.WithPrefix())
	})
	if err != nil {
		return nil, err
	}
	all := make([]Record[T], len(resp.Kvs))
	for i, kv := range resp.Kvs {
		if all[i], err = r.record(kv); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// PutIf writes a record if its current version is rev. A rev of 0 means that the record must not exist. AnyVersion means that the record
// may have any version or may not exist. PutIf returns the new version. It returns a *ConflictError if the record has another version. If
// fences are given, the record is written only while all of them are held; otherwise PutIf returns ErrLost.
func (r *Records[T]) PutIf(ctx context.Context, name string, rev int64, v T, fences ...*Ownership) (int64, error) {
	value, err := r.value(name, v)
	if err != nil {
		return 0, err
	}
	key := r.path + name
	c := change{
		op: "write " + r.kind, then: []clientv3.Op{clientv3.OpPut(key, value)},
		witness: key, value: value,
	}
	return r.change(ctx, name, rev, c, fences)
}

// PutRecorded is like PutIf without fences, and appends audit records to the chain in the same transaction.
func (r *Records[T]) PutRecorded(ctx context.Context, name string, rev int64, v T, records ...AuditRecord) error {
	value, err := r.value(name, v)
	if err != nil {
		return err
	}
	key := r.path + name
	c := change{
		op: "write " + r.kind, then: []clientv3.Op{clientv3.OpPut(key, value)}, witness: key, value: value, read: []string{key},
	}
	if rev != AnyVersion {
		c.guards = append(c.guards, clientv3.Compare(clientv3.ModRevision(key), "=", rev))
	}
	found, err := r.s.commitRecorded(ctx, c, slices.Clone(records))
	if errors.Is(err, errRefused) {
		return &ConflictError{Kind: r.kind, Name: name, Expected: rev, Actual: found[key].GetModRevision()}
	}
	return err
}

// value returns the form in which the value v of a record is stored.
func (r *Records[T]) value(name string, v T) (string, error) {
	if err := r.check(name); err != nil {
		return "", err
	}
	value, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("%w: %s %q: %w", ErrInvalid, r.kind, name, err)
	}
	if len(value) > MaxRecord {
		return "", fmt.Errorf("%w: %s %q has %d bytes: must be at most %d", ErrInvalid, r.kind, name, len(value), MaxRecord)
	}
	return string(value), nil
}

// A Put is a record that PutAll writes under an ownership.
type Put[T any] struct {
	Name  string
	Value T
	Fence *Ownership
}

// PutAll writes up to MaxPuts records of different names in one transaction. If it returns an error, it has written none of them. It
// returns ErrLost if an ownership was lost, and ErrInvalid if there are more than MaxPuts records or their total size is more than
// MaxRecord bytes.
func (r *Records[T]) PutAll(ctx context.Context, puts []Put[T]) error {
	if len(puts) == 0 {
		return nil
	}
	if len(puts) > MaxPuts {
		return fmt.Errorf("%w: %d records of %s at once: must be at most %d", ErrInvalid, len(puts), r.kind, MaxPuts)
	}
	c := change{op: "write " + r.kind}
	fences := make([]*Ownership, len(puts))
	bytes := 0
	for i, p := range puts {
		value, err := r.value(p.Name, p.Value)
		if err != nil {
			return err
		}
		if bytes += len(value); bytes > MaxRecord {
			return fmt.Errorf("%w: %d records of %s with more than %d bytes together", ErrInvalid, len(puts), r.kind, MaxRecord)
		}
		c.then = append(c.then, clientv3.OpPut(r.path+p.Name, value))
		c.witness, c.value, fences[i] = r.path+p.Name, value, p.Fence
	}
	if err := c.fence(fences); err != nil {
		return fmt.Errorf("%s: %w", c.op, err)
	}
	_, found, err := r.s.commit(ctx, c)
	if !errors.Is(err, errRefused) {
		return err
	}
	if lost := lostAmong(fences, found); lost != nil {
		err = lost
	}
	return fmt.Errorf("%s: %w", c.op, err)
}

// Delete deletes a record if its current version is rev. With AnyVersion, it deletes any version. Deleting a record that does not exist is
// not an error. Fences and errors are the same as for PutIf.
func (r *Records[T]) Delete(ctx context.Context, name string, rev int64, fences ...*Ownership) error {
	if err := r.check(name); err != nil {
		return err
	}
	key := r.path + name
	c := change{op: "delete " + r.kind, then: []clientv3.Op{clientv3.OpDelete(key)}, read: []string{key}}
	_, err := r.change(ctx, name, rev, c, fences)
	if conflict := (*ConflictError)(nil); errors.As(err, &conflict) && conflict.Actual == 0 {
		return nil
	}
	return err
}

// change executes the change c of one record, with guards for the record's version and the fences.
func (r *Records[T]) change(ctx context.Context, name string, rev int64, c change, fences []*Ownership) (int64, error) {
	key := r.path + name
	if rev != AnyVersion {
		c.guards = append(c.guards, clientv3.Compare(clientv3.ModRevision(key), "=", rev))
	}
	if err := c.fence(fences); err != nil {
		return 0, fmt.Errorf("%s: %w", c.op, err)
	}
	at, found, err := r.s.commit(ctx, c)
	if !errors.Is(err, errRefused) {
		return at, err
	}
	if err := lostAmong(fences, found); err != nil {
		return 0, fmt.Errorf("%s: %w", c.op, err)
	}
	return 0, &ConflictError{Kind: r.kind, Name: name, Expected: rev, Actual: found[key].GetModRevision()}
}

// record decodes a record from its stored form.
func (r *Records[T]) record(kv *mvccpb.KeyValue) (Record[T], error) {
	name := strings.TrimPrefix(string(kv.Key), r.path)
	var v T
	if err := json.Unmarshal(kv.Value, &v); err != nil {
		return Record[T]{}, fmt.Errorf("%s %q at revision %d: %w: %w", r.kind, name, kv.ModRevision, ErrCorrupt, err)
	}
	return Record[T]{Name: name, Value: v, Version: kv.ModRevision}, nil
}

func (r *Records[T]) check(name string) error {
	if err := checkWord(r.kind); err != nil {
		return err
	}
	return checkName(r.kind, name)
}

func checkWord(kind string) error {
	if kind == "" || len(kind) > MaxName || strings.Contains(kind, "/") {
		return fmt.Errorf("%w: kind %.40q: must be a word without /", ErrInvalid, kind)
	}
	return nil
}

func checkName(kind, name string) error {
	if name == "" || len(name) > MaxName || !utf8.ValidString(name) {
		return fmt.Errorf("%w: name %.40q of %s: must be UTF-8 text of 1 to %d bytes", ErrInvalid, name, kind, MaxName)
	}
	return nil
}
