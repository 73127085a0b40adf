package history

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestRecordCountsDifferences(t *testing.T) {
	boot, reboot := t0.Add(-time.Hour), t0.Add(90*time.Second)
	unknown := time.Time{}
	type step struct {
		total uint64
		boot  time.Time
	}
	for name, tc := range map[string]struct {
		steps []step
		want  uint64
	}{
		"a switch begins at its totals":         {[]step{{1000, boot}}, 0},
		"unless it began two minutes ago":       {[]step{{1000, t0.Add(-2 * time.Minute)}, {1002, t0.Add(-2 * time.Minute)}}, 1002},
		"and not earlier":                       {[]step{{1000, t0.Add(-2*time.Minute - time.Second)}, {1002, t0.Add(-2*time.Minute - time.Second)}}, 2},
		"nor after the record":                  {[]step{{1000, t0.Add(time.Minute)}}, 0},
		"the difference counts":                 {[]step{{1000, boot}, {1007, boot}, {1007, boot}, {1010, boot}}, 10},
		"a fall counts nothing":                 {[]step{{1000, boot}, {400, boot}}, 0},
		"and is the base of the next":           {[]step{{1000, boot}, {400, boot}, {405, boot}}, 5},
		"a new boot counts in full":             {[]step{{1000, boot}, {7, reboot}}, 7},
		"though the total is larger":            {[]step{{1000, boot}, {1007, reboot}}, 1007},
		"a boot that varies by a second is old": {[]step{{1000, boot}, {1001, boot.Add(time.Second)}, {1003, boot}}, 3},
		"an unknown boot is an old one":         {[]step{{1000, boot}, {1001, unknown}, {1003, boot}}, 3},
		"a boot that becomes known":             {[]step{{1000, unknown}, {1004, boot}}, 4},
		"a boot after an unknown one":           {[]step{{1000, boot}, {1004, unknown}, {9, reboot}}, 13},
		"the largest total":                     {[]step{{0, boot}, {math.MaxUint64, boot}}, math.MaxUint64},
		"more than the largest total":           {[]step{{0, boot}, {math.MaxUint64, boot}, {9, reboot}}, math.MaxUint64},
	} {
		f := newFixture(t).open()
		for i, s := range tc.steps {
			f.record(t0.Add(time.Duration(i)*30*time.Second), Total{Key: keyA, Packets: s.total, Boot: s.boot})
		}
		if got := f.sums(t0, t0.Add(time.Hour), time.Hour)[keyA]; got != tc.want {
			t.Errorf("%s: %d, want %d", name, got, tc.want)
		}
	}
}

func TestKeysThatComeAndGo(t *testing.T) {
	f := newFixture(t).open()
	boot := t0.Add(-time.Hour)
	f.record(t0, total(keyA, 100, boot))
	f.record(t0.Add(time.Minute), total(keyA, 100, boot), total(keyB, 7, boot)) // a new key of a known switch is counted in full
	f.record(t0.Add(2*time.Minute), total(keyA, 100, boot))
	f.open()
	f.record(t0.Add(3*time.Minute), total(keyA, 100, boot), total(keyB, 9, boot)) // its last total is still known
	got := f.sums(t0, t0.Add(time.Hour), time.Hour)
	if got[keyA] != 0 || got[keyB] != 9 {
		t.Errorf("%d and %d, want 0 and 9", got[keyA], got[keyB])
	}
}

// TestRestartWhileAKeyIsAbsent verifies that a key that is absent during a restart counts from 0.
func TestRestartWhileAKeyIsAbsent(t *testing.T) {
	f := newFixture(t).open()
	boot, reboot := t0.Add(-time.Hour), t0.Add(time.Minute)
	f.record(t0, total(keyA, 100, boot), total(keyB, 50, boot))
	f.record(t0.Add(2*time.Minute), total(keyA, 3, reboot))
	f.record(t0.Add(3*time.Minute), total(keyA, 3, reboot), total(keyB, 4, reboot))
	got := f.sums(t0, t0.Add(time.Hour), time.Hour)
	if got[keyA] != 3 || got[keyB] != 4 {
		t.Errorf("%d and %d, want 3 and 4", got[keyA], got[keyB])
	}
}

// TestCounterThatChangesItsKey verifies that a counter that is identified by a number continues under
// another key, also after a restart of the controller.
func TestCounterThatChangesItsKey(t *testing.T) {
	f := newFixture(t).open()
	monitor, block := keyA, keyA
	monitor.Phase, block.Phase = "monitor", "block"
	numbered := func(n string, k Key, packets uint64) Total {
		x := total(k, packets, t0.Add(-time.Hour))
		x.Counter = n
		return x
	}
	f.record(t0, numbered("rule 7", monitor, 1000), numbered("rule 8", monitor, 500))
	f.record(t0.Add(time.Minute), numbered("rule 7", monitor, 1010), numbered("rule 8", monitor, 503))
	f.open()
	f.record(t0.Add(2*time.Minute), numbered("rule 7", block, 1012), numbered("rule 8", monitor, 503))
	f.record(t0.Add(3*time.Minute), numbered("rule 7", block, 1017), numbered("rule 9", block, 4)) // a new counter is counted in full
	want := map[Key]uint64{monitor: 13, block: 11}
	if d := cmp.Diff(want, f.sums(t0, t0.Add(time.Hour), time.Hour)); d != "" {
		t.Error(d)
	}
}

func TestEqualKeysAreAddedUp(t *testing.T) {
	f := newFixture(t).open()
	f.record(t0, total(keyA, 100), total(keyA, 10))
	f.record(t0.Add(time.Minute), total(keyA, 101), total(keyA, 12))
	if got := f.sums(t0, t0.Add(time.Hour), time.Hour)[keyA]; got != 3 {
		t.Errorf("%d, want 3", got)
	}
}

// TestTotalsOfAnOlderBootAreIgnored verifies that totals with an older boot-time than others in the same
// record are ignored, because they are from before the restart.
func TestTotalsOfAnOlderBootAreIgnored(t *testing.T) {
	boot, reboot := t0.Add(-time.Hour), t0.Add(time.Second)
	for _, order := range [][]Total{
		{total(keyA, 105, boot), total(keyB, 2, reboot)},
		{total(keyB, 2, reboot), total(keyA, 105, boot)},
	} {
		f := newFixture(t).open()
		f.record(t0, total(keyA, 100, boot), total(keyB, 100, boot))
		f.record(t0.Add(time.Minute), order...)
		f.record(t0.Add(2*time.Minute), total(keyA, 4, reboot), total(keyB, 2, reboot))
		got := f.sums(t0, t0.Add(time.Hour), time.Hour)
		if got[keyA] != 4 || got[keyB] != 2 {
			t.Errorf("%d and %d, want 4 and 2", got[keyA], got[keyB])
		}
	}
}

func TestBoundsOfNames(t *testing.T) {
	f := newFixture(t)
	f.m = NewMetrics(f.reg)
	f.open()
	long := Key{Switch: "edge-1", Rule: strings.Repeat("r", maxName+1)}
	var all []Total
	for i := range maxSwitchNames {
		all = append(all, total(Key{Switch: "edge-1", Rule: fmt.Sprint(i)}, 1))
	}
	f.record(t0, append(all, total(long, 1), total(keyA, 1))...)
	if got := f.metric("op25b_history_totals_refused_total"); got != 2 {
		t.Errorf("%v totals refused, want 2", got)
	}
	// A day after their last report, old keys make room for new ones. Keys that are still reported are
	// kept.
	f.record(t0.Add(25*time.Hour), all[1:]...)
	f.record(t0.Add(25*time.Hour+time.Minute), append(all[1:], total(keyA, 5))...)
	if got := f.metric("op25b_history_totals_refused_total"); got != 2 {
		t.Errorf("%v totals refused, want 2", got)
	}
	f.open()
	if got := f.sums(t0.Add(25*time.Hour), t0.Add(26*time.Hour), time.Hour); got[keyA] != 5 {
		t.Errorf("%d, want 5", got[keyA])
	}
	if f.names != 2*maxSwitchNames { // keys and counters
		t.Errorf("%d names, want %d", f.names, 2*maxSwitchNames)
	}
}
