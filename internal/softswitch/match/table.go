package match

import (
	"fmt"
	"iter"
	"math/bits"
	"slices"
)

// A Table finds the entry that decides for a key.
type Table[V any] struct {
	layout *layout
	size   int
	n      int    // number of entries
	seq    uint64 // sequence number of the last insertion

	// entries contains all entries in the order of insertion, with nil in place of deleted ones. It gives All a defined order.
	entries []*Entry[V]

	space *space[V]
	exact *hash[V]   // the only tuple if all fields are exact, or nil
	ids   *hash[V]   // the entries by id if the table has priorities, or nil
	fast  *vector[V] // a vector of the entries in space if the table has priorities and the vector is faster, or nil
}

// MaxSize is the largest size of a table, in entries.
const MaxSize = 1 << 28

// New returns an empty table of up to size entries. A key without fields is allowed. Such a table can have only one entry, which always
// matches. New returns ErrFields if the size or a field is invalid.
func New[V any](fields []Field, size int) (*Table[V], error) {
	if size < 1 || size > MaxSize {
		return nil, fmt.Errorf("%w: size is %d entries, must be 1 to %d", ErrFields, size, MaxSize)
	}
	l, err := newLayout(fields)
	if err != nil {
		return nil, err
	}
	s := newSeed()
	t := &Table[V]{layout: l, size: size, space: newSpace[V](l, s)}
	switch {
	case l.prio:
		all := make([]uint64, l.idWords())
		for i := range all {
			all[i] = ^uint64(0)
		}
		t.ids = newHash[V](s, all)
		t.fast = newVector[V](l)
	case !l.masked:
		t.exact = newHash[V](s, t.space.mask(nil))
	}
	return t, nil
}

// Insert adds an entry. It returns ErrKey or ErrPriority if the match or priority is invalid. It returns ErrExists if an entry has the same
// match and priority, and ErrFull if the table is full. After an error, the table is unchanged. Insert keeps no reference to m.
func (t *Table[V]) Insert(m []KeyMatch, priority int32, v V) (*Entry[V], error) {
	id := make([]uint64, t.layout.idWords())
	if err := t.layout.id(id, m, priority); err != nil {
		return nil, err
	}
	if t.find(id) != nil {
		return nil, ErrExists
	}
	if t.n >= t.size {
		return nil, fmt.Errorf("%w: it holds its %d entries", ErrFull, t.size)
	}
	t.seq++
	t.n++
	e := newEntry[V](id)
	e.Value, e.priority, e.layout = v, priority, t.layout
	e.seq, e.at = t.seq, int32(len(t.entries))
	t.entries = append(t.entries, e)
	if t.exact != nil {
		t.exact.put(e)
		return e, nil
	}
	if i := t.layout.lpm; i >= 0 {
		s := t.layout.spans[i]
		e.plen = int32(ones(id[t.layout.words+s.first:][:s.words]))
	}
	t.space.insert(e)
	if t.ids != nil {
		t.ids.put(e)
		if t.fast != nil {
			t.fast.insert(e)
		}
		t.choose()
	}
	return e, nil
}

// Delete removes the entry with this match and priority. It returns ErrNotFound if there is no such entry, ErrKey if the match is invalid,
// and ErrPriority if the priority is invalid.
func (t *Table[V]) Delete(m []KeyMatch, priority int32) error {
	id := make([]uint64, t.layout.idWords())
	if err := t.layout.id(id, m, priority); err != nil {
		return err
	}
	e := t.find(id)
	if e == nil {
		return ErrNotFound
	}
	t.n--
	t.entries[e.at] = nil
	if len(t.entries) > 2*t.n+16 {
		t.compact()
	}
	if t.exact != nil {
		t.exact.remove(id)
		return nil
	}
	t.space.remove(e)
	if t.ids != nil {
		t.ids.remove(id)
		if t.fast != nil {
			t.fast.remove(e)
		}
		t.choose()
	}
	return nil
}

// Get returns the entry with this match and priority. It returns false if there is no such entry or if the match is invalid.
func (t *Table[V]) Get(m []KeyMatch, priority int32) (*Entry[V], bool) {
	id := make([]uint64, t.layout.idWords())
	if err := t.layout.id(id, m, priority); err != nil {
		return nil, false
	}
	e := t.find(id)
	return e, e != nil
}

// Lookup returns the entry that decides for key, or nil if no entry matches. key consists of KeyWords words: the words of each field in
// order, Words(width) words per field, with the most significant word first and the bits above the width zero. Lookup does not allocate and
// keeps no reference to key.
func (t *Table[V]) Lookup(key []uint64) *Entry[V] {
	switch {
	case t.exact != nil:
		return t.exact.find(key)
	case t.fast != nil:
		return t.fast.find(key)
	case t.ids != nil:
		return t.space.best(key)
	}
	return t.space.first(key)
}

// KeyWords returns the number of words in a key for Lookup.
func (t *Table[V]) KeyWords() int { return t.layout.words }

// Len returns the number of entries.
func (t *Table[V]) Len() int { return t.n }

// Size returns the largest number of entries that the table can hold.
func (t *Table[V]) Size() int { return t.size }

// Fields returns a copy of the fields of the key.
func (t *Table[V]) Fields() []Field { return slices.Clone(t.layout.fields) }

// HasPriority reports whether entries have priorities. They have priorities if a field is ternary, range or optional.
func (t *Table[V]) HasPriority() bool { return t.layout.prio }

// All iterates over the entries in the order of insertion. The loop body must not insert or delete entries.
func (t *Table[V]) All() iter.Seq[*Entry[V]] { return t.Range }

// Range calls f for each entry in the order of insertion, until f returns false. f must not insert or delete entries.
func (t *Table[V]) Range(f func(*Entry[V]) bool) {
	for _, e := range t.entries {
		if e != nil && !f(e) {
			return
		}
	}
}

// find returns the entry with this id, or nil.
func (t *Table[V]) find(id []uint64) *Entry[V] {
	switch {
	case t.exact != nil:
		return t.exact.find(id)
	case t.ids != nil:
		return t.ids.find(id)
	}
	return t.space.unranked(id)
}

// compact removes the gaps that deleted entries left in t.entries.
func (t *Table[V]) compact() {
	t.entries = slices.DeleteFunc(t.entries, func(e *Entry[V]) bool { return e == nil })
	for i, e := range t.entries {
		e.at = int32(i)
	}
}

// The cost that one tuple of a space adds to a lookup, in units of the cost of one row of a vector. On a busy machine, a row takes 2 to 3
// ns and a tuple 30 to 40 ns, or more if the tuple has ranges to search.
const (
	tupleCost       = 12
	rangedTupleCost = 16
	// rangeRowCost is the cost of finding the segment of one range field in a vector.
	rangeRowCost = 8
)

// choose decides whether lookups use the vector or the space, and builds the vector if necessary. To avoid rebuilding the vector at every
// change, choose switches only if the other structure is at least twice as fast.
func (t *Table[V]) choose() {
	if t.n > vectorEntries {
		t.fast = nil
		return
	}
	rows := t.rows() * (t.n/64 + 1)
	vector := rows + rangeRowCost*min(len(t.layout.ranges), vectorRanges)
	space := len(t.space.order) * tupleCost
	if len(t.layout.ranges) > 0 {
		space = len(t.space.order) * rangedTupleCost
	}
	fits := rows <= vectorRows
	switch {
	case t.fast != nil && (!fits || vector > 2*space && t.n > 0):
		t.fast = nil
	case t.fast == nil && (t.n == 0 || fits && 2*vector < space):
		t.fast = newVector[V](t.layout)
		for e := range t.All() {
			t.fast.insert(e)
		}
	}
}

// rows returns the number of key bytes that a vector of the current entries would examine.
func (t *Table[V]) rows() int {
	if t.fast != nil {
		return len(t.fast.bytes)
	}
	n := 0
	for w := range t.layout.words {
		var seen uint64
		for _, u := range t.space.order {
			for j, x := range u.hash.words {
				if x == w {
					seen |= u.hash.mask[j]
				}
			}
		}
		for ; seen != 0; seen &^= 0xff << (bits.TrailingZeros64(seen) &^ 7) {
			n++
		}
	}
	return n
}
