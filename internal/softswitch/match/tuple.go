package match

import (
	"cmp"
	"encoding/binary"
	"slices"
)

// A tuple contains the entries that share one mask, so that one hash lookup finds the entries that match a key. Range fields are not
// part of the mask. Entries that differ only in ranges or priority share a bucket.
type tuple[V any] struct {
	hash *hash[V]
	mask string      // key of the tuple in space.byMask
	plen int32       // prefix length, which determines the tuple's rank in a table without priorities that has an LPM field
	heap []*Entry[V] // all entries, the one with the highest rank first; used only in tables with priorities
}

// A space is a tuple-space search, with one tuple for each mask in use. The tuples are searched from the highest rank down, until the
// match found outranks the remaining tuples. A table of exact fields has one tuple. A table with an LPM field has one tuple for each
// prefix length.
type space[V any] struct {
	layout *layout
	seed   seed
	order  []*tuple[V] // tuples in order of rank, highest first
	byMask map[string]*tuple[V]
}

func newSpace[V any](l *layout, s seed) *space[V] {
	return &space[V]{layout: l, seed: s, byMask: make(map[string]*tuple[V])}
}

// mask returns the bits of a key that the entry with this id examines, without range fields.
func (s *space[V]) mask(id []uint64) []uint64 {
	l := s.layout
	mask := make([]uint64, l.words)
	for i, f := range l.fields {
		p := l.spans[i]
		switch {
		case f.Kind == Range:
		case l.masked:
			copy(mask[p.first:], id[l.words+p.first:][:p.words])
		default:
			prefixMask(mask[p.first:][:p.words], f.Width, f.Width)
		}
	}
	return mask
}

func (s *space[V]) maskKey(mask []uint64) string {
	b := make([]byte, 0, 8*len(mask))
	for _, w := range mask {
		b = binary.NativeEndian.AppendUint64(b, w)
	}
	return string(b)
}

// first returns the first matching entry in the rank order of the tuples. In tables without priorities, this entry decides.
func (s *space[V]) first(key []uint64) *Entry[V] {
	for _, u := range s.order {
		if e := u.hash.find(key); e != nil {
			return e
		}
	}
	return nil
}

// best returns the matching entry with the highest rank.
func (s *space[V]) best(key []uint64) *Entry[V] {
	var best *Entry[V]
	ranged := len(s.layout.ranges) > 0
	for _, u := range s.order {
		if best != nil && best.outranks(u.heap[0]) {
			break
		}
		e := u.hash.find(key)
		if e == nil || best != nil && best.outranks(e) {
			continue
		}
		if ranged {
			if e = e.inRange(key); e == nil || best != nil && best.outranks(e) {
				continue
			}
		}
		best = e
	}
	return best
}

// unranked returns the entry with this id in a table without priorities, or nil.
func (s *space[V]) unranked(id []uint64) *Entry[V] {
	if u := s.byMask[s.maskKey(s.mask(id))]; u != nil {
		return u.hash.find(id)
	}
	return nil
}

// insert adds e, whose id must be new.
func (s *space[V]) insert(e *Entry[V]) {
	mask := s.mask(e.id)
	k := s.maskKey(mask)
	u := s.byMask[k]
	if u == nil {
		u = &tuple[V]{hash: newHash[V](s.seed, mask), mask: k, plen: e.plen}
		s.byMask[k] = u
		s.order = append(s.order, u)
		defer s.moved(len(s.order) - 1)
	}
	if !s.layout.prio {
		u.hash.put(e)
		return
	}
	top := u.top()
	u.push(e)
	u.hash.put(join(u.hash.find(e.id), e))
	if top != nil && u.top() != top {
		s.moved(slices.Index(s.order, u))
	}
}

// remove removes e.
func (s *space[V]) remove(e *Entry[V]) {
	k := s.maskKey(s.mask(e.id))
	u := s.byMask[k]
	if s.layout.prio {
		top := u.top()
		u.drop(e)
		if head := leave(e); head != nil {
			u.hash.put(head)
		} else {
			u.hash.remove(e.id)
		}
		if len(u.heap) > 0 && u.top() != top {
			s.moved(slices.Index(s.order, u))
		}
	} else {
		u.hash.remove(e.id)
	}
	if u.hash.n == 0 {
		delete(s.byMask, k)
		i := slices.Index(s.order, u)
		s.order = slices.Delete(s.order, i, i+1)
	}
}

// moved moves the tuple at index i to its new position. It must be called after the tuple's rank has changed.
func (s *space[V]) moved(i int) {
	u := s.order[i]
	s.order = slices.Delete(s.order, i, i+1)
	at, _ := slices.BinarySearchFunc(s.order, u, compareTuples[V])
	s.order = slices.Insert(s.order, at, u)
}

// compareTuples orders tuples from the highest rank to the lowest.
func compareTuples[V any](a, b *tuple[V]) int {
	if a.top() == nil || b.top() == nil {
		return cmp.Compare(b.plen, a.plen)
	}
	return compareRank(a.top(), b.top())
}

// compareRank orders entries from the highest rank to the lowest.
func compareRank[V any](a, b *Entry[V]) int {
	return cmp.Or(cmp.Compare(b.priority, a.priority), cmp.Compare(a.seq, b.seq))
}

// top returns the tuple's entry with the highest rank. In tables without priorities, it returns nil.
func (u *tuple[V]) top() *Entry[V] {
	if len(u.heap) == 0 {
		return nil
	}
	return u.heap[0]
}

// push adds e to the heap, and drop removes it. Each entry stores its position in the heap, so that any entry can be removed.
func (u *tuple[V]) push(e *Entry[V]) {
	u.heap = append(u.heap, e)
	u.up(len(u.heap) - 1)
}

func (u *tuple[V]) drop(e *Entry[V]) {
	i, last := int(e.heapAt), len(u.heap)-1
	u.heap[i] = u.heap[last]
	u.heap[i].heapAt = int32(i)
	u.heap[last] = nil
	u.heap = u.heap[:last]
	if i < last {
		u.down(u.up(i))
	}
}

func (u *tuple[V]) up(i int) int {
	e := u.heap[i]
	for i > 0 && e.outranks(u.heap[(i-1)/2]) {
		u.heap[i] = u.heap[(i-1)/2]
		u.heap[i].heapAt = int32(i)
		i = (i - 1) / 2
	}
	u.heap[i] = e
	e.heapAt = int32(i)
	return i
}

func (u *tuple[V]) down(i int) {
	e := u.heap[i]
	for {
		c := 2*i + 1
		if c >= len(u.heap) {
			break
		}
		if c+1 < len(u.heap) && u.heap[c+1].outranks(u.heap[c]) {
			c++
		}
		if !u.heap[c].outranks(e) {
			break
		}
		u.heap[i] = u.heap[c]
		u.heap[i].heapAt = int32(i)
		i = c
	}
	u.heap[i] = e
	e.heapAt = int32(i)
}
