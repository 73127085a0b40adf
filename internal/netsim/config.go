package netsim

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
)

// A HostConfig configures a host and its encapsulation on the link. Name, MAC and at least one address are required.
type HostConfig struct {
	Name string
	MAC  net.HardwareAddr // a unicast address of 6 bytes
	IPv4 []netip.Prefix   // the addresses with their prefix lengths; the first address is the source of outgoing connections
	IPv6 []netip.Prefix

	VLAN      uint16 // the VLAN id (1 to 4094) of the only or outer tag of the host's frames; 0 means untagged
	TPID      uint16 // the TPID of the only or outer tag, TagC or TagS; 0 means TagC
	InnerVLAN uint16 // the VLAN id of the inner tag (QinQ), whose TPID is TagC; 0 means no inner tag

	PPPoE     []PPPoESession // each packet uses the first session whose Destinations include its destination; empty means IP without PPPoE
	Softwires []Softwire     // each IPv4 packet uses the first softwire whose Destinations include its destination; empty means native IPv4

	Edge *Edge // if set, the host answers subscribers in their own encapsulation; VLAN, PPPoE and Softwires must be empty
}

func (c *HostConfig) refuse(field string, value any, valid string) error {
	return fmt.Errorf("%w %q: %s %v, want %s", ErrConfig, c.Name, field, value, valid)
}

func (c *HostConfig) validate() error {
	switch {
	case c.Name == "":
		return c.refuse("Name", `""`, "a name")
	case !isUnicast(c.MAC):
		return c.refuse("MAC", c.MAC, "a unicast address of 6 bytes")
	case len(c.IPv4)+len(c.IPv6) == 0:
		return c.refuse("IPv4 and IPv6", "[]", "an address")
	}
	for _, p := range c.IPv4 {
		if !p.IsValid() || !p.Addr().Is4() {
			return c.refuse("IPv4", p, "addresses such as 192.0.2.1/24")
		}
	}
	for _, p := range c.IPv6 {
		if !p.IsValid() || !isIPv6(p.Addr()) {
			return c.refuse("IPv6", p, "addresses such as 2001:db8::1/64")
		}
	}
	for _, check := range []func() error{c.validateTags, c.validateSessions, c.validateSoftwires, c.validateEdge} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (c *HostConfig) validateTags() error {
	switch {
	case c.VLAN > 4094:
		return c.refuse("VLAN", c.VLAN, "0 for untagged or 1 to 4094")
	case c.InnerVLAN > 4094:
		return c.refuse("InnerVLAN", c.InnerVLAN, "0 for none or 1 to 4094")
	case c.InnerVLAN != 0 && c.VLAN == 0:
		return c.refuse("InnerVLAN", c.InnerVLAN, "0 without a VLAN around it")
	case c.TPID != 0 && c.TPID != TagC && c.TPID != TagS:
		return c.refuse("TPID", fmt.Sprintf("%#04x", c.TPID), "0x8100 or 0x88a8")
	case c.TPID != 0 && c.VLAN == 0:
		return c.refuse("TPID", fmt.Sprintf("%#04x", c.TPID), "0 without a VLAN")
	}
	return nil
}

func (c *HostConfig) validateSessions() error {
	for i, s := range c.PPPoE {
		field := func(name string) string { return fmt.Sprintf("PPPoE[%d].%s", i, name) }
		switch {
		case s.ID == 0 || s.ID == 0xffff:
			return c.refuse(field("ID"), s.ID, "1 to 65534")
		case !isUnicast(s.Concentrator):
			return c.refuse(field("Concentrator"), s.Concentrator, "a unicast address of 6 bytes")
		}
		for _, p := range s.Destinations {
			if !p.IsValid() {
				return c.refuse(field("Destinations"), p, "prefixes such as 192.0.2.0/24 or 2001:db8::/64")
			}
		}
	}
	return nil
}

func (c *HostConfig) validateSoftwires() error {
	if len(c.Softwires) > 0 && len(c.IPv4) == 0 {
		return c.refuse("IPv4", c.IPv4, "an address whose packets go through the softwires")
	}
	for i, w := range c.Softwires {
		field := func(name string) string { return fmt.Sprintf("Softwires[%d].%s", i, name) }
		switch {
		case !c.has(w.B4):
			return c.refuse(field("B4"), w.B4, fmt.Sprintf("one of the host's IPv6 addresses, %v", c.IPv6))
		case !isIPv6(w.AFTR) || c.has(w.AFTR):
			return c.refuse(field("AFTR"), w.AFTR, "an IPv6 address that is not the host's")
		}
		for _, p := range w.Destinations {
			if !p.IsValid() || !p.Addr().Is4() {
				return c.refuse(field("Destinations"), p, "prefixes such as 192.0.2.0/24")
			}
		}
	}
	return nil
}

func (c *HostConfig) validateEdge() error {
	switch {
	case c.Edge == nil:
		return nil
	case c.VLAN != 0 || len(c.PPPoE) > 0 || len(c.Softwires) > 0:
		return c.refuse("Edge", "set", "no VLAN, PPPoE or Softwires beside it: an edge answers in the subscriber's encapsulation")
	case c.Edge.AFTR.IsValid() && (!isIPv6(c.Edge.AFTR) || c.has(c.Edge.AFTR)):
		return c.refuse("Edge.AFTR", c.Edge.AFTR, "none or an IPv6 address that is not the host's")
	case c.Edge.Subscribers < 0:
		return c.refuse("Edge.Subscribers", c.Edge.Subscribers, fmt.Sprintf("0 for %d, or a number of addresses", DefaultSubscribers))
	}
	return nil
}

// has reports whether the host has an IPv6 address.
func (c *HostConfig) has(addr netip.Addr) bool {
	return slices.ContainsFunc(c.IPv6, func(p netip.Prefix) bool { return p.Addr() == addr })
}

func isUnicast(mac net.HardwareAddr) bool { return len(mac) == 6 && mac[0]&1 == 0 }

func isIPv6(addr netip.Addr) bool {
	return addr.Is6() && !addr.Is4In6() && !addr.IsMulticast() && !addr.IsUnspecified()
}
