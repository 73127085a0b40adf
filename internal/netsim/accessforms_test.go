package netsim

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

var aftr = netip.MustParseAddr("2001:db8::a")

// A form is one kind of access.
type form struct {
	name     string
	access   func(*HostConfig)
	tags     string // the first headers on the wire, in the notation of seen.shape
	v4, v6   string // the headers between tags and the IP packet, by family
	mss4     uint16 // the MSS that the subscriber announces: MTU 1500 less the encapsulation, less 20 or 40 for IP and 20 for TCP
	mss6     uint16
	resolves bool // whether the host resolves the peer's MAC address by ARP or neighbour discovery
}

func session(c *HostConfig) {
	c.PPPoE = []PPPoESession{{ID: 0x1001, Concentrator: config("", 2).MAC}}
}

func tunnel(limit bool) func(*HostConfig) {
	return func(c *HostConfig) {
		c.Softwires = []Softwire{{B4: c.IPv6[0].Addr(), AFTR: aftr, EncapsulationLimit: limit}}
	}
}

func tags(tpid, outer, inner uint16) func(*HostConfig) {
	return func(c *HostConfig) { c.TPID, c.VLAN, c.InnerVLAN = tpid, outer, inner }
}

func all(changes ...func(*HostConfig)) func(*HostConfig) {
	return func(c *HostConfig) {
		for _, change := range changes {
			change(c)
		}
	}
}

var forms = []form{
	{"plain", all(), "", "", "", 1460, 1440, true},
	{"one tag", tags(0, 100, 0), "8100.100 ", "", "", 1460, 1440, true},
	{"QinQ of 802.1ad", tags(TagS, 101, 201), "88a8.101 8100.201 ", "", "", 1460, 1440, true},
	{"QinQ of 802.1Q", tags(TagC, 4094, 1), "8100.4094 8100.1 ", "", "", 1460, 1440, true},
	{"PPPoE", session, "", "pppoe.1001 ", "pppoe.1001 ", 1452, 1432, false},
	{"PPPoE in one tag", all(tags(0, 7, 0), session), "8100.7 ", "pppoe.1001 ", "pppoe.1001 ", 1452, 1432, false},
	{"PPPoE in QinQ", all(tags(TagS, 101, 201), session), "88a8.101 8100.201 ", "pppoe.1001 ", "pppoe.1001 ", 1452, 1432, false},
	{"DS-Lite", tunnel(false), "", "ip6(4) ", "", 1420, 1440, true},
	{"DS-Lite with limit", tunnel(true), "", "ip6(60) 0400040104010100 ", "", 1412, 1440, true},
	{"DS-Lite in QinQ", all(tags(TagS, 101, 201), tunnel(true)), "88a8.101 8100.201 ", "ip6(60) 0400040104010100 ", "", 1412, 1440, true},
	{"DS-Lite in PPPoE", all(session, tunnel(true)), "", "pppoe.1001 ip6(60) 0400040104010100 ", "pppoe.1001 ", 1404, 1432, false},
}

func (f *form) encapsulation(v6 bool) string {
	if v6 {
		return f.tags + f.v6
	}
	return f.tags + f.v4
}

// A seen is a frame that a tap has recorded. It is parsed by gopacket, not by the code under test.
type seen struct {
	in    int    // the bridge's port on which the frame arrived
	shape string // the layers by name, with their tags and sessions
	bytes int
	flow  Flow // the flow of the innermost IP packet, without replacing ephemeral ports by 0
	tcp   *layers.TCP
}

// see parses a frame. It fails the test if a length field does not extend to the frame's end.
func see(t *testing.T, in int, frame []byte) seen {
	s := seen{in: in, bytes: len(frame)}
	p := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.Default)
	protocol := uint16(0)
	exactly := func(what string, length, want int) {
		if length != want {
			t.Errorf("%s%s has length %d, and %d bytes in it: % x", s.shape, what, length, want, frame)
		}
	}
	for _, layer := range p.Layers() {
		switch l := layer.(type) {
		case *layers.Ethernet:
			protocol = uint16(l.EthernetType)
		case *layers.Dot1Q:
			s.shape += fmt.Sprintf("%04x.%d ", protocol, l.VLANIdentifier)
			protocol = uint16(l.Type)
		case *layers.PPPoE:
			s.shape += fmt.Sprintf("pppoe.%x ", l.SessionId)
			exactly("pppoe", int(l.Length), len(l.Payload))
			if l.Version != 1 || l.Type != 1 || l.Code != layers.PPPoECodeSession || protocol != 0x8864 {
				t.Errorf("PPPoE header %+v under type %#x", l, protocol)
			}
		case *layers.IPv4:
			s.shape += fmt.Sprintf("ip4(%d) ", uint8(l.Protocol))
			exactly("ip4", int(l.Length), len(l.Contents)+len(l.Payload))
			s.flow.Local, s.flow.Remote = netip.AddrFrom4([4]byte(l.SrcIP)), netip.AddrFrom4([4]byte(l.DstIP))
		case *layers.IPv6:
			s.shape += fmt.Sprintf("ip6(%d) ", uint8(l.NextHeader))
			exactly("ip6", int(l.Length), len(l.Payload))
			s.flow.Local, s.flow.Remote = netip.AddrFrom16([16]byte(l.SrcIP)), netip.AddrFrom16([16]byte(l.DstIP))
		case *layers.IPv6Destination:
			s.shape += fmt.Sprintf("%x ", l.Contents)
		case *layers.ARP:
			s.shape += "arp "
		case *layers.ICMPv6NeighborSolicitation, *layers.ICMPv6NeighborAdvertisement:
			s.shape += "nd "
		case *layers.TCP:
			s.shape += "tcp "
			s.tcp = l
			s.flow.LocalPort, s.flow.RemotePort = uint16(l.SrcPort), uint16(l.DstPort)
		case *layers.ICMPv4, *layers.ICMPv6:
			s.shape += "icmp "
		}
	}
	if e := p.ErrorLayer(); e != nil && s.tcp == nil { // ignore an error after TCP, because gopacket may parse a TCP payload as another protocol
		t.Errorf("frame % x: %v", frame, e.Error())
	}
	return s
}

// A tap records the frames that pass through it.
type tap struct {
	t *testing.T

	mu     sync.Mutex // guards the fields below
	frames []seen
}

func (w *tap) watch(in int, frame []byte) bool {
	s := see(w.t, in, frame)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.frames = append(w.frames, s)
	return true
}

func (w *tap) seen() []seen {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.frames)
}

// count returns the number of TCP frames that the tap saw from one host to another, and their bytes. port is the
// server's port.
func (w *tap) count(from, to netip.Addr, port uint16) (c Count) {
	for _, s := range w.seen() {
		if s.tcp != nil && s.flow.Local == from && s.flow.Remote == to && (s.flow.LocalPort == port || s.flow.RemotePort == port) {
			c = c.Plus(Count{1, uint64(s.bytes)})
		}
	}
	return c
}

// behind returns a subscriber with the form's access, a server with an Edge, and a tap between them.
func behind(t *testing.T, f form) (client, server *Host, w *tap) {
	t.Helper()
	w = &tap{t: t}
	links := newBridge(t, 2, w.watch)
	c, s := config("client", 1), config("server", 2)
	f.access(&c)
	s.Edge = &Edge{AFTR: aftr}
	return start(t, links[0], c), start(t, links[1], s), w
}
