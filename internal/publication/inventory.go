package publication

import (
	"fmt"
	"net/netip"

	"op25b/internal/pipeline"
	"op25b/internal/policy"
)

// nobody is the address of a published switch, to which nothing can connect (RFC 6761 section 6.4).
const nobody = "area.invalid:1"

// The ports of a published switch.
const (
	accessPort, networkPort = "access", "network"
)

// The ranges from which published lines have their addresses, in order: the documentation prefixes (RFC 5737, RFC 9637 and RFC 3849), and
// for large publications half of the benchmarking prefix (RFC 2544).
var (
	rangesV4 = []netip.Prefix{
		netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("203.0.113.0/24"),
		netip.MustParsePrefix("198.19.0.0/16"),
	}
	rangesV6 = []netip.Prefix{netip.MustParsePrefix("3fff::/20"), netip.MustParsePrefix("2001:db8::/32")}
)

// inventoryOf returns the published inventory.
func inventoryOf(b *policy.Bundle, areas []*area) (*policy.Inventory, error) {
	v4, v6 := takerOf(b, rangesV4), takerOf(b, rangesV6)
	from4, err4 := v4.take()
	from6, err6 := v6.take()
	inv := &policy.Inventory{}
	for i, a := range areas {
		sw := policy.Switch{
			Name: a.name, DeviceID: policy.DeviceID(i + 1), P4Runtime: nobody, GNMI: nobody,
			Ports: []policy.Port{{Number: 1, Name: accessPort, Role: pipeline.Access}, {Number: 2, Name: networkPort, Role: pipeline.Network}},
		}
		if a.rejects.v4 {
			if err4 != nil {
				return nil, err4
			}
			sw.RejectFrom = append(sw.RejectFrom, from4)
		}
		if a.rejects.v6 {
			if err6 != nil {
				return nil, err6
			}
			sw.RejectFrom = append(sw.RejectFrom, from6)
		}
		for j, l := range a.lines {
			published, err := l.published(j, v4, v6)
			if err != nil {
				return nil, err
			}
			sw.Lines = append(sw.Lines, published)
		}
		inv.Switches = append(inv.Switches, sw)
	}
	return inv, nil
}

// published returns the line as the published inventory has it. i is its index in the area. A switch assigns replies to a line by tags that
// no other port has. It cannot assign replies to an untagged session whose station it does not know.
func (l *line) published(i int, v4, v6 *taker) (policy.Line, error) {
	x := policy.Line{Name: l.name, Port: accessPort, Group: l.group}
	if most := int(pipeline.MaxVID); l.assigned {
		x.VLAN = pipeline.VID(i%most + 1)
		x.InnerVLAN = pipeline.VID(i / most)
	} else {
		x.PPPoE = pipeline.Session(i + 1)
	}
	for _, family := range []struct {
		has  bool
		from *taker
	}{{l.v4, v4}, {l.v6, v6}} {
		if !family.has {
			continue
		}
		addr, err := family.from.take()
		if err != nil {
			return x, err
		}
		x.Prefixes = append(x.Prefixes, netip.PrefixFrom(addr, addr.BitLen()))
	}
	return x, nil
}

// A taker takes addresses one after the other from ranges. It leaves out the addresses of remote classes, of NAT64 and of the real lines,
// so that no published line seems to be a server or somebody's line.
type taker struct {
	all    string         // the ranges, for errors
	ranges []netip.Prefix // the ranges that have not been used up
	next   netip.Addr
	used   *policy.PrefixIndex[struct{}]
}

func takerOf(b *policy.Bundle, ranges []netip.Prefix) *taker {
	t := &taker{all: listed(ranges), ranges: ranges, used: policy.NewPrefixIndex[struct{}]()}
	use := func(p netip.Prefix) {
		for _, r := range ranges {
			if p.Overlaps(r) {
				t.used.Add(p, struct{}{})
				return
			}
		}
	}
	for _, r := range b.Policy.RemotesWithNAT64() {
		for _, p := range r.Prefixes {
			use(p)
		}
	}
	for _, n := range b.Policy.NAT64 {
		use(n.Prefix)
	}
	for i := range b.Inventory.Switches {
		for j := range b.Inventory.Switches[i].Lines {
			for _, p := range b.Inventory.Switches[i].Lines[j].Prefixes {
				use(p)
			}
		}
	}
	return t
}

// listed returns the prefixes for use in a sentence.
func listed(all []netip.Prefix) string {
	text := ""
	for i, p := range all {
		switch {
		case i > 0 && i == len(all)-1:
			text += " and "
		case i > 0:
			text += ", "
		}
		text += p.String()
	}
	return text
}

// take returns the next free address, or ErrNoAddress. The addresses of IPv6 are in different networks (/64).
func (t *taker) take() (netip.Addr, error) {
	for ; len(t.ranges) > 0; t.ranges = t.ranges[1:] {
		if !t.next.IsValid() {
			t.next = following(t.ranges[0].Addr())
		}
		for t.ranges[0].Contains(t.next) {
			addr := t.next
			t.next = following(addr)
			outer, _, within := t.used.Around(netip.PrefixFrom(addr, addr.BitLen()))
			if _, same := t.used.At(netip.PrefixFrom(addr, addr.BitLen())); !within && !same {
				return addr, nil
			}
			if last := lastOf(outer); within && t.ranges[0].Contains(last) {
				t.next = following(last)
			} else if within {
				break
			}
		}
		t.next = netip.Addr{}
	}
	return netip.Addr{}, fmt.Errorf("%w: all addresses of %s are in remote classes, NAT64 prefixes or lines", ErrNoAddress, t.all)
}

// following returns the address after addr, or for IPv6 the first host of the network after that of addr. It returns the zero address if
// there is none.
func following(addr netip.Addr) netip.Addr {
	if addr.Is4() {
		return addr.Next()
	}
	b := addr.As16()
	for i := 7; i >= 0; i-- {
		if b[i]++; b[i] != 0 {
			break
		}
	}
	for i := 8; i < 15; i++ {
		b[i] = 0
	}
	b[15] = 1
	return netip.AddrFrom16(b)
}

// lastOf returns the last address of a prefix.
func lastOf(p netip.Prefix) netip.Addr {
	if !p.IsValid() {
		return netip.Addr{}
	}
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < 8*len(b); i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	addr, _ := netip.AddrFromSlice(b)
	return addr
}
