// Package p4entry is a table entry as P4Runtime has it, ids and bytes, without protobuf.
//
// It is what internal/pipeline, which knows what entries mean, and internal/p4rt, which knows how they are encoded, hand to each other, and
// what internal/constraint checks. Section numbers are those of the P4Runtime 1.5.0 specification.
package p4entry

// A Kind is how a key field is matched.
type Kind uint8

// The kinds of P4Runtime. The zero value is none of them.
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
	Meter    *Meter // nil for no configuration
}

// A Match is the match on one key field. A field that is not there matches anything.
type Match struct {
	Field     uint32
	Kind      Kind
	Value     []byte // big-endian; of a range, its lower end
	Mask      []byte // of Ternary; of a range, its upper end
	PrefixLen int32  // of LPM
}

// A Param is one parameter of an action.
type Param struct {
	ID    uint32
	Value []byte // big-endian
}

// A Meter is a meter's configuration: rates a second and bursts, in packets or bytes as the meter has it (section 9.4).
type Meter struct{ CIR, CBurst, PIR, PBurst int64 }

// Canonical returns the canonical form of a big-endian number: no leading zero byte, one byte at least (section 8.4).
func Canonical(b []byte) []byte {
	i := 0
	for i < len(b)-1 && b[i] == 0 {
		i++
	}
	return b[i:]
}
