package pipeline

import (
	"net/netip"
	"slices"
)

// A Dimension is a property of traffic to which table entries assign a number, so that rules can match the number.
type Dimension uint8

// The dimensions. In each dimension, a rule matches either one number or any number.
const (
	ByGroup      Dimension = iota // the line group, which the tables line and session assign
	ByService                     // the service, which the table service assigns
	ByRemote                      // the remote class, which the tables remote_v4 and remote_v6 assign
	BySubscriber                  // the subscriber class, which the tables subscriber_v4 and subscriber_v6 assign

	Dimensions // the number of dimensions
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

// ruleKey returns the index of the key field in the table verdict that matches on the dimension.
func (d Dimension) ruleKey() int {
	return [...]int{verdictLineGroupKey, verdictServiceKey, verdictRemoteClassKey, verdictSubscriberClassKey}[d]
}

// Number returns the number that the entry assigns to packets, and its dimension. ok is false if the entry assigns no number.
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

// WithNumber returns a copy of the entry that assigns the number n. It panics if the entry assigns no number.
func (e Entry) WithNumber(n uint8) Entry {
	m := e.Key.table.meaning()
	if m.use != numbering {
		panic("pipeline: " + e.String() + " has no number")
	}
	e.Value.put(m.number, uint64(n))
	return e
}

// WithHome returns a copy of an entry of subscriber_v4 or subscriber_v6 whose class applies only to the given line.
func (e Entry) WithHome(line LineIndex) Entry {
	e.Value.put(setSubscriberClassLineIndexParam, uint64(line))
	return e
}

// lineOf returns the line index that the entry assigns together with a number in dimension d. It returns 0 for other entries.
func (e Entry) lineOf(d Dimension) LineIndex {
	m := e.Key.table.meaning()
	if m.use != numbering || m.dimension != d || m.line == none || e.Value.action == 0 {
		return 0
	}
	return LineIndex(e.Value.uint(m.line))
}

// Home returns the only line to which the class of an entry of subscriber_v4 or subscriber_v6 applies. It returns 0 if the class applies
// to every line, and for entries of other tables.
func (e Entry) Home() LineIndex { return e.lineOf(BySubscriber) }

// LineIndex returns the line index that an entry of the table line or session assigns. It returns 0 for other entries.
func (e Entry) LineIndex() LineIndex { return e.lineOf(ByGroup) }

// SourceLine returns the line to which the entry binds an address range. It returns 0 for other entries.
func (e Entry) SourceLine() LineIndex {
	switch e.Key.table {
	case sourceV4Table:
		return LineIndex(e.Key.uint(sourceV4LineKey))
	case sourceV6Table:
		return LineIndex(e.Key.uint(sourceV6LineKey))
	}
	return 0
}

// SourcePrefix returns the address range that the entry binds to a line. It may be called only if IsSource returns true.
func (e Entry) SourcePrefix() netip.Prefix {
	if e.Key.table == sourceV4Table {
		return e.Key.prefix(sourceV4PrefixKey)
	}
	return e.Key.prefix(sourceV6PrefixKey)
}

// IsSubscriber returns the class of an entry of subscriber_v4 or subscriber_v6. ok is false for other entries.
func (e Entry) IsSubscriber() (class Class, ok bool) {
	d, n, ok := e.Number()
	return Class(n), ok && d == BySubscriber
}

// Subscriber returns the prefix of an entry of subscriber_v4 or subscriber_v6, and what the entry says of it. ok is false for other entries.
func (e Entry) Subscriber() (prefix netip.Prefix, s Subscriber, ok bool) {
	class, ok := e.IsSubscriber()
	if !ok {
		return netip.Prefix{}, Subscriber{}, false
	}
	prefix, _ = e.Prefix()
	return prefix, Subscriber{Class: class, Line: LineIndex(e.Value.uint(setSubscriberClassLineIndexParam)), Until: e.Until()}, true
}

// Until returns the clock second from which on the class of a subscriber's address does not apply. It returns 0 if there is no such second, and for
// other entries.
func (e Entry) Until() ClockSecond {
	if e.Value.action != setSubscriberClassAction {
		return 0
	}
	return ClockSecond(e.Value.uint(setSubscriberClassUntilParam))
}

// WithUntil returns a copy of an entry of subscriber_v4 or subscriber_v6 whose class does not apply from the given clock second on.
func (e Entry) WithUntil(until ClockSecond) Entry {
	e.Value.put(setSubscriberClassUntilParam, uint64(until))
	return e
}

// CheckedGroup returns the line group to which a source check applies. It may be called only if IsSourceCheck returns true.
func (e Entry) CheckedGroup() LineGroup { return LineGroup(e.Key.uint(sourceCheckLineGroupKey)) }

// ForGroup returns a copy of a source check for another line group.
func (e Entry) ForGroup(g LineGroup) Entry {
	e.Key.exactly(sourceCheckLineGroupKey, uint64(g))
	return e
}

// Prefix returns the prefix of an entry that assigns a class. ok is false for other entries.
func (e Entry) Prefix() (p netip.Prefix, ok bool) {
	m := e.Key.table.meaning()
	if m.use != numbering || m.prefix == none {
		return netip.Prefix{}, false
	}
	return e.Key.prefix(m.prefix), true
}

// PrefixLength returns the length of the prefix that Prefix returns, or 0 if there is none.
func (e Entry) PrefixLength() int {
	m := e.Key.table.meaning()
	if m.use != numbering || m.prefix == none {
		return 0
	}
	return int(e.Key.match[e.Key.field(m.prefix).at])
}

// Names returns the number that a rule matches in a dimension. ok is false if the rule matches any number, or if the entry is not a rule.
// A partial mask, which no State produces, counts as matching any number.
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

// Naming returns a copy of a rule that matches the number n in a dimension. The rule must already match some number in that dimension.
func (e Entry) Naming(d Dimension, n uint8) Entry {
	e.Key.masked(d.ruleKey(), uint64(n), 0xff)
	return e
}

// InEpoch returns a copy of a rule under another epoch.
func (e Entry) InEpoch(epoch Epoch) Entry {
	e.Key.exactly(verdictEpochKey, uint64(epoch))
	return e
}

// RuleKey returns the key of a rule without its epoch. Rule sets with equal rule keys and values are equal, whatever their epochs.
func (e Entry) RuleKey() Key { return e.InEpoch(0).Key }

// RuleMatch returns the key of a rule without its epoch and priority.
func (e Entry) RuleMatch() Key {
	k := e.RuleKey()
	k.priority = 0
	return k
}

// Lets reports whether a rule passes every packet that it matches.
func (e Entry) Lets() bool {
	m := verdictOf(e.Value.action)
	return m != nil && m.lets
}

// Priority returns the priority of the entry. It returns 0 if the table has no priorities.
func (e Entry) Priority() int32 { return e.Key.priority }

// NamesOnly reports whether a rule matches numbers only in the given dimensions.
func (e Entry) NamesOnly(these ...Dimension) bool {
	for d := range Dimensions {
		if _, named := e.Names(d); named && !slices.Contains(these, d) {
			return false
		}
	}
	return true
}
