package fleet

import (
	"context"

	"go.uber.org/zap"

	"op25b/internal/store"
)

// calendar records the dates that have come, and applies the dates that other controllers record, until ctx ends.
func (c *controller) calendar(ctx context.Context) {
	written := c.Book.WatchDated(ctx)
	failed := false
	for {
		select {
		case <-ctx.Done():
			for range written { // wait until the watch has ended
			}
			return
		case some, ok := <-written:
			if !ok {
				return
			}
			for _, e := range some {
				if !e.Deleted && e.Err == nil {
					c.Clock.Begun(e.Value.At)
				}
			}
			continue
		case <-c.dated:
		}
		v := c.view.Load()
		if v == nil {
			continue
		}
		err := c.Book.WriteDates(ctx, v.Intent, c.Clock.Dates(), c.Name)
		if err == nil || ctx.Err() != nil {
			failed = false
			continue
		}
		if !failed {
			c.log.Warn("dates that have come are not recorded yet", zap.Error(err))
		}
		failed = true
		if store.Pause(ctx, storeAgain) {
			c.writeDates()
		}
	}
}

// writeDates makes calendar check whether a date has come.
func (c *controller) writeDates() {
	select {
	case c.dated <- struct{}{}:
	default:
	}
}
