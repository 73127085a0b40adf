package history

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"
)

// Range implements History. The times in a query refer to the clock of the controller that recorded the
// counts.
func (s *Store) Range(ctx context.Context, q Query) (*Result, error) {
	if err := q.check(); err != nil {
		return nil, err
	}
	res, err := s.query(ctx, q)
	if errors.Is(err, ErrDamaged) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.db != nil {
			if err := s.setAsideLocked("damaged", err); err != nil {
				s.failedLocked(err)
			}
		}
	}
	return res, err
}

func (s *Store) query(ctx context.Context, q Query) (*Result, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	switch {
	case s.closed:
		return nil, ErrClosed
	case s.db == nil && s.openErr != nil:
		return nil, fmt.Errorf("the history is not open: %w", s.openErr)
	case s.db == nil:
		return nil, errors.New("the history is not open: its file was damaged; the next record begins a new file")
	}
	now := max(0, s.cfg.Now().Unix()/60)
	expired := func(l int, minute uint32) bool {
		return int64(minute)+int64(levels[l].length)+int64(levels[l].keep) <= now
	}
	sel := s.selectLocked(q)
	sp, err := q.plan(expired, sel.count)
	if err != nil {
		return nil, err
	}
	sel.allot(sp)
	if err := s.view(func(tx *bolt.Tx) error { return sel.read(ctx, tx, s.rolled) }); err != nil {
		return nil, err
	}
	return &Result{From: sp.start(0), To: sp.start(sp.points()), Step: sp.length(), Series: sel.series()}, nil
}

// A selection contains the switches and keys that a query selects, and the data that were read for them.
type selection struct {
	span
	switches []selected // ordered by id
	all      bool       // all switches of the store are selected
}

// A selected is one switch of a selection.
type selected struct {
	*switchState
	keys    []int             // positions of the selected keys, ordered by id
	slots   map[uint32][]sum2 // by key id; a nil slice means that there is no traffic yet
	covered []uint64          // the recorded seconds of each point
}

// A sum2 is the count of a point.
type sum2 struct{ packets, octets uint64 }

// selectLocked returns the selected keys.
func (s *Store) selectLocked(q Query) *selection {
	wanted, rules := setOf(q.Switches), setOf(q.Rules)
	sel := &selection{}
	for _, sw := range s.switches {
		if len(wanted) > 0 && !wanted[sw.name] {
			continue
		}
		x := selected{switchState: sw}
		for i := range sw.keys.all {
			if len(rules) == 0 || rules[sw.keys.all[i].name.rule] {
				x.keys = append(x.keys, i)
			}
		}
		if len(x.keys) > 0 {
			sel.switches = append(sel.switches, x)
		}
	}
	slices.SortFunc(sel.switches, func(a, b selected) int { return cmp.Compare(a.id, b.id) })
	sel.all = 2*len(sel.switches) > len(s.switches)
	return sel
}

func setOf(names []string) map[string]bool {
	m := make(map[string]bool, len(names))
	for _, n := range names {
		m[n] = true
	}
	return m
}

// lives reports whether a key was known at some time in a span.
func (k *keyState) lives(s span) bool {
	return k.first < int64(s.to)*60 && k.seen >= int64(s.from)*60
}

// count returns the number of series in a span.
func (sel *selection) count(s span) int {
	n := 0
	for i := range sel.switches {
		x := &sel.switches[i]
		for _, at := range x.keys {
			if x.switchState.keys.all[at].lives(s) {
				n++
			}
		}
	}
	return n
}

// allot allocates memory for the points of a span.
func (sel *selection) allot(s span) {
	sel.span = s
	sel.switches = slices.DeleteFunc(sel.switches, func(x selected) bool {
		return !slices.ContainsFunc(x.keys, func(at int) bool { return x.switchState.keys.all[at].lives(s) })
	})
	for i := range sel.switches {
		x := &sel.switches[i]
		x.keys = slices.DeleteFunc(x.keys, func(at int) bool { return !x.switchState.keys.all[at].lives(s) })
		x.covered = make([]uint64, s.points())
		x.slots = make(map[uint32][]sum2, len(x.keys))
		for _, at := range x.keys {
			x.slots[x.switchState.keys.all[at].id] = nil
		}
	}
}

// read reads the span. Periods that are not rolled up to the level of the step yet are read from the
// finer levels.
func (sel *selection) read(ctx context.Context, tx *bolt.Tx, rolled [numLevels]uint32) error {
	from := sel.from
	for l := levelOf(sel.step); l >= minutes; l-- {
		until := uint32(math.MaxUint32)
		if l > minutes {
			until = rolled[l]
		}
		until = min(until, sel.to)
		if until <= from {
			continue
		}
		if err := sel.readLevel(ctx, tx.Bucket([]byte(levels[l].bucket)).Cursor(), from, until); err != nil {
			return err
		}
		from = until
	}
	return nil
}

// readLevel reads the periods of a level. If few switches are selected, it seeks to each of them.
func (sel *selection) readLevel(ctx context.Context, c *bolt.Cursor, from, until uint32) error {
	if len(sel.switches) == 0 {
		return nil
	}
	var p period
	at := 0 // in switches
	k, v := c.Seek(periodKey(from, sel.switches[0].id))
	for n := 0; k != nil; n++ {
		if n%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		start, sw, err := splitKey(k)
		if err != nil {
			return err
		}
		if start >= until {
			break
		}
		if start != from {
			from, at = start, 0
		}
		for at < len(sel.switches) && sel.switches[at].id < sw {
			at++
		}
		switch {
		case at == len(sel.switches) && sel.all:
			k, v = c.Next()
		case at == len(sel.switches):
			k, v = c.Seek(periodKey(start+1, sel.switches[0].id))
		case sel.switches[at].id == sw:
			if err := p.decode(v); err != nil {
				return err
			}
			sel.switches[at].add(&p, int((start-sel.from)/sel.step), sel.points())
			k, v = c.Next()
		case sel.all:
			k, v = c.Next()
		default:
			k, v = c.Seek(periodKey(start, sel.switches[at].id))
		}
	}
	return nil
}

// add adds the counts of a period to a point.
func (x *selected) add(p *period, point, points int) {
	x.covered[point] = sum(x.covered[point], p.covered)
	for _, c := range p.counts {
		slot, wanted := x.slots[c.id]
		if !wanted {
			continue
		}
		if slot == nil {
			slot = make([]sum2, points)
			x.slots[c.id] = slot
		}
		slot[point] = sum2{sum(slot[point].packets, c.packets), sum(slot[point].octets, c.octets)}
	}
}

// series returns the data that were read, ordered by key.
func (sel *selection) series() []Series {
	var out []Series
	for i := range sel.switches {
		x := &sel.switches[i]
		for _, at := range x.keys {
			k := &x.switchState.keys.all[at]
			if points := sel.pointsOf(x, k); len(points) > 0 {
				out = append(out, Series{
					Key:   Key{x.name, k.name.rule, k.name.leg, k.name.phase},
					Since: time.Unix(k.first, 0).UTC(), Points: points,
				})
			}
		}
	}
	slices.SortFunc(out, func(a, b Series) int { return compareKeys(a.Key, b.Key) })
	return out
}

// pointsOf returns the points at which a key was known, and all points with traffic.
func (sel *selection) pointsOf(x *selected, k *keyState) []Point {
	slot := x.slots[k.id]
	known := func(i int) bool {
		start := int64(sel.from+uint32(i)*sel.step) * 60
		lives := k.first < start+int64(sel.step)*60 && k.seen >= start
		return lives && x.covered[i] > 0 || slot != nil && slot[i] != sum2{}
	}
	n := 0
	for i := range x.covered {
		if known(i) {
			n++
		}
	}
	if n == 0 {
		return nil
	}
	points := make([]Point, 0, n)
	for i, covered := range x.covered {
		if !known(i) {
			continue
		}
		p := Point{Start: sel.start(i), Covered: time.Duration(min(covered, uint64(sel.step)*60)) * time.Second}
		if slot != nil {
			p.Packets, p.Octets = slot[i].packets, slot[i].octets
		}
		points = append(points, p)
	}
	return points
}
