// Package match implements the lookup of a P4 table: given a key of exact, LPM, ternary, range and optional fields, it finds the entry
// that decides, without allocating.
//
// P4Runtime 1.4, section 9.1, defines the entry that decides:
//   - exact fields only: the entry whose fields all equal the key;
//   - exact fields and one LPM field: of the entries that match, the entry with the longest prefix;
//   - any ternary, range or optional field: of the entries that match, the entry with the largest priority; among equal priorities, the
//     entry inserted first. LPM fields of such a table are masks; their prefix length does not matter.
//
// A Table is not a table of the control plane: it has no action names, default action, counters or idle times. A Table has no locks.
// Lookup, Get, Len and Range only read, so any number of them may run at once; Insert, Delete and writing to the Value of an entry need the
// caller's lock.
package match

import (
	"fmt"
	"slices"
)

// A Kind defines how a field of the key is compared.
type Kind uint8

// The kinds of P4_16 (core.p4) and v1model.
const (
	Exact    Kind = iota // the field equals Value
	LPM                  // the first PrefixLen bits of the field equal those of Value
	Ternary              // the bits of the field that Mask has set equal those of Value
	Range                // Value <= field <= Mask, as unsigned numbers
	Optional             // the field equals Value, or any value if Wildcard is set
	numKinds
)

// String returns the kind in P4's spelling.
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
	Name  string // for error messages only
	Width int    // in bits, at least 1
	Kind  Kind
}

// A KeyMatch is an entry's match of one field. Value and Mask have Words(width) words of 64 bits, the most significant first, with the
// number right-aligned: a 48-bit field is one word, and the first word of a 65-bit field is 0 or 1.
type KeyMatch struct {
	Value     []uint64 // the value, or the low end of a range
	Mask      []uint64 // Ternary: the mask; Range: the high end, inclusive; otherwise unused
	PrefixLen int      // LPM: from 0 to the width; otherwise unused
	Wildcard  bool     // matches every value, and the other fields are ignored; not allowed for Exact
}

// Words returns the number of 64-bit words in a field of width bits.
func Words(width int) int { return (width + 63) / 64 }

// An Entry is one entry of a table. Its address does not change between Insert and Delete.
type Entry[V any] struct {
	// Value belongs to the caller, who may write to it under the caller's own lock.
	Value V

	// id identifies the entry. It holds the words of Value (or the low bound) of every field; then, unless all fields are exact, the words
	// of the mask (or the high bound); then, if the table has priorities, the priority.
	id       []uint64
	seq      uint64 // order of insertion
	priority int32
	plen     int32 // LPM tables: prefix length
	at       int32 // index in Table.entries
	heapAt   int32 // index in tuple.heap
	bucket   *bucket[V]
	layout   *layout
}

// newEntry returns an entry with a copy of id. Short ids are stored in the entry itself, which avoids a cache miss.
func newEntry[V any](id []uint64) *Entry[V] {
	switch n := len(id); {
	case n <= 2:
		e := new(struct {
			Entry[V]
			words [2]uint64
		})
		e.id = e.words[:n]
		copy(e.id, id)
		return &e.Entry
	case n <= 4:
		e := new(struct {
			Entry[V]
			words [4]uint64
		})
		e.id = e.words[:n]
		copy(e.id, id)
		return &e.Entry
	}
	return &Entry[V]{id: slices.Clone(id)}
}

// Priority returns the priority of the entry. In tables without priorities, it is 0.
func (e *Entry[V]) Priority() int32 { return e.priority }

// Matches returns a copy of the entry's match of each field, in the order of the fields. A match of every value always has Wildcard set,
// even if it was inserted in another form.
func (e *Entry[V]) Matches() []KeyMatch { return e.layout.matches(e.id) }

// outranks reports whether e decides if both e and o match.
func (e *Entry[V]) outranks(o *Entry[V]) bool {
	if e.priority != o.priority {
		return e.priority > o.priority
	}
	return e.seq < o.seq
}
