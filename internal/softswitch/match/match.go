// Package match holds the lookup structures of a P4 table: a key of exact, LPM, ternary, range and optional fields goes in, and the entry
// that decides comes out, without an allocation.
//
// P4Runtime 1.4, section 9.1, defines the entry that decides:
//   - exact fields only: the entry whose fields all equal the key;
//   - exact fields and one LPM field: of the entries that match, the one of the longest prefix;
//   - any ternary, range or optional field: of the entries that match, the one of the largest priority, and of equal ones the one that was
//     inserted first. LPM fields of such a table are masks; their length does not matter.
//
// It is not a table as the control plane sees it: it has no ids, names of actions, default action, counters or idle times. It has no locks.
// Lookup, Get, Len and Range only read, so any number of them may run at once; Insert, Delete and writing to the Value of an entry need the
// caller's lock.
package match

import (
	"fmt"
	"slices"
)

// A Kind is how a field of the key is compared.
type Kind uint8

// The kinds of P4_16 (core.p4) and v1model.
const (
	Exact    Kind = iota // the field equals Value
	LPM                  // the first PrefixLen bits of the field equal those of Value
	Ternary              // the bits of the field that Mask has set equal those of Value
	Range                // Value <= field <= Mask, as unsigned numbers
	Optional             // the field equals Value, or anything if Wildcard
	numKinds
)

// String returns the kind as P4 spells it.
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

// A KeyMatch is an entry's match of one field. Words hold 64 bits each, the most significant word first and the value right-aligned: a
// 48-bit field is one word, and the top word of a 65-bit field is 0 or 1. There are Words(width) of them.
type KeyMatch struct {
	Value     []uint64 // the value, or the low end of a range
	Mask      []uint64 // Ternary: the mask; Range: the high end, included; unused for the others
	PrefixLen int      // LPM: 0 to the width; unused for the others
	Wildcard  bool     // matches every value; the other members are ignored. Not for Exact.
}

// Words returns the number of 64-bit words of a field of width bits.
func Words(width int) int { return (width + 63) / 64 }

// An Entry is one row of a table. It stays the same object from Insert to Delete.
type Entry[V any] struct {
	// Value belongs to the caller, who may write it under the caller's lock.
	Value V

	// id identifies this entry: the words of Value (or low) of every field; then, unless the table is exact, those of the mask (or high);
	// then, if the table has priorities, the priority.
	id       []uint64
	seq      uint64 // order of insertion
	priority int32
	plen     int32 // LPM tables: length of the prefix
	at       int32 // its place in Table.entries
	heapAt   int32 // its place in tuple.heap
	bucket   *bucket[V]
	layout   *layout
}

// newEntry returns an entry with a copy of this id. Short ids are stored in the entry itself, which saves a cache miss.
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

// Priority returns the priority with which the entry was inserted; 0 in tables without priorities.
func (e *Entry[V]) Priority() int32 { return e.priority }

// Matches returns the entry's match of each field, in the order of the fields. The words are a copy. A match of every value has Wildcard
// set, in whichever form it was inserted.
func (e *Entry[V]) Matches() []KeyMatch { return e.layout.matches(e.id) }

// outranks reports whether e decides when both match.
func (e *Entry[V]) outranks(o *Entry[V]) bool {
	if e.priority != o.priority {
		return e.priority > o.priority
	}
	return e.seq < o.seq
}
