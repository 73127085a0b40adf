package e2e

import (
	"net/netip"

	"op25b/internal/pipeline"
)

// A slot is a place where an estate can have a line, with all addresses that the line may have.
type slot struct {
	port                   pipeline.Port
	outer, inner           pipeline.VID
	session                pipeline.Session
	under                  bool // whether the PPPoE sessions of other slots are inside this slot
	prefixes               []netip.Prefix
	macs                   []pipeline.MAC
	always                 bool // whether every revision has a line here
	number                 int
	address4, address6     netip.Addr // addresses within the line's first prefixes
	neighbour4, neighbour6 netip.Addr // neighbouring addresses that belong to no line
}

var slots = func() []slot {
	all := []slot{
		{port: 1, always: true},
		{port: 1, outer: 100},
		{port: 1, outer: 100, inner: 7, always: true}, // has the same tags as a slot on port 3
		{port: 2, outer: 101, under: true},
		{port: 2, outer: 101, session: 1},
		{port: 2, outer: 101, session: 2},
		{port: 3, outer: 100, inner: 7, always: true},
		{port: 3, session: 65534},
	}
	for i := range all {
		s := &all[i]
		s.number = i
		s.prefixes = []netip.Prefix{
			prefix4(192, 0, 2, byte(i), 32), prefix6(0x1000+uint16(i), 0, 56), prefix4(198, 18, byte(i), 0, 24), prefix4(198, 18, byte(i), 128, 25),
			prefix6(0x1000+uint16(i), 0, 64), prefix6(0x1100+uint16(i), 0, 48),
		}
		s.macs = []pipeline.MAC{{2, 0, 0, 0, 1, byte(i)}}
		s.address4, s.address6 = s.prefixes[0].Addr(), s.prefixes[1].Addr().Next()
		s.neighbour4, s.neighbour6 = netip.AddrFrom4([4]byte{192, 0, 3, byte(i)}), prefix6(0x1200+uint16(i), 0, 64).Addr()
	}
	return all
}()

func prefix4(a, b, c, d byte, bits int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{a, b, c, d}), bits)
}

// prefix6 returns a prefix within 2001:db8::/32, whose next two groups are a and b.
func prefix6(a, b uint16, bits int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, byte(a >> 8), byte(a), byte(b >> 8), byte(b)}), bits)
}

// remotePrefixes are the prefixes of the remote classes. Some are nested.
var remotePrefixes = []netip.Prefix{
	prefix4(203, 0, 113, 0, 24), prefix4(203, 0, 113, 0, 26), prefix4(203, 0, 113, 16, 28), prefix4(203, 0, 113, 17, 32), prefix4(203, 0, 113, 128, 25),
	prefix4(198, 51, 100, 0, 24), prefix4(198, 51, 100, 5, 32), prefix6(0x8000, 0, 36), prefix6(0x8000, 0, 48), prefix6(0x8000, 1, 64), prefix6(0x8800, 0, 40),
}

// exemptPrefixes are the prefixes of exemptions. They contain lines' prefixes, equal one, or lie
// within one.
var exemptPrefixes = []netip.Prefix{
	prefix4(192, 0, 2, 0, 29), prefix4(192, 0, 2, 2, 32), prefix4(198, 18, 0, 0, 16), prefix4(198, 18, 1, 192, 26), prefix6(0x1000, 0, 40), prefix6(0x1001, 0, 56),
}
