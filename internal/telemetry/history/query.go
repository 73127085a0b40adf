package history

import (
	"cmp"
	"context"
	"errors"
	"fmt"
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
	s.failedRead(err)
	return res, err
}

func (s *Store) query(ctx context.Context, q Query) (*Result, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.usableLocked(); err != nil {
		return nil, err
	}
	sel := s.selectLocked(q)
	sp, err := q.plan(s.expired(Rules), sel.count)
	if err != nil {
		return nil, err
	}
	sel.allot(sp)
	w := walk{kind: Rules, all: sel.all, visit: func(i int, start uint32, p *period) {
		sel.switches[i].add(p, int((start-sp.from)/sp.step), sp.points())
	}}
	for i := range sel.switches {
		w.ids = append(w.ids, sel.switches[i].id)
	}
	if err := s.view(func(tx *bolt.Tx) error { return w.read(ctx, tx, s.rolled, sp) }); err != nil {
		return nil, err
	}
	return &Result{From: sp.start(0), To: sp.start(sp.points()), Step: sp.length(), Series: sel.series()}, nil
}

// usableLocked returns an error if there is no file to read.
func (s *Store) usableLocked() error {
	switch {
	case s.closed:
		return ErrClosed
	case s.db == nil && s.openErr != nil:
		return fmt.Errorf("the history is not open: %w", s.openErr)
	case s.db == nil:
		return errors.New("the history is not open: its file was damaged; the next record begins a new file")
	}
	return nil
}

// failedRead sets the file aside if reading it has shown that it is damaged.
func (s *Store) failedRead(err error) {
	if !errors.Is(err, ErrDamaged) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db != nil {
		if err := s.setAsideLocked("damaged", err); err != nil {
			s.failedLocked(err)
		}
	}
}

// expired returns a function that reports whether a level no longer has the data of a minute.
func (s *Store) expired(k Kind) func(l int, minute uint32) bool {
	now := max(0, s.cfg.Now().Unix()/60)
	return func(l int, minute uint32) bool {
		return int64(minute)+int64(levels[l].length)+int64(levels[l].of[k].keep) <= now
	}
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
			if n := sw.keys.all[i].name; n.kind() == Rules && (len(rules) == 0 || rules[n.rule]) {
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

// add adds the counts of a period to a point.
func (x *selected) add(p *period, point, points int) {
	x.covered[point] = sum(x.covered[point], p.covered)
	for _, list := range [][]count{p.counts, p.gaps} {
		for _, c := range list {
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
					Key:   Key{Switch: x.name, Rule: k.name.rule, Leg: k.name.leg, Phase: k.name.phase},
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
