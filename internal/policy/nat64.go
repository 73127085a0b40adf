package policy

import (
	"net/netip"
	"slices"
	"strconv"
)

// WellKnownNAT64 is the name of the Well-Known Prefix 64:ff9b::/96 (RFC 6052, section 2.1) in a policy.
const WellKnownNAT64 = "well-known"

var wellKnownNAT64 = netip.MustParsePrefix("64:ff9b::/96")

// A NAT64 is a prefix through which IPv6-only lines reach IPv4 servers. An IPv6 address in the prefix contains the server's IPv4 address
// (RFC 6052).
type NAT64 struct{ netip.Prefix }

// nat64Bits returns the valid lengths of a NAT64 prefix (RFC 6052, section 2.2).
func nat64Bits() []int { return []int{32, 40, 48, 56, 64, 96} }

// reservedOctet is the index of the octet with bits 64 to 71 of an IPv6 address. This octet is zero and holds no part of the embedded IPv4
// address (RFC 6052, section 2.2).
const reservedOctet = 8

// embed returns the IPv6 prefix that represents the IPv4 prefix p in n. n must be a valid NAT64 prefix.
func (n NAT64) embed(p netip.Prefix) netip.Prefix {
	octets, bits := n.Addr().As16(), n.Bits()
	at := bits / 8
	left := p.Bits()
	for _, octet := range p.Masked().Addr().As4() {
		if at == reservedOctet {
			if left > 0 {
				bits += 8
			}
			at++
		}
		octets[at] = octet
		at++
		bits += max(min(left, 8), 0)
		left -= 8
	}
	return netip.PrefixFrom(netip.AddrFrom16(octets), bits)
}

// reached returns the prefixes under which a switch sees the servers of a class. These are the prefixes in the policy, and each IPv4
// prefix embedded in every NAT64 prefix. all[i] is derived from r.Prefixes[of[i]].
func (p *Policy) reached(r *Remote) (all []netip.Prefix, of []int) {
	all = slices.Clone(r.Prefixes)
	for i := range all {
		of = append(of, i)
	}
	for i, prefix := range r.Prefixes {
		if !prefix.IsValid() || !prefix.Addr().Is4() {
			continue
		}
		for _, n := range p.NAT64 {
			if n.fault() == "" {
				all, of = append(all, n.embed(prefix)), append(of, i)
			}
		}
	}
	return all, of
}

// RemotesWithNAT64 returns the remote classes with their prefixes, including their IPv4 prefixes embedded in each NAT64 prefix.
func (p *Policy) RemotesWithNAT64() []Remote {
	remotes := slices.Clone(p.Remotes)
	for i := range remotes {
		remotes[i].Prefixes, _ = p.reached(&remotes[i])
	}
	return remotes
}

// fault returns why n is not a valid NAT64 prefix, or "" if n is valid.
func (n NAT64) fault() string {
	switch {
	case !n.IsValid() || !n.Addr().Is6() || n.Addr().Is4In6():
		return "it is no IPv6 prefix"
	case !slices.Contains(nat64Bits(), n.Bits()):
		return "its length is /" + strconv.Itoa(n.Bits())
	case n.Prefix != n.Masked():
		return "bits behind its length are set"
	case n.Addr().As16()[reservedOctet] != 0:
		return "bits 64 to 71 are not zero"
	}
	return ""
}

// NAT64Unsaid reports whether the policy should specify NAT64 but does not, because a line has an IPv6 prefix and a remote class has an
// IPv4 prefix. An empty NAT64 list states that NAT64 is not used.
func (b *Bundle) NAT64Unsaid() bool {
	if b.Policy.NAT64 != nil {
		return false
	}
	is4 := func(p netip.Prefix) bool { return p.Addr().Is4() }
	is6 := func(p netip.Prefix) bool { return p.Addr().Is6() }
	servers := slices.ContainsFunc(b.Policy.Remotes, func(r Remote) bool { return slices.ContainsFunc(r.Prefixes, is4) })
	return servers && slices.ContainsFunc(b.Inventory.Switches, func(sw Switch) bool {
		return slices.ContainsFunc(sw.Lines, func(l Line) bool { return slices.ContainsFunc(l.Prefixes, is6) })
	})
}
