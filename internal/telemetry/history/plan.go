package history

import (
	"fmt"
	"time"
)

// These are the levels of the store, from fine to coarse. The length of each level divides the length of the next one.
const (
	minutes = iota
	tens
	days
	numLevels
)

// A level is a resolution at which counts are kept.
type level struct {
	length uint32 // the length of a period, in minutes
	of     [numKinds]kept
}

// A kept says where and for how long the counters of a kind are kept at a level.
type kept struct {
	bucket string // the name of the bucket in the file
	keep   uint32 // how long a period is kept after its end, in minutes
}

const (
	hour = 60
	day  = 24 * hour
)

// levels holds the resolutions: a minute, 10 minutes, and a day in UTC. A switch has many more interfaces than rules that count, and nobody reports
// on the frames of years ago. Interfaces are therefore kept for a shorter time: minutes for an hour's chart, periods of 10 minutes for a week's, and
// days for a comparison with last year.
var levels = [numLevels]level{
	minutes: {1, [numKinds]kept{Rules: {"1m", 7 * day}, Interfaces: {"interfaces 1m", day}}},
	tens:    {10, [numKinds]kept{Rules: {"10m", 90 * day}, Interfaces: {"interfaces 10m", 8 * day}}},
	days:    {day, [numKinds]kept{Rules: {"1d", 5 * 366 * day}, Interfaces: {"interfaces 1d", 400 * day}}},
}

// bucket returns the name of the bucket of a level.
func bucket(l int, k Kind) []byte { return []byte(levels[l].of[k].bucket) }

// steps are the steps that Range may choose for a query without a step, in minutes. Steps of an hour or more do not read minutes.
var steps = [...]uint32{1, 2, 5, 10, 20, 30, hour, 2 * hour, 3 * hour, 6 * hour, 12 * hour, day, 2 * day, 7 * day, 14 * day, 30 * day}

// levelOf returns the coarsest level whose periods fit into a step.
func levelOf(step uint32) int {
	for l := numLevels - 1; l > 0; l-- {
		if step%levels[l].length == 0 {
			return l
		}
	}
	return minutes
}

// A span is a validated range. Its points begin at from, from+step and so on, and the last point ends at to. All times are minutes since
// 1970.
type span struct{ from, to, step uint32 }

func (s span) points() int { return int((s.to - s.from) / s.step) }

func (s span) start(i int) time.Time { return instant(s.from + uint32(i)*s.step) }

func (s span) length() time.Duration { return time.Duration(s.step) * time.Minute }

func instant(minute uint32) time.Time { return time.Unix(int64(minute)*60, 0).UTC() }

// maxMinute is the last minute that a history can contain, in the year 5051. Adding the longest step to it does not overflow.
const maxMinute = 1_620_000_000

// check returns ErrQuery for an invalid query, and ErrBound for a query that is too large regardless of the data.
func (q Query) check() error {
	for _, f := range []struct {
		name string
		n    int
	}{{"switches", len(q.Switches)}, {"rules", len(q.Rules)}} {
		if f.n > MaxNames {
			return fmt.Errorf("%w: %d %s: at most %d may be named; name none to select all", ErrBound, f.n, f.name, MaxNames)
		}
	}
	from, to := q.From.Unix(), q.To.Unix()
	switch {
	case q.From.IsZero() || q.To.IsZero():
		return fmt.Errorf("%w: From and To must be set", ErrQuery)
	case from < 0 || to/60 >= maxMinute:
		return fmt.Errorf("%w: the range %s to %s: it must be between 1970 and 5049", ErrQuery, stamp(q.From), stamp(q.To))
	case !q.From.Before(q.To):
		return fmt.Errorf("%w: the range %s to %s: From must be before To", ErrQuery, stamp(q.From), stamp(q.To))
	case q.Step < 0 || q.Step%time.Minute != 0:
		return fmt.Errorf("%w: step %v: it must be whole minutes, or 0", ErrQuery, q.Step)
	case q.Step > 366*24*time.Hour:
		return fmt.Errorf("%w: step %v: it must be at most 366 days", ErrQuery, q.Step)
	}
	return nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// plan returns the span of a valid query. expired reports whether a level no longer has the data of a minute. series returns the number of
// series in a span.
func (q Query) plan(expired func(level int, minute uint32) bool, series func(span) int) (span, error) {
	if step := uint32(q.Step / time.Minute); step != 0 {
		s := q.span(step)
		return s, s.fits(series(s))
	}
	var err error
	var fitting span
	for _, step := range steps {
		s := q.span(step)
		if err = s.fits(series(s)); err != nil {
			continue
		}
		if !expired(levelOf(step), s.from) {
			return s, nil
		}
		fitting = s // only the coarsest level has data of this time
	}
	if fitting.step != 0 {
		return fitting, nil
	}
	return span{}, err
}

// span extends the range to whole steps.
func (q Query) span(step uint32) span {
	from, to := q.From.Unix()/60, (q.To.Unix()+59)/60
	if q.To.Nanosecond() > 0 && q.To.Unix()%60 == 0 {
		to++
	}
	return span{floor(uint32(from), step), floor(uint32(to)+step-1, step), step}
}

func floor(minute, step uint32) uint32 { return minute - minute%step }

// fits returns an error that wraps ErrBound and names the bound if the span is too long for the number of series.
func (s span) fits(series int) error {
	switch n := s.points(); {
	case n > MaxPoints:
		return fmt.Errorf("%w: %d points a series at a step of %v: at most %d; choose a longer step or a shorter range", ErrBound, n, s.length(), MaxPoints)
	case series > MaxSeries:
		return fmt.Errorf("%w: %d series: at most %d; name switches or rules", ErrBound, series, MaxSeries)
	case n*series > MaxValues:
		return fmt.Errorf("%w: %d series of %d points: at most %d points in all; choose a longer step, or name switches or rules", ErrBound, series, n, MaxValues)
	}
	return nil
}
