package store

import (
	"context"
	"errors"
	"maps"
	"sync"
)

// An Unreported finds records that their writer knows, and whose deletion its Watch never reports: the record was written and then deleted by another
// controller while the watch was interrupted, so that the watch has met it neither before nor afterwards. It is not safe for concurrent use.
type Unreported[T any] struct {
	records *Records[T]
	before  map[string]int64
}

// NewUnreported returns an Unreported for records.
func NewUnreported[T any](r *Records[T]) *Unreported[T] { return &Unreported[T]{records: r} }

// Take calls take with a deletion of each record that does not exist, although ahead has its version: the versions of records that were written and
// that the watch has not reported yet. It reads those that ahead had at the call before, too, so it should be called every some seconds: a watch is
// rarely as slow. mu guards ahead, and is held while take is called.
func (u *Unreported[T]) Take(ctx context.Context, mu *sync.RWMutex, ahead map[string]int64, take func([]Event[T])) error {
	mu.RLock()
	now := maps.Clone(ahead)
	mu.RUnlock()
	gone, err := u.deleted(ctx, now)
	mu.Lock()
	defer mu.Unlock()
	for _, name := range gone {
		if ahead[name] == now[name] { // otherwise it was written or reported meanwhile
			take([]Event[T]{{Record: Record[T]{Name: name}, Deleted: true}})
		}
	}
	return err
}

// deleted returns the records that were in ahead at the call before, in the same version, and that do not exist.
func (u *Unreported[T]) deleted(ctx context.Context, ahead map[string]int64) (gone []string, err error) {
	before := u.before
	u.before = ahead
	for name, version := range ahead {
		if before[name] != version {
			continue
		}
		switch _, err := u.records.Get(ctx, name); {
		case errors.Is(err, ErrNotFound):
			gone = append(gone, name)
		case err != nil && !errors.Is(err, ErrCorrupt):
			return gone, err
		}
	}
	return gone, nil
}
