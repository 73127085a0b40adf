package generate

import "net/netip"

// Prefixes that are used only inside tunnels and are in no inventory.
var (
	privateV4 = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/30")}
	privateV6 = []netip.Prefix{netip.MustParsePrefix("fd00::/126")}
)

// subscriber draws an address of the frame's line, and sometimes an address of another line or of no line.
func (d *draw) subscriber(v6 bool) netip.Addr {
	own := d.on.own.of(v6)
	if d.steady && len(own) > 0 {
		return own[0].Addr()
	}
	switch k := d.src.IntN(12); {
	case len(own) == 0 || k == 11:
		return d.elsewhere(v6)
	case k >= 9:
		if exempt := d.exempt.of(v6); len(exempt) > 0 {
			return d.host(pick(d.src, exempt))
		}
	}
	return d.host(pick(d.src, own))
}

// remote draws a server's address, usually from a remote class.
func (d *draw) remote(v6 bool) netip.Addr {
	classes := d.remotes.of(v6)
	switch {
	case len(classes) > 0 && d.steady:
		return classes[len(classes)-1].Addr()
	case v6 && len(d.nat64) > 0 && d.src.IntN(3) == 2:
		return d.translated()
	case len(classes) > 0 && d.src.IntN(4) != 3:
		return d.host(pick(d.src, classes))
	}
	return d.elsewhere(v6)
}

// translated draws an IPv4 server's address embedded for NAT64. Sometimes bits 64 to 71 are set, which is invalid.
func (d *draw) translated() netip.Addr {
	in := pick(d.src, d.nat64)
	inner := d.remote(false).As4()
	octets := in.Addr().As16()
	free := make([]int, 0, 5)
	for i := in.Bits() / 8; i < 16 && len(free) < 4; i++ {
		if i != 8 {
			free = append(free, i)
		}
	}
	for i, at := range free {
		octets[at] = inner[i]
	}
	if in.Bits() <= 64 && d.src.IntN(8) == 7 {
		octets[8] = byte(1 + d.src.IntN(255))
	}
	return netip.AddrFrom16(octets)
}

// elsewhere draws an address outside all prefixes, including addresses that no host can have.
func (d *draw) elsewhere(v6 bool) netip.Addr {
	if v6 {
		return netip.MustParseAddr(pick(d.src, []string{"2001:db8:ffff::1", "2001:db8:ffff::2", "::", "fe80::1", "febf::1", "fec0::1", "ff02::1", "::1", "64:ff9b::c633:6401"}))
	}
	return netip.AddrFrom4(pick(d.src, [][4]byte{
		{203, 0, 113, 253}, {203, 0, 113, 254}, {0, 0, 0, 0}, {169, 254, 0, 1}, {224, 0, 0, 1}, {255, 255, 255, 255}, {223, 255, 255, 255}, {0, 0, 0, 1}, {10, 0, 0, 1},
	}))
}

// host draws an address within a prefix. It is usually the first address, so that replies match their requests. Otherwise it is one of the
// next three addresses or the last one.
func (d *draw) host(p netip.Prefix) netip.Addr {
	raw := p.Addr().AsSlice()
	host := len(raw)*8 - p.Bits()
	k := max(d.src.IntN(12)-7, 0)
	if k == 4 {
		for i := range raw {
			ones := min(max(host-(len(raw)-1-i)*8, 0), 8)
			raw[i] |= byte(1<<ones - 1)
		}
	} else if host >= 2 {
		raw[len(raw)-1] |= byte(k)
	}
	addr, _ := netip.AddrFromSlice(raw)
	return addr
}
