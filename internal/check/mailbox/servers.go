package mailbox

import (
	"net/netip"

	"op25b/internal/policy"
)

// unclassified are addresses of servers in the Internet. The first address of each family that is in no remote class stands for all servers
// in none. Nothing is sent to these addresses.
var unclassified = []string{"192.88.99.254", "198.18.255.254", "100.127.255.254", "2001:db8:ffff:ffff::fffe", "3fff:fff:ffff::fffe"}

// servers returns an address in each remote class except the ISP's own relays, in each of its families, and for each family an address in
// no class.
func (c *Checker) servers() []string {
	if c.Policy == nil {
		return nil
	}
	var out []string
	for _, r := range c.Policy.Remotes {
		seen := map[bool]bool{}
		for _, p := range r.Prefixes {
			if is6 := p.Addr().Is6(); !r.Relay && !seen[is6] {
				seen[is6] = true
				out = append(out, inside(p).String())
			}
		}
	}
	found := map[bool]bool{}
	for _, text := range unclassified {
		addr := netip.MustParseAddr(text)
		if !found[addr.Is6()] && !classified(c.Policy, addr) {
			found[addr.Is6()] = true
			out = append(out, text)
		}
	}
	return out
}

// inside returns an address of a prefix that a server can have: the second one, if there are several.
func inside(p netip.Prefix) netip.Addr {
	addr := p.Addr()
	if next := addr.Next(); !p.IsSingleIP() && p.Contains(next) {
		return next
	}
	return addr
}

func classified(p *policy.Policy, addr netip.Addr) bool {
	for _, r := range p.Remotes {
		for _, prefix := range r.Prefixes {
			if prefix.Contains(addr) {
				return true
			}
		}
	}
	return false
}
