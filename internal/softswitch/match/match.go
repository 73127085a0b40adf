// Package match implements the lookup in a P4 table. For a key of exact, LPM, ternary, range and optional fields, it finds the entry that
// decides, without allocating.
//
// P4Runtime 1.4, section 9.1, defines which entry decides. It depends on the fields of the key:
//   - If all fields are exact, the entry that equals the key in every field decides.
//   - If there is one LPM field and all others are exact, the matching entry with the longest prefix decides.
//   - If any field is ternary, range or optional, the matching entry with the largest priority decides. Among equal priorities, the entry
//     that was inserted first decides. LPM fields of such a table are masks, and their prefix length does not matter.
//
// A Table is not a control-plane table: it has no action names, default action, counters or idle times. A Table has no locks. Lookup, Get,
// Len and Range only read, so any number of them may run at once. To call Insert or Delete, or to write to an entry's Value, the caller
// must exclude all other calls.
package match

import (
	"fmt"
	"slices"
)

// A Kind defines how a field of the key is compared with an entry.
type Kind uint8

// The kinds of P4_16 (core.p4) and v1model.
const (
	Exact    Kind = iota // the field equals Value
	LPM                  // the first PrefixLen bits of the field equal the first PrefixLen bits of Value
	Ternary              // the bits of the field that are set in Mask equal the same bits of Value
	Range                // Value <= field <= Mask, as unsigned numbers
	Optional             // the field equals Value, or Wildcard is set
	numKinds
)

// String returns the kind's name in P4.
func (k Kind) String() string {
	switch k {
	case Exact:
		return "exact"
	case LPM:
		return "lpm"
	case Ternary:
		return "ternary"
	case Range:
		return "range"
	case Optional:
		return "optional"
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// A Field is one element of a table's key.
type Field struct {
	Name  string // used only in error messages
	Width int    // in bits, at least 1
	Kind  Kind
}

// A KeyMatch is an entry's match on one field. Value and Mask have Words(width) words of 64 bits, the most significant word first. The
// number is right-aligned. For example, a 48-bit field is one word, and the first word of a 65-bit field is 0 or 1.
type KeyMatch struct {
	Value     []uint64 // the value, or the low end of a range
	Mask      []uint64 // for Ternary the mask, for Range the high end, inclusive; otherwise unused
	PrefixLen int      // for LPM, from 0 to the width; otherwise unused
	Wildcard  bool     // matches every value, so that the other fields are ignored; not allowed for Exact
}

// Words returns the number of 64-bit words in a field of width bits.
func Words(width int) int { return (width + 63) / 64 }

// An Entry is an entry of a table. Its address does not change between Insert and Delete.
type Entry[V any] struct {
	// Value belongs to the caller, who must guard writes to it.
	Value V

	// id identifies the entry. It contains the words of Value (or the low bound) of every field. Unless all fields are exact, the words of
	// every field's mask (or high bound) follow. If the table has priorities, the priority comes last.
	id       []uint64
	seq      uint64 // sequence number of the insertion
	priority int32
	plen     int32 // prefix length, in a table without priorities that has an LPM field
	at       int32 // index in Table.entries
	heapAt   int32 // index in tuple.heap
	bucket   *bucket[V]
	layout   *layout
}

// newEntry returns an entry with a copy of id. Short ids are stored in the entry itself, which avoids a cache miss. The padding makes the entries of
// the engine 256 bytes long, so that Go's allocator puts each at the beginning of a cache line, and a hit touches one line instead of two.
func newEntry[V any](id []uint64) *Entry[V] {
	switch n := len(id); {
	case n <= 2:
		e := new(struct {
			Entry[V]
			words [2]uint64
			_     [56]byte
		})
		e.id = e.words[:n]
		copy(e.id, id)
		return &e.Entry
	case n <= 4:
		e := new(struct {
			Entry[V]
			words [4]uint64
			_     [40]byte
		})
		e.id = e.words[:n]
		copy(e.id, id)
		return &e.Entry
	}
	return &Entry[V]{id: slices.Clone(id)}
}

// Priority returns the priority of the entry. It is 0 in tables without priorities.
func (e *Entry[V]) Priority() int32 { return e.priority }

// Matches returns a copy of the entry's match on each field, in the order of the fields. A match of every value has Wildcard set, even if
// it was inserted in another form.
func (e *Entry[V]) Matches() []KeyMatch { return e.layout.matches(e.id) }

// outranks reports whether e decides for a key that both e and o match.
func (e *Entry[V]) outranks(o *Entry[V]) bool {
	if e.priority != o.priority {
		return e.priority > o.priority
	}
	return e.seq < o.seq
}
