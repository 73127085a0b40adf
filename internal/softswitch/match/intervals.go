package match

import "slices"

// cuts divides the values of one field into segments. Segment i holds the values from start(i) up to, but not including, start(i+1).
// Segment 0 always exists and starts at 0.
type cuts struct {
	first, words int      // position and length of the field in a key, in words
	starts       []uint64 // starts of the segments, in ascending order; each start takes words elements
}

func newCuts(s span) cuts {
	return cuts{first: s.first, words: s.words, starts: make([]uint64, s.words)}
}

func (c *cuts) len() int { return len(c.starts) / c.words }

func (c *cuts) start(i int) []uint64 { return c.starts[i*c.words:][:c.words] }

// segment returns the segment that contains the field's value in key.
func (c *cuts) segment(key []uint64) int { return c.at(key[c.first:][:c.words]) }

// at returns the segment that contains v.
func (c *cuts) at(v []uint64) int {
	// The index of the segment is in [lo, hi).
	lo, hi := 0, c.len()
	if c.words == 1 {
		x, starts := v[0], c.starts
		for hi-lo > 1 {
			mid := int(uint(lo+hi) / 2)
			if starts[mid] <= x {
				lo = mid
			} else {
				hi = mid
			}
		}
		return lo
	}
	for hi-lo > 1 {
		mid := int(uint(lo+hi) / 2)
		if slices.Compare(c.start(mid), v) <= 0 {
			lo = mid
		} else {
			hi = mid
		}
	}
	return lo
}

// cut makes v the start of a segment and returns that segment. split is true if the segment is new, in which case it is the upper
// part of the previous segment.
func (c *cuts) cut(v []uint64) (segment int, split bool) {
	i := c.at(v)
	if slices.Equal(c.start(i), v) {
		return i, false
	}
	c.starts = slices.Insert(c.starts, (i+1)*c.words, v...)
	return i + 1, true
}

// merge merges segment i into the previous segment.
func (c *cuts) merge(i int) { c.starts = slices.Delete(c.starts, i*c.words, (i+1)*c.words) }

// next returns v+1. It returns false if v is all ones.
func next(v []uint64) ([]uint64, bool) {
	n := slices.Clone(v)
	for i := len(n) - 1; i >= 0; i-- {
		n[i]++
		if n[i] != 0 {
			return n, true
		}
	}
	return nil, false
}

// intervals maps each value of a bucket's range field to the entry that decides for that value.
type intervals[V any] struct {
	cuts
	best []*Entry[V] // the deciding entry of each segment, or nil; two neighbouring segments never have the same entry
}

func newIntervals[V any](l *layout) *intervals[V] {
	return &intervals[V]{cuts: newCuts(l.spans[l.ranges[0]]), best: make([]*Entry[V], 1)}
}

func (x *intervals[V]) find(key []uint64) *Entry[V] { return x.best[x.segment(key)] }

// paint makes e the deciding entry from low to high, inclusive, except where the current deciding entry outranks e.
func (x *intervals[V]) paint(e *Entry[V], low, high []uint64) {
	from, to := x.cutOut(low, high)
	for i := from; i < to; i++ {
		if x.best[i] == nil || e.outranks(x.best[i]) {
			x.best[i] = e
		}
	}
	x.join(from, to)
}

// erase removes e from the intervals. others holds the remaining entries of the bucket.
func (x *intervals[V]) erase(e *Entry[V], others []*Entry[V]) {
	low, high := e.low(), e.high()
	from, to := x.cutOut(low, high)
	for i := from; i < to; i++ {
		if x.best[i] == e {
			x.best[i] = nil
		}
	}
	x.join(from, to)
	for _, o := range others {
		l, h := o.low(), o.high()
		if slices.Compare(l, low) < 0 {
			l = low
		}
		if slices.Compare(h, high) > 0 {
			h = high
		}
		if slices.Compare(l, h) <= 0 {
			x.paint(o, l, h)
		}
	}
}

// cutOut makes one segment begin at low and one end at high, and returns the range of segments from low to high.
func (x *intervals[V]) cutOut(low, high []uint64) (from, to int) {
	from = x.cutAt(low)
	if after, ok := next(high); ok {
		return from, x.cutAt(after)
	}
	return from, len(x.best)
}

func (x *intervals[V]) cutAt(v []uint64) int {
	i, split := x.cut(v)
	if split {
		x.best = slices.Insert(x.best, i, x.best[i-1])
	}
	return i
}

// join merges neighbouring segments that have the same entry. It considers the segments from from-1 to to.
func (x *intervals[V]) join(from, to int) {
	for i := min(to, len(x.best)-1); i >= max(from, 1); i-- {
		if x.best[i] == x.best[i-1] {
			x.best = slices.Delete(x.best, i, i+1)
			x.merge(i)
		}
	}
}
