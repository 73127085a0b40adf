package match

import (
	"math/bits"
	"slices"
)

// A vector finds the matching entry with the highest rank among a few hundred entries with any masks. It contains bit sets with one bit
// per entry, in rank order: a bit set for each value of each byte of the key, and one for each segment of each range field. The AND of
// the bit sets that a key selects gives the matching entries, and its first bit is the entry with the highest rank. (Lakshman and
// Stiliadis, SIGCOMM 1998.)
//
// An insertion moves every bit after the new one, so the cost of a change grows with the number of examined bytes times the number of
// entries.
type vector[V any] struct {
	layout  *layout
	entries []*Entry[V] // entries in rank order; the index of an entry is the number of its bit
	blocks  int         // number of words in a bit set, which is at least the number of entries divided by 64
	bytes   []byteRows  // the bytes of the key that some entry examines
	ranges  []rangeRows // the first vectorRanges range fields
}

// byteRows holds the bit sets of one byte of the key. rows[256*b+x] is block b of the bit set for value x.
type byteRows struct {
	word  int
	shift uint
	uses  int // number of entries that examine the byte
	rows  []uint64
}

// rangeRows holds the bit sets of one range field. rows[blocks*i+b] is block b of the bit set for segment i.
type rangeRows struct {
	cuts
	rows []uint64
}

const (
	// vectorEntries is the largest number of entries in a vector.
	vectorEntries = 512
	// vectorRows limits the number of byte rows times the number of blocks. Each byte row takes 2 KiB per block.
	vectorRows = 512
	// vectorRanges is the largest number of range fields that are indexed. Other range fields are compared for each candidate entry.
	vectorRanges = 4
)

func newVector[V any](l *layout) *vector[V] {
	v := &vector[V]{layout: l, blocks: 1}
	for _, i := range l.ranges[:min(len(l.ranges), vectorRanges)] {
		v.ranges = append(v.ranges, rangeRows{cuts: newCuts(l.spans[i]), rows: make([]uint64, 1)})
	}
	return v
}

// find returns the matching entry with the highest rank, or nil.
func (v *vector[V]) find(key []uint64) *Entry[V] {
	var segment [vectorRanges]int
	for i := range v.ranges {
		segment[i] = v.ranges[i].segment(key)
	}
	more := len(v.layout.ranges) > vectorRanges
	for b, left := 0, len(v.entries); left > 0; b, left = b+1, left-64 {
		set := ^uint64(0)
		if left < 64 {
			set = 1<<left - 1
		}
		for i := range v.bytes {
			c := &v.bytes[i]
			set &= c.rows[b<<8|int(uint8(key[c.word]>>c.shift))]
			if set == 0 {
				break
			}
		}
		if set == 0 {
			continue
		}
		for i := range v.ranges {
			set &= v.ranges[i].rows[v.blocks*segment[i]+b]
		}
		for ; set != 0; set &= set - 1 {
			e := v.entries[b*64+bits.TrailingZeros64(set)]
			if !more || v.layout.inRanges(e.id, key) {
				return e
			}
		}
	}
	return nil
}

// insert adds e at the position that its rank requires.
func (v *vector[V]) insert(e *Entry[V]) {
	if len(v.entries) == 64*v.blocks {
		v.grow()
	}
	at, _ := slices.BinarySearchFunc(v.entries, e, compareRank[V])
	v.entries = slices.Insert(v.entries, at, e)
	v.look(e, +1)
	for i := range v.bytes {
		c := &v.bytes[i]
		want, mask := e.byteAt(c.word, c.shift)
		c.insert(at, (len(v.entries)+63)/64, want, mask)
	}
	for i := range v.ranges {
		r := &v.ranges[i]
		r.insert(e.id[r.first:][:r.words], e.id[v.layout.words+r.first:][:r.words], at, v.blocks)
	}
}

// remove removes e.
func (v *vector[V]) remove(e *Entry[V]) {
	at, _ := slices.BinarySearchFunc(v.entries, e, compareRank[V])
	v.entries = slices.Delete(v.entries, at, at+1)
	for i := range v.bytes {
		v.bytes[i].remove(at, (len(v.entries)+64)/64)
	}
	for i := range v.ranges {
		v.ranges[i].remove(at, v.blocks)
	}
	v.look(e, -1)
}

// look adds d, which is 1 or -1, to the use counts of the bytes that e examines. It adds rows for bytes that were not in use, and removes
// the rows of bytes that are no longer in use.
func (v *vector[V]) look(e *Entry[V], d int) {
	for f, s := range v.layout.spans {
		if v.layout.fields[f].Kind == Range {
			continue
		}
		for w := s.first; w < s.first+s.words; w++ {
			for shift := uint(0); shift < 64; shift += 8 {
				if _, mask := e.byteAt(w, shift); mask == 0 {
					continue
				}
				i := slices.IndexFunc(v.bytes, func(c byteRows) bool { return c.word == w && c.shift == shift })
				if i < 0 {
					i = len(v.bytes)
					c := byteRows{word: w, shift: shift, rows: make([]uint64, 256*v.blocks)}
					for j := range c.rows {
						c.rows[j] = ^uint64(0) // no entry in the vector examines this byte yet
					}
					v.bytes = append(v.bytes, c)
				}
				if v.bytes[i].uses += d; v.bytes[i].uses == 0 {
					v.bytes = slices.Delete(v.bytes, i, i+1)
				}
			}
		}
	}
}

// byteAt returns the value and mask of e for one byte of a field that is not a range.
func (e *Entry[V]) byteAt(word int, shift uint) (value, mask uint8) {
	return uint8(e.id[word] >> shift), uint8(e.id[e.layout.words+word] >> shift)
}

// grow doubles the number of blocks in every bit set.
func (v *vector[V]) grow() {
	old := v.blocks
	v.blocks *= 2
	for i := range v.bytes {
		c := &v.bytes[i]
		c.rows = append(c.rows, make([]uint64, len(c.rows))...)
	}
	for i := range v.ranges {
		r := &v.ranges[i]
		rows := make([]uint64, r.len()*v.blocks)
		for s := range r.len() {
			copy(rows[s*v.blocks:], r.rows[s*old:][:old])
		}
		r.rows = rows
	}
}

// insert applies insertBit to the bit sets of all byte values. The new bit is set for the values that equal want under mask. The loop
// runs over blocks, because the words of a block are adjacent.
func (c *byteRows) insert(at, blocks int, want, mask uint8) {
	for b := blocks - 1; b > at/64; b-- {
		to, from := c.block(b), c.block(b-1)
		for x := range to {
			to[x] = to[x]<<1 | from[x]>>63
		}
	}
	set := c.block(at / 64)
	bit := uint64(1) << (at % 64)
	below := bit - 1
	for x := range set {
		w := set[x]&below | set[x]&^below<<1
		if (uint8(x)^want)&mask == 0 {
			w |= bit
		}
		set[x] = w
	}
}

// remove applies removeBit to the bit sets of all byte values.
func (c *byteRows) remove(at, blocks int) {
	set := c.block(at / 64)
	below := uint64(1)<<(at%64) - 1
	for x := range set {
		set[x] = set[x]&below | set[x]>>1&^below
	}
	for b := at/64 + 1; b < blocks; b++ {
		to, from := c.block(b-1), c.block(b)
		for x := range to {
			to[x] |= from[x] << 63
			from[x] >>= 1
		}
	}
}

func (c *byteRows) block(b int) *[256]uint64 { return (*[256]uint64)(c.rows[b<<8:]) }

// insert inserts a bit at position at into all bit sets. The bit is set in the segments from low to high, inclusive.
func (r *rangeRows) insert(low, high []uint64, at, blocks int) {
	from := r.cutAt(low, blocks)
	to := r.len()
	if after, ok := next(high); ok {
		to = r.cutAt(after, blocks)
	}
	for i := range r.len() {
		insertBit(r.rows[i*blocks:][:blocks], at, i >= from && i < to)
	}
}

// cutAt makes low the start of a segment and returns that segment.
func (r *rangeRows) cutAt(low []uint64, blocks int) int {
	i, split := r.cut(low)
	if split {
		r.rows = slices.Insert(r.rows, i*blocks, r.rows[(i-1)*blocks:i*blocks]...)
	}
	return i
}

// remove removes the bit at position at, and merges neighbouring segments that no entry separates any more.
func (r *rangeRows) remove(at, blocks int) {
	for i := r.len() - 1; i >= 0; i-- {
		removeBit(r.rows[i*blocks:][:blocks], at)
	}
	for i := r.len() - 1; i > 0; i-- {
		if slices.Equal(r.rows[i*blocks:][:blocks], r.rows[(i-1)*blocks:][:blocks]) {
			r.rows = slices.Delete(r.rows, i*blocks, (i+1)*blocks)
			r.merge(i)
		}
	}
}

// insertBit inserts a bit at position at. The bits from that position on move up by one.
func insertBit(set []uint64, at int, bit bool) {
	for b := len(set) - 1; b > at/64; b-- {
		set[b] = set[b]<<1 | set[b-1]>>63
	}
	w := &set[at/64]
	below := uint64(1)<<(at%64) - 1
	*w = *w&below | *w&^below<<1
	if bit {
		*w |= below + 1
	}
}

// removeBit removes the bit at position at. The bits above it move down by one.
func removeBit(set []uint64, at int) {
	b := at / 64
	below := uint64(1)<<(at%64) - 1
	set[b] = set[b]&below | set[b]>>1&^below
	for ; b+1 < len(set); b++ {
		set[b] |= set[b+1] << 63
		set[b+1] >>= 1
	}
}
