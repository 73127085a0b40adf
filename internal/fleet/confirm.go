package fleet

import (
	"context"
	"time"

	"go.uber.org/zap"

	"op25b/internal/store"
)

// confirm writes the confirmation of this controller's switches at intervals until ctx ends.
func (c *controller) confirm(ctx context.Context) {
	records := store.JSON[confirmation](c.Store, confirmationKind)
	for {
		switch now := time.Now(); {
		case c.reporter.waiting(now) > confirmEvery: // the stored statuses are older than ours
		default:
			if err := records.PutFor(ctx, c.Name, confirmation{c.seenAll(c.Now()).UTC()}, int64(ConfirmedFor/time.Second)); err != nil && ctx.Err() == nil {
				c.log.Debug("the switches' statuses are not confirmed", zap.Error(err))
			}
		}
		if !store.Pause(ctx, confirmEvery) {
			return
		}
	}
}

// seenAll returns the earliest moment at which a switch reported as connected was last seen, or now if there is none.
func (c *controller) seenAll(now time.Time) time.Time {
	c.workingMu.Lock()
	defer c.workingMu.Unlock()
	earliest := now
	for s := range c.working {
		s.mu.Lock()
		if s.own != nil && s.status.State.session() && s.seen.Before(earliest) {
			earliest = s.seen
		}
		s.mu.Unlock()
	}
	return earliest
}

// alive notes that the switch has answered.
func (s *assignment) alive() {
	now := s.c.Now()
	s.mu.Lock()
	s.seen = now
	s.mu.Unlock()
}
