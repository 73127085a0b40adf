package history

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"
)

// A SumQuery selects counters of some switches and a range of time, for a curve.
type SumQuery struct {
	Kind Kind
	// Switches are the names of at least one switch. The counts of all of them are added up.
	Switches []string
	// Names are the names of rules or of interfaces. An empty list selects all names.
	Names []string
	// From and To limit the range to From <= time < To. The range is extended to whole steps since 1970 in UTC.
	From, To time.Time
	// Step is the length of a point, in whole minutes. 0 selects the finest step with at most Points points for which data as old as From are
	// still kept, and for which at most maxReads values have to be read.
	Step time.Duration
	// Points is the largest number of points; 0 means MaxSumPoints.
	Points int
}

// Sums is the answer to a SumQuery.
type Sums struct {
	From, To time.Time // the range, extended to whole steps
	Step     time.Duration
	// Covered is the time of each step for which the switches were recorded, summed over the switches. It is at most the step for each switch. The
	// switches were not recorded in a step in which it is 0, and packets in that step were counted in a gap.
	Covered []time.Duration
	Rows    []Row // ordered by key
}

// A Row contains the counts of a rule on a leg, or of an interface in a direction, summed over switches and phases.
type Row struct {
	Key Key // without a switch and a phase
	// Points are ordered by time. A missing point means that nothing is known about that time on any of the switches.
	Points []SumPoint
}

// A SumPoint has the counts of a step.
type SumPoint struct {
	At              int // the number of the step, from 0
	Packets, Octets uint64
	// GapPackets and GapOctets are the part that was counted in gaps without records that ended in this step. The time at which these packets passed
	// is not known.
	GapPackets, GapOctets uint64
	// PacketRate and OctetRate are the mean rates a second in the recorded time, without what was counted in gaps, summed over the switches that
	// were recorded. They are valid if Rated is true. Otherwise, none of the switches with this counter was recorded in the step.
	Rated                 bool
	PacketRate, OctetRate float64
}

// The bounds of a SumQuery.
const (
	// MaxSumPoints is the largest number of points of a row.
	MaxSumPoints = 400
	// MaxRows is the largest number of rows in an answer. 2,048 rows of 400 points of 72 bytes take 59 MB.
	MaxRows = 2048
	// maxReads is the largest number of periods that a store reads for one query. A week of 1,000 switches in periods of 10 minutes has a
	// million. They take a second on a slow core, and records wait for that time.
	maxReads = 2_000_000
)

// check returns ErrQuery for an invalid query, and ErrBound for a query that is too large regardless of the data.
func (q SumQuery) check() error {
	switch {
	case q.Kind >= numKinds:
		return fmt.Errorf("%w: kind %d: it must be Rules or Interfaces", ErrQuery, q.Kind)
	case len(q.Switches) == 0:
		return fmt.Errorf("%w: Switches is empty: at least one switch must be named", ErrQuery)
	case q.Points < 0 || q.Points > MaxSumPoints:
		return fmt.Errorf("%w: %d points: it must be from 1 to %d, or 0", ErrQuery, q.Points, MaxSumPoints)
	}
	return q.query().check()
}

func (q SumQuery) query() Query {
	return Query{Switches: q.Switches, Rules: q.Names, From: q.From, To: q.To, Step: q.Step}
}

// plan returns the span of a valid query. expired reports whether a level no longer has the data of a minute. reads returns the number of periods
// that have to be read for a span.
func (q SumQuery) plan(expired func(level int, minute uint32) bool, reads func(span) int) (span, error) {
	allowed := steps[:]
	if q.Step != 0 {
		allowed = []uint32{uint32(q.Step / time.Minute)}
	}
	var err error
	var fitting span
	for _, step := range allowed {
		s := q.query().span(step)
		most := cmp.Or(q.Points, MaxSumPoints)
		switch n := reads(s); {
		case s.points() > most:
			err = fmt.Errorf("%w: %d points a row at a step of %v: at most %d; choose a longer step or a shorter range", ErrBound, s.points(), s.length(), most)
			continue
		case n > maxReads:
			err = fmt.Errorf("%w: %d periods to read at a step of %v: at most %d; choose a shorter range, or name fewer switches", ErrBound, n, s.length(), maxReads)
			continue
		}
		if !expired(levelOf(step), s.from) {
			return s, nil
		}
		if fitting.step == 0 || levelOf(step) > levelOf(fitting.step) { // only a coarser level has data of this time, if any has
			fitting = s
		}
	}
	if fitting.step != 0 {
		return fitting, nil
	}
	return span{}, err
}

// Sum implements History. The times in a query refer to the clock of the controller that recorded the counts.
func (s *Store) Sum(ctx context.Context, q SumQuery) (*Sums, error) {
	if err := q.check(); err != nil {
		return nil, err
	}
	res, err := s.sum(ctx, q)
	s.failedRead(err)
	return res, err
}

func (s *Store) sum(ctx context.Context, q SumQuery) (*Sums, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.usableLocked(); err != nil {
		return nil, err
	}
	sm, err := s.summingLocked(q)
	if err != nil {
		return nil, err
	}
	sp, err := q.plan(s.expired(q.Kind), func(sp span) int {
		return len(sm.of) * int((sp.to-sp.from)/levels[levelOf(sp.step)].length)
	})
	if err != nil {
		return nil, err
	}
	sm.begin(sp)
	w := walk{kind: q.Kind, all: 2*len(sm.of) > len(s.switches), visit: sm.visit}
	for i := range sm.of {
		w.ids = append(w.ids, sm.of[i].id)
	}
	if err := s.view(func(tx *bolt.Tx) error { return w.read(ctx, tx, s.rolled, sp) }); err != nil {
		return nil, err
	}
	sm.flush()
	return sm.sums(), nil
}

// A summing adds up the counts of switches. It holds the counts of one step for each switch, because the rate of a switch depends on the time for
// which that switch was recorded.
type summing struct {
	span
	of      []summed // ordered by the switch's id
	keys    []Key    // the keys of the rows
	rows    [][]SumPoint
	covered []uint64 // the recorded seconds of each step
	at      int      // the step whose counts are held
}

// A summed is a switch with its counts in the present step.
type summed struct {
	*switchState
	lines   []summedKey // ordered by the key's id
	seen    bool        // there is a period in the step
	covered uint64      // seconds
}

// A summedKey is a selected key of a switch with its counts in the present step.
type summedKey struct {
	*keyState
	row     int
	counted [2]sum2 // in the recorded time, and in gaps
}

// summingLocked returns the selected switches and keys.
func (s *Store) summingLocked(q SumQuery) (*summing, error) {
	sm := &summing{}
	names, rows := setOf(q.Names), make(map[Key]int)
	for name := range setOf(q.Switches) {
		sw := s.switches[name]
		if sw == nil {
			continue
		}
		x := summed{switchState: sw}
		for i := range sw.keys.all {
			k := &sw.keys.all[i]
			row := Key{Rule: k.name.rule, Leg: k.name.leg, Interface: k.name.link, Direction: k.name.direction}
			if k.name.kind() != q.Kind || len(names) > 0 && !names[row.Rule+row.Interface] { // one of them is empty
				continue
			}
			at, there := rows[row]
			if !there {
				if at = len(rows); at == MaxRows {
					return nil, fmt.Errorf("%w: more than %d rows; name rules or interfaces, or fewer switches", ErrBound, MaxRows)
				}
				rows[row] = at
				sm.keys = append(sm.keys, row)
			}
			x.lines = append(x.lines, summedKey{keyState: k, row: at})
		}
		sm.of = append(sm.of, x)
	}
	slices.SortFunc(sm.of, func(a, b summed) int { return cmp.Compare(a.id, b.id) })
	return sm, nil
}

func (sm *summing) begin(sp span) {
	sm.span = sp
	sm.covered, sm.rows = make([]uint64, sp.points()), make([][]SumPoint, len(sm.keys))
}

// visit adds a period of a switch to the present step. Periods are visited in the order of time.
func (sm *summing) visit(i int, start uint32, p *period) {
	if at := int((start - sm.from) / sm.step); at != sm.at {
		sm.flush()
		sm.at = at
	}
	x := &sm.of[i]
	x.seen = true
	x.covered = sum(x.covered, p.covered)
	for i, counts := range [2][]count{p.counts, p.gaps} {
		lines := x.lines
		for _, c := range counts {
			for len(lines) > 0 && lines[0].id < c.id {
				lines = lines[1:]
			}
			if len(lines) > 0 && lines[0].id == c.id {
				lines[0].counted[i].add(c)
			}
		}
	}
}

func (s *sum2) add(c count) { *s = sum2{sum(s.packets, c.packets), sum(s.octets, c.octets)} }

// flush adds the counts of the present step to the rows, and forgets them.
func (sm *summing) flush() {
	step := span{sm.from + uint32(sm.at)*sm.step, sm.from + uint32(sm.at+1)*sm.step, sm.step}
	for i := range sm.of {
		x := &sm.of[i]
		if !x.seen {
			continue
		}
		sm.covered[sm.at] += min(x.covered, uint64(sm.step)*60)
		for j := range x.lines {
			k := &x.lines[j]
			recorded := x.covered > 0 && k.lives(step)
			if recorded || k.counted != [2]sum2{} {
				sm.point(k.row).add(k.counted[0], k.counted[1], x.covered)
			}
			k.counted = [2]sum2{}
		}
		x.seen, x.covered = false, 0
	}
}

// point returns the present point of a row.
func (sm *summing) point(row int) *SumPoint {
	points := sm.rows[row]
	if n := len(points); n == 0 || points[n-1].At != sm.at {
		points = append(points, SumPoint{At: sm.at})
		sm.rows[row] = points
	}
	return &points[len(points)-1]
}

// add adds what a counter counted in the recorded time, which is in seconds, and in gaps.
func (p *SumPoint) add(counts, inGap sum2, covered uint64) {
	p.Packets, p.Octets = sum(p.Packets, sum(counts.packets, inGap.packets)), sum(p.Octets, sum(counts.octets, inGap.octets))
	p.GapPackets, p.GapOctets = sum(p.GapPackets, inGap.packets), sum(p.GapOctets, inGap.octets)
	if covered > 0 {
		p.Rated = true
		p.PacketRate += float64(counts.packets) / float64(covered)
		p.OctetRate += float64(counts.octets) / float64(covered)
	}
}

// sums returns the answer.
func (sm *summing) sums() *Sums {
	res := &Sums{From: sm.start(0), To: sm.start(sm.points()), Step: sm.length(), Covered: make([]time.Duration, len(sm.covered))}
	for i, c := range sm.covered {
		res.Covered[i] = time.Duration(c) * time.Second
	}
	for i, points := range sm.rows {
		if len(points) > 0 {
			res.Rows = append(res.Rows, Row{sm.keys[i], points})
		}
	}
	slices.SortFunc(res.Rows, func(a, b Row) int { return compareKeys(a.Key, b.Key) })
	return res
}
