package fleet

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"op25b/internal/store"
)

// Intervals and limits for storing statuses.
const (
	// storeDelay is the pause between a change of a status and its storage. If a switch is connecting, converging and converged in quick
	// succession, only the last status is stored. A change of phase is in force on every switch before the first status is stored.
	storeDelay = 100 * time.Millisecond
	// storeAgain is the pause after a failure to store statuses.
	storeAgain = time.Second
	// storing is the number of transactions that run at once. A higher number does not make etcd faster.
	storing = 4
)

// A reporter stores statuses that have changed.
type reporter struct {
	records *store.Records[Status]
	log     *zap.Logger
	kick    chan struct{} // contains one token while dirty is not empty

	mu    sync.Mutex                // guards all following fields
	dirty map[*assignment]time.Time // time of each assignment's oldest change that is not stored yet
}

func newReporter(s *store.Store, log *zap.Logger) *reporter {
	return &reporter{records: store.JSON[Status](s, statusKind), log: log, kick: make(chan struct{}, 1), dirty: make(map[*assignment]time.Time)}
}

// changed makes the reporter store the status of an assignment after a short delay.
func (r *reporter) changed(s *assignment) { r.changedSince(s, time.Now()) }

func (r *reporter) changedSince(s *assignment, since time.Time) {
	r.mu.Lock()
	if before, there := r.dirty[s]; !there || since.Before(before) {
		r.dirty[s] = since
	}
	r.mu.Unlock()
	select {
	case r.kick <- struct{}{}:
	default:
	}
}

// run stores statuses until ctx ends.
func (r *reporter) run(ctx context.Context) {
	for {
		select {
		case <-r.kick:
		case <-ctx.Done():
			return
		}
		if !store.Pause(ctx, storeDelay) {
			return
		}
		r.mu.Lock()
		some := r.dirty
		r.dirty = make(map[*assignment]time.Time)
		r.mu.Unlock()
		var work errgroup.Group
		work.SetLimit(storing)
		failed := make(chan *assignment, len(some))
		for group := range slices.Chunk(slices.Collect(maps.Keys(some)), store.MaxPuts) {
			work.Go(func() error {
				if r.storeAll(ctx, group) == nil {
					return nil
				}
				for _, s := range group { // store each status separately, because one failure makes the whole transaction fail
					if err := s.store(ctx); err != nil {
						r.log.Debug("status not stored", zap.String("switch", s.name), zap.Error(err))
						failed <- s
					}
				}
				return nil
			})
		}
		_ = work.Wait()
		close(failed)
		if len(failed) > 0 {
			for s := range failed {
				r.changedSince(s, some[s])
			}
			if !store.Pause(ctx, storeAgain) {
				return
			}
		}
	}
}

// waiting returns the age of the oldest change that is not stored yet.
func (r *reporter) waiting(now time.Time) (longest time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, since := range r.dirty {
		longest = max(longest, now.Sub(since))
	}
	return longest
}

// forget deletes the statuses of switches that were removed from the inventory while no controller ran.
func (r *reporter) forget(ctx context.Context, gone func(name string) bool) {
	all, err := r.records.List(ctx)
	for _, rec := range all {
		if err == nil && gone(rec.Name) {
			err = r.records.Delete(ctx, rec.Name, rec.Version)
		}
		if conflict := (*store.ConflictError)(nil); errors.As(err, &conflict) { // another controller owns the switch again
			err = nil
		}
	}
	if err != nil {
		r.log.Debug("statuses of removed switches were not deleted; the next start tries again", zap.Error(err))
	}
}

// storeAll stores the statuses of the given assignments in one transaction. If it returns an error, it has stored none of them.
func (r *reporter) storeAll(ctx context.Context, some []*assignment) error {
	puts := make([]store.Put[Status], 0, len(some))
	for _, s := range some {
		s.storing.Lock()
		defer s.storing.Unlock()
		s.mu.Lock()
		if own := s.reportsLocked(); own != nil {
			puts = append(puts, store.Put[Status]{Name: s.name, Value: s.status, Fence: own})
		}
		s.mu.Unlock()
	}
	return r.records.PutAll(ctx, puts)
}

// store stores the status under the assignment's ownership. Without an ownership it stores nothing, because the stored status belongs to
// the next owner.
func (s *assignment) store(ctx context.Context) error {
	s.storing.Lock() // prevents an older status from being stored after a newer one
	defer s.storing.Unlock()
	s.mu.Lock()
	st, own := s.status, s.reportsLocked()
	s.mu.Unlock()
	if own == nil {
		return nil
	}
	_, err := s.c.reporter.records.PutIf(ctx, s.name, store.AnyVersion, st, own)
	if errors.Is(err, store.ErrLost) || errors.Is(err, store.ErrClosed) {
		return nil
	}
	return err
}

// reportsLocked returns the ownership under which the status may be stored, or nil. It returns nil if the worker has not yet read the
// previous owner's status (see worker.begin), which must not be overwritten. The caller must hold s.mu.
func (s *assignment) reportsLocked() *store.Ownership {
	if s.own == nil || !s.own.Held() || s.epoch != s.own.Epoch() {
		return nil
	}
	return s.own
}
