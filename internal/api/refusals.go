package api

import (
	"sync"
	"time"
)

// Limits on audit records that callers can cause without changing anything. They prevent a caller from filling the store.
const (
	// refusalsAtOnce is the number of one caller's refusals that may be recorded in a burst: more than there are calls that change something. After
	// the burst, one refusal a minute is recorded.
	refusalsAtOnce = 30
	// allRefusalsAtOnce is the number of all callers' refusals that may be recorded in a burst. After the burst, allRefusalsAMinute
	// refusals a minute are recorded, which is 5 million records a year, or 5 GB at their maximum length.
	allRefusalsAtOnce  = 400
	allRefusalsAMinute = 10
	// lookupsAtOnce is the number of look-ups of lines that one caller may make in a burst. After the burst, the caller may make
	// lookupsAMinute look-ups a minute. A record takes less than 1 kB, so that one caller can store 80 MB a day.
	lookupsAtOnce, lookupsAMinute = 300, 60
	// allLookupsAtOnce and allLookupsAMinute are the limits on the look-ups of all callers together. They allow 400 MB a day.
	allLookupsAtOnce, allLookupsAMinute = 3000, 300
	// maxRefused is the limit on the number of callers with separate buckets. All other callers share one bucket.
	maxRefused = 1000
	// maxRefusal is the limit on the length of the reason in a record, in bytes.
	maxRefusal = 512
)

// A rate is the number of records that may be made in a burst, and the number of records a minute after the burst.
type rate struct{ atOnce, aMinute float64 }

// A recordLimit limits the rate of audit records for each caller and for all callers together.
type recordLimit struct {
	now       func() time.Time
	each, sum rate // for one caller, and for all callers

	mu     sync.Mutex // guards the fields below
	all    bucket
	of     map[string]*bucket // the buckets by caller; at most maxRefused
	others bucket             // shared by the callers that are not in the map of
}

func newRecordLimit(now func() time.Time, each, sum rate) *recordLimit {
	return &recordLimit{
		now: now, each: each, sum: sum, of: make(map[string]*bucket),
		all:    bucket{left: sum.atOnce, at: now()},
		others: bucket{left: each.atOnce, at: now()},
	}
}

// newRefusals returns the limit on the records of refused changes.
func newRefusals(now func() time.Time) *recordLimit {
	return newRecordLimit(now, rate{refusalsAtOnce, 1}, rate{allRefusalsAtOnce, allRefusalsAMinute})
}

// newLookups returns the limit on look-ups of lines, each of which is recorded.
func newLookups(now func() time.Time) *recordLimit {
	return newRecordLimit(now, rate{lookupsAtOnce, lookupsAMinute}, rate{allLookupsAtOnce, allLookupsAMinute})
}

// tell reports whether a caller may cause another record. If so, missed is the number of the caller's records that were not allowed since
// the last allowed one. All unauthenticated callers share the name "".
func (r *recordLimit) tell(who string) (missed int, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	b := r.placeLocked(who, now)
	r.fill(b, now)
	r.all.fill(now, r.sum.atOnce, r.sum.aMinute)
	if b.left < 1 || r.all.left < 1 {
		b.missed++
		return 0, false
	}
	b.left--
	r.all.left--
	missed, b.missed = b.missed, 0
	return missed, true
}

func (r *recordLimit) fill(b *bucket, now time.Time) { b.fill(now, r.each.atOnce, r.each.aMinute) }

// placeLocked returns the bucket of a caller, or the shared bucket if there are too many callers. To make room, placeLocked removes full
// buckets that have no missed records.
func (r *recordLimit) placeLocked(who string, now time.Time) *bucket {
	if b := r.of[who]; b != nil {
		return b
	}
	if len(r.of) >= maxRefused {
		for name, b := range r.of {
			if r.fill(b, now); b.left == r.each.atOnce && b.missed == 0 {
				delete(r.of, name)
			}
		}
	}
	if len(r.of) >= maxRefused {
		return &r.others
	}
	b := &bucket{left: r.each.atOnce, at: now}
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
