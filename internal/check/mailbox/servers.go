package mailbox

import (
	"net/netip"

	"op25b/internal/policy"
)

// unclassified are addresses of servers in the Internet. The first address of each family that is in no remote class stands for all servers
// in none. Nothing is sent to these addresses.
var unclassified = []string{"192.88.99.254", "198.18.255.254", "100.127.255.254", "2001:db8:ffff:ffff::fffe", "3fff:fff:ffff::fffe"}

// A Representative is an address that stands for all servers of a remote class, because rules do not tell them apart.
type Representative struct {
	Class *policy.Remote // nil for servers in no class
	Addr  netip.Addr
}

// Representatives returns an address in each remote class, in each of its families, and for each family an address in no class.
func Representatives(p *policy.Policy) []Representative {
	var out []Representative
	for i := range p.Remotes {
		seen := map[bool]bool{}
		for _, prefix := range p.Remotes[i].Prefixes {
			if is6 := prefix.Addr().Is6(); !seen[is6] {
				seen[is6] = true
				out = append(out, Representative{&p.Remotes[i], inside(prefix)})
			}
		}
	}
	found := map[bool]bool{}
	for _, text := range unclassified {
		addr := netip.MustParseAddr(text)
		if !found[addr.Is6()] && !classified(p, addr) {
			found[addr.Is6()] = true
			out = append(out, Representative{nil, addr})
		}
	}
	return out
}

// servers returns an address in each remote class except the ISP's own relays, and addresses in no class.
func (c *Checker) servers() []string {
	if c.Policy == nil {
		return nil
	}
	var out []string
	all := c.Servers
	if all == nil {
		all = Representatives(c.Policy)
	}
	for _, r := range all {
		if r.Class == nil || !r.Class.Ours() {
			out = append(out, r.Addr.String())
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
