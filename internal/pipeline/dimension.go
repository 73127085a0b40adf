package pipeline

import (
	"net/netip"
	"slices"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
)

// A Dimension is one of the ways in which rules tell traffic apart by a number that an entry of another table gives out.
type Dimension uint8

// The dimensions. A rule names one number of each, or none.
const (
	ByGroup      Dimension = iota // line group: tables line and session
	ByService                     // service: table service
	ByRemote                      // remote class: tables remote_v4 and remote_v6
	BySubscriber                  // subscriber class: tables subscriber_v4 and subscriber_v6

	Dimensions // how many there are
)

// String names what the numbers are of.
func (d Dimension) String() string {
	return [...]string{"line group", "service", "remote class", "subscriber class"}[d]
}

// LastNumber is the largest number that a policy may use in a dimension.
func (d Dimension) LastNumber() uint8 {
	if d == ByService {
		return uint8(LastService)
	}
	return 255
}

// ruleField is the field of the table verdict that a dimension is matched by.
func (d Dimension) ruleField() uint32 { return [...]uint32{2, 4, 5, 6}[d] }

// numberParam is where the action of a table has the number that it gives out; the dimension is that of the number.
func numberParam(table uint32) (d Dimension, param uint32, ok bool) {
	switch table {
	case lineTable, sessionTable:
		return ByGroup, 1, true
	case serviceTable:
		return ByService, 2, true
	case remoteV4Table, remoteV6Table:
		return ByRemote, 1, true
	case subscriberV4Table, subscriberV6Table:
		return BySubscriber, 1, true
	}
	return 0, 0, false
}

// Number returns the number that the entry gives to what it matches; ok is false for an entry that gives none.
func (e Entry) Number() (d Dimension, n uint8, ok bool) { return e.dimension, e.number, e.numbered }

// WithNumber is the entry with another number in its dimension. It must have one.
func (e Entry) WithNumber(n uint8) Entry {
	_, param, ok := numberParam(e.Entity.GetTableEntry().GetTableId())
	if !ok {
		panic("pipeline: " + e.String() + " has no number")
	}
	return e.withParam(param, uint64(n))
}

// WithHome is an entry of subscriber_v4 or subscriber_v6 whose class is for another line.
func (e Entry) WithHome(line LineIndex) Entry { return e.withParam(lineParam, uint64(line)) }

func (e Entry) withParam(id uint32, value uint64) Entry {
	t := e.Entity.GetTableEntry()
	a := t.GetAction().GetAction()
	params := make([]*p4v1.Action_Param, 0, len(a.GetParams()))
	for _, p := range a.GetParams() {
		if p.GetParamId() == id {
			p = &p4v1.Action_Param{ParamId: id, Value: fromUint(value)}
		}
		params = append(params, p)
	}
	return mustTableEntry(&p4v1.TableEntry{
		TableId: t.GetTableId(), Match: t.GetMatch(), Priority: t.GetPriority(),
		Action: &p4v1.TableAction{Type: &p4v1.TableAction_Action{Action: &p4v1.Action{ActionId: a.GetActionId(), Params: params}}},
	})
}

// lineParam is where set_line and set_subscriber_class have the index of a line.
const lineParam = 2

func paramOf(t *p4v1.TableEntry, id uint32) uint64 {
	for _, p := range t.GetAction().GetAction().GetParams() {
		if p.GetParamId() == id {
			return toUint(p.GetValue())
		}
	}
	return 0
}

// Home returns the only line that the class of an entry of subscriber_v4 or subscriber_v6 is for; 0 is any, and what any other entry has.
func (e Entry) Home() LineIndex {
	if e.dimension != BySubscriber {
		return 0
	}
	return e.line
}

// LineIndex returns the index that an entry of line or session gives, and 0 for any other entry.
func (e Entry) LineIndex() LineIndex {
	if !e.numbered || e.dimension != ByGroup {
		return 0
	}
	return e.line
}

// SourceLine returns the line that an entry binds an address range to, and 0 for an entry that binds none.
func (e Entry) SourceLine() LineIndex {
	if !e.IsSource() {
		return 0
	}
	return LineIndex(toUint(e.Entity.GetTableEntry().GetMatch()[0].GetExact().GetValue()))
}

// SourcePrefix returns the address range that an entry binds to a line. It is for entries that IsSource holds for.
func (e Entry) SourcePrefix() netip.Prefix {
	t := e.Entity.GetTableEntry()
	width := 32
	if t.GetTableId() == sourceV6Table {
		width = 128
	}
	if len(t.GetMatch()) < 2 { // of length 0, which this package does not write
		return netip.PrefixFrom(addr(nil, width), 0)
	}
	m := t.GetMatch()[1].GetLpm()
	return netip.PrefixFrom(addr(m.GetValue(), width), int(m.GetPrefixLen()))
}

// IsLimit says whether the entry is the rate of a line's new connections.
func (e Entry) IsLimit() bool { return e.rank == limitRank }

// CheckedGroup returns the line group whose sources an entry has looked at. It is for entries that IsSourceCheck holds for.
func (e Entry) CheckedGroup() LineGroup {
	return LineGroup(toUint(e.Entity.GetTableEntry().GetMatch()[0].GetExact().GetValue()))
}

// ForGroup is a source check, the same for another line group.
func (e Entry) ForGroup(g LineGroup) Entry {
	return mustTableEntry(&p4v1.TableEntry{
		TableId: sourceCheckTable, Match: []*p4v1.FieldMatch{exactly(1, uint64(g))}, Action: e.Entity.GetTableEntry().GetAction(),
	})
}

// Names returns the number that a rule names in a dimension; ok is false if it names none, or if the entry is no rule. A mask that is
// neither all nor nothing, which no State has, counts as none.
func (e Entry) Names(d Dimension) (n uint8, ok bool) {
	t := e.Entity.GetTableEntry()
	if t.GetTableId() != verdictTable {
		return 0, false
	}
	for _, m := range t.GetMatch() {
		if x := m.GetTernary(); m.GetFieldId() == d.ruleField() && toUint(x.GetMask()) == 0xff {
			return uint8(toUint(x.GetValue())), true
		}
	}
	return 0, false
}

// Naming is a rule with another number in a dimension in which it names one.
func (e Entry) Naming(d Dimension, n uint8) Entry {
	return e.rewriteRule(func(m *p4v1.FieldMatch) *p4v1.FieldMatch {
		if m.GetFieldId() == d.ruleField() {
			return masked(m.GetFieldId(), uint64(n), 0xff)
		}
		return m
	})
}

// InEpoch is a rule under another epoch.
func (e Entry) InEpoch(epoch Epoch) Entry {
	return e.rewriteRule(func(m *p4v1.FieldMatch) *p4v1.FieldMatch {
		if m.GetFieldId() == 1 {
			return exactly(1, uint64(epoch))
		}
		return m
	})
}

func (e Entry) rewriteRule(field func(*p4v1.FieldMatch) *p4v1.FieldMatch) Entry {
	t := e.Entity.GetTableEntry()
	match := slices.Clone(t.GetMatch())
	for i, m := range match {
		match[i] = field(m)
	}
	return mustTableEntry(&p4v1.TableEntry{TableId: t.GetTableId(), Match: match, Priority: t.GetPriority(), Action: t.GetAction()})
}

// RuleKey is the key of a rule without its epoch: rule sets of two epochs with the same keys and values are the same.
func (e Entry) RuleKey() string {
	const before, epoch = 1 + 4, 4 // table and priority; then field 1, its kind, its length and one byte of epoch
	return e.Key[:before] + e.Key[before+epoch:]
}

// RuleMatch is what a rule matches, whatever its epoch and its priority.
func (e Entry) RuleMatch() string { return e.Key[1+4+4:] }

// Lets says whether a rule lets everything pass that it matches.
func (e Entry) Lets() bool {
	id := e.Entity.GetTableEntry().GetAction().GetAction().GetActionId()
	return id == permitAction || id == monitorAction
}

// Priority is the entry's, and 0 in a table without.
func (e Entry) Priority() int32 { return e.Entity.GetTableEntry().GetPriority() }

// NamesOnly says whether a rule names numbers of no other dimensions than these.
func (e Entry) NamesOnly(these ...Dimension) bool {
	for d := range Dimensions {
		if _, named := e.Names(d); named && !slices.Contains(these, d) {
			return false
		}
	}
	return true
}
