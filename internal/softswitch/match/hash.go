package match

import (
	"crypto/rand"
	"encoding/binary"
	"math/bits"
)

// A seed makes the positions of keys in a hash table unpredictable, so that an attacker cannot choose keys that collide.
type seed [2]uint64

func newSeed() seed {
	var b [16]byte
	rand.Read(b[:]) // never fails
	return seed{binary.NativeEndian.Uint64(b[:]), binary.NativeEndian.Uint64(b[8:]) | 1}
}

// mix combines h and w into the xor of the halves of a 128-bit product.
func (s seed) mix(h, w uint64) uint64 {
	hi, lo := bits.Mul64(w^s[0]^h, s[1])
	return hi ^ lo
}

// A hash is a hash table of entries that uses certain bits of a key. It uses open addressing with linear probing and is at most 3/4 full.
// Keys are hashed and compared under the mask, without a masked copy.
type hash[V any] struct {
	seed  seed
	words []int    // indices of the relevant words in the key
	mask  []uint64 // relevant bits of each word in words
	slots []slot[V]
	shift uint // 64 - log2(len(slots))
	n     int  // number of entries
}

// A slot holds an entry and its tag. If only one word is relevant, the tag is the masked word itself, so that a comparison need not read
// the entry. Otherwise, the tag is the hash of the masked words. If e is nil, the slot is not in use.
type slot[V any] struct {
	tag uint64
	e   *Entry[V]
}

const minSlots = 8

// newHash returns an empty hash for the bits that are set in mask, which covers the whole key.
func newHash[V any](s seed, mask []uint64) *hash[V] {
	h := &hash[V]{seed: s}
	for i, m := range mask {
		if m != 0 {
			h.words = append(h.words, i)
			h.mask = append(h.mask, m)
		}
	}
	h.resize(minSlots)
	return h
}

// find returns the entry whose words equal the words of key under the mask, or nil.
func (h *hash[V]) find(key []uint64) *Entry[V] {
	if len(h.words) == 1 {
		w := key[h.words[0]] & h.mask[0]
		slots := h.slots
		for i := h.seed.mix(0, w) >> h.shift; ; i++ {
			s := &slots[i&uint64(len(slots)-1)]
			if s.e == nil || s.tag == w {
				return s.e
			}
		}
	}
	tag := h.sum(key)
	slots := h.slots
	for i := tag >> h.shift; ; i++ {
		s := &slots[i&uint64(len(slots)-1)]
		if s.e == nil || s.tag == tag && h.same(s.e.id, key) {
			return s.e
		}
	}
}

// sum returns a hash of the relevant words of key.
func (h *hash[V]) sum(key []uint64) uint64 {
	var sum uint64
	mask := h.mask
	for j, w := range h.words {
		sum = h.seed.mix(sum, key[w]&mask[j])
	}
	return sum
}

func (h *hash[V]) same(id, key []uint64) bool {
	mask := h.mask
	for j, w := range h.words {
		if (id[w]^key[w])&mask[j] != 0 {
			return false
		}
	}
	return true
}

// tag returns the tag of key and the first slot to probe.
func (h *hash[V]) tag(key []uint64) (tag, home uint64) {
	if len(h.words) == 1 {
		tag = key[h.words[0]] & h.mask[0]
	} else {
		tag = h.sum(key)
	}
	return tag, h.home(tag)
}

func (h *hash[V]) home(tag uint64) uint64 {
	if len(h.words) == 1 {
		tag = h.seed.mix(0, tag)
	}
	return tag >> h.shift
}

// put stores e under its id. If an entry with the same relevant words exists, e replaces it.
func (h *hash[V]) put(e *Entry[V]) {
	if 4*(h.n+1) > 3*len(h.slots) {
		h.resize(2 * len(h.slots))
	}
	tag, i := h.tag(e.id)
	for ; ; i++ {
		s := &h.slots[i&uint64(len(h.slots)-1)]
		if s.e != nil && (s.tag != tag || !h.same(s.e.id, e.id)) {
			continue
		}
		if s.e == nil {
			h.n++
		}
		*s = slot[V]{tag, e}
		return
	}
}

// remove removes the entry with the same relevant words as id. Such an entry must exist.
func (h *hash[V]) remove(id []uint64) {
	tag, i := h.tag(id)
	last := uint64(len(h.slots) - 1)
	for i &= last; h.slots[i].tag != tag || !h.same(h.slots[i].e.id, id); i = (i + 1) & last {
	}
	// Close the gap by moving up every entry that a search from its home slot would no longer reach.
	for j := (i + 1) & last; h.slots[j].e != nil; j = (j + 1) & last {
		if home := h.home(h.slots[j].tag); (j-home)&last >= (j-i)&last {
			h.slots[i] = h.slots[j]
			i = j
		}
	}
	h.slots[i] = slot[V]{}
	h.n--
	if len(h.slots) > minSlots && 8*h.n < len(h.slots) {
		h.resize(len(h.slots) / 2)
	}
}

// resize changes the number of slots to n, a power of two.
func (h *hash[V]) resize(n int) {
	old := h.slots
	h.slots = make([]slot[V], n)
	h.shift = uint(64 - bits.TrailingZeros(uint(n)))
	for _, s := range old {
		if s.e == nil {
			continue
		}
		i := h.home(s.tag)
		for h.slots[i&uint64(n-1)].e != nil {
			i++
		}
		h.slots[i&uint64(n-1)] = s
	}
}
