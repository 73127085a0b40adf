package policy

import (
	"fmt"
	"net/netip"
	"slices"
)

// AddressLeases tells which addresses outside all lines can have which lease. It is read-only.
type AddressLeases struct {
	leases []Lease               // those for addresses
	own    *PrefixIndex[*Remote] // the classes of own servers
	nat64  []NAT64
}

// NewAddressLeases returns the AddressLeases of a policy that Validate has accepted. The policy must not change while they are in use.
func NewAddressLeases(p *Policy) *AddressLeases {
	x := &AddressLeases{own: NewPrefixIndex[*Remote](), nat64: p.NAT64}
	for _, l := range p.Leases {
		if l.Addresses {
			x.leases = append(x.leases, l)
		}
	}
	for i := range p.Remotes {
		if r := &p.Remotes[i]; r.Ours() {
			prefixes, _ := p.reached(r)
			for _, prefix := range prefixes {
				x.own.Add(prefix, r)
			}
		}
	}
	return x
}

// specialPurpose are prefixes of which no customer of another provider sends packets over the internet (RFC 6890). Multicast addresses, loopback,
// link-local and private addresses are not listed. Documentation addresses are permitted, because examples and tests use them.
var specialPurpose = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"), // shared address space of carriers' NATs (RFC 6598)
	netip.MustParsePrefix("192.0.0.0/24"),  // protocol assignments, among them DS-Lite's (RFC 6333)
	netip.MustParsePrefix("198.18.0.0/15"), // benchmarks (RFC 2544)
	netip.MustParsePrefix("240.0.0.0/4"),   // reserved, and broadcast
	netip.MustParsePrefix("::/96"),         // IPv4-compatible addresses, which are deprecated
	netip.MustParsePrefix("64:ff9b:1::/48"),
	netip.MustParsePrefix("100::/64"), // discard-only
}

// For returns the first lease of the policy that an address outside all lines can have. The caller verifies that the address is outside all lines,
// and that it is not exempt. For returns ErrNoAddressLease, or ErrNotCustomer for an address of own servers, of a NAT64 prefix, of Lease.Except of
// all leases, and for one with a special purpose.
func (x *AddressLeases) For(a netip.Addr) (*Lease, error) {
	if len(x.leases) == 0 {
		return nil, ErrNoAddressLease
	}
	for i := range x.leases {
		if err := x.Check(a, &x.leases[i]); err == nil || i == len(x.leases)-1 {
			return &x.leases[i], err
		}
	}
	return nil, ErrNoAddressLease
}

// Check returns why an address outside all lines cannot have a lease of the policy: an error as of For. It returns nil if the address can have it.
func (x *AddressLeases) Check(a netip.Addr, l *Lease) error {
	if !l.Addresses {
		return fmt.Errorf("%w: lease %q is for lines only", ErrNoAddressLease, l.Name)
	}
	contains := func(p netip.Prefix) bool { return p.Contains(a) }
	if !a.IsGlobalUnicast() || a.IsPrivate() || a.Is4In6() || a.Zone() != "" || slices.ContainsFunc(specialPurpose, contains) {
		return fmt.Errorf("%w: it is private or has a special purpose", ErrNotCustomer)
	}
	host := netip.PrefixFrom(a, a.BitLen())
	class, own := x.own.At(host)
	if !own {
		_, class, own = x.own.Around(host)
	}
	switch {
	case own:
		return fmt.Errorf("%w: it is in class %q of own servers", ErrNotCustomer, class.Name)
	case slices.ContainsFunc(x.nat64, func(n NAT64) bool { return n.Contains(a) }):
		return fmt.Errorf("%w: it is in a NAT64 prefix, whose addresses stand for servers", ErrNotCustomer)
	case slices.ContainsFunc(l.Except, contains):
		return fmt.Errorf("%w: it is in except of lease %q", ErrNotCustomer, l.Name)
	}
	return nil
}
