package fleet

import (
	"context"
	"time"

	"go.uber.org/zap"

	"op25b/internal/store"
)

// confirm repeats confirmNow until ctx ends, beginning after the first pause.
func (c *controller) confirm(ctx context.Context) {
	for store.Pause(ctx, confirmEvery) {
		if c.reporter.waiting(time.Now()) <= confirmEvery { // otherwise the stored statuses are older than the statuses in memory
			c.confirmNow(ctx)
		}
	}
}

// confirmNow writes the confirmation for this controller's switches.
func (c *controller) confirmNow(ctx context.Context) {
	records := store.JSON[confirmation](c.Store, confirmationKind)
	err := records.PutFor(ctx, c.Name, confirmation{c.seenAll(c.Now()).UTC()}, int64(ConfirmedFor/time.Second))
	if err != nil && ctx.Err() == nil {
		c.log.Debug("the switches' statuses are not confirmed", zap.Error(err))
	}
}

// seenAll returns the earliest time at which a switch that is reported as connected was last seen. If there is no
// such switch, it returns now.
func (c *controller) seenAll(now time.Time) time.Time {
	c.workingMu.Lock()
	defer c.workingMu.Unlock()
	earliest := now
	for s := range c.working {
		s.mu.Lock()
		if s.own != nil && s.status.connected() && s.seen.Before(earliest) {
			earliest = s.seen
		}
		s.mu.Unlock()
	}
	return earliest
}

// alive records that the switch has answered.
func (s *assignment) alive() {
	now := s.c.Now()
	s.mu.Lock()
	s.seen = now
	s.mu.Unlock()
}
