package p4rt

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// A Backoff configures the pause between two dials. After the n-th failure in a row, the pause is Min x 2^(n-1), at
// most Max, minus a random part of up to half of it. With 250 ms and 15 s, the pause grows to 11 s on average, so
// that 1,000 switches that are unreachable together are dialed at about 90 per second.
type Backoff struct {
	Min time.Duration // 0 means DefaultBackoffMin
	Max time.Duration // 0 means DefaultBackoffMax; a session that lasted at least this long resets the number of failures
}

// Default values of Backoff.
const (
	DefaultBackoffMin = 250 * time.Millisecond
	DefaultBackoffMax = 15 * time.Second
)

func (b Backoff) withDefaults() (Backoff, error) {
	if b.Min == 0 {
		b.Min = DefaultBackoffMin
	}
	if b.Max == 0 {
		b.Max = max(b.Min, DefaultBackoffMax)
	}
	if b.Min < 0 || b.Max < b.Min {
		return Backoff{}, fmt.Errorf("%w: backoff from %v to %v: must be > 0 and rising", ErrConfig, b.Min, b.Max)
	}
	return b, nil
}

// after returns the pause after the given number of failures in a row, which must be at least 1.
func (b Backoff) after(failures int) time.Duration {
	wait := b.Min
	for range failures - 1 {
		if wait >= b.Max/2 {
			wait = b.Max
			break
		}
		wait *= 2
	}
	return wait - rand.N(wait/2+1)
}
