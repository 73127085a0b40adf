package netsim

import (
	"context"
	"time"
)

const (
	// tick is the interval at which withPatience measures time.
	tick = 50 * time.Millisecond
	// disturbed is the delay beyond which a tick is not counted.
	disturbed = 10 * time.Millisecond
	// longest limits the total duration, as a multiple of d.
	longest = 20
)

// withPatience returns a context that ends with cause context.DeadlineExceeded after d. Only time in which this process could run counts.
// The peer runs in the same process: if the machine was busy, the peer had no time to answer, and its silence must not be mistaken for a
// filter. now is time.Now except in tests.
func withPatience(ctx context.Context, d time.Duration, now func() time.Time) (context.Context, context.CancelFunc) {
	ctx, end := context.WithCancelCause(ctx)
	began := now()
	left, last := d, began
	var timer *time.Timer
	ready := make(chan struct{})
	timer = time.AfterFunc(min(tick, left), func() {
		<-ready // wait until timer is set
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
