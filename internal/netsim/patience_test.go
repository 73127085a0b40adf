package netsim

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestPatience(t *testing.T) {
	for name, tc := range map[string]struct {
		late time.Duration // the delay of each delayed tick
		from int           // the first delayed tick
		upTo int           // the first tick after the delayed ticks
		want time.Duration // the expected duration, not counting the delays
	}{
		"undisturbed":       {0, 0, 0, time.Second},
		"a little late":     {9 * time.Millisecond, 1, 1000, time.Second},
		"disturbed for 0.5": {11 * time.Millisecond, 5, 15, 1500 * time.Millisecond},
		// A patience of 1 s lasts at most 20 s in all. If each tick of 50 ms is delayed by 200 ms, the limit is reached after 81 ticks, which
		// last 81 × 50 ms without the delays.
		"never let alone": {200 * time.Millisecond, 1, 1000, 81 * 50 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began, calls, skew := time.Now(), 0, time.Duration(0)
				ctx, cancel := withPatience(t.Context(), time.Second, func() time.Time {
					if calls >= tc.from && calls < tc.upTo {
						skew += tc.late
					}
					calls++
					return time.Now().Add(skew)
				})
				defer cancel()
				<-ctx.Done()
				if got := time.Since(began); got != tc.want || !errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
					t.Errorf("ended after %v with %v, want %v with a deadline exceeded", got, context.Cause(ctx), tc.want)
				}
			})
		})
	}
}

func TestPatienceOfACallerWhoLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		outer, leave := context.WithCancel(t.Context())
		ctx, cancel := withPatience(outer, time.Second, time.Now)
		defer cancel()
		leave()
		<-ctx.Done()
		if !errors.Is(context.Cause(ctx), context.Canceled) {
			t.Errorf("ended with %v, want %v", context.Cause(ctx), context.Canceled)
		}
	})
}
