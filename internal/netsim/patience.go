package netsim

import (
	"context"
	"time"
)

const (
	// tick is the unit in which patience is counted.
	tick = 50 * time.Millisecond
	// disturbed is the delay from which a tick does not count.
	disturbed = 10 * time.Millisecond
	// longest is the largest duration of an attempt, as a multiple of its patience.
	longest = 20
)

// withPatience returns a context that ends with cause context.DeadlineExceeded after d during which this process could run. If the machine
// was busy with something else, the peer, which is in this process too, had no time to answer, and its silence would be mistaken for a
// filter. now is time.Now except in tests.
func withPatience(ctx context.Context, d time.Duration, now func() time.Time) (context.Context, context.CancelFunc) {
	ctx, end := context.WithCancelCause(ctx)
	began := now()
	left, last := d, began
	var timer *time.Timer
	ready := make(chan struct{})
	timer = time.AfterFunc(min(tick, left), func() {
		<-ready // timer is set
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
