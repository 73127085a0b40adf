package p4rt

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"op25b/internal/pipeline"
)

// A simulated switch has a clock that started at began and may be fast or slow.
type simulated struct {
	began time.Time
	ppm   int64 // by which its clock is fast
}

// shows returns the time of the switch's clock.
func (s simulated) shows(at time.Time) time.Duration {
	gone := at.Sub(s.began)
	return (gone + gone/1_000_000*time.Duration(s.ppm)).Truncate(time.Microsecond) % clockTurn
}

// second returns the clock second, as the pipeline computes it.
func (s simulated) second(at time.Time) pipeline.ClockSecond {
	return pipeline.ClockSecond(s.shows(at).Microseconds() >> 20)
}

// over reports whether an entry has ended, as the pipeline computes it (docs/pipeline.md section 7).
func (s simulated) over(until pipeline.ClockSecond, at time.Time) bool {
	since := (uint32(s.second(at)) - uint32(until)) & (1<<28 - 1)
	return until != 0 && since < 1<<27
}

// read returns a reading of the switch's clock, which the switch took between the two latencies.
func (s simulated) read(sent time.Time, there, back time.Duration) ClockReading {
	return ClockReading{Switch: s.shows(sent.Add(there)), Sent: sent, Received: sent.Add(there + back)}
}

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// TestUntilOnlyShortens verifies that an entry is over at its end, whatever the latencies, the time of the reading and the age of the clock are, and
// that it is not over earlier than rounding and the latency of the way back explain. Between two readings, a clock does not drift here.
func TestUntilOnlyShortens(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		age := time.Duration(rapid.Int64Range(0, int64(3*clockTurn)).Draw(t, "age"))
		sw := simulated{began: epoch.Add(-age)}
		latency := func(name string) time.Duration {
			return time.Duration(rapid.Int64Range(0, int64(time.Second)).Draw(t, name))
		}
		r := sw.read(epoch, latency("there"), latency("back"))
		var c SwitchClock
		c.Observe(r)
		now := r.Received.Add(time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "since the reading")))
		end := now.Add(time.Duration(rapid.Int64Range(-int64(time.Hour), int64(48*time.Hour)).Draw(t, "lease")))
		until, ok := c.Until(end, now)
		if !ok || until == 0 || until > pipeline.MaxClockSecond {
			t.Fatalf("until %d, %t", until, ok)
		}
		if !sw.over(until, end) {
			t.Fatalf("at its end the entry is not over: until %d, the clock shows %d", until, sw.second(end))
		}
		back := r.Received.Sub(r.Sent)
		if early := end.Add(-back - 2*clockSecond); sw.over(until, early) {
			t.Fatalf("%v early the entry is over: until %d, the clock shows %d", back+2*clockSecond, until, sw.second(early))
		}
	})
}

// TestUntilOfFarEnds verifies that ends beyond the clock's range are clamped to it, so that what is over stays over and what is not over stays so for
// years.
func TestUntilOfFarEnds(t *testing.T) {
	sw := simulated{began: epoch.Add(-time.Hour)}
	var c SwitchClock
	if _, ok := c.Until(epoch, epoch); ok {
		t.Error("an end on a clock that was never read")
	}
	c.Observe(sw.read(epoch, 0, 0))
	const year = 365 * 24 * time.Hour
	for _, x := range []struct {
		end  time.Duration
		over bool
	}{{-200 * year, true}, {-5 * year, true}, {-time.Second, true}, {0, true}, {2 * time.Second, false}, {4 * year, false}, {5 * year, false}, {200 * year, false}} {
		until, ok := c.Until(epoch.Add(x.end), epoch)
		if !ok || sw.over(until, epoch) != x.over {
			t.Errorf("an end %v away: until %d, over %t; the clock shows %d", x.end, until, !x.over, sw.second(epoch))
		}
	}
}

// TestUntilIsNeverNoEnd verifies that an end in clock second 0, which would mean no end, becomes the second before it.
func TestUntilIsNeverNoEnd(t *testing.T) {
	sw := simulated{began: epoch.Add(-clockTurn + 10*clockSecond)} // the clock starts again in ten seconds
	var c SwitchClock
	c.Observe(sw.read(epoch, 0, 0))
	for seconds, want := range map[time.Duration]pipeline.ClockSecond{9: 1<<28 - 1, 10: 1<<28 - 1, 11: 1} {
		if until, _ := c.Until(epoch.Add(seconds*clockSecond), epoch); until != want {
			t.Errorf("an end in %d seconds: until %d, want %d", seconds, until, want)
		}
	}
}

// TestUntilAfterAStep verifies that a step of this host's wall clock moves the ends, which are of the wall clock, but not the switch's time.
func TestUntilAfterAStep(t *testing.T) {
	sent := time.Now() // with a monotonic reading
	var c SwitchClock
	c.Observe(ClockReading{Switch: 1000 * clockSecond, Sent: sent, Received: sent})
	end := sent.Round(0).Add(100 * clockSecond)
	if until, _ := c.Until(end, sent.Add(10*clockSecond)); until != 1100 {
		t.Errorf("until %d, want 1100", until)
	}
	// The wall clock is set back by 40 clock seconds: the end is 130 away instead of 90.
	if until, _ := c.Until(end.Add(40*clockSecond), sent.Add(10*clockSecond)); until != 1140 {
		t.Errorf("after a step: until %d, want 1140", until)
	}
}

// TestObserve verifies which readings mean that ends have to be computed again.
func TestObserve(t *testing.T) {
	minute := func(n int) time.Time { return epoch.Add(time.Duration(n) * time.Minute) }
	at := func(n int, shows time.Duration) ClockReading {
		return ClockReading{Switch: shows, Sent: minute(n), Received: minute(n).Add(10 * time.Millisecond)}
	}
	for name, c := range map[string]struct {
		readings []ClockReading
		want     []bool
	}{
		"steady":                  {[]ClockReading{at(0, time.Hour), at(1, time.Hour+time.Minute), at(2, time.Hour+2*time.Minute)}, []bool{true, false, false}},
		"restarted":               {[]ClockReading{at(0, time.Hour), at(1, time.Second), at(2, time.Minute+time.Second)}, []bool{true, true, false}},
		"restarted when young":    {[]ClockReading{at(0, 900*time.Millisecond), {Switch: 500 * time.Millisecond, Sent: epoch.Add(time.Second), Received: epoch.Add(time.Second)}}, []bool{true, true}},
		"set forward":             {[]ClockReading{at(0, time.Hour), at(1, 2*time.Hour)}, []bool{true, true}},
		"two seconds":             {[]ClockReading{at(0, time.Hour), at(1, time.Hour+time.Minute+2*time.Second)}, []bool{true, false}},
		"more than two seconds":   {[]ClockReading{at(0, time.Hour), at(1, time.Hour+time.Minute+2011*time.Millisecond)}, []bool{true, true}},
		"behind":                  {[]ClockReading{at(0, time.Hour), at(1, time.Hour+time.Minute-2011*time.Millisecond)}, []bool{true, true}},
		"drift adds up":           {[]ClockReading{at(0, 0), at(1, time.Minute+time.Second), at(2, 2*time.Minute+2*time.Second), at(3, 3*time.Minute+3*time.Second), at(4, 4*time.Minute+4*time.Second)}, []bool{true, false, false, true, false}},
		"starts again at the end": {[]ClockReading{at(0, clockTurn-time.Second), at(1, 59*time.Second)}, []bool{true, false}},
	} {
		var clock SwitchClock
		for i, r := range c.readings {
			if got := clock.Observe(r); got != c.want[i] {
				t.Errorf("%s: reading %d: changed %t, want %t", name, i+1, got, c.want[i])
			}
		}
	}
}

// TestADriftThatIsNotReportedKeepsEndsTheSame verifies that, as long as Observe reports no change, the end of an entry stays the same within what
// SameEnd allows, and that a switch is never more than that late.
func TestADriftThatIsNotReportedKeepsEndsTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sw := simulated{began: epoch.Add(-time.Duration(rapid.Int64Range(0, int64(24*time.Hour)).Draw(t, "age"))), ppm: rapid.Int64Range(-500, 500).Draw(t, "ppm")}
		end := epoch.Add(24 * time.Hour)
		var c SwitchClock
		var written pipeline.ClockSecond
		for minute := range 200 {
			sent := epoch.Add(time.Duration(minute) * time.Minute)
			r := sw.read(sent, time.Duration(rapid.Int64Range(0, 5_000_000).Draw(t, "there")), time.Duration(rapid.Int64Range(0, 5_000_000).Draw(t, "back")))
			changed := c.Observe(r)
			until, _ := c.Until(end, r.Received)
			if changed || !SameEnd(until, written) {
				if !changed {
					t.Fatalf("minute %d: until %d, %d is written, and no change is reported", minute, until, written)
				}
				written = until
			}
		}
	})
}

func TestSameEnd(t *testing.T) {
	const last = pipeline.MaxClockSecond
	for _, c := range []struct {
		a, b pipeline.ClockSecond
		want bool
	}{
		{0, 0, true},
		{0, 1, false},
		{1, 0, false},
		{100, 100, true},
		{100, 102, true},
		{102, 100, true},
		{100, 103, false},
		{103, 100, false},
		{last, 1, true},
		{1, last, true},
		{last, 2, false},
		{2, last, false},
		{last, 0, false},
	} {
		if got := SameEnd(c.a, c.b); got != c.want {
			t.Errorf("%d and %d: %t, want %t", c.a, c.b, got, c.want)
		}
	}
}

// TestNotBeforeOnlyLengthens verifies that an entry is not over before its end, apart from the latency of the way back, and that it is over two
// seconds after its end at the latest, for all ends that a switch can have.
func TestNotBeforeOnlyLengthens(t *testing.T) {
	var unread SwitchClock
	if _, ok := unread.NotBefore(epoch, epoch); ok {
		t.Error("an end on a clock that was never read")
	}
	rapid.Check(t, func(t *rapid.T) {
		age := time.Duration(rapid.Int64Range(0, int64(3*clockTurn)).Draw(t, "age"))
		sw := simulated{began: epoch.Add(-age)}
		latency := func(name string) time.Duration {
			return time.Duration(rapid.Int64Range(0, int64(time.Second)).Draw(t, name))
		}
		r := sw.read(epoch, latency("there"), latency("back"))
		var c SwitchClock
		c.Observe(r)
		now := r.Received.Add(time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "since the reading")))
		end := now.Add(time.Duration(rapid.Int64Range(-int64(time.Hour), int64(MaxEnd)).Draw(t, "away")))
		until, ok := c.NotBefore(end, now)
		if !ok || until == 0 || until > pipeline.MaxClockSecond {
			t.Fatalf("until %d, %t", until, ok)
		}
		if early := end.Add(r.Sent.Sub(r.Received) - 1); sw.over(until, early) {
			t.Fatalf("%v early the entry is over: until %d, the clock shows %d", end.Sub(early), until, sw.second(early))
		}
		if late := end.Add(2 * clockSecond); !sw.over(until, late) {
			t.Fatalf("two seconds late the entry is not over: until %d, the clock shows %d", until, sw.second(late))
		}
	})
}

// TestNotBeforeIsNeverNoEnd verifies that an end in clock second 0, which would mean no end, becomes the second after it.
func TestNotBeforeIsNeverNoEnd(t *testing.T) {
	sw := simulated{began: epoch.Add(-clockTurn + 10*clockSecond)} // the clock starts again in ten seconds
	var c SwitchClock
	c.Observe(sw.read(epoch, 0, 0))
	for seconds, want := range map[time.Duration]pipeline.ClockSecond{8: 1<<28 - 1, 9: 1, 10: 1, 11: 2} {
		if until, _ := c.NotBefore(epoch.Add(seconds*clockSecond), epoch); until != want {
			t.Errorf("an end in %d seconds: until %d, want %d", seconds, until, want)
		}
	}
}

func TestSameFarEnd(t *testing.T) {
	const last = pipeline.MaxClockSecond
	for _, c := range []struct {
		a, b pipeline.ClockSecond
		away time.Duration
		want bool
	}{
		{0, 0, MaxEnd, true},
		{0, 1, MaxEnd, false},
		{last, 0, MaxEnd, false},
		{100, 102, -time.Hour, true},
		{100, 103, 0, false},
		{100, 103, 29_999 * clockSecond, false},
		{100, 103, 30_000 * clockSecond, true},
		{103, 100, 30_000 * clockSecond, true},
		{last, 4, 50_000 * clockSecond, true},
		{last, 5, 50_000 * clockSecond, false},
	} {
		if got := SameFarEnd(c.a, c.b, c.away); got != c.want {
			t.Errorf("%d and %d, %v away: %t, want %t", c.a, c.b, c.away, got, c.want)
		}
	}
}

// TestAFarEndIsSeldomWrittenAgain verifies that the end of an exemption of a year is written a few times only, although the switch's clock is fast,
// and that in the last hours it is as exact as any other.
func TestAFarEndIsSeldomWrittenAgain(t *testing.T) {
	sw := simulated{began: epoch.Add(-time.Hour), ppm: 20}
	end := epoch.AddDate(1, 0, 0)
	var c SwitchClock
	var written pipeline.ClockSecond
	writes := 0
	for now := epoch; now.Before(end); now = now.Add(5 * time.Minute) {
		c.Observe(sw.read(now, 0, 0))
		if until, _ := c.NotBefore(end, now); !SameFarEnd(written, until, end.Sub(now)) {
			written, writes = until, writes+1
		}
	}
	if writes < 2 || writes > 8 {
		t.Errorf("%d writes in a year", writes)
	}
	if early, late := end.Add(-3*clockSecond), end.Add(4*clockSecond); sw.over(written, early) || !sw.over(written, late) {
		t.Errorf("the end is second %d, and the clock shows %d at the end", written, sw.second(end))
	}
	t.Logf("%d writes", writes)
}
