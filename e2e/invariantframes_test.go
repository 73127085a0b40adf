package e2e

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"

	"op25b/internal/pipeline"
)

// A call is one TCP segment of a connection between a line of an estate and a server.
type call struct {
	at                 slot
	down               bool
	subscriber, remote netip.Addr
	own, far           uint16 // the ports of the subscriber and of the server
	flags              byte
	tunnelled          bool // whether the packet is IPv4 in IPv6, or IPv6 in IPv4
}

// strangers are combinations of ports and tags that belong to no line of an estate.
var strangers = []slot{
	{port: 3, address4: slots[0].address4, address6: slots[0].address6, neighbour4: slots[2].address4, neighbour6: slots[2].address6},
	{port: 1, outer: 999, address4: slots[1].address4, address6: slots[1].address6, neighbour4: slots[3].address4, neighbour6: slots[3].address6},
	{port: 2, outer: 101, session: 9, address4: slots[3].address4, address6: slots[3].address6, neighbour4: slots[4].address4, neighbour6: slots[4].address6},
}

// callServers contains a server in each prefix of the remote classes, and servers outside all of them.
var callServers = func() []netip.Addr {
	all := []netip.Addr{netip.MustParseAddr("203.0.114.1"), netip.MustParseAddr("2001:db8:ffff::25")}
	for _, p := range remotePrefixes {
		host := p.Addr()
		if !p.IsSingleIP() {
			host = host.Next().Next()
		}
		all = append(all, host)
	}
	return all
}()

// calls draws n different frames. Each belongs to a possible line. The frames are mail and other traffic, in both directions, within the
// handshake and after it. Subscriber addresses are the line's own, a neighbour's, exempt ones, or those of other lines.
func calls(r *rand.Rand, n int) []sent {
	all := make([]sent, 0, n)
	seen := map[string]bool{}
	for len(all) < n {
		c := drawCall(r)
		port, f := c.at.port, c.frame()
		if c.down {
			port = 11
		}
		if !seen[string(f)] {
			seen[string(f)] = true
			all = append(all, sent{port, f})
		}
	}
	return all
}

func drawCall(r *rand.Rand) call {
	c := call{at: one(r, slots), down: r.IntN(5) < 2, tunnelled: r.IntN(10) == 0}
	if r.IntN(8) == 0 {
		c.at = one(r, strangers)
	}
	for {
		c.remote = one(r, callServers)
		subscribers := []netip.Addr{c.at.address4, c.at.address4, c.at.neighbour4}
		if len(c.at.prefixes) > 0 {
			subscribers = append(subscribers, c.at.prefixes[2].Addr().Next(), c.at.prefixes[3].Addr().Next(), netip.AddrFrom4([4]byte{198, 18, byte(c.at.number), 193}))
		}
		if c.remote.Is6() {
			subscribers = []netip.Addr{c.at.address6, c.at.address6, c.at.neighbour6}
			if len(c.at.prefixes) > 0 {
				subscribers = append(subscribers, prefix6(0x1000+uint16(c.at.number), 1, 64).Addr(), c.at.prefixes[5].Addr().Next())
			}
		}
		if borrowed := one(r, slots); !c.down {
			subscribers = append(subscribers, borrowed.address4, borrowed.address6)
		} else if len(c.at.prefixes) == 0 { // never another line's address, see docs/limitations.md
			subscribers = []netip.Addr{borrowed.neighbour4, borrowed.neighbour6}
		}
		c.subscriber = one(r, subscribers)
		if c.subscriber.Is4() == c.remote.Is4() {
			break
		}
	}
	c.own, c.far = 40000, one(r, []uint16{25, 25, 25, 25, 25, 587, 465, 110, 995, 26, 2525, 443, 80})
	opens := !c.down
	switch r.IntN(6) {
	case 0: // a connection to a server behind the line
		c.own, c.far, opens = 25, one(r, []uint16{40000, 25, 80}), c.down
	}
	c.flags = flagSYN | flagACK
	if opens {
		c.flags = flagSYN
	}
	if r.IntN(5) == 0 {
		c.flags = flagACK
	}
	return c
}

// frame returns the segment in the line's encapsulation.
func (c *call) frame() []byte {
	src, dst, sport, dport := c.subscriber, c.remote, c.own, c.far
	if c.down {
		src, dst, sport, dport = dst, src, dport, sport
	}
	tcp := binary.BigEndian.AppendUint16(nil, sport)
	tcp = binary.BigEndian.AppendUint16(tcp, dport)
	tcp = append(tcp, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, c.flags, 0xff, 0xff, 0, 0, 0, 0)
	packet := ipBetween(src, dst, nextTCP, tcp)
	v6 := src.Is6()
	if c.tunnelled {
		from, to, inside := c.at.address6, netip.MustParseAddr("2001:db8:ffff::4"), byte(nextIPv4)
		if v6 {
			from, to, inside = c.at.address4, netip.MustParseAddr("203.0.114.6"), nextIPv6
		}
		if c.down {
			from, to = to, from
		}
		packet = ipBetween(from, to, inside, packet)
		v6 = !v6
	}
	etherType, protocol := uint16(frameTypeIPv4), uint16(sessionIPv4)
	if v6 {
		etherType, protocol = frameTypeIPv6, sessionIPv6
	}
	if c.at.session != 0 {
		session := binary.BigEndian.AppendUint16([]byte{0x11, 0}, uint16(c.at.session))
		session = binary.BigEndian.AppendUint16(session, uint16(2+len(packet)))
		packet = append(binary.BigEndian.AppendUint16(session, protocol), packet...)
		etherType = frameTypePPPoE
	}
	if c.at.inner != 0 {
		packet, etherType = benchTag(uint16(c.at.inner), etherType, packet), frameTypeCTag
	}
	if c.at.outer != 0 {
		packet, etherType = benchTag(uint16(c.at.outer), etherType, packet), frameTypeCTag
	}
	near, far := pipeline.MAC{2, 0, 0, 0, 9, byte(c.at.outer)}, serverMAC
	if len(c.at.macs) > 0 {
		near = c.at.macs[0]
	}
	if c.down {
		near, far = far, near
	}
	f := binary.BigEndian.AppendUint16(append(append([]byte{}, far[:]...), near[:]...), etherType)
	f = append(f, packet...)
	return append(f, make([]byte, max(0, 60-len(f)))...)
}

// ipBetween returns an IPv4 or IPv6 packet, depending on the family of src.
func ipBetween(src, dst netip.Addr, next byte, payload []byte) []byte {
	if src.Is4() {
		return benchIPv4(&benchFlow{src4: src, dst4: dst}, next, 0, nil, payload)
	}
	return benchIPv6(&benchFlow{src6: src, dst6: dst}, next, payload)
}
