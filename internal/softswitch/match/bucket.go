package match

import "slices"

// A bucket holds entries that ask the same of every field but ranges: they differ in ranges, priority or both. An entry that is
// alone has none.
type bucket[V any] struct {
	entries []*Entry[V] // highest rank first
	index   *intervals[V]
}

// indexFrom is the number of entries from which a bucket is indexed: below it, comparing one by one is as quick.
const indexFrom = 8

// join puts e into the bucket of head, which may be nil, and returns the entry of the highest rank.
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
	// With several range fields an interval of one of them does not tell who matches.
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

// leave takes e out of its bucket and returns the entry of the highest rank that is left, nil if none is.
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

// inRange returns the entry of the highest rank among e and its bucket whose ranges hold key, or nil. e heads its bucket.
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

// inRanges says whether all range fields of the entry with this id hold key.
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

// low and high return the ends of the entry's first range.
func (e *Entry[V]) low() []uint64 {
	s := e.layout.spans[e.layout.ranges[0]]
	return e.id[s.first:][:s.words]
}

func (e *Entry[V]) high() []uint64 {
	s := e.layout.spans[e.layout.ranges[0]]
	return e.id[e.layout.words+s.first:][:s.words]
}
