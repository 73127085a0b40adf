package match

import "slices"

// A bucket holds entries whose matches are equal except for ranges. The entries differ in their ranges, their priorities or both. An entry that
// shares its match with no other entry has no bucket.
type bucket[V any] struct {
	entries []*Entry[V] // highest rank first
	index   *intervals[V]
}

// indexFrom is the number of entries from which a bucket has an index. With fewer entries, it is as fast to compare each entry.
const indexFrom = 8

// join adds e to the bucket of head, which may be nil, and returns the entry with the highest rank.
func join[V any](head, e *Entry[V]) *Entry[V] {
	if head == nil {
		return e
	}
	b := head.bucket
	if b == nil {
		b = &bucket[V]{entries: []*Entry[V]{head}}
		head.bucket = b
	}
	at, _ := slices.BinarySearchFunc(b.entries, e, compareRank[V])
	b.entries = slices.Insert(b.entries, at, e)
	e.bucket = b
	// Only a bucket with a single range field has an index. With several range fields, the interval of one field does not determine the
	// match.
	if b.index != nil {
		b.index.paint(e, e.low(), e.high())
	} else if len(e.layout.ranges) == 1 && len(b.entries) >= indexFrom {
		b.index = newIntervals[V](e.layout)
		for _, o := range b.entries {
			b.index.paint(o, o.low(), o.high())
		}
	}
	return b.entries[0]
}

// leave removes e from its bucket and returns the remaining entry with the highest rank, or nil.
func leave[V any](e *Entry[V]) *Entry[V] {
	b := e.bucket
	if b == nil {
		return nil
	}
	e.bucket = nil
	at, _ := slices.BinarySearchFunc(b.entries, e, compareRank[V])
	b.entries = slices.Delete(b.entries, at, at+1)
	if b.index != nil {
		b.index.erase(e, b.entries)
	}
	if len(b.entries) == 1 {
		b.entries[0].bucket = nil
	}
	return b.entries[0]
}

// inRange returns the entry with the highest rank in e's bucket whose ranges contain key, or nil. e must be the head of its bucket. If e
// has no bucket, inRange considers only e.
func (e *Entry[V]) inRange(key []uint64) *Entry[V] {
	b := e.bucket
	if b == nil {
		if e.layout.inRanges(e.id, key) {
			return e
		}
		return nil
	}
	if b.index != nil {
		return b.index.find(key)
	}
	for _, o := range b.entries {
		if o.layout.inRanges(o.id, key) {
			return o
		}
	}
	return nil
}

// inRanges reports whether all range fields of the entry with this id contain key.
func (l *layout) inRanges(id, key []uint64) bool {
	for _, i := range l.ranges {
		s := l.spans[i]
		k := key[s.first:][:s.words]
		if slices.Compare(k, id[s.first:][:s.words]) < 0 || slices.Compare(k, id[l.words+s.first:][:s.words]) > 0 {
			return false
		}
	}
	return true
}

// low returns the low bound of the entry's first range, and high returns the high bound.
func (e *Entry[V]) low() []uint64 {
	s := e.layout.spans[e.layout.ranges[0]]
	return e.id[s.first:][:s.words]
}

func (e *Entry[V]) high() []uint64 {
	s := e.layout.spans[e.layout.ranges[0]]
	return e.id[e.layout.words+s.first:][:s.words]
}
