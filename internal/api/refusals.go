package api

import (
	"sync"
	"time"
)

// Limits on the audit records of refused changes. They prevent a caller from filling the store by repeating refused requests.
const (
	// refusalsAtOnce is the number of one caller's refusals that may be recorded in a burst. After the burst, one refusal a minute is
	// recorded.
	refusalsAtOnce = 10
	// allRefusalsAtOnce is the number of all callers' refusals that may be recorded in a burst. After the burst, allRefusalsAMinute
	// refusals a minute are recorded, which is 5 million records a year, or 5 GB at their maximum length.
	allRefusalsAtOnce  = 200
	allRefusalsAMinute = 10
	// maxRefused is the limit on the number of callers with separate buckets. All other callers share one bucket.
	maxRefused = 1000
	// maxRefusal is the limit on the length of the reason in a record, in bytes.
	maxRefusal = 512
)

// refusals decides which refused changes become audit records. It limits the rate for each caller and for all callers together.
type refusals struct {
	now func() time.Time

	mu     sync.Mutex // guards the fields below
	all    bucket
	of     map[string]*bucket // the buckets by caller; at most maxRefused
	others bucket             // shared by the callers that are not in the map of
}

func newRefusals(now func() time.Time) *refusals {
	return &refusals{
		now: now, of: make(map[string]*bucket),
		all:    bucket{left: allRefusalsAtOnce, at: now()},
		others: bucket{left: refusalsAtOnce, at: now()},
	}
}

// tell reports whether to record a caller's refusal. If so, missed is the number of the caller's refusals that were not recorded since
// the last record. All unauthenticated callers share the name "".
func (r *refusals) tell(who string) (missed int, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	b := r.placeLocked(who, now)
	b.fill(now, refusalsAtOnce, 1)
	r.all.fill(now, allRefusalsAtOnce, allRefusalsAMinute)
	if b.left < 1 || r.all.left < 1 {
		b.missed++
		return 0, false
	}
	b.left--
	r.all.left--
	missed, b.missed = b.missed, 0
	return missed, true
}

// placeLocked returns the bucket of a caller, or the shared bucket if there are too many callers. To make room, placeLocked removes full
// buckets that have no missed refusals.
func (r *refusals) placeLocked(who string, now time.Time) *bucket {
	if b := r.of[who]; b != nil {
		return b
	}
	if len(r.of) >= maxRefused {
		for name, b := range r.of {
			if b.fill(now, refusalsAtOnce, 1); b.left == refusalsAtOnce && b.missed == 0 {
				delete(r.of, name)
			}
		}
	}
	if len(r.of) >= maxRefused {
		return &r.others
	}
	b := &bucket{left: refusalsAtOnce, at: now}
	r.of[who] = b
	return b
}

// A bucket is a token bucket that also counts missed lines or records.
type bucket struct {
	left   float64
	at     time.Time // the time of the last fill
	missed int
}

func (b *bucket) fill(now time.Time, most, aMinute float64) {
	if passed := now.Sub(b.at); passed > 0 {
		b.left = min(most, b.left+passed.Minutes()*aMinute)
		b.at = now
	}
}
