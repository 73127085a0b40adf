package history

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	bolt "go.etcd.io/bbolt"
	"pgregory.net/rapid"
)

func (f *fixture) sum(q SumQuery) *Sums {
	f.t.Helper()
	res, err := f.Sum(context.Background(), q)
	if err != nil {
		f.t.Fatal(err)
	}
	return res
}

// frames returns a total of an interface, with frames of 100 octets.
func frames(sw, name, direction string, n uint64, boot ...time.Time) Total {
	t := total(Key{Switch: sw, Interface: name, Direction: direction}, n, boot...)
	t.Octets = 100 * n
	return t
}

// TestSumOfARow verifies the points of a row: a gap is a gap, what was counted in a gap is named and not part of a rate, and the rates of switches
// that were recorded for different times are added up.
func TestSumOfARow(t *testing.T) {
	f := newFixture(t).open()
	before, after, other := keyA, keyA, keyC
	before.Phase, after.Phase = "before", "after"
	at := func(minute int) time.Time { return t0.Add(time.Duration(minute)*time.Minute + 30*time.Second) }
	f.record(at(0), total(before, 100), total(other, 1000))
	f.record(at(1), total(before, 160), total(other, 1030))
	f.record(at(2), total(before, 160), total(after, 60), total(other, 1030))
	f.record(at(3), total(other, 1090)) // the first switch is not recorded any more
	f.record(at(12), total(before, 160), total(after, 1000), total(other, 1090))
	f.record(at(13), total(before, 160), total(after, 1120), total(other, 1090))
	got := f.sum(SumQuery{Switches: []string{"edge-1", "edge-2", "edge-2", "unknown"}, From: t0, To: t0.Add(14 * time.Minute), Step: 2 * time.Minute})
	point := func(at int, packets, inGap uint64, rate float64) SumPoint {
		return SumPoint{At: at, Packets: packets, Octets: 60 * packets, GapPackets: inGap, GapOctets: 60 * inGap, Rated: true, PacketRate: rate, OctetRate: 60 * rate}
	}
	want := &Sums{
		From: t0, To: t0.Add(14 * time.Minute), Step: 2 * time.Minute,
		Covered: []time.Duration{2 * time.Minute, 3 * time.Minute, 0, 0, 0, 0, 2 * time.Minute},
		Rows: []Row{{Key: Key{Rule: "block-25"}, Points: []SumPoint{
			point(0, 90, 0, 60./60+30./60), // both switches, with a minute each
			point(1, 120, 0, 60./60+60./120),
			point(6, 1060, 940, 120./60),
		}}},
	}
	if d := cmp.Diff(want, got, cmpopts.EquateApprox(1e-12, 0)); d != "" {
		t.Error(d)
	}
}

// TestSumOfInterfaces verifies that the counters of interfaces begin at their first total, continue over a restart of the switch if they did not fall,
// and are not mixed with the rules.
func TestSumOfInterfaces(t *testing.T) {
	f := newFixture(t).open()
	boot, reboot := t0.Add(-time.Minute), t0.Add(3*time.Minute)
	record := func(minute int, boot time.Time, in, out uint64) {
		t.Helper()
		f.record(t0.Add(time.Duration(minute)*time.Minute), total(keyA, uint64(minute), boot), frames("edge-1", "access-1", "in", in, boot), frames("edge-1", "access-1", "out", out, boot))
	}
	record(1, boot, 5000, 900) // the switch began two minutes ago, but its interfaces may be older
	record(2, boot, 5010, 910)
	record(4, reboot, 5030, 7) // the kernel goes on to count what enters, and begins anew with what leaves
	f.open()
	record(5, reboot, 5001, 8) // a counter that fell without a restart counts nothing
	record(6, reboot, 5002, 8)
	sums := func(q SumQuery) map[Key]uint64 {
		q.Switches, q.From, q.To = []string{"edge-1"}, t0, t0.Add(time.Hour)
		got := make(map[Key]uint64)
		for _, r := range f.sum(q).Rows {
			for _, p := range r.Points {
				got[r.Key] += p.Packets
			}
		}
		return got
	}
	in, out := Key{Interface: "access-1", Direction: "in"}, Key{Interface: "access-1", Direction: "out"}
	if d := cmp.Diff(map[Key]uint64{in: 10 + 20 + 0 + 1, out: 10 + 7 + 1 + 0}, sums(SumQuery{Kind: Interfaces})); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(map[Key]uint64{{Rule: "block-25"}: 1 + 1 + 4 + 1 + 1}, sums(SumQuery{})); d != "" {
		t.Error(d)
	}
	if got := sums(SumQuery{Kind: Interfaces, Names: []string{"access-2", "block-25"}}); len(got) != 0 {
		t.Errorf("%v of other names", got)
	}
	if got := f.sums(t0, t0.Add(time.Hour), time.Hour); len(got) != 1 {
		t.Errorf("Range has %v, want rules only", got)
	}
}

// A ledger is what a program that knows when records were made expects of a history, by minute. It shares no code with the history.
type ledger struct {
	last     map[string]int64           // the second of the last record, by switch
	value    map[Key]uint64             // the last totals
	covered  map[int64]map[string]int64 // seconds, by minute and switch
	counted  map[int64]map[Key]uint64   // by minute and row
	inGap    map[int64]map[Key]uint64   // the part of counted that was counted in a gap
	switches []string
}

func newLedger(switches []string) *ledger {
	return &ledger{
		last: map[string]int64{}, value: map[Key]uint64{}, covered: map[int64]map[string]int64{}, counted: map[int64]map[Key]uint64{}, inGap: map[int64]map[Key]uint64{},
		switches: switches,
	}
}

func put[K comparable, V int64 | uint64](m map[int64]map[K]V, minute int64, k K, v V) {
	if m[minute] == nil {
		m[minute] = make(map[K]V)
	}
	m[minute][k] += v
}

// record notes a record of a switch.
func (l *ledger) record(sw string, at time.Time, totals []Total) {
	second, minute := at.Unix(), at.Unix()/60
	before, known := l.last[sw]
	since := second - before
	l.last[sw] = second
	if known && since > 0 && since <= 120 {
		put(l.covered, minute, sw, since)
	}
	for _, x := range totals {
		was, there := l.value[x.Key]
		l.value[x.Key] = x.Packets
		if !known || !there && x.Key.Interface != "" || x.Packets == was {
			continue
		}
		row := Key{Rule: x.Key.Rule, Leg: x.Key.Leg, Interface: x.Key.Interface, Direction: x.Key.Direction}
		put(l.counted, minute, row, x.Packets-was)
		if since > 120 {
			put(l.inGap, minute, row, x.Packets-was)
		}
	}
}

// TestSumsAreTheCounts draws records with gaps, restarts of the controller and new counters, and reads any range of them with any step. Each point
// must have what was counted in its step, what was counted in gaps must be named, nothing may be known where nothing was recorded, and the sum of a
// row must equal the sum of Range, which answers how much was counted since a time.
func TestSumsAreTheCounts(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		f := newFixture(t).open()
		defer f.close()
		names := []string{"edge-1", "edge-2", "edge-3"}[:rapid.IntRange(1, 3).Draw(rt, "switches")]
		l := newLedger(names)
		values := make(map[Key]uint64)
		at := t0
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			switch rapid.IntRange(0, 9).Draw(rt, "step") {
			case 0:
				f.open()
				continue
			case 1:
				at = at.Add(time.Duration(rapid.IntRange(1, 600).Draw(rt, "minutes")) * time.Minute)
			default:
				at = at.Add(time.Duration(rapid.IntRange(1, 130).Draw(rt, "seconds")) * time.Second)
			}
			for _, sw := range names {
				if rapid.IntRange(0, 5).Draw(rt, "absent") == 0 {
					continue
				}
				var totals []Total
				for i := range rapid.IntRange(1, 3).Draw(rt, "keys") {
					k := Key{Switch: sw, Rule: fmt.Sprint("rule-", i), Leg: "up_dst", Phase: rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "phase")}
					values[k] += rapid.Uint64Range(0, 1000).Draw(rt, "packets")
					link := Key{Switch: sw, Interface: fmt.Sprint("access-", i), Direction: "in"}
					values[link] += rapid.Uint64Range(0, 1000).Draw(rt, "frames")
					totals = append(totals, total(k, values[k]), total(link, values[link]))
				}
				f.record(at, totals...)
				l.record(sw, at, totals)
			}
		}
		kind := rapid.SampledFrom([]Kind{Rules, Interfaces}).Draw(rt, "kind")
		from := t0.Add(time.Duration(rapid.IntRange(-60, 300).Draw(rt, "from")) * time.Minute)
		steps := []time.Duration{stepDay}
		if age := at.Sub(t0); age < 7*stepDay { // finer periods of interfaces expire after 8 days, and those of rules later
			steps = append(steps, 10*time.Minute, time.Hour)
			if kind == Rules && age < 6*stepDay || age < 20*time.Hour { // so do minutes after a day, or 7 days
				steps = append(steps, time.Minute, 7*time.Minute)
			}
		}
		step := rapid.SampledFrom(steps).Draw(rt, "length")
		points := rapid.IntRange(1, MaxSumPoints-1).Draw(rt, "points")
		q := SumQuery{Kind: kind, Switches: names, From: from, To: from.Add(time.Duration(points) * step), Step: step}
		f.clock.set(at)
		l.check(rt, f, f.sum(q), q)
	})
}

// check compares an answer with the ledger and with Range.
func (l *ledger) check(t *rapid.T, f *fixture, got *Sums, q SumQuery) {
	first, last := got.From.Unix()/60, got.To.Unix()/60
	stepOf := func(minute int64) int { return int((minute - first) / int64(got.Step/time.Minute)) }
	covered := make([]time.Duration, len(got.Covered))
	type seconds struct {
		step int
		sw   string
	}
	of := make(map[seconds]int64)
	for minute, by := range l.covered {
		for sw, n := range by {
			if minute >= first && minute < last {
				of[seconds{stepOf(minute), sw}] += n
			}
		}
	}
	for k, n := range of {
		covered[k.step] += min(time.Duration(n)*time.Second, got.Step)
	}
	if d := cmp.Diff(covered, got.Covered); d != "" {
		t.Fatalf("covered: %s", d)
	}
	type cell struct {
		step int
		row  Key
	}
	add := func(of map[int64]map[Key]uint64) map[cell]uint64 {
		all := make(map[cell]uint64)
		for minute, by := range of {
			for row, n := range by {
				if minute >= first && minute < last && (row.Interface != "") == (q.Kind == Interfaces) {
					all[cell{stepOf(minute), row}] += n
				}
			}
		}
		return all
	}
	counted, inGap := make(map[cell]uint64), make(map[cell]uint64)
	sums := make(map[Key]uint64)
	for _, r := range got.Rows {
		for i, p := range r.Points {
			if i > 0 && p.At <= r.Points[i-1].At || p.At >= len(got.Covered) {
				t.Fatalf("%v: point %d of step %d", r.Key, i, p.At)
			}
			if p.Rated != (p.PacketRate > 0) && p.Packets > p.GapPackets || math.IsNaN(p.PacketRate) || math.IsInf(p.PacketRate, 0) {
				t.Fatalf("%v: %+v", r.Key, p)
			}
			if got.Covered[p.At] == 0 && (p.Rated || p.Packets == 0 || p.Packets != p.GapPackets) {
				t.Fatalf("%v: %+v in a step without records", r.Key, p)
			}
			// The rate times the recorded time of one switch is what that switch counted.
			if n := float64(p.PacketRate) * got.Covered[p.At].Seconds(); len(l.switches) == 1 && got.Covered[p.At] < got.Step && math.Abs(n-float64(p.Packets-p.GapPackets)) > 1e-6*(1+n) {
				t.Fatalf("%v: %+v in %v", r.Key, p, got.Covered[p.At])
			}
			if p.Packets > 0 {
				counted[cell{p.At, r.Key}] = p.Packets
			}
			if p.GapPackets > 0 {
				inGap[cell{p.At, r.Key}] = p.GapPackets
			}
			sums[r.Key] += p.Packets
		}
	}
	if d := cmp.Diff(add(l.counted), counted); d != "" {
		t.Fatalf("counted: %s", d)
	}
	if d := cmp.Diff(add(l.inGap), inGap); d != "" {
		t.Fatalf("in gaps: %s", d)
	}
	if q.Kind == Interfaces {
		return
	}
	since := make(map[Key]uint64)
	for _, s := range f.query(Query{Switches: q.Switches, From: got.From, To: got.To}).Series {
		for _, p := range s.Points {
			since[Key{Rule: s.Key.Rule, Leg: s.Key.Leg}] += p.Packets
		}
	}
	notZero := func(_ Key, n uint64) bool { return n == 0 }
	maps.DeleteFunc(since, notZero)
	maps.DeleteFunc(sums, notZero)
	if d := cmp.Diff(since, sums); d != "" {
		t.Fatalf("the sums of the rows are not those of Range: %s", d)
	}
}

func TestSumErrors(t *testing.T) {
	f := newFixture(t).open()
	var all []Total
	for i := range MaxRows + 1 {
		all = append(all, total(Key{Switch: "edge-1", Rule: fmt.Sprint(i)}, 1))
	}
	f.record(t0, all...)
	one, hour := []string{"edge-1"}, t0.Add(time.Hour)
	for name, tc := range map[string]struct {
		q    SumQuery
		is   error
		want string
	}{
		"no switch":     {SumQuery{From: t0, To: hour}, ErrQuery, "invalid query: Switches is empty: at least one switch must be named"},
		"no kind":       {SumQuery{Kind: 7, Switches: one, From: t0, To: hour}, ErrQuery, "invalid query: kind 7: it must be Rules or Interfaces"},
		"many points":   {SumQuery{Switches: one, From: t0, To: hour, Points: 401}, ErrQuery, "invalid query: 401 points: it must be from 1 to 400, or 0"},
		"no range":      {SumQuery{Switches: one}, ErrQuery, "invalid query: From and To must be set"},
		"half a minute": {SumQuery{Switches: one, From: t0, To: hour, Step: 90 * time.Second}, ErrQuery, "invalid query: step 1m30s: it must be whole minutes, or 0"},
		"a short step":  {SumQuery{Switches: one, Names: one, From: t0, To: hour, Step: time.Minute, Points: 59}, ErrBound, "query too large: 60 points a row at a step of 1m0s: at most 59; choose a longer step or a shorter range"},
		"many rows":     {SumQuery{Switches: one, From: t0, To: hour}, ErrBound, "query too large: more than 2048 rows; name rules or interfaces, or fewer switches"},
		"many reads":    {SumQuery{Switches: one, Names: one, From: t0.AddDate(-5, 0, 0), To: t0, Step: 70001 * time.Minute}, ErrBound, "query too large: 2730039 periods to read at a step of 1166h41m0s: at most 2000000; choose a shorter range, or name fewer switches"},
	} {
		if _, err := f.Sum(context.Background(), tc.q); !errors.Is(err, tc.is) || err.Error() != tc.want {
			t.Errorf("%s:\n%v, want\n%s", name, err, tc.want)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	f.record(t0.Add(time.Minute), total(Key{Switch: "edge-1", Rule: "1"}, 2))
	if _, err := f.Sum(ctx, SumQuery{Switches: one, Names: []string{"1"}, From: t0, To: hour}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want Canceled", err)
	}
}

// TestStepOfASum verifies that a query without a step gets the finest step that keeps it within its bounds.
func TestStepOfASum(t *testing.T) {
	f := newFixture(t).open()
	now := t0.AddDate(0, 6, 0)
	names := make([]string, 1000)
	var all []Total
	for i := range names {
		names[i] = fmt.Sprint("edge-", i)
		all = append(all, total(Key{Switch: names[i], Rule: "block-25"}, 1))
	}
	f.record(now, all...)
	f.clock.set(now.Add(17 * time.Minute))
	now = f.clock.Now()
	for name, tc := range map[string]struct {
		kind     Kind
		switches int
		back     time.Duration
		want     time.Duration
	}{
		"an hour of rules":       {Rules, 1, time.Hour, time.Minute},
		"a day of rules":         {Rules, 1, stepDay, 10 * time.Minute},
		"a week of rules":        {Rules, 1, 7 * stepDay, time.Hour},
		"30 days of rules":       {Rules, 1, 30 * stepDay, 6 * time.Hour},
		"90 days of rules":       {Rules, 1, 90 * stepDay, stepDay}, // periods of 10 minutes are kept no longer
		"a week of a fleet":      {Rules, 1000, 7 * stepDay, time.Hour},
		"30 days of a fleet":     {Rules, 1000, 30 * stepDay, stepDay}, // 4 million periods of 10 minutes are too many
		"an hour of interfaces":  {Interfaces, 1, time.Hour, time.Minute},
		"a day of interfaces":    {Interfaces, 1, stepDay, 10 * time.Minute},
		"a week of interfaces":   {Interfaces, 1, 7 * stepDay, time.Hour},
		"30 days of interfaces":  {Interfaces, 1, 30 * stepDay, stepDay},
		"400 days of interfaces": {Interfaces, 1, 400 * stepDay, 7 * stepDay},
	} {
		got := f.sum(SumQuery{Kind: tc.kind, Switches: names[:tc.switches], From: now.Add(-tc.back), To: now, Points: 200})
		if got.Step != tc.want || len(got.Covered) > 200 {
			t.Errorf("%s: step %v with %d points, want %v", name, got.Step, len(got.Covered), tc.want)
		}
	}
}

// TestFileOfVersion1 verifies that a file of version 1 is read, and is one of version 2 after that.
func TestFileOfVersion1(t *testing.T) {
	f := newFixture(t).open()
	f.record(t0, total(keyA, 1))
	f.record(t0.Add(time.Minute), total(keyA, 8))
	f.close()
	corrupt(t, f.path, func(tx *bolt.Tx) error {
		for l := range levels {
			if err := tx.DeleteBucket(bucket(l, Interfaces)); err != nil {
				return err
			}
		}
		return tx.Bucket(bucketMeta).Put(metaFormat, binary.AppendUvarint(nil, 1))
	})
	f.open()
	f.record(t0.Add(2*time.Minute), total(keyA, 10), frames("edge-1", "access-1", "in", 5))
	f.record(t0.Add(3*time.Minute), total(keyA, 10), frames("edge-1", "access-1", "in", 6))
	f.open()
	if got := f.sums(t0, t0.Add(time.Hour), time.Hour)[keyA]; got != 9 {
		t.Errorf("%d packets, want 9", got)
	}
	got := f.sum(SumQuery{Kind: Interfaces, Switches: []string{"edge-1"}, From: t0, To: t0.Add(time.Hour)})
	if len(got.Rows) != 1 || len(got.Rows[0].Points) != 2 || got.Rows[0].Points[1].Packets != 1 {
		t.Errorf("%+v, want one frame", got.Rows)
	}
	if len(f.aside()) != 0 {
		t.Errorf("files %v, want none", f.aside())
	}
}

// TestInterfacesLeaveRoomForRules verifies that a switch with very many interfaces does not prevent its rules from being recorded.
func TestInterfacesLeaveRoomForRules(t *testing.T) {
	f := newFixture(t)
	f.m = NewMetrics(f.reg)
	f.open()
	var all []Total
	for i := range maxSwitchLinks + 5 {
		all = append(all, frames("edge-1", fmt.Sprint("access-", i), "in", 1))
	}
	f.record(t0, all...)
	f.record(t0.Add(time.Minute), append(slices.Clone(all), total(keyA, 7))...)
	if got := f.metric("op25b_history_totals_refused_total"); got != 10 {
		t.Errorf("%v totals refused, want 5 in each record", got)
	}
	if got := f.sums(t0, t0.Add(time.Hour), time.Hour)[keyA]; got != 7 {
		t.Errorf("%d packets, want 7", got)
	}
}
