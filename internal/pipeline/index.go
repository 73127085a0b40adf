package pipeline

import (
	"net/netip"
	"slices"
)

// An Index finds the entry that matches when a given entry is absent: an entry with a shorter prefix, or the line that surrounds a
// PPPoE session.
type Index struct {
	prefixes map[Dimension]map[netip.Prefix]Entry
	lengths  map[Dimension]map[bool][]int // the prefix lengths in use, in descending order, by dimension and by whether the prefix is IPv4
	lines    map[Key]Entry
}

// NewIndex indexes the entries that assign a number. It ignores all other entries.
func NewIndex(entries []Entry) *Index {
	x := &Index{
		prefixes: map[Dimension]map[netip.Prefix]Entry{ByRemote: {}, BySubscriber: {}},
		lengths:  map[Dimension]map[bool][]int{ByRemote: {}, BySubscriber: {}},
		lines:    map[Key]Entry{},
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

// Under returns the entry that matches the packets of e when e is absent. ok is false if there is no such entry.
func (x *Index) Under(e Entry) (under Entry, ok bool) {
	d, _, numbered := e.Number()
	if !numbered || d != ByGroup && len(x.prefixes[d]) == 0 {
		return Entry{}, false
	}
	if p, isPrefix := e.Prefix(); isPrefix {
		outer, found := x.Around(d, p)
		return x.prefixes[d][outer], found
	}
	if e.Key.table == sessionTable {
		around := Key{table: lineTable}
		around.exactly(linePortKey, e.Key.uint(sessionPortKey))
		around.exactly(lineOuterVIDKey, e.Key.uint(sessionOuterVIDKey))
		around.exactly(lineInnerVIDKey, e.Key.uint(sessionInnerVIDKey))
		under, ok = x.lines[around]
	}
	return under, ok
}

// Around returns the longest prefix of dimension d that contains p and is shorter than p.
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
