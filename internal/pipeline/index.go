package pipeline

import (
	"net/netip"
	"slices"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
)

// An Index answers which entry has a say where another one is not there: that of the longest shorter prefix, or of the line around a PPPoE
// session.
type Index struct {
	prefixes map[Dimension]map[netip.Prefix]Entry
	lengths  map[Dimension]map[bool][]int // prefix lengths in use, descending, by whether they are of IPv4
	lines    map[string]Entry
}

// NewIndex indexes entries; those without a number are left out.
func NewIndex(entries []Entry) *Index {
	x := &Index{
		prefixes: map[Dimension]map[netip.Prefix]Entry{ByRemote: {}, BySubscriber: {}},
		lengths:  map[Dimension]map[bool][]int{ByRemote: {}, BySubscriber: {}},
		lines:    map[string]Entry{},
	}
	seen := map[Dimension]map[bool][129]bool{ByRemote: {}, BySubscriber: {}}
	for _, e := range entries {
		d, _, ok := e.Number()
		if !ok {
			continue
		}
		if p, isPrefix := e.Prefix(); isPrefix {
			x.prefixes[d][p] = e
			set := seen[d][p.Addr().Is4()]
			set[p.Bits()] = true
			seen[d][p.Addr().Is4()] = set
		} else if d == ByGroup {
			x.lines[e.Key] = e
		}
	}
	for d, families := range seen {
		for v4, set := range families {
			for bits, used := range slices.Backward(set[:]) {
				if used {
					x.lengths[d][v4] = append(x.lengths[d][v4], bits)
				}
			}
		}
	}
	return x
}

// Prefix returns the prefix of an entry of a class table; ok is false for any other entry.
func (e Entry) Prefix() (p netip.Prefix, ok bool) {
	t := e.Entity.GetTableEntry()
	width := 128
	switch t.GetTableId() {
	case remoteV4Table, subscriberV4Table:
		width = 32
	case remoteV6Table, subscriberV6Table:
	default:
		return netip.Prefix{}, false
	}
	if len(t.GetMatch()) == 0 { // of length 0, which this package does not write
		return netip.PrefixFrom(addr(nil, width), 0), true
	}
	m := t.GetMatch()[0].GetLpm()
	return netip.PrefixFrom(addr(m.GetValue(), width), int(m.GetPrefixLen())), true
}

// PrefixLength is the length of Prefix, and 0 for an entry without one.
func (e Entry) PrefixLength() int { return int(e.length) }

// Under returns the entry that answers for what e matches where e itself is not there; ok is false if none does.
func (x *Index) Under(e Entry) (under Entry, ok bool) {
	d, _, numbered := e.Number()
	if !numbered || d != ByGroup && len(x.prefixes[d]) == 0 {
		return Entry{}, false
	}
	if p, isPrefix := e.Prefix(); isPrefix {
		outer, found := x.Around(d, p)
		return x.prefixes[d][outer], found
	}
	if t := e.Entity.GetTableEntry(); t.GetTableId() == sessionTable {
		around := mustTableEntry(&p4v1.TableEntry{TableId: lineTable, Match: t.GetMatch()[:3], Action: t.GetAction()})
		under, ok = x.lines[around.Key]
	}
	return under, ok
}

// Around returns the longest prefix of a dimension, shorter than p, that p is in.
func (x *Index) Around(d Dimension, p netip.Prefix) (outer netip.Prefix, ok bool) {
	for _, bits := range x.lengths[d][p.Addr().Is4()] {
		if bits >= p.Bits() {
			continue
		}
		outer, _ := p.Addr().Prefix(bits)
		if _, ok := x.prefixes[d][outer]; ok {
			return outer, true
		}
	}
	return netip.Prefix{}, false
}
