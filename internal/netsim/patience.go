package netsim

import (
	"context"
	"time"
)

const (
	// tick is the interval at which withPatience measures time.
	tick = 50 * time.Millisecond
	// disturbed is the largest delay with which a tick still counts.
	disturbed = 10 * time.Millisecond
	// longest limits the total duration of withPatience, as a multiple of d.
	longest = 20
)

// withPatience returns a context that ends after d with the cause context.DeadlineExceeded. Only time in which this process could run
// counts. The peer runs in the same process, so on a busy machine the peer may have had no time to answer, and its silence must not be
// mistaken for a filter. now is time.Now except in tests.
func withPatience(ctx context.Context, d time.Duration, now func() time.Time) (context.Context, context.CancelFunc) {
	ctx, end := context.WithCancelCause(ctx)
	began := now()
	left, last := d, began
	var timer *time.Timer
	ready := make(chan struct{})
	timer = time.AfterFunc(min(tick, left), func() {
		<-ready // wait until the variable timer is set
		at := now()
		if step := min(tick, left); at.Sub(last) < step+disturbed {
			left -= step
		}
		last = at
		if left <= 0 || at.Sub(began) > longest*d {
			end(context.DeadlineExceeded)
			return
		}
		if ctx.Err() == nil {
			timer.Reset(min(tick, left))
		}
	})
	close(ready)
	return ctx, func() {
		end(context.Canceled)
		timer.Stop()
	}
}
