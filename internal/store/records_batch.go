package store

import (
	"context"
	"errors"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// A PutOf is a record that PutAllIf writes if its current version is Rev, as in PutIf.
type PutOf[T any] struct {
	Name  string
	Rev   int64
	Value T
}

// PutAllIf writes up to MaxPuts records of different names in one transaction, and returns their new version. If it returns an error, it has
// written none of them. It returns a *ConflictError, which names one of the records, if a record has another version, and ErrInvalid if there are
// more than MaxPuts records or their total size is more than MaxRecord bytes.
func (r *Records[T]) PutAllIf(ctx context.Context, puts []PutOf[T]) (int64, error) {
	if len(puts) == 0 {
		return 0, nil
	}
	if len(puts) > MaxPuts {
		return 0, fmt.Errorf("%w: %d records of %s at once: must be at most %d", ErrInvalid, len(puts), r.kind, MaxPuts)
	}
	c := change{op: "write " + r.kind}
	bytes := 0
	for _, p := range puts {
		value, err := r.value(p.Name, p.Value)
		if err != nil {
			return 0, err
		}
		if bytes += len(value); bytes > MaxRecord {
			return 0, fmt.Errorf("%w: %d records of %s with more than %d bytes together", ErrInvalid, len(puts), r.kind, MaxRecord)
		}
		key := r.path + p.Name
		if p.Rev != AnyVersion {
			c.guards = append(c.guards, clientv3.Compare(clientv3.ModRevision(key), "=", p.Rev))
		}
		c.then, c.read = append(c.then, clientv3.OpPut(key, value)), append(c.read, key)
		c.witness, c.value = key, value
	}
	c.read = c.read[:len(c.read)-1] // the last one is the witness
	at, found, err := r.s.commit(ctx, c)
	if !errors.Is(err, errRefused) {
		return at, err
	}
	for _, p := range puts {
		if actual := found[r.path+p.Name].GetModRevision(); p.Rev != AnyVersion && actual != p.Rev {
			return 0, &ConflictError{Kind: r.kind, Name: p.Name, Expected: p.Rev, Actual: actual}
		}
	}
	return 0, err
}
