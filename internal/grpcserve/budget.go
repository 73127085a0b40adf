package grpcserve

import (
	"context"
	"time"

	"golang.org/x/sync/semaphore"
)

// A Budget limits the total memory in bytes of all messages in progress. Several servers of a process may share a Budget.
type Budget struct {
	size int64
	free *semaphore.Weighted
}

// NewBudget returns a budget of size bytes; 0 means DefaultBudget.
func NewBudget(size int64) *Budget {
	if size <= 0 {
		size = DefaultBudget
	}
	return &Budget{size: size, free: semaphore.NewWeighted(size)}
}

// take takes n bytes from the budget, or the whole budget if n is larger. It returns the number of bytes that the caller must give back.
// It returns an error if the bytes do not become free within wait.
func (b *Budget) take(ctx context.Context, n int64, wait time.Duration) (int64, error) {
	n = min(n, b.size)
	if b.free.TryAcquire(n) {
		return n, nil
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	if err := b.free.Acquire(ctx, n); err != nil {
		return 0, errBusy(n, b.size)
	}
	return n, nil
}

func (b *Budget) give(n int64) { b.free.Release(n) }
