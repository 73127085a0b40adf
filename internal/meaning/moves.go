package meaning

import (
	"maps"
	"net/netip"
	"slices"
	"strings"

	"op25b/internal/compile"
)

// A classMove is a set of addresses that move from one class of servers to another. An empty name means no class.
type classMove struct {
	from, to string
	prefixes []netip.Prefix // disjoint and sorted, with as few prefixes as possible
}

// classMoves returns the addresses that move to another class, and, for each class, the addresses that stay in it. Both results are nil if
// no entry changes. The longest prefix that contains an address decides its class. A new prefix therefore takes its addresses from the
// prefix around it, and a removed prefix returns them. If a prefix is replaced by a longer or shorter prefix of the same class, the
// addresses in both prefixes stay.
func (w *words) classMoves() (moves []classMove, stay map[string][]netip.Prefix) {
	if w.old.sameClasses(w.new) && maps.Equal(w.was.State.Remotes, w.is.State.Remotes) {
		return nil, nil
	}
	edges := slices.Collect(maps.Keys(w.is.State.Remotes))
	for p := range w.was.State.Remotes {
		if _, both := w.is.State.Remotes[p]; !both {
			edges = append(edges, p)
		}
	}
	slices.SortFunc(edges, netip.Prefix.Compare)
	v6, _ := slices.BinarySearchFunc(edges, everyIPv6, netip.Prefix.Compare)
	x := classWalk{was: w.was, is: w.is, ways: make(map[classWay][]netip.Prefix)}
	x.within(everyIPv4, classWay{}, edges[:v6])
	x.within(everyIPv6, classWay{}, edges[v6:])

	stay = make(map[string][]netip.Prefix)
	for way, prefixes := range x.ways {
		if way.from == way.to {
			stay[way.from] = prefixes
		} else {
			moves = append(moves, classMove{way.from, way.to, prefixes})
		}
	}
	slices.SortFunc(moves, func(a, b classMove) int { return strings.Compare(a.from+" "+a.to, b.from+" "+b.to) })
	return moves, stay
}

var (
	everyIPv4 = netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	everyIPv6 = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
)

// A classWay is the class of an address before and after the change.
type classWay struct{ from, to string }

// A classWalk visits all addresses in order. It divides them into pieces that have one class before the change and one class after it.
type classWalk struct {
	was, is *compile.Compiled
	ways    map[classWay][]netip.Prefix
}

// within visits the addresses of a prefix. way has the classes of those addresses according to shorter prefixes. edges has the prefixes
// inside p, sorted; p itself may be among them.
func (x *classWalk) within(p netip.Prefix, way classWay, edges []netip.Prefix) {
	if len(edges) > 0 && edges[0] == p {
		way = classWay{classOf(x.was, p, way.from), classOf(x.is, p, way.to)}
		edges = edges[1:]
	}
	if len(edges) == 0 {
		x.add(p, way)
		return
	}
	low, high := halves(p)
	i, _ := slices.BinarySearchFunc(edges, high, netip.Prefix.Compare)
	x.within(low, way, edges[:i])
	x.within(high, way, edges[i:])
}

// classOf returns the class of the entry for exactly this prefix, or otherwise if there is no such entry.
func classOf(c *compile.Compiled, p netip.Prefix, otherwise string) string {
	if number, ok := c.State.Remotes[p]; ok {
		return c.Remotes[number].Name
	}
	return otherwise
}

// add records a piece. If the piece is the upper half of a prefix whose lower half has the same classes, add joins the halves.
func (x *classWalk) add(p netip.Prefix, way classWay) {
	if way == (classWay{}) {
		return
	}
	list := x.ways[way]
	for len(list) > 0 && p.Bits() > 0 && list[len(list)-1].Bits() == p.Bits() {
		last := list[len(list)-1]
		whole := netip.PrefixFrom(last.Addr(), p.Bits()-1)
		if low, high := halves(whole); low != last || high != p {
			break
		}
		list, p = list[:len(list)-1], whole
	}
	x.ways[way] = append(list, p)
}

// halves returns the two halves of a prefix. The prefix must contain more than one address.
func halves(p netip.Prefix) (low, high netip.Prefix) {
	bytes := p.Addr().As16()
	bit := 128 - p.Addr().BitLen() + p.Bits()
	bytes[bit/8] |= 0x80 >> (bit % 8)
	upper := netip.AddrFrom16(bytes)
	if p.Addr().Is4() {
		upper = upper.Unmap()
	}
	return netip.PrefixFrom(p.Addr(), p.Bits()+1), netip.PrefixFrom(upper, p.Bits()+1)
}

// comeTo reports whether any addresses move into a class.
func (w *words) comeTo(class string) bool {
	return slices.ContainsFunc(w.moves, func(m classMove) bool { return m.to == class })
}

// onlyBy reports whether m accounts for all addresses of the class to which it moves addresses.
func (w *words) onlyBy(m classMove) bool {
	ways := slices.DeleteFunc(slices.Clone(w.moves), func(x classMove) bool { return x.to != m.to })
	return len(ways) == 1 && len(w.stay[m.to]) == 0
}
