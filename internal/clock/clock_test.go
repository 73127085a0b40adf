package clock

import (
	"errors"
	"maps"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"pgregory.net/rapid"
)

// A machine has a wall clock, which can be set, and a monotonic clock.
type machine struct {
	boot   string
	gone   time.Duration
	offset time.Duration // the error of the wall clock
}

var noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

func (m *machine) wall() time.Time { return noon.Add(m.gone + m.offset) }

func (m *machine) source() Source {
	return Source{Wall: m.wall, Elapsed: func() time.Duration { return m.gone }, Boot: m.boot}
}

func clockOf(t testing.TB, m *machine) *Clock {
	t.Helper()
	c, err := New(Config{Source: m.source()})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestJump verifies that setting the wall clock holds dates, and that the trusted time continues (I11).
func TestJump(t *testing.T) {
	for name, by := range map[string]time.Duration{"three days forward": 72 * time.Hour, "a day back": -24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			m := &machine{}
			c := clockOf(t, m)
			m.gone = time.Minute
			if !c.Dates().Equal(noon.Add(time.Minute)) || c.Hold().Reason != None {
				t.Fatalf("before it is set: %v, %v", c.Dates(), c.Hold())
			}
			m.offset = by
			if got := c.Dates(); !got.Equal(noon.Add(time.Minute)) {
				t.Errorf("dates are in force up to %v", got)
			}
			if h := c.Hold(); h.Reason != Jump || h.Ahead != by {
				t.Errorf("the hold is %+v", h)
			}
			m.gone += time.Hour
			if got := c.Dates(); !got.Equal(noon.Add(time.Minute)) {
				t.Errorf("an hour later dates are in force up to %v", got)
			}
			if got := c.Now(); !got.Equal(noon.Add(time.Minute + time.Hour)) {
				t.Errorf("an hour later it is %v", got)
			}
			m.offset = 2 * time.Second // the clock is corrected
			if got := c.Dates(); !got.Equal(m.wall()) || c.Hold().Reason != None {
				t.Errorf("set right, dates are in force up to %v: %v", got, c.Hold())
			}
		})
	}
}

func TestConfirm(t *testing.T) {
	m := &machine{}
	c := clockOf(t, m)
	m.offset = 72 * time.Hour
	if c.Hold().Reason != Jump {
		t.Fatal(c.Hold())
	}
	<-c.Changed()
	c.Confirm()
	<-c.Changed()
	if c.Hold().Reason != None || !c.Dates().Equal(m.wall()) || !c.Now().Equal(m.wall()) {
		t.Errorf("%v, dates up to %v", c.Hold(), c.Dates())
	}
	m.offset = 0
	if c.Hold().Reason != Jump {
		t.Error("the clock that was set back is trusted")
	}
	c.Confirm()
	if got := c.Dates(); !got.Equal(noon.Add(72 * time.Hour)) {
		t.Errorf("dates that were in force are not: up to %v", got)
	}
}

// TestBegun verifies that a date that the store has recorded as begun is in force regardless of the wall clock.
func TestBegun(t *testing.T) {
	m := &machine{offset: -2 * time.Hour}
	c := clockOf(t, m)
	c.Begun(noon)
	<-c.Changed()
	c.Begun(noon.Add(-time.Hour)) // an earlier date changes nothing
	if !c.Dates().Equal(noon) || !c.Now().Equal(noon) {
		t.Errorf("dates up to %v, now %v", c.Dates(), c.Now())
	}
	if !c.Trusted().Equal(noon.Add(-2 * time.Hour)) {
		t.Errorf("tokens expire by %v", c.Trusted())
	}
}

// TestNeverBackwards verifies that time does not run backwards, however the wall clock is set, and that no date comes early unless
// there is a reason to trust the clock (I11).
func TestNeverBackwards(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &machine{}
		c, err := New(Config{Source: m.source()})
		if err != nil {
			t.Fatal(err)
		}
		now, dates := c.Now(), c.Dates()
		for range rapid.IntRange(1, 20).Draw(t, "steps") {
			m.gone += time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "gone"))
			m.offset = time.Duration(rapid.SampledFrom([]int64{0, int64(time.Second), -int64(time.Second), int64(72 * time.Hour), -int64(24 * time.Hour)}).Draw(t, "offset"))
			n, d := c.Now(), c.Dates()
			if n.Before(now) || d.Before(dates) {
				t.Fatalf("back from %v, %v to %v, %v", now, dates, n, d)
			}
			if late := d.Sub(noon.Add(m.gone)); late > 20*DefaultBound {
				t.Fatalf("dates are in force %v early", late)
			}
			now, dates = n, d
		}
	})
}

func TestBound(t *testing.T) {
	for _, b := range []time.Duration{-time.Second, time.Millisecond, 2 * time.Hour} {
		if _, err := New(Config{Bound: b}); !errors.Is(err, ErrBound) {
			t.Errorf("bound %v: %v", b, err)
		}
	}
	c, err := New(Config{Source: System()})
	if err != nil || c.Bound() != DefaultBound {
		t.Error(c, err)
	}
	if c.Hold().Reason != None || time.Since(c.Now()).Abs() > time.Minute {
		t.Errorf("the system's clock: %v, %v", c.Now(), c.Hold())
	}
}

// TestJudge verifies which controllers confirm a clock, and which controller holds dates when two clocks differ.
func TestJudge(t *testing.T) {
	agrees := func(name string) Peer { return Peer{Name: name, Known: true, Ahead: time.Second} }
	ahead := func(name string) Peer { return Peer{Name: name, Known: true, Ahead: 2 * time.Hour} }
	held := func(m Peer, why HoldReason) Peer { m.Hold = why; return m }
	timeOf := func(by string, age, off time.Duration) storeTime {
		return storeTime{reading{Wall: noon.Add(off), Elapsed: -age, Boot: "boot"}, by}
	}
	for _, c := range []struct {
		name    string
		scene   scene
		jump    time.Duration // the change of the wall clock before it is judged
		running bool          // whether the clock was trusted before
		want    HoldReason
		verdict verdict
	}{
		{name: "alone in a new store", scene: scene{present: 1}, want: Starting, verdict: verdict{keeps: true}},
		{name: "alone, away for a week, and the machine stayed up", scene: scene{present: 1, time: storeTime{reading{noon.Add(-7 * 24 * time.Hour), -7 * 24 * time.Hour, "boot"}, "me"}}, want: Starting, verdict: verdict{keeps: true}},
		{name: "alone, set forward while away", scene: scene{present: 1, time: timeOf("me", time.Minute, -72*time.Hour)}, want: Restart},
		{name: "alone, set back while away", scene: scene{present: 1, time: timeOf("me", time.Minute, 24*time.Hour)}, want: Restart},
		{name: "alone after a boot", scene: scene{present: 1, time: storeTime{reading{noon.Add(-30 * time.Minute), 0, "before"}, "me"}}, want: Starting, verdict: verdict{keeps: true}},
		{name: "alone after a boot, a day later", scene: scene{present: 1, time: storeTime{reading{noon.Add(-24 * time.Hour), 0, "before"}, "me"}}, want: Restart},
		{name: "alone after a boot, before the last time", scene: scene{present: 1, time: storeTime{reading{noon.Add(time.Minute), 0, "before"}, "me"}}, want: Restart},
		{name: "another is not heard yet", scene: scene{present: 2, others: []Peer{{Name: "b"}}}, want: Starting},
		{name: "another is never heard", scene: scene{present: 2, others: []Peer{{Name: "b"}}, waited: true}, want: Starting, verdict: verdict{keeps: true}},
		{name: "who comes yields", scene: scene{present: 2, others: []Peer{ahead("b")}}, want: Skew},
		{name: "who comes and agrees", scene: scene{present: 2, others: []Peer{agrees("b")}}, verdict: verdict{keeps: true}},
		{name: "who comes yields to the store's time", scene: scene{
			present: 2, others: []Peer{{Name: "b"}}, fresh: true, storeNow: noon.Add(2 * time.Hour), time: timeOf("b", 0, 2*time.Hour),
		}, want: Skew},
		{name: "who comes is vouched for by nobody that was set", scene: scene{
			present: 2, others: []Peer{held(agrees("b"), Jump)}, time: timeOf("me", time.Minute, -72*time.Hour),
		}, want: Restart},
		{name: "one of two differs, and I keep the time", running: true, scene: scene{
			present: 2, others: []Peer{ahead("b")}, fresh: true, storeNow: noon, time: timeOf("me", 0, 0),
		}, verdict: verdict{keeps: true}},
		{name: "one of two differs, and keeps the time", running: true, scene: scene{
			present: 2, others: []Peer{ahead("b")}, fresh: true, storeNow: noon.Add(2 * time.Hour), time: timeOf("b", 0, 2*time.Hour),
		}, want: Skew},
		{name: "two of three differ", running: true, scene: scene{
			present: 3, others: []Peer{ahead("b"), ahead("c")}, fresh: true, storeNow: noon, time: timeOf("me", 0, 0),
		}, want: Skew},
		{name: "two of three agree against who keeps the time", running: true, scene: scene{
			present: 3, others: []Peer{held(agrees("b"), Skew), ahead("c")}, fresh: true, storeNow: noon.Add(2 * time.Hour), time: timeOf("c", 0, 2*time.Hour),
		}, verdict: verdict{keeps: true, claims: true}},
		{name: "a jump that the other confirms", running: true, jump: time.Hour, scene: scene{present: 2, others: []Peer{agrees("b")}}, verdict: verdict{keeps: true}},
		{name: "a jump that the other made too", running: true, jump: time.Hour, scene: scene{present: 2, others: []Peer{held(agrees("b"), Jump)}}, want: Jump},
		{name: "a jump alone", running: true, jump: time.Hour, scene: scene{present: 1}, want: Jump},
		{name: "a jump that one of three confirms", running: true, jump: time.Hour, scene: scene{present: 3, others: []Peer{agrees("b"), {Name: "c"}}}, verdict: verdict{keeps: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := &machine{boot: "boot"}
			clock := clockOf(t, m)
			c.scene.name = "me"
			if !c.running {
				clock.starts(c.scene.time)
			}
			m.offset = c.jump
			if got := clock.judge(c.scene); got != c.verdict || clock.Hold().Reason != c.want {
				t.Errorf("the verdict is %+v, want %+v; the hold %v, want %v", got, c.verdict, clock.Hold().Reason, c.want)
			}
		})
	}
}

func TestMetrics(t *testing.T) {
	reg := prometheus.NewRegistry()
	m := &machine{boot: "boot"}
	c, err := New(Config{Source: m.source(), Metrics: NewMetrics(reg)})
	if err != nil {
		t.Fatal(err)
	}
	c.judge(scene{name: "a", present: 3, others: []Peer{{Name: "b", Known: true, Ahead: 2 * time.Second}, {Name: "c"}}})
	m.offset = time.Hour
	c.Now()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]float64)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name += " " + l.GetValue()
			}
			got[name] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	want := map[string]float64{
		"op25b_clock_dates_held jump": 1, "op25b_clock_dates_held restart": 0, "op25b_clock_dates_held skew": 0, "op25b_clock_dates_held starting": 0,
		"op25b_clock_jumps_total": 1, "op25b_clock_skew_seconds b": 2,
	}
	if !maps.Equal(got, want) {
		t.Errorf("the metrics are %v, want %v", got, want)
	}
}
