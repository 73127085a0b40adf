package history

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const stepDay = 24 * time.Hour

// TestCoverage verifies that a point without packets means no traffic, and that a missing point means
// an unknown time.
func TestCoverage(t *testing.T) {
	f := newFixture(t).open()
	half := 30 * time.Second // records in the middle of a minute
	at := func(minute int) time.Time { return t0.Add(time.Duration(minute)*time.Minute + half) }
	f.record(at(0), total(keyA, 100))
	f.record(at(1), total(keyA, 107))
	f.record(at(2), total(keyA, 107))
	f.record(at(3), total(keyA, 108), total(keyB, 0))
	f.record(at(7), total(keyA, 150), total(keyB, 0)) // after a gap of 4 minutes
	f.record(at(8).Add(10*time.Second), total(keyA, 151), total(keyB, 2))
	f.record(at(9), total(keyA, 151)) // key B is gone
	got := f.query(Query{From: t0, To: t0.Add(12 * time.Minute), Step: time.Minute})
	point := func(minute int, packets uint64, covered time.Duration) Point {
		return Point{Start: t0.Add(time.Duration(minute) * time.Minute), Packets: packets, Octets: 60 * packets, Covered: covered}
	}
	want := &Result{From: t0, To: t0.Add(12 * time.Minute), Step: time.Minute, Series: []Series{
		{Key: keyA, Since: at(0), Points: []Point{
			point(1, 7, time.Minute), point(2, 0, time.Minute), point(3, 1, time.Minute),
			point(7, 42, 0), // counted in the gap
			point(8, 1, time.Minute), point(9, 0, 50*time.Second),
		}},
		{Key: keyB, Since: at(3), Points: []Point{point(3, 0, time.Minute), point(8, 2, time.Minute)}},
	}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestQuerySelects(t *testing.T) {
	f := newFixture(t).open()
	keys := []Key{keyA, keyB, keyC, {Switch: `edge "3"`, Rule: `a\b|c`}}
	for m := range 3 {
		var all []Total
		for _, k := range keys {
			all = append(all, total(k, uint64(m)))
		}
		f.record(t0.Add(time.Duration(m)*time.Minute), all...)
	}
	for name, tc := range map[string]struct {
		switches, rules []string
		want            []Key
	}{
		"all":               {nil, nil, []Key{keys[3], keyA, keyB, keyC}}, // ordered by name
		"a switch":          {[]string{"edge-2"}, nil, []Key{keyC}},
		"a rule":            {nil, []string{"block-25"}, []Key{keyA, keyC}},
		"both":              {[]string{"edge-1", "edge-1"}, []string{"relay", "block-25"}, []Key{keyA, keyB}},
		"unusual names":     {[]string{`edge "3"`}, []string{`a\b|c`}, []Key{keys[3]}},
		"an unknown switch": {[]string{"edge"}, nil, nil},
		"an unknown rule":   {nil, []string{"block"}, nil},
	} {
		var got []Key
		for _, s := range f.query(Query{From: t0, To: t0.Add(time.Hour), Switches: tc.switches, Rules: tc.rules}).Series {
			got = append(got, s.Key)
			n := uint64(0)
			for _, p := range s.Points {
				n += p.Packets
			}
			if n != 2 {
				t.Errorf("%s: %v: %d packets, want 2", name, s.Key, n)
			}
		}
		if d := cmp.Diff(tc.want, got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

func TestQueryErrors(t *testing.T) {
	f := newFixture(t).open()
	var all []Total
	for i := range MaxSeries + 1 {
		all = append(all, total(Key{Switch: fmt.Sprint("edge-", i%20), Rule: fmt.Sprint("rule-", i)}, 1))
	}
	f.record(t0, all...)
	const hour = time.Hour
	many := make([]string, MaxNames+1)
	for name, tc := range map[string]struct {
		q    Query
		is   error
		want string
	}{
		"no range":         {Query{}, ErrQuery, "invalid query: From and To must be set"},
		"an empty range":   {Query{From: t0, To: t0}, ErrQuery, "invalid query: the range 2006-10-01T00:00:00Z to 2006-10-01T00:00:00Z: From must be before To"},
		"before 1970":      {Query{From: time.Unix(-1, 0), To: t0}, ErrQuery, "invalid query: the range 1969-12-31T23:59:59Z to 2006-10-01T00:00:00Z: it must be between 1970 and 5049"},
		"too late":         {Query{From: t0, To: t0.AddDate(3044, 0, 0)}, ErrQuery, "invalid query: the range 2006-10-01T00:00:00Z to 5050-10-01T00:00:00Z: it must be between 1970 and 5049"},
		"half a minute":    {Query{From: t0, To: t0.Add(hour), Step: 90 * time.Second}, ErrQuery, "invalid query: step 1m30s: it must be whole minutes, or 0"},
		"a negative step":  {Query{From: t0, To: t0.Add(hour), Step: -hour}, ErrQuery, "invalid query: step -1h0m0s: it must be whole minutes, or 0"},
		"a long step":      {Query{From: t0, To: t0.Add(hour), Step: 367 * stepDay}, ErrQuery, "invalid query: step 8808h0m0s: it must be at most 366 days"},
		"many points":      {Query{From: t0, To: t0.Add(26 * hour), Step: time.Minute}, ErrBound, "query too large: 1560 points a series at a step of 1m0s: at most 1500; choose a longer step or a shorter range"},
		"many series":      {Query{From: t0, To: t0.Add(hour)}, ErrBound, "query too large: 20001 series: at most 20000; name switches or rules"},
		"many values":      {Query{From: t0, To: t0.Add(25 * hour), Step: time.Minute, Switches: []string{"edge-1", "edge-2"}}, ErrBound, "query too large: 2000 series of 1500 points: at most 2000000 points in all; choose a longer step, or name switches or rules"},
		"many switches":    {Query{From: t0, To: t0.Add(hour), Switches: many}, ErrBound, "query too large: 10001 switches: at most 10000 may be named; name none to select all"},
		"many rules":       {Query{From: t0, To: t0.Add(hour), Rules: many}, ErrBound, "query too large: 10001 rules: at most 10000 may be named; name none to select all"},
		"many points even": {Query{From: time.Unix(0, 0), To: t0.AddDate(200, 0, 0), Rules: []string{"rule-1"}}, ErrBound, "query too large: 2883 points a series at a step of 720h0m0s: at most 1500; choose a longer step or a shorter range"},
	} {
		_, err := f.Range(context.Background(), tc.q)
		if !errors.Is(err, tc.is) || err.Error() != tc.want {
			t.Errorf("%s:\n%v, want\n%s", name, err, tc.want)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	f.record(t0.Add(time.Minute), total(Key{Switch: "edge-1", Rule: "rule-1"}, 2))
	if _, err := f.Range(ctx, Query{From: t0, To: t0.Add(hour), Rules: []string{"rule-1"}}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want Canceled", err)
	}
}

// TestAutomaticStep verifies that a query without a step gets the finest step that is within the
// bounds and for which data exist.
func TestAutomaticStep(t *testing.T) {
	f := newFixture(t).open()
	f.record(t0, total(keyA, 1))
	now := t0.AddDate(4, 0, 0)
	f.clock.set(now)
	for name, tc := range map[string]struct {
		back, long time.Duration
		want       time.Duration
	}{
		"an hour":               {time.Hour, time.Hour, time.Minute},
		"1,500 minutes":         {25 * time.Hour, 25 * time.Hour, time.Minute},
		"a minute more":         {25*time.Hour + time.Minute, 25*time.Hour + time.Minute, 2 * time.Minute},
		"5 days":                {5 * stepDay, 5 * stepDay, 5 * time.Minute},
		"10 days":               {10 * stepDay, 10 * stepDay, 10 * time.Minute},
		"30 days":               {30 * stepDay, 30 * stepDay, 30 * time.Minute},
		"89 days":               {89 * stepDay, 89 * stepDay, 2 * time.Hour},
		"an hour a week ago":    {8 * stepDay, time.Hour, 10 * time.Minute},
		"an hour, 100 days ago": {100 * stepDay, time.Hour, stepDay},
		"4 years":               {4 * 365 * stepDay, 4 * 365 * stepDay, stepDay},
		"5 years":               {5 * 365 * stepDay, 5 * 365 * stepDay, 2 * stepDay},
		"before all data":       {20 * 365 * stepDay, time.Hour, 30 * stepDay},
	} {
		if got := f.query(Query{From: now.Add(-tc.back), To: now.Add(tc.long - tc.back)}).Step; got != tc.want {
			t.Errorf("%s: step %v, want %v", name, got, tc.want)
		}
	}
	// With many series the step is longer, because 2 million points allow only 1,333 points for each
	// of 1,500 series.
	f = newFixture(t).open()
	var all []Total
	for i := range 1500 {
		all = append(all, total(Key{Switch: "edge-1", Rule: fmt.Sprint(i)}, 1))
	}
	f.record(t0, all...)
	if got := f.query(Query{From: t0, To: t0.Add(25 * time.Hour)}).Step; got != 2*time.Minute {
		t.Errorf("step %v, want 2m", got)
	}
}

// TestRangeIsExtended verifies that a range is extended to whole steps in UTC.
func TestRangeIsExtended(t *testing.T) {
	f := newFixture(t).open()
	tokyo := time.FixedZone("JST", 9*60*60)
	from := t0.Add(61 * time.Second).In(tokyo)
	for name, tc := range map[string]struct {
		to, wantFrom, wantTo time.Time
		step                 time.Duration
	}{
		"minutes":           {t0.Add(121 * time.Second), t0.Add(time.Minute), t0.Add(3 * time.Minute), time.Minute},
		"a nanosecond more": {t0.Add(2*time.Minute + 1), t0.Add(time.Minute), t0.Add(3 * time.Minute), time.Minute},
		"the end of a step": {t0.Add(2 * time.Minute), t0.Add(time.Minute), t0.Add(2 * time.Minute), time.Minute},
		"days":              {t0.Add(25 * time.Hour), t0, t0.Add(2 * stepDay), stepDay},
	} {
		res := f.query(Query{From: from, To: tc.to, Step: tc.step})
		if !res.From.Equal(tc.wantFrom) || !res.To.Equal(tc.wantTo) || res.From.Location() != time.UTC {
			t.Errorf("%s: %v to %v, want %v to %v", name, res.From, res.To, tc.wantFrom, tc.wantTo)
		}
	}
}

// TestExpiry verifies that each level keeps its periods for its retention time, and removes them in
// batches.
func TestExpiry(t *testing.T) {
	f := newFixture(t).open()
	packets := uint64(0)
	count := func(at time.Time) {
		packets += 10
		f.record(at, total(keyA, packets))
	}
	count(t0)
	for m := 1; m <= 30; m++ {
		count(t0.Add(time.Duration(m) * time.Minute))
	}
	sums := func() string {
		var all []string
		for _, step := range []time.Duration{time.Minute, 10 * time.Minute, stepDay} {
			all = append(all, fmt.Sprint(f.sums(t0, t0.Add(stepDay), step)[keyA]))
		}
		return strings.Join(all, " ")
	}
	for _, tc := range []struct {
		after time.Duration
		want  string // the packets by minutes, by 10 minutes and by days
	}{
		{30*time.Minute + 1, "300 300 300"},
		{7 * stepDay, "300 300 300"},
		{7*stepDay + 5*time.Minute, "260 300 300"}, // minutes 0 to 4 are older than 7 days, and the first batch has the 4 with data, 1 to 4
		{8 * stepDay, "220 300 300"},               // 4 more minutes are removed, although all are old
		{89 * stepDay, "180 300 300"},
		{91 * stepDay, "140 0 300"}, // four periods of 10 minutes
		{5*366*stepDay + stepDay, "100 0 0"},
	} {
		f.record(t0.Add(tc.after), total(keyA, packets))
		if got := sums(); got != tc.want {
			t.Errorf("after %v: %s packets, want %s", tc.after, got, tc.want)
		}
	}
}

// TestUnknownSwitchesExpire verifies that a switch is removed when none of its data is left.
func TestUnknownSwitchesExpire(t *testing.T) {
	f := newFixture(t).open()
	f.record(t0, total(keyA, 1), total(keyC, 1))
	f.record(t0.AddDate(3, 0, 0), total(keyA, 1))
	f.record(t0.AddDate(5, 0, 5), total(keyA, 1))
	f.open()
	if f.switches["edge-2"] != nil || f.switches["edge-1"] == nil || f.names != 2 {
		t.Errorf("switches %v, %d names", f.switches, f.names)
	}
}
