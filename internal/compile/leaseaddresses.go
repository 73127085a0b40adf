package compile

import (
	"net/netip"

	"op25b/internal/pipeline"
	"op25b/internal/policy"
)

// leaseAddresses prepares the layer of a switch that has leases of addresses outside all lines.
func (s *SessionLines) leaseAddresses(c *Compiler, sw *policy.Switch) {
	s.addresses, s.own = make(map[pipeline.Class]struct{}), policy.NewPrefixIndex[struct{}]()
	for class, l := range c.leases {
		if l.Addresses {
			s.addresses[class] = struct{}{}
		}
	}
	for i := range sw.Lines {
		for _, p := range sw.Lines[i].Prefixes {
			s.own.Add(p, struct{}{})
		}
	}
}

// LeasesAddresses reports whether the switch has the leases of addresses outside all lines.
func (s *SessionLines) LeasesAddresses() bool { return len(s.addresses) > 0 }

// AddressEntries returns the entry of an address outside all lines that has a lease until a second of the switch's clock. It holds for every frame
// with the address, because the address may come in on any port. The result is empty if the switch has no such leases, if the address is exempt or is
// of a line of this switch, and if until is 0: an entry with it would have no end.
func (s *SessionLines) AddressEntries(a netip.Addr, lease string, until pipeline.ClockSecond) []pipeline.Entry {
	class, p := s.leases[lease], netip.PrefixFrom(a, a.BitLen())
	if _, can := s.addresses[class]; !can || until == 0 || s.exemptEverywhere(p) || s.ownAddress(p) {
		return nil
	}
	e, err := pipeline.SubscriberEntry(p, pipeline.Subscriber{Class: class, Until: until})
	if err != nil { // the address is not valid
		return nil
	}
	return []pipeline.Entry{e}
}

// Address returns the address whose lease an entry is of. ok is false for other entries, and on a switch that has no leases of addresses.
func (s *SessionLines) Address(e pipeline.Entry) (a netip.Addr, ok bool) {
	class, is := e.IsSubscriber()
	if s.addresses == nil || !is || class == SubscriberExempt || e.Home() != 0 {
		return a, false
	}
	p, _ := e.Prefix()
	for _, lease := range s.classes {
		if lease == class {
			return p.Addr(), p.IsSingleIP()
		}
	}
	return a, false
}

// keepsAddress reports whether an entry is of an address that may still have it.
func (s *SessionLines) keepsAddress(e pipeline.Entry) bool {
	a, is := s.Address(e)
	if !is {
		return false
	}
	class, _ := e.IsSubscriber()
	_, can := s.addresses[class]
	p := netip.PrefixFrom(a, a.BitLen())
	return can && e.Until() != 0 && !s.exemptEverywhere(p) && !s.ownAddress(p) // only another hand writes an entry without an end
}

// ownAddress reports whether a line of the switch has an address by the inventory.
func (s *SessionLines) ownAddress(p netip.Prefix) bool {
	_, same := s.own.At(p)
	if same {
		return true
	}
	_, _, within := s.own.Around(p)
	return within
}
