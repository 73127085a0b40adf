package pipeline

import "fmt"

//go:generate go run ./generate ../../p4src/build/op25b.p4info.txtpb schema_gen.go

// A Table identifies a table of the program. The zero value means no table.
type Table uint8

// multicastGroups is the Table value for multicast groups, which are not a table of the program.
const multicastGroups = lastTable + 1

// String returns the name of the table.
func (t Table) String() string {
	switch {
	case t == multicastGroups:
		return "multicast_group"
	case t == 0 || t > lastTable:
		return fmt.Sprintf("table %d", uint8(t))
	}
	return tables[t].name
}

// ID returns the P4Runtime id of the table. It returns 0 for multicast groups.
func (t Table) ID() uint32 {
	if t > lastTable {
		return 0
	}
	return tables[t].id
}

// OnlyDefault reports whether the table has no key. Such a table has only a default entry.
func (t Table) OnlyDefault() bool { return t <= lastTable && len(tables[t].keys) == 0 }

// Metered reports whether the table's entries have a meter.
func (t Table) Metered() bool { return t == meteredTable }

// IsGroups reports whether t is the Table value for multicast groups.
func (t Table) IsGroups() bool { return t == multicastGroups }

// An Action identifies an action of the program. The zero value means no action, as in a default entry that was reset.
type Action uint8

// A matchKind is the match kind of a key field.
type matchKind string

const (
	exact   matchKind = "EXACT"
	lpm     matchKind = "LPM"
	ternary matchKind = "TERNARY"
)

// A table describes a table of the P4Info. The id of a key field is its index in keys plus 1.
type table struct {
	id      uint32
	name    string // the alias in the P4Info, which is the last component of the full name
	keys    []field
	actions []Action
}

// An action describes an action of the P4Info. The id of a parameter is its index in params plus 1.
type action struct {
	id     uint32
	name   string
	params []field
}

// bytes returns the total size of the parameters in bytes.
func (a *action) bytes() int {
	if len(a.params) == 0 {
		return 0
	}
	last := &a.params[len(a.params)-1]
	return last.at + last.bytes()
}

// A field describes a key field or a parameter. at is its offset in a Key or Value. In a Key, a ternary field's mask follows its value,
// and an LPM field's value follows a byte with the prefix length.
type field struct {
	name  string
	width int
	kind  matchKind // only for key fields
	at    int
}

// bytes returns the size of the field's value in bytes.
func (f *field) bytes() int { return (f.width + 7) / 8 }

const (
	networkPortsGroup = 1
	allPortsGroup     = 2
)

// ruleBits is the number of low-order bits for the rule id in an index of the counter port_rule. The higher bits are the ingress port.
const ruleBits = 8

// idBase masks the part of an id that counts from 1. The high byte is the type of the object (P4Runtime section 6.3).
const idBase = 0xffffff

// tableByID returns the table with a P4Runtime id, or 0 if the program has no such table.
func tableByID(id uint32) Table {
	if low := id & idBase; low < uint32(len(tablesByID)) {
		if t := tablesByID[low]; tables[t].id == id {
			return t
		}
	}
	return 0
}

// actionByID returns the action with a P4Runtime id, or 0 if the program has no such action.
func actionByID(id uint32) Action {
	if low := id & idBase; low < uint32(len(actionsByID)) {
		if a := actionsByID[low]; actions[a].id == id {
			return a
		}
	}
	return 0
}

// tablesByID and actionsByID map the low part of an id to the table or action.
var (
	tablesByID = func() (byID [256]Table) {
		for t := Table(1); t <= lastTable; t++ {
			byID[tables[t].id&idBase] = t
		}
		return byID
	}()
	actionsByID = func() (byID [256]Action) {
		for a := Action(1); a <= lastAction; a++ {
			byID[actions[a].id&idBase] = a
		}
		return byID
	}()
)
