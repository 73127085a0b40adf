// Package p4entry represents P4Runtime table entries as plain Go values with ids and bytes, without protobuf.
//
// Package pipeline defines the meaning of entries, package p4rt encodes them, and package constraint checks them. They exchange
// entries in this form. Section numbers refer to the P4Runtime specification, version 1.5.0.
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
	Priority int32 // 0 if the table has no ternary, range or optional field
	Match    []Match
	Action   uint32 // 0 for a default entry that was reset
	Params   []Param
	Meter    *Meter // nil if no meter is configured
}

// A Match is the match on one key field. A field without a Match matches any value.
type Match struct {
	Field     uint32
	Kind      Kind
	Value     []byte // big-endian; for Range, the lower bound
	Mask      []byte // for Ternary, the mask; for Range, the upper bound
	PrefixLen int32  // for LPM
}

// A Param is the value of one parameter of an action.
type Param struct {
	ID    uint32
	Value []byte // big-endian
}

// A Meter is a meter configuration: rates per second and burst sizes, in packets or bytes depending on the meter (section 9.4).
type Meter struct{ CIR, CBurst, PIR, PBurst int64 }

// Canonical returns the canonical form of a big-endian number, which has no leading zero bytes but at least one byte (section
// 8.4).
func Canonical(b []byte) []byte {
	i := 0
	for i < len(b)-1 && b[i] == 0 {
		i++
	}
	return b[i:]
}
