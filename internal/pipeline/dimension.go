package pipeline

import (
	"net/netip"
	"slices"
)

// A Dimension is a property of traffic that rules match by number. Entries of other tables assign the numbers.
type Dimension uint8

// The dimensions. In each dimension, a rule matches one number or any number.
const (
	ByGroup      Dimension = iota // line group: tables line and session
	ByService                     // service: table service
	ByRemote                      // remote class: tables remote_v4 and remote_v6
	BySubscriber                  // subscriber class: tables subscriber_v4 and subscriber_v6

	Dimensions // number of dimensions
)

// String returns the name of the dimension.
func (d Dimension) String() string {
	return [...]string{"line group", "service", "remote class", "subscriber class"}[d]
}

// LastNumber returns the largest number that a policy may use in a dimension.
func (d Dimension) LastNumber() uint8 {
	if d == ByService {
		return uint8(LastService)
	}
	return 255
}

// ruleKey returns the index of the key field of the table verdict that matches the numbers of a dimension.
func (d Dimension) ruleKey() int {
	return [...]int{verdictLineGroupKey, verdictServiceKey, verdictRemoteClassKey, verdictSubscriberClassKey}[d]
}

// Number returns the number that the entry assigns to the packets it matches; ok is false for an entry that assigns no number.
func (e Entry) Number() (d Dimension, n uint8, ok bool) {
	m := e.Key.table.meaning()
	if m.use != numbering {
		return 0, 0, false
	}
	if e.Value.action != 0 {
		n = uint8(e.Value.uint(m.number))
	}
	return m.dimension, n, true
}

// WithNumber returns the entry with another number in its dimension. It panics if the entry has no number.
func (e Entry) WithNumber(n uint8) Entry {
	m := e.Key.table.meaning()
	if m.use != numbering {
		panic("pipeline: " + e.String() + " has no number")
	}
	e.Value.put(m.number, uint64(n))
	return e
}

// WithHome returns an entry of subscriber_v4 or subscriber_v6 with its class limited to another line.
func (e Entry) WithHome(line LineIndex) Entry {
	e.Value.put(setSubscriberClassLineIndexParam, uint64(line))
	return e
}

// lineOf returns the line index that an entry assigns together with a number of a dimension, and 0 for any other entry.
func (e Entry) lineOf(d Dimension) LineIndex {
	m := e.Key.table.meaning()
	if m.use != numbering || m.dimension != d || m.line == none || e.Value.action == 0 {
		return 0
	}
	return LineIndex(e.Value.uint(m.line))
}

// Home returns the only line to which the class of an entry of subscriber_v4 or subscriber_v6 applies. Home returns 0 if the class
// applies to every line, and for entries of other tables.
func (e Entry) Home() LineIndex { return e.lineOf(BySubscriber) }

// LineIndex returns the line index that an entry of the table line or session assigns, and 0 for any other entry.
func (e Entry) LineIndex() LineIndex { return e.lineOf(ByGroup) }

// SourceLine returns the line to which an entry binds an address range, and 0 for any other entry.
func (e Entry) SourceLine() LineIndex {
	switch e.Key.table {
	case sourceV4Table:
		return LineIndex(e.Key.uint(sourceV4LineKey))
	case sourceV6Table:
		return LineIndex(e.Key.uint(sourceV6LineKey))
	}
	return 0
}

// SourcePrefix returns the address range that an entry binds to a line. The entry must be one for which IsSource returns true.
func (e Entry) SourcePrefix() netip.Prefix {
	if e.Key.table == sourceV4Table {
		return e.Key.prefix(sourceV4PrefixKey)
	}
	return e.Key.prefix(sourceV6PrefixKey)
}

// CheckedGroup returns the line group to which a source check applies. The entry must be one for which IsSourceCheck returns true.
func (e Entry) CheckedGroup() LineGroup { return LineGroup(e.Key.uint(sourceCheckLineGroupKey)) }

// ForGroup returns the same source check for another line group.
func (e Entry) ForGroup(g LineGroup) Entry {
	e.Key.exactly(sourceCheckLineGroupKey, uint64(g))
	return e
}

// Prefix returns the prefix of an entry of a class table; ok is false for any other entry.
func (e Entry) Prefix() (p netip.Prefix, ok bool) {
	m := e.Key.table.meaning()
	if m.use != numbering || m.prefix == none {
		return netip.Prefix{}, false
	}
	return e.Key.prefix(m.prefix), true
}

// PrefixLength returns the length of the entry's prefix, and 0 for an entry without a prefix.
func (e Entry) PrefixLength() int {
	m := e.Key.table.meaning()
	if m.use != numbering || m.prefix == none {
		return 0
	}
	return int(e.Key.match[e.Key.field(m.prefix).at])
}

// Names returns the number that a rule matches in a dimension; ok is false if the rule matches any number, or if the entry is not a rule.
// A partial mask, which no State produces, counts as a match of any number.
func (e Entry) Names(d Dimension) (n uint8, ok bool) {
	if e.use() != ruling {
		return 0, false
	}
	f := e.Key.field(d.ruleKey())
	if toUint(e.Key.mask(f)) != 0xff {
		return 0, false
	}
	return uint8(toUint(e.Key.value(f))), true
}

// Naming returns the rule with another number in a dimension. The rule must already match a number in that dimension.
func (e Entry) Naming(d Dimension, n uint8) Entry {
	e.Key.masked(d.ruleKey(), uint64(n), 0xff)
	return e
}

// InEpoch returns the rule under another epoch.
func (e Entry) InEpoch(epoch Epoch) Entry {
	e.Key.exactly(verdictEpochKey, uint64(epoch))
	return e
}

// RuleKey returns the key of a rule without its epoch. Two rule sets with equal rule keys and values are equal, whatever their epochs.
func (e Entry) RuleKey() Key { return e.InEpoch(0).Key }

// RuleMatch returns the key of a rule without its epoch and priority.
func (e Entry) RuleMatch() Key {
	k := e.RuleKey()
	k.priority = 0
	return k
}

// Lets reports whether a rule lets every packet that it matches pass.
func (e Entry) Lets() bool {
	m := verdictOf(e.Value.action)
	return m != nil && m.lets
}

// Priority returns the priority of the entry, and 0 in a table without priorities.
func (e Entry) Priority() int32 { return e.Key.priority }

// NamesOnly reports whether a rule matches numbers in no dimensions other than the given ones.
func (e Entry) NamesOnly(these ...Dimension) bool {
	for d := range Dimensions {
		if _, named := e.Names(d); named && !slices.Contains(these, d) {
			return false
		}
	}
	return true
}
