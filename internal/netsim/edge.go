package netsim

import (
	"fmt"
	"net/netip"
	"sync"

	"gvisor.dev/gvisor/pkg/tcpip"
)

// DefaultSubscribers is how many subscriber addresses an Edge remembers unless told otherwise: an IPv4 and an IPv6 address for each of the
// 8,192 lines that one switch is built for.
const DefaultSubscribers = 2 * 8192

// An Edge puts a host behind the ISP's access network. It stands for the operator's own BNG and AFTR, which are no part of this
// project, and is only as much of them as a filter before them can see: whatever tags, PPPoE session and softwire a subscriber's
// packet came in are taken off, and the answers to that inner address go back in the same, to the MAC address that it came from.
//
// It is therefore always the subscriber who speaks first. There is no discovery stage, no PPP negotiation, no NAT (inner IPv4
// addresses must differ), and no fragmentation: a packet that does not fit into its encapsulation is refused. The host's MAC address is
// the access concentrator's.
type Edge struct {
	AFTR        netip.Addr // the IPv6 address at which softwires end; none if it is not valid
	Subscribers int        // how many inner addresses are remembered, 0 for DefaultSubscribers; beyond, the longest silent is forgotten
}

// An edge is the access of a host behind an Edge.
type edge struct {
	aftr  netip.Addr
	bound int

	mu    sync.Mutex // guards everything that follows
	paths map[netip.Addr]heard
	now   uint64 // counts what has been heard
}

// A heard path is the one that an address was last heard through, and when.
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

// in takes off a softwire that ends here. The AFTR's address takes nothing else but ICMPv6, of which neighbour discovery is part.
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
