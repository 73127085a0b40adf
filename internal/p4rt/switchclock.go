package p4rt

import (
	"math"
	"time"

	"op25b/internal/pipeline"
)

// The clock of a switch counts microseconds with 48 bits. A clock second has 2^20 of them, so that seconds have 28 bits.
const (
	clockTurn   = time.Microsecond << 48
	clockSecond = time.Microsecond << 20
	secondTurn  = int64(clockTurn / clockSecond)
)

// sameEnd is how far two ends of an entry may be apart, in clock seconds, and still mean the same end. It covers what two readings of a clock
// differ by: their latency, the rounding of both ends, and the drift that Observe does not report.
const sameEnd = 2

// farDrift is the part of the time left by which two ends of an entry may differ and still mean the same end, if that is more than sameEnd. A
// switch's clock is wrong by some parts in 100,000, so a far end cannot be written more exactly, and would otherwise be written again every day.
const farDrift = 10_000

// MaxEnd is the longest time until an end that a switch can have: 1,600 days. The program compares seconds over half of the clock's range, which is
// 1,628 days.
const MaxEnd = 1600 * 24 * time.Hour

// maxDrift is how far a switch's clock may be away from the time that an earlier reading predicts before it counts as another clock.
const maxDrift = 2 * time.Second

// A SwitchClock converts times to the clock of one switch. The zero value knows no clock. It is pure: the caller reads the clock, with
// Session.Clock, and calls Observe with each reading. It must not be used concurrently.
type SwitchClock struct {
	known bool
	base  ClockReading // the reading with which the drift is compared
	last  ClockReading
}

// Observe takes a reading. It reports whether the entries with an end have to be computed again with Until, because the switch's clock was not known,
// has restarted, or has drifted by more than two seconds since the last time that Observe returned true. A clock has restarted if it shows less than
// in the reading before.
func (c *SwitchClock) Observe(r ClockReading) (changed bool) {
	changed = !c.known || turned(r.Switch-c.last.Switch) < 0 || c.drift(r) > maxDrift
	c.last = r
	if changed {
		c.known, c.base = true, r
	}
	return changed
}

// Known reports whether a reading has been observed.
func (c *SwitchClock) Known() bool { return c.known }

// drift returns how far a reading is from the time that the base predicts. Within the latencies of the two readings, nothing counts as drift.
func (c *SwitchClock) drift(r ClockReading) time.Duration {
	gone := turned(r.Switch - c.base.Switch)
	least, most := r.Sent.Sub(c.base.Received), r.Received.Sub(c.base.Sent)
	switch {
	case gone < least:
		return least - gone
	case gone > most:
		return gone - most
	}
	return 0
}

// turned returns a difference of two times of a switch's clock, by the shorter way around: the clock starts again at 0 after 8.9 years.
func turned(d time.Duration) time.Duration {
	d %= clockTurn
	switch {
	case d >= clockTurn/2:
		return d - clockTurn
	case d < -clockTurn/2:
		return d + clockTurn
	}
	return d
}

// Until returns the clock second from which on something that ends at the time end is over. now is the present time, with a monotonic reading; end
// is a time of the wall clock, and usually has none. The latency of the last reading and the rounding to seconds can only make the end earlier, by
// less than a second more than the latency. An end that is more than 4 years away is earlier too. ok is false if no reading has been observed.
func (c *SwitchClock) Until(end, now time.Time) (until pipeline.ClockSecond, ok bool) {
	at, ok := c.second(end, now)
	if at == 0 && ok { // which would mean that there is no end
		at = secondTurn - 1
	}
	return pipeline.ClockSecond(at), ok
}

// NotBefore is like Until, but the rounding to seconds can only make the end later, by at most a second. Until is for an end that must not be
// exceeded, and NotBefore for one that must be reached. An end that is more than MaxEnd away has no useful result.
func (c *SwitchClock) NotBefore(end, now time.Time) (until pipeline.ClockSecond, ok bool) {
	at, ok := c.second(end, now)
	if !ok {
		return 0, false
	}
	if at = (at + 1) % secondTurn; at == 0 {
		at = 1
	}
	return pipeline.ClockSecond(at), true
}

// second returns the clock second that contains a time of the wall clock.
func (c *SwitchClock) second(end, now time.Time) (at int64, ok bool) {
	if !c.known {
		return 0, false
	}
	// The last reading was taken before Received, so the switch's clock now shows at least this.
	present := c.last.Switch + now.Sub(c.last.Received)
	// A later end would be in the past half of the clock's range, and an earlier one in its future half.
	const half = clockTurn/2 - 2*clockSecond
	return floorSecond(present + min(max(end.Round(0).Sub(now.Round(0)), -half), half)), true
}

// floorSecond returns the clock second that contains a time of a switch's clock.
func floorSecond(d time.Duration) int64 {
	d %= clockTurn
	if d < 0 {
		d += clockTurn
	}
	return int64(d / clockSecond)
}

// SameEnd reports whether two entries' ends differ so little that the entry need not be written again. No end is only the same as no end.
func SameEnd(a, b pipeline.ClockSecond) bool {
	return apart(a, b) <= sameEnd
}

// SameFarEnd is like SameEnd for ends that are the given time away. The difference may be a ten-thousandth of this time.
func SameFarEnd(a, b pipeline.ClockSecond, away time.Duration) bool {
	return apart(a, b) <= max(sameEnd, int64(away/clockSecond)/farDrift)
}

// apart returns how many seconds are between two ends, by the shorter way around. No end is farther from every end than any two ends.
func apart(a, b pipeline.ClockSecond) int64 {
	if a == b {
		return 0
	}
	if a == 0 || b == 0 {
		return math.MaxInt64
	}
	d := (int64(a) - int64(b)) % secondTurn
	return min(max(d, -d), secondTurn-max(d, -d))
}
