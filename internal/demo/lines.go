package demo

import (
	"fmt"
	"net"
	"net/netip"
	"slices"

	"op25b/internal/netsim"
	"op25b/internal/policy"
)

// Lines is the kind of access that the subscribers have in a play. The policy does not depend on the access, so only the lines in the
// inventory are rewritten. The empty value means Plain. Lines implements pflag.Value.
type Lines string

// The kinds of access.
const (
	Plain  Lines = "plain"  // lines have the access of the inventory
	QinQ   Lines = "qinq"   // line i, counted from 0, is in the outer VLAN 100+i (tag 0x88a8) and the inner VLAN 200+i
	PPPoE  Lines = "pppoe"  // line i is in PPPoE session 0x1001+i, in the inventory's VLAN
	DSLite Lines = "dslite" // lines send IPv4 in a softwire from their IPv6 address; every second line sends the encapsulation limit
)

const (
	firstOuterVLAN, firstInnerVLAN = 100, 200
	firstSession                   = 0x1001
)

// String returns the kind of access.
func (l *Lines) String() string {
	if *l == "" {
		return string(Plain)
	}
	return string(*l)
}

// Set sets the kind of access. It returns an error if s is not a known kind.
func (l *Lines) Set(s string) error {
	switch k := Lines(s); k {
	case Plain, QinQ, PPPoE, DSLite:
		*l = k
		return nil
	}
	return fmt.Errorf("%q is not a kind of line; valid are plain, qinq, pppoe and dslite", s)
}

// Type returns the text that stands for the value in the help.
func (*Lines) Type() string { return "plain|qinq|pppoe|dslite" }

// connect configures the access of the host on line i of a switch. line must come from the inventory that documents returns. Every server
// is its own concentrator and AFTR, because the demo has no shared concentrators or AFTRs.
func (l Lines) connect(c *netsim.HostConfig, i int, line policy.Line, sw *policy.Switch) error {
	c.VLAN, c.InnerVLAN = uint16(line.VLAN), uint16(line.InnerVLAN)
	if l == QinQ {
		c.TPID = netsim.TagS
	}
	if line.PPPoE != 0 {
		for _, s := range sites {
			mac, err := s.mac(sw)
			if err != nil {
				return err
			}
			c.PPPoE = append(c.PPPoE, netsim.PPPoESession{ID: uint16(line.PPPoE), Concentrator: mac, Destinations: s.addrs})
		}
	}
	if l == DSLite {
		if len(c.IPv6) == 0 {
			return fmt.Errorf("line %q has no IPv6 address among its prefixes %v; DS-Lite needs one", line.Name, line.Prefixes)
		}
		for _, s := range sites {
			c.Softwires = append(c.Softwires, netsim.Softwire{
				B4: c.IPv6[0].Addr(), AFTR: s.aftr, EncapsulationLimit: i%2 == 1,
				Destinations: slices.DeleteFunc(slices.Clone(s.addrs), func(p netip.Prefix) bool { return !p.Addr().Is4() }),
			})
		}
	}
	return nil
}

// serve configures a server as the far end of the subscribers' access.
func (l Lines) serve(c *netsim.HostConfig, s site) {
	switch l {
	case QinQ, PPPoE:
		c.Edge = &netsim.Edge{}
	case DSLite:
		c.Edge = &netsim.Edge{AFTR: s.aftr}
	}
}

// mac returns the server's MAC address from the inventory.
func (s site) mac(sw *policy.Switch) (net.HardwareAddr, error) {
	port, ok := sw.Port(s.port)
	if !ok || len(port.MACs) != 1 {
		return nil, fmt.Errorf("host %q: switch %q has no port %q with exactly one MAC address", s.name, sw.Name, s.port)
	}
	return net.HardwareAddr(port.MACs[0][:]), nil
}
