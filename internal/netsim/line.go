package netsim

import (
	"fmt"
	"net"
	"net/netip"
	"slices"

	"gvisor.dev/gvisor/pkg/tcpip"
)

// A PPPoESession is an established PPPoE session (RFC 2516). The host sends and receives IP packets in it, without ARP or neighbour discovery.
// The discovery stage and PPP's negotiations, LCP and IPCP, are omitted, because no filter examines them.
type PPPoESession struct {
	ID           uint16           // the session id, 1 to 65534
	Concentrator net.HardwareAddr // the access concentrator's MAC address, a unicast address of 6 bytes
	Destinations []netip.Prefix   // the addresses that are reached through the session; empty means all
}

// A Softwire is a DS-Lite tunnel (RFC 6333). The host is the B4, and sends its IPv4 packets in IPv6 packets to an AFTR. The host's own IPv6
// packets are not tunnelled.
type Softwire struct {
	B4                 netip.Addr     // one of the host's IPv6 addresses
	AFTR               netip.Addr     // the far end's IPv6 address
	EncapsulationLimit bool           // whether packets have the option of RFC 2473 section 4.1.1, as in Linux, which reduces the MTU by 8 bytes
	Destinations       []netip.Prefix // the IPv4 addresses that are reached through the tunnel; empty means all
}

func leads(destinations []netip.Prefix, to netip.Addr) bool {
	return len(destinations) == 0 || slices.ContainsFunc(destinations, func(p netip.Prefix) bool { return p.Contains(to) })
}

// An access is the layer between a host's stack and its link.
type access interface {
	// out returns the path for a datagram, or an error if there is none. neighbour is the peer's MAC address if the stack has resolved it.
	out(d datagram, neighbour tcpip.LinkAddress) (path, error)
	// in decapsulates a received datagram for the stack. It returns false if the host must drop the datagram.
	in(p path, d datagram) (datagram, bool)
	// to returns the path to an address, or an error if there is none.
	to(addr netip.Addr) (path, error)
	// onLink reports whether the stack itself resolves the MAC addresses of a family's neighbours, by ARP or neighbour discovery.
	onLink(v6 bool) bool
}

// A line implements access for a subscriber. It also implements access for any host that has neither sessions nor softwires, whose peers are
// all on its link.
type line struct {
	tags      [2]tag
	sessions  []PPPoESession
	softwires []Softwire
}

var _ access = (*line)(nil)

func newLine(c *HostConfig) *line {
	l := &line{sessions: c.PPPoE, softwires: c.Softwires}
	if c.VLAN != 0 {
		l.tags[0] = tag{TagC, c.VLAN}
		if c.TPID != 0 {
			l.tags[0].protocol = c.TPID
		}
	}
	if c.InnerVLAN != 0 {
		l.tags[1] = tag{TagC, c.InnerVLAN}
	}
	return l
}

func (l *line) out(d datagram, neighbour tcpip.LinkAddress) (path, error) {
	_, to, _ := d.addrs()
	p, err := l.to(to)
	if err == nil && l.onLink(d.protocol == ipv6Type) {
		p.peer = neighbour
	}
	return p, err
}

func (l *line) to(addr netip.Addr) (path, error) {
	p := path{encapsulation: encapsulation{tags: l.tags}}
	if addr.Is4() && len(l.softwires) > 0 {
		i := slices.IndexFunc(l.softwires, func(w Softwire) bool { return leads(w.Destinations, addr) })
		if i < 0 {
			return path{}, fmt.Errorf("%w: no softwire leads to %v", ErrNoNeighbour, addr)
		}
		w := l.softwires[i]
		p.softwire = softwire{w.B4, w.AFTR, w.EncapsulationLimit}
		addr = w.AFTR
	}
	if len(l.sessions) > 0 {
		i := slices.IndexFunc(l.sessions, func(s PPPoESession) bool { return leads(s.Destinations, addr) })
		if i < 0 {
			return path{}, fmt.Errorf("%w: no PPPoE session leads to %v", ErrNoNeighbour, addr)
		}
		p.session, p.peer = l.sessions[i].ID, tcpip.LinkAddress(l.sessions[i].Concentrator)
	}
	return p, nil
}

func (l *line) in(p path, d datagram) (datagram, bool) {
	if p.tags != l.tags {
		return datagram{}, false
	}
	if len(l.sessions) == 0 && p.session != 0 || len(l.sessions) > 0 && !slices.ContainsFunc(l.sessions, func(s PPPoESession) bool {
		return s.ID == p.session && tcpip.LinkAddress(s.Concentrator) == p.peer
	}) {
		return datagram{}, false
	}
	if len(l.softwires) == 0 {
		return d, true
	}
	w, inner, ok := d.open()
	switch {
	case !ok:
		return d, d.protocol == ipv6Type
	case slices.ContainsFunc(l.softwires, func(own Softwire) bool { return own.B4 == w.own && own.AFTR == w.far }):
		return inner, true
	}
	return datagram{}, false
}

func (l *line) onLink(v6 bool) bool {
	return len(l.sessions) == 0 && (v6 || len(l.softwires) == 0)
}

// mtu returns the size of the largest packet of each family. The same MTU applies to all peers, so it is the smallest that any session or
// softwire leaves.
func (l *line) mtu() (v4, v6 int) {
	v6 = MTU
	if len(l.sessions) > 0 {
		v6 -= sessionHeader + pppHeader
	}
	v4 = v6
	for _, w := range l.softwires {
		v4 = min(v4, v6-softwire{w.B4, w.AFTR, w.EncapsulationLimit}.length())
	}
	return v4, v6
}
