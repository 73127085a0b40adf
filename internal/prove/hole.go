package prove

import (
	"net/netip"
	"slices"
	"sort"
)

// nested finds addresses of prefixes whose first and last address belong to longer prefixes of the same table.
type nested struct {
	sorted []netip.Prefix // empty if no prefix of the table can contain another one
}

// nest returns the nested prefixes of a table.
func nest[V any](table map[netip.Prefix]V) *nested {
	var lengths [2][]int
	for p := range table {
		longer(&lengths, p)
	}
	n := &nested{}
	if len(lengths[0]) < 2 && len(lengths[1]) < 2 {
		return n
	}
	n.sorted = make([]netip.Prefix, 0, len(table))
	for p := range table {
		n.sorted = append(n.sorted, p)
	}
	slices.SortFunc(n.sorted, netip.Prefix.Compare)
	return n
}

// free returns the first address of a prefix that no longer prefix of the table contains. ok is false if there is none.
func (n *nested) free(p netip.Prefix) (a netip.Addr, ok bool) {
	a = p.Addr()
	at := sort.Search(len(n.sorted), func(i int) bool { return n.sorted[i].Compare(p) > 0 })
	for _, q := range n.sorted[at:] {
		if !p.Contains(q.Addr()) || q.Addr().Compare(a) > 0 {
			break
		}
		if last := lastOf(q); last.Compare(a) >= 0 {
			if a = last.Next(); !a.IsValid() {
				return a, false
			}
		}
	}
	return a, p.Contains(a)
}

// hole returns what free returns, unless that is the prefix's first or last address, which are tried anyway.
func (n *nested) hole(p netip.Prefix) (a netip.Addr, ok bool) {
	a, ok = n.free(p)
	return a, ok && a != p.Addr() && a != lastOf(p)
}
