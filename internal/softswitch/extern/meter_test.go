package extern

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A hand is a clock that the test advances.
type hand struct{ now time.Duration }

func (h *hand) clock() time.Duration { return h.now }

func configured(t testing.TB, unit Unit, clock Clock, c MeterConfig) *Meter {
	t.Helper()
	m := NewMeter(unit, clock)
	if err := m.Configure(c); err != nil {
		t.Fatal(err)
	}
	return m
}

func wantColors(t *testing.T, m *Meter, length int, want ...Color) {
	t.Helper()
	for i, w := range want {
		if got := m.Execute(length, Green); got != w {
			t.Fatalf("packet %d is %v, want %v", i, got, w)
		}
	}
}

func TestUnconfiguredIsGreen(t *testing.T) {
	h := &hand{}
	m := NewMeter(Bytes, h.clock)
	wantColors(t, m, 1<<30, Green, Green)
	if got := m.Execute(1, Red); got != Green {
		t.Errorf("pre-color red: %v, want green: bmv2 looks at the configuration first", got)
	}
	if _, ok := m.Config(); ok {
		t.Error("Config says there is one")
	}
	c := MeterConfig{CIR: 1, CBurst: 1, PIR: 1, PBurst: 1}
	if err := m.Configure(c); err != nil {
		t.Fatal(err)
	}
	wantColors(t, m, 2, Red)
	if got, ok := m.Config(); !ok || got != c {
		t.Errorf("Config %v %v, want %v", got, ok, c)
	}
	m.Reset()
	wantColors(t, m, 2, Green)
	if _, ok := m.Config(); ok {
		t.Error("Config after Reset says there is one")
	}
}

// TestPackets takes a packet meter through its bursts and refills, with a committed rate of 10 packets per second and a peak rate of 20.
func TestPackets(t *testing.T) {
	h := &hand{now: 7 * time.Hour} // the clock may start at any time
	m := configured(t, Packets, h.clock, MeterConfig{CIR: 10, CBurst: 2, PIR: 20, PBurst: 4})
	wantColors(t, m, 1500, Green, Green, Yellow, Yellow, Red, Red)
	h.now += 49 * time.Millisecond // less than one token in either bucket
	wantColors(t, m, 1500, Red)
	h.now += 2 * time.Millisecond // 51 ms: one peak token
	wantColors(t, m, 1500, Yellow, Red)
	h.now += 50 * time.Millisecond // 101 ms: the second peak token and the first committed token
	wantColors(t, m, 1500, Green, Red)
	h.now += time.Hour // both buckets are full, but hold no more than their burst
	wantColors(t, m, 1500, Green, Green, Yellow, Yellow, Red)
}

// TestBytes verifies that a packet is charged its length, and that a packet that exceeds the bucket is not charged.
func TestBytes(t *testing.T) {
	h := &hand{}
	m := configured(t, Bytes, h.clock, MeterConfig{CIR: 1000, CBurst: 1000, PIR: 2000, PBurst: 3000})
	wantColors(t, m, 600, Green)    // 400 committed tokens left, and 2400 peak tokens
	wantColors(t, m, 401, Yellow)   // 400, 1999
	wantColors(t, m, 2000, Red)     // 400, 1999
	wantColors(t, m, 400, Green)    // 0, 1599
	wantColors(t, m, 1, Yellow)     // 0, 1598
	wantColors(t, m, 0, Green)      // an empty packet fits an empty bucket
	h.now += 100 * time.Millisecond // 100, 1798
	wantColors(t, m, 101, Yellow)   // 100, 1697
	wantColors(t, m, 100, Green)    // 0, 1597
	wantColors(t, m, 1598, Red)
	wantColors(t, m, 1597, Yellow, Red)
}

// TestRedLeavesCommitted verifies that a packet that exceeds the peak bucket takes no tokens from the committed bucket.
func TestRedLeavesCommitted(t *testing.T) {
	h := &hand{}
	m := configured(t, Packets, h.clock, MeterConfig{CIR: 1, CBurst: 5, PIR: 1, PBurst: 1})
	wantColors(t, m, 0, Green, Red, Red, Red)
	h.now += time.Second
	wantColors(t, m, 0, Green, Red)
}

func TestPreColor(t *testing.T) {
	h := &hand{}
	m := configured(t, Packets, h.clock, MeterConfig{CIR: 1, CBurst: 1, PIR: 1, PBurst: 2})
	// Each packet is charged as if its pre-color were green, so the third packet finds the peak bucket empty.
	for i, c := range []struct{ pre, want Color }{{Yellow, Yellow}, {Green, Yellow}, {Green, Red}, {Yellow, Red}} {
		if got := m.Execute(1, c.pre); got != c.want {
			t.Errorf("packet %d, pre-color %v: %v, want %v", i, c.pre, got, c.want)
		}
	}
	h.now += time.Second
	if got := m.Execute(1, Red); got != Red {
		t.Errorf("pre-color red: %v", got)
	}
}

// TestSlowRate verifies that no tokens are lost by rounding down at each packet. The rate is 3 packets per second, and a packet arrives
// every millisecond for 100 seconds.
func TestSlowRate(t *testing.T) {
	h := &hand{}
	m := configured(t, Packets, h.clock, MeterConfig{CIR: 3, CBurst: 1, PIR: 3, PBurst: 1})
	green := 0
	for range 100_000 {
		h.now += time.Millisecond
		if m.Execute(1, Green) == Green {
			green++
		}
	}
	if green != 300 && green != 301 { // the burst and up to 300 tokens; the 300th token may come just after the end
		t.Errorf("%d packets are green, want 300 or 301", green)
	}
}

func TestClockBack(t *testing.T) {
	h := &hand{now: time.Hour}
	m := configured(t, Packets, h.clock, MeterConfig{CIR: 1, CBurst: 1, PIR: 1, PBurst: 1})
	wantColors(t, m, 1, Green, Red)
	h.now = 0
	wantColors(t, m, 1, Red)
	h.now = time.Hour + 999*time.Millisecond
	wantColors(t, m, 1, Red)
	h.now = time.Hour + time.Second
	wantColors(t, m, 1, Green, Red)
}

// TestReconfigureFills verifies that a new configuration starts with full buckets, and that a refused configuration changes nothing.
func TestReconfigureFills(t *testing.T) {
	h := &hand{}
	c := MeterConfig{CIR: 1, CBurst: 1, PIR: 1, PBurst: 1}
	m := configured(t, Packets, h.clock, c)
	wantColors(t, m, 1, Green, Red)
	for _, bad := range []struct {
		c    MeterConfig
		says string
	}{
		{MeterConfig{CIR: 2, PIR: 1}, "pir 1 is below cir 2"},
		{MeterConfig{CIR: -1}, "cir is -1, must be at least 0"},
		{MeterConfig{CBurst: -2}, "cburst is -2"},
		{MeterConfig{PIR: -3}, "pir is -3"},
		{MeterConfig{PBurst: -4}, "pburst is -4"},
	} {
		if err := m.Configure(bad.c); !errors.Is(err, ErrMeterConfig) || !strings.Contains(err.Error(), bad.says) {
			t.Errorf("%+v: error %v, want %q", bad.c, err, bad.says)
		}
	}
	if got, ok := m.Config(); !ok || got != c {
		t.Errorf("Config after refusals %v, want %v", got, c)
	}
	wantColors(t, m, 1, Red)
	if err := m.Configure(c); err != nil {
		t.Fatal(err)
	}
	wantColors(t, m, 1, Green, Red)
}

// TestNeverAboveRate verifies that, over any period, the number of green bytes is at most the burst plus the rate times the period. The
// peak rate and burst limit green and yellow bytes together in the same way.
func TestNeverAboveRate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := &hand{}
		c := MeterConfig{
			CIR: rapid.Int64Range(0, 1_000_000).Draw(t, "cir"), CBurst: rapid.Int64Range(0, 5000).Draw(t, "cburst"),
			PBurst: rapid.Int64Range(0, 5000).Draw(t, "pburst"),
		}
		c.PIR = c.CIR + rapid.Int64Range(0, 1_000_000).Draw(t, "more")
		m := NewMeter(Bytes, h.clock)
		if err := m.Configure(c); err != nil {
			t.Fatal(err)
		}
		var green, passed int64
		for range rapid.IntRange(1, 50).Draw(t, "packets") {
			h.now += time.Duration(rapid.IntRange(0, 20_000).Draw(t, "micros")) * time.Microsecond
			n := rapid.IntRange(0, 1500).Draw(t, "length")
			switch m.Execute(n, Green) {
			case Green:
				green += int64(n)
				passed += int64(n)
			case Yellow:
				passed += int64(n)
			}
			if limit := c.CBurst + int64(h.now.Seconds()*float64(c.CIR)+1); green > limit {
				t.Fatalf("%d bytes green in %v, at most %d", green, h.now, limit)
			}
			if limit := c.PBurst + int64(h.now.Seconds()*float64(c.PIR)+1); passed > limit {
				t.Fatalf("%d bytes passed in %v, at most %d", passed, h.now, limit)
			}
		}
	})
}

// TestConcurrent verifies that the number of green packets equals the burst if the clock does not advance, whatever the number of
// goroutines.
func TestConcurrent(t *testing.T) {
	h := &hand{}
	m := configured(t, Packets, h.clock, MeterConfig{CIR: 1, CBurst: 100, PIR: 1, PBurst: 300})
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex
		count [3]int // guarded by mu
	)
	for range 8 {
		wg.Go(func() {
			for range 100 {
				c := m.Execute(1, Green)
				mu.Lock()
				count[c]++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if count != [3]int{100, 200, 500} {
		t.Errorf("green, yellow, red: %v, want 100, 200, 500", count)
	}
}

func TestMeters(t *testing.T) {
	h := &hand{}
	a, err := NewMeters("limit", Packets, 3, h.clock)
	if err != nil {
		t.Fatal(err)
	}
	m, err := a.At(2)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Configure(MeterConfig{}); err != nil {
		t.Fatal(err)
	}
	for i, want := range []Color{Green, Green, Red} {
		if got, ok := a.Execute(uint64(i), 1, Green); !ok || got != want {
			t.Errorf("meter %d: %v %v, want %v", i, got, ok, want)
		}
	}
	for _, i := range []uint64{3, 1 << 63, ^uint64(0)} {
		if _, ok := a.Execute(i, 1, Green); ok {
			t.Errorf("there is a meter %d", i)
		}
	}
	for _, i := range []int64{-1, 3} {
		if _, err := a.At(i); !errors.Is(err, ErrMeterIndex) || !strings.Contains(err.Error(), "must be 0 to 2") {
			t.Errorf("At(%d): %v", i, err)
		}
	}
	if _, err := NewMeters("limit", Packets, -1, h.clock); !errors.Is(err, ErrMeterIndex) || a.Len() != 3 {
		t.Errorf("size -1: %v; Len %d, want 3", err, a.Len())
	}
}

func TestNames(t *testing.T) {
	if got := Green.String() + Yellow.String() + Red.String() + Color(3).String() + Packets.String() + Bytes.String() + Unit(2).String(); got !=
		"greenyellowredcolor 3packetsbytesunit 2" {
		t.Error(got)
	}
}

func TestMeterAllocatesNothing(t *testing.T) {
	h := &hand{}
	m := configured(t, Bytes, h.clock, MeterConfig{CIR: 1, CBurst: 1000, PIR: 1, PBurst: 1000})
	if n := testing.AllocsPerRun(100, func() { h.now++; m.Execute(1, Green) }); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

func BenchmarkMeter(b *testing.B) {
	start := time.Now()
	m := configured(b, Bytes, func() time.Duration { return time.Since(start) }, MeterConfig{CIR: 1e6, CBurst: 1500, PIR: 2e6, PBurst: 3000})
	b.ReportAllocs()
	for b.Loop() {
		m.Execute(64, Green)
	}
}
