package netsim

import (
	"fmt"
	"net/netip"
	"sync"

	"gvisor.dev/gvisor/pkg/tcpip"
)

// DefaultSubscribers is the default number of subscriber addresses that an Edge remembers: an IPv4 and an IPv6 address for each of the
// 8,192 lines of a switch.
const DefaultSubscribers = 2 * 8192

// An Edge places a host behind the ISP's access network. It models the operator's BNG and AFTR as seen from a filter in front of them. An
// Edge removes the tags, PPPoE session and softwire from a subscriber's packet. It sends replies in the same encapsulation, to the MAC
// address that the packet came from.
//
// The subscriber must send first, because the Edge learns each path from a packet. There is no discovery stage and no PPP negotiation.
// There is no NAT, so inner IPv4 addresses must differ. There is no fragmentation, so a packet that does not fit into its encapsulation is
// refused. The host's MAC address is the access concentrator's.
type Edge struct {
	AFTR        netip.Addr // the IPv6 address where softwires end; an invalid address means no AFTR
	Subscribers int        // how many of the most recently seen inner addresses are remembered; 0 means DefaultSubscribers
}

// An edge implements access for a host whose configuration has an Edge.
type edge struct {
	aftr  netip.Addr
	bound int

	mu    sync.Mutex // guards the fields below
	paths map[netip.Addr]heard
	now   uint64 // the number of packets received
}

// A heard records the path of the last packet from an address, and the number of that packet.
type heard struct {
	path path
	at   uint64
}

var _ access = (*edge)(nil)

func newEdge(c *Edge) *edge {
	e := &edge{aftr: c.AFTR, bound: c.Subscribers, paths: map[netip.Addr]heard{}}
	if e.bound == 0 {
		e.bound = DefaultSubscribers
	}
	return e
}

func (e *edge) out(d datagram, _ tcpip.LinkAddress) (path, error) {
	_, to, _ := d.addrs()
	return e.to(to)
}

func (e *edge) to(addr netip.Addr) (path, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	h, ok := e.paths[addr]
	if !ok {
		return path{}, fmt.Errorf("%w: nothing was heard of %v", ErrNoNeighbour, addr)
	}
	return h.path, nil
}

// in decapsulates a packet whose softwire ends at the AFTR. It drops other packets to the AFTR's address, except ICMPv6, which includes
// neighbour discovery.
func (e *edge) in(p path, d datagram) (datagram, bool) {
	source, destination, ok := d.addrs()
	if !ok {
		return datagram{}, false
	}
	if destination == e.aftr {
		if w, inner, ok := d.open(); ok {
			p.softwire, d = w, inner
			if source, _, ok = d.addrs(); !ok {
				return datagram{}, false
			}
		} else if d.bytes[6] != icmpv6Protocol {
			return datagram{}, false
		}
	}
	if !source.IsUnspecified() && !source.IsMulticast() {
		e.learn(source, p)
	}
	return d, true
}

func (e *edge) learn(source netip.Addr, p path) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, known := e.paths[source]; !known && len(e.paths) >= e.bound {
		var silent netip.Addr
		oldest := e.now + 1
		for addr, h := range e.paths {
			if h.at < oldest {
				silent, oldest = addr, h.at
			}
		}
		delete(e.paths, silent)
	}
	e.now++
	e.paths[source] = heard{p, e.now}
}

func (e *edge) onLink(bool) bool { return false }
