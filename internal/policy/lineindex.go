package policy

import "net/netip"

// A LineIndex finds lines by their names, and by the addresses that they have in the inventory.
type LineIndex struct {
	names    map[string]indexed
	prefixes *PrefixIndex[indexed]
}

type indexed struct {
	sw   *Switch
	line *Line
}

// NewLineIndex returns an index of an inventory that Validate has accepted. The inventory must not change while the index is in use.
func NewLineIndex(inv *Inventory) *LineIndex {
	x := &LineIndex{make(map[string]indexed), NewPrefixIndex[indexed]()}
	for i := range inv.Switches {
		sw := &inv.Switches[i]
		for j := range sw.Lines {
			at := indexed{sw, &sw.Lines[j]}
			x.names[at.line.Name] = at
			for _, p := range at.line.Prefixes {
				x.prefixes.Add(p, at)
			}
		}
	}
	return x
}

// At returns the line with the longest prefix that contains an address, and its switch. ok is false if no line has the address.
func (x *LineIndex) At(addr netip.Addr) (sw *Switch, line *Line, ok bool) {
	host := netip.PrefixFrom(addr, addr.BitLen())
	at, ok := x.prefixes.At(host)
	if !ok {
		_, at, ok = x.prefixes.Around(host)
	}
	return at.sw, at.line, ok
}

// Prefix returns the line that has exactly a prefix, and its switch.
func (x *LineIndex) Prefix(p netip.Prefix) (sw *Switch, line *Line, ok bool) {
	at, ok := x.prefixes.At(p)
	return at.sw, at.line, ok
}

// Around returns the line with the longest prefix that contains p and is shorter, and its switch.
func (x *LineIndex) Around(p netip.Prefix) (sw *Switch, line *Line, ok bool) {
	_, at, ok := x.prefixes.Around(p)
	return at.sw, at.line, ok
}

// Line returns the line with a name, and its switch.
func (x *LineIndex) Line(name string) (sw *Switch, line *Line, ok bool) {
	at, ok := x.names[name]
	return at.sw, at.line, ok
}
