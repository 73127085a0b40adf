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

// Parameters of storing statuses.
const (
	// storeDelay is how long a status may change before it is stored. Connecting, converging and converged are then one write if they
	// follow fast, and a phase is in force on every switch before the first status is written.
	storeDelay = 100 * time.Millisecond
	// storeAgain is the pause after statuses could not be stored.
	storeAgain = time.Second
	// storing is how many transactions run at once. More do not make etcd faster.
	storing = 4
)

// A reporter stores statuses that have changed.
type reporter struct {
	records *store.Records[Status]
	log     *zap.Logger
	kick    chan struct{} // holds one token while dirty is not empty

	mu    sync.Mutex                // guards everything that follows
	dirty map[*assignment]time.Time // when the oldest change that is not stored was made
}

func newReporter(s *store.Store, log *zap.Logger) *reporter {
	return &reporter{records: store.JSON[Status](s, statusKind), log: log, kick: make(chan struct{}, 1), dirty: make(map[*assignment]time.Time)}
}

// changed makes the reporter store the status of an assignment soon.
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
				for _, s := range group { // each status fails for its own reason
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

// waiting returns how long the oldest change has not been stored.
func (r *reporter) waiting(now time.Time) (longest time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, since := range r.dirty {
		longest = max(longest, now.Sub(since))
	}
	return longest
}

// forget deletes the statuses of switches that left the inventory while no controller ran.
func (r *reporter) forget(ctx context.Context, gone func(name string) bool) {
	all, err := r.records.List(ctx)
	for _, rec := range all {
		if err == nil && gone(rec.Name) {
			err = r.records.Delete(ctx, rec.Name, rec.Version)
		}
		if conflict := (*store.ConflictError)(nil); errors.As(err, &conflict) { // another controller has the switch again
			err = nil
		}
	}
	if err != nil {
		r.log.Debug("statuses of removed switches were not deleted; the next start tries again", zap.Error(err))
	}
}

// storeAll stores the statuses of some assignments in one transaction: all or none.
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

// store writes the status under its ownership. Without an ownership it writes nothing: the status belongs to the next owner.
func (s *assignment) store(ctx context.Context) error {
	s.storing.Lock() // an older status must not be stored after a newer one
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

// reportsLocked returns the ownership under which the status may be stored, or nil. An ownership that has not yet read the previous owner's
// status (see worker.begin) must not replace it. The caller holds s.mu.
func (s *assignment) reportsLocked() *store.Ownership {
	if s.own == nil || !s.own.Held() || s.epoch != s.own.Epoch() {
		return nil
	}
	return s.own
}
