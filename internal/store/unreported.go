package store

import (
	"context"
	"errors"
)

// An Unreported finds records that their writer knows, and whose deletion its Watch never reports: the record was written and then deleted by another
// controller while the watch was interrupted, so that the watch has met it neither before nor afterwards. It is not safe for concurrent use.
type Unreported[T any] struct {
	records *Records[T]
	before  map[string]int64
}

// NewUnreported returns an Unreported for records.
func NewUnreported[T any](r *Records[T]) *Unreported[T] { return &Unreported[T]{records: r} }

// Deleted takes the versions of records that were written and that the watch has not reported yet. It returns those that were among them at the call
// before, and that do not exist. It should be called every some seconds, because a watch is rarely as slow; it reads only records for which it was.
func (u *Unreported[T]) Deleted(ctx context.Context, ahead map[string]int64) (gone []string, err error) {
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
