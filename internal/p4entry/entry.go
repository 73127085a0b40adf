// Package p4entry defines P4Runtime table entries as Go values of ids and bytes, without protobuf.
//
// internal/pipeline, which defines the meaning of entries, and internal/p4rt, which encodes them, exchange entries in this form.
// internal/constraint checks them. Section numbers are those of the P4Runtime 1.5.0 specification.
package p4entry

// A Kind is the match kind of a key field.
type Kind uint8

// The match kinds of P4Runtime. The zero value is not a match kind.
const (
	Exact Kind = iota + 1
	Ternary
	LPM
	Range
	Optional
)

// An Entry is a table entry, or a table's default entry (section 9.1).
type Entry struct {
	Table    uint32
	Default  bool
	Priority int32 // 0 in a table without ternary, range and optional fields
	Match    []Match
	Action   uint32 // 0 for a default entry that was reset
	Params   []Param
	Meter    *Meter // nil if no meter is configured
}

// A Match is the match on one key field. A field without a Match matches anything.
type Match struct {
	Field     uint32
	Kind      Kind
	Value     []byte // big-endian; for Range, the lower bound
	Mask      []byte // for Ternary, the mask; for Range, the upper bound
	PrefixLen int32  // for LPM
}

// A Param is one parameter of an action.
type Param struct {
	ID    uint32
	Value []byte // big-endian
}

// A Meter is a meter configuration: rates per second and bursts, in packets or bytes depending on the meter (section 9.4).
type Meter struct{ CIR, CBurst, PIR, PBurst int64 }

// Canonical returns the canonical form of a big-endian number: no leading zero bytes, but at least one byte (section 8.4).
func Canonical(b []byte) []byte {
	i := 0
	for i < len(b)-1 && b[i] == 0 {
		i++
	}
	return b[i:]
}
