package netsim

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/gopacket/gopacket/layers"

	"op25b/internal/wire"
)

// TestMailThroughEveryAccess verifies that mail passes through every kind of access in both families. Each frame must be encapsulated as
// expected in both directions, and the hosts must count the frames on the wire.
func TestMailThroughEveryAccess(t *testing.T) {
	t.Parallel()
	for _, f := range forms {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			client, server, w := behind(t, f)
			mx := mailServer(t, server, carrier)
			for _, family := range families {
				for _, mode := range []Mode{MX, Submission} {
					if r := Send(within(t), client, attempt(t, mx, mode, family.v6)); r.Outcome != Delivered {
						t.Fatalf("%s %s: %+v, want delivered", family.name, mode, r)
					}
				}
			}
			quiesce(t, client, server)
			for _, family := range families {
				from, _ := client.Addr(family.v6)
				to, _ := server.Addr(family.v6)
				for _, port := range []uint16{PortSMTP, PortSubmission} {
					up := func(f Flow) bool { return f == Flow{from, to, 0, port} }
					down := func(f Flow) bool { return f == Flow{to, from, port, 0} }
					if want := w.count(from, to, port); client.Sent(up) != want || server.Received(down) != want || want.Packets < 5 {
						t.Errorf("up to %v:%d: the tap saw %+v, client sent %+v, server received %+v", to, port, want, client.Sent(up), server.Received(down))
					}
					if want := w.count(to, from, port); server.Sent(down) != want || client.Received(up) != want || want.Packets < 5 {
						t.Errorf("down from %v:%d: the tap saw %+v, server sent %+v, client received %+v", to, port, want, server.Sent(down), client.Received(up))
					}
				}
			}
			checkShapes(t, &f, w.seen())
		})
	}
}

func checkShapes(t *testing.T, f *form, frames []seen) {
	t.Helper()
	resolutions := map[string]int{}
	for _, s := range frames {
		shape, ok := strings.CutPrefix(s.shape, f.tags)
		if !ok {
			t.Fatalf("frame %q, want %q before everything", s.shape, f.tags)
		}
		v6 := s.flow.Local.Is6()
		switch {
		case shape == "arp ", shape == "ip6(58) icmp nd ":
			resolutions[shape]++
		case s.tcp != nil && s.shape != f.encapsulation(v6)+map[bool]string{false: "ip4(6) tcp ", true: "ip6(6) tcp "}[v6]:
			t.Fatalf("a segment's frame is %q, want the encapsulation %q", s.shape, f.encapsulation(v6))
		case s.tcp != nil && s.tcp.SYN && s.in == 0:
			want := map[bool]uint16{false: f.mss4, true: f.mss6}[v6]
			if got := mss(s.tcp); got != want {
				t.Errorf("the subscriber announces an MSS of %d in %q, want %d", got, s.shape, want)
			}
		}
	}
	if arp := f.resolves && f.v4 == ""; (resolutions["arp "] > 0) != arp || (resolutions["ip6(58) icmp nd "] > 0) != f.resolves {
		t.Errorf("resolution on the wire: %v; want ARP %t, neighbour discovery %t", resolutions, arp, f.resolves)
	}
}

func mss(tcp *layers.TCP) uint16 {
	for _, o := range tcp.Options {
		if o.OptionType == layers.TCPOptionKindMSS {
			return binary.BigEndian.Uint16(o.OptionData)
		}
	}
	return 0
}

// TestMTUIsFilled verifies that a long stream never exceeds the MTU in either direction, and that it fills the MTU as far as netstack can.
func TestMTUIsFilled(t *testing.T) {
	t.Parallel()
	for _, f := range forms {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			client, server, w := behind(t, f)
			for _, family := range families {
				addr := at(t, server, family.v6, 7)
				echo(t, server, addr)
				talk(t, client, addr, 50_000)
				quiesce(t, client, server)
				largest := [2]int{}
				for _, s := range w.seen() {
					if s.tcp != nil && s.flow.Local.Is6() == family.v6 {
						size := s.bytes - 14 - 4*strings.Count(f.tags, " ")
						largest[s.in] = max(largest[s.in], size)
					}
				}
				// netstack sizes segments so that 40 bytes of TCP options fit, but it puts only 12 bytes of options, the timestamps, into
				// segments with data.
				if want := MTU - 28; largest != [2]int{want, want} {
					t.Errorf("%s: the largest packets are of %v bytes, want %d both up and down", family.name, largest, want)
				}
			}
		})
	}
}

// TestProhibitedInEveryAccess verifies that an ICMP error in the line's encapsulation ends the attempt at once.
func TestProhibitedInEveryAccess(t *testing.T) {
	t.Parallel()
	for _, f := range forms {
		for _, family := range families {
			t.Run(f.name+" "+family.name, func(t *testing.T) {
				t.Parallel()
				code := uint8(13)
				if family.v6 {
					code = 1
				}
				var b *bridge
				links, b := bridgeOf(t, 2, func(in int, frame []byte) bool {
					if s := see(t, in, frame); s.tcp == nil || s.flow.RemotePort != PortSMTP {
						return true
					}
					_ = b.ports[in].Send(prohibitionIn(t, frame, f.encapsulation(family.v6), code))
					return false
				})
				c, s := config("client", 1), config("server", 2)
				f.access(&c)
				s.Edge = &Edge{AFTR: aftr}
				client, server := start(t, links[0], c), start(t, links[1], s)
				a := attempt(t, mailServer(t, server, carrier), MX, family.v6)
				a.ConnectTimeout = patience
				if r := Send(within(t), client, a); r.Outcome != Blocked || !errors.Is(r.Err, ErrProhibited) {
					t.Errorf("Send: %+v, want blocked by an ICMP error", r)
				}
				quiesce(t, client, server)
				if got := client.Sent(nil); got.Packets != 1 {
					t.Errorf("client sent %+v, want one SYN", got)
				}
			})
		}
	}
}

// prohibitionIn is like prohibition, but returns the error in the reversed encapsulation of the frame. It omits the encapsulation limit,
// which the receiver of a tunnel does not require. It computes the headers' lengths from shape and edits their bytes directly.
func prohibitionIn(t *testing.T, frame []byte, shape string, code uint8) []byte {
	t.Helper()
	outer := 12 // the number of bytes before the innermost EtherType
	session, softwire := 0, 0
	for _, layer := range strings.Fields(shape) {
		switch {
		case strings.HasPrefix(layer, "pppoe"):
			session = 8
		case layer == "ip6(4)":
			softwire = 40
		case layer == "ip6(60)":
			softwire = 48
		case strings.Contains(layer, "."):
			outer += 4
		}
	}
	at := outer + 2 + session + softwire
	protocol := []byte{0x08, 0x00}
	if frame[at]>>4 == 6 {
		protocol = []byte{0x86, 0xdd}
	}
	inner := prohibition(t, slices.Concat(frame[:12], protocol, frame[at:]), code)[14:]
	answer := slices.Concat(frame[6:12], frame[:6], frame[12:at-softwire])
	if session != 0 {
		binary.BigEndian.PutUint16(answer[outer+2+4:], uint16(2+min(softwire, 40)+len(inner)))
	}
	if softwire != 0 {
		was := frame[at-softwire:]
		ip := slices.Concat(was[:8], was[24:40], was[8:24])
		binary.BigEndian.PutUint16(ip[4:], uint16(len(inner)))
		ip[6] = 4
		answer = append(answer, ip...)
	}
	answer = append(answer, inner...)
	return answer
}

// TestPeerByDestination verifies that one subscriber can use several concentrators or AFTRs, each for its own destinations.
func TestPeerByDestination(t *testing.T) {
	t.Parallel()
	near, far := config("near", 2), config("far", 3)
	near.Edge, far.Edge = &Edge{AFTR: aftr}, &Edge{AFTR: netip.MustParseAddr("2001:db8::b")}
	destinations := func(c HostConfig) []netip.Prefix {
		return []netip.Prefix{netip.PrefixFrom(c.IPv4[0].Addr(), 32), netip.PrefixFrom(c.IPv6[0].Addr(), 128)}
	}
	for name, access := range map[string]func(*HostConfig){
		"PPPoE": func(c *HostConfig) { // two concentrators may use the same session id, because each chooses its ids on its own
			for _, s := range []HostConfig{near, far} {
				c.PPPoE = append(c.PPPoE, PPPoESession{ID: 1, Concentrator: s.MAC, Destinations: destinations(s)})
			}
		},
		"DS-Lite": func(c *HostConfig) {
			for _, s := range []HostConfig{near, far} {
				c.Softwires = append(c.Softwires, Softwire{B4: c.IPv6[0].Addr(), AFTR: s.Edge.AFTR, Destinations: destinations(s)[:1]})
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			links := newBridge(t, 3, nil)
			c := config("client", 1)
			access(&c)
			client := start(t, links[0], c)
			for i, s := range []HostConfig{near, far} {
				server := start(t, links[i+1], s)
				mx := mailServer(t, server, carrier)
				for _, f := range families {
					if r := Send(within(t), client, attempt(t, mx, MX, f.v6)); r.Outcome != Delivered {
						t.Errorf("%s %s: %+v, want delivered", s.Name, f.name, r)
					}
				}
				if got, want := len(mx.Messages()), len(families); got != want {
					t.Errorf("%s has %d messages, want %d", s.Name, got, want)
				}
			}
			if _, err := client.DialContext(within(t), "tcp", "192.0.2.99:25"); !errors.Is(err, ErrNoNeighbour) || !strings.Contains(err.Error(), "leads to 192.0.2.99") {
				t.Errorf("an address that no way leads to: %v", err)
			}
		})
	}
}

// TestNoAFTR verifies that a missing AFTR is reported as a configuration error, not as a blocked path.
func TestNoAFTR(t *testing.T) {
	t.Parallel()
	a, b := wire.Pipe("client", "server")
	c, s := config("client", 1), config("server", 2)
	tunnel(false)(&c)
	s.Edge = &Edge{}
	client := start(t, a, c)
	at := attempt(t, mailServer(t, start(t, b, s), carrier), MX, false)
	at.ConnectTimeout = patience
	r := Send(within(t), client, at)
	if r.Outcome != Failed || !errors.Is(r.Err, ErrNoNeighbour) || !strings.Contains(r.Err.Error(), "AFTR 2001:db8::a of the softwire to 192.0.2.2") {
		t.Errorf("Send: %+v, want failed for want of an AFTR", r)
	}
	if got := client.Sent(nil); got != (Count{}) {
		t.Errorf("client sent %+v into a softwire without end", got)
	}
	if err := client.Quiesce(within(t)); err != nil {
		t.Error(err)
	}
}

// TestQuiesceWaitsForTheAFTR verifies that a host is busy while it resolves an AFTR's address, because packets to any destination may be
// waiting for the AFTR.
func TestQuiesceWaitsForTheAFTR(t *testing.T) {
	a, _ := wire.Pipe("client", "nobody")
	c := config("client", 1)
	tunnel(false)(&c)
	client := start(t, a, c)
	ctx, cancel := context.WithCancel(t.Context())
	dialled := make(chan error, 1)
	go func() {
		_, err := client.DialContext(ctx, "tcp", "192.0.2.2:25")
		dialled <- err
	}()
	for client.busy(func(netip.Addr) bool { return false }) == "" {
		select {
		case err := <-dialled:
			t.Fatalf("DialContext ended first: %v", err)
		default:
		}
	}
	cancel()
	if err := <-dialled; err == nil {
		t.Error("DialContext succeeded")
	}
	if err := client.QuiesceWith(within(t), netip.MustParseAddr("192.0.2.2")); err != nil {
		t.Error(err)
	}
}

// TestServerDialsBack verifies that a server can send to a subscriber, in the subscriber's encapsulation, after the subscriber's first
// frame.
func TestServerDialsBack(t *testing.T) {
	t.Parallel()
	for _, f := range forms {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			client, server, w := behind(t, f)
			for _, family := range families {
				if _, err := server.DialContext(within(t), "tcp", at(t, client, family.v6, 7)); !errors.Is(err, ErrNoNeighbour) || !strings.Contains(err.Error(), "nothing was heard of") {
					t.Errorf("before it was heard: %v, want %v", err, ErrNoNeighbour)
				}
			}
			for _, family := range families {
				addr := at(t, client, family.v6, 7)
				echo(t, client, addr)
				own, _ := server.Addr(family.v6)
				if err := client.Ping(within(t), own); err != nil {
					t.Fatal(err)
				}
				talk(t, server, addr, 20_000)
			}
			quiesce(t, client, server)
			checkShapes(t, &f, w.seen())
		})
	}
}

func TestBadAccess(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*HostConfig)
		want   string
	}{
		"inner VLAN":          {tags(0, 1, 4095), "InnerVLAN 4095, want 0 for none or 1 to 4094"},
		"inner VLAN alone":    {tags(0, 0, 5), "InnerVLAN 5, want 0 without a VLAN around it"},
		"TPID":                {tags(0x9100, 1, 2), "TPID 0x9100, want 0x8100 or 0x88a8"},
		"TPID alone":          {tags(TagS, 0, 0), "TPID 0x88a8, want 0 without a VLAN"},
		"session 0":           {func(c *HostConfig) { session(c); c.PPPoE[0].ID = 0 }, "PPPoE[0].ID 0, want 1 to 65534"},
		"session 65535":       {func(c *HostConfig) { session(c); c.PPPoE[0].ID = 0xffff }, "PPPoE[0].ID 65535, want 1 to 65534"},
		"no concentrator":     {func(c *HostConfig) { session(c); c.PPPoE[0].Concentrator = nil }, "PPPoE[0].Concentrator , want a unicast address of 6 bytes"},
		"session to nowhere":  {func(c *HostConfig) { session(c); c.PPPoE[0].Destinations = make([]netip.Prefix, 1) }, "PPPoE[0].Destinations invalid Prefix, want prefixes such as 192.0.2.0/24 or 2001:db8::/64"},
		"B4 of somebody":      {func(c *HostConfig) { tunnel(false)(c); c.Softwires[0].B4 = aftr }, "Softwires[0].B4 2001:db8::a, want one of the host's IPv6 addresses, [2001:db8::1/64]"},
		"AFTR over IPv4":      {func(c *HostConfig) { tunnel(false)(c); c.Softwires[0].AFTR = netip.MustParseAddr("192.0.2.2") }, "Softwires[0].AFTR 192.0.2.2, want an IPv6 address that is not the host's"},
		"AFTR is the B4":      {func(c *HostConfig) { tunnel(false)(c); c.Softwires[0].AFTR = c.Softwires[0].B4 }, "Softwires[0].AFTR 2001:db8::1, want an IPv6 address that is not the host's"},
		"softwire for IPv6":   {func(c *HostConfig) { tunnel(false)(c); c.Softwires[0].Destinations = c.IPv6 }, "Softwires[0].Destinations 2001:db8::1/64, want prefixes such as 192.0.2.0/24"},
		"softwire for nobody": {func(c *HostConfig) { tunnel(false)(c); c.IPv4 = nil }, "IPv4 [], want an address whose packets go through the softwires"},
		"edge in a VLAN":      {func(c *HostConfig) { c.VLAN, c.Edge = 5, &Edge{} }, "Edge set, want no VLAN, PPPoE or Softwires beside it: an edge answers in the subscriber's encapsulation"},
		"edge in a session":   {func(c *HostConfig) { session(c); c.Edge = &Edge{} }, "Edge set, want no VLAN, PPPoE or Softwires beside it: an edge answers in the subscriber's encapsulation"},
		"edge as a B4":        {func(c *HostConfig) { tunnel(true)(c); c.Edge = &Edge{} }, "Edge set, want no VLAN, PPPoE or Softwires beside it: an edge answers in the subscriber's encapsulation"},
		"edge's AFTR":         {func(c *HostConfig) { c.Edge = &Edge{AFTR: c.IPv6[0].Addr()} }, "Edge.AFTR 2001:db8::1, want none or an IPv6 address that is not the host's"},
		"edge's room":         {func(c *HostConfig) { c.Edge = &Edge{Subscribers: -1} }, "Edge.Subscribers -1, want 0 for 16384, or a number of addresses"},
	} {
		t.Run(name, func(t *testing.T) {
			c := config("home", 1)
			tc.change(&c)
			a, _ := wire.Pipe("a", "b")
			if _, err := NewHost(a, c); !errors.Is(err, ErrConfig) || err.Error() != `invalid host "home": `+tc.want {
				t.Errorf("NewHost: %v\nwant: %s", err, tc.want)
			}
		})
	}
}

// TestOtherEncapsulationsAreNotTaken verifies that a host ignores frames in an encapsulation other than its line's.
func TestOtherEncapsulationsAreNotTaken(t *testing.T) {
	b4, v4, concentrator := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("192.0.2.2"), net.HardwareAddr{2, 0, 0, 0, 0, 2}
	packet := datagram{ipv4Type, append([]byte{0x45, 11: 0}, append(v4.AsSlice(), 192, 0, 2, 1)...)}
	for _, f := range forms {
		t.Run(f.name, func(t *testing.T) {
			c := config("client", 1)
			f.access(&c)
			l := newLine(&c)
			good, err := l.to(v4)
			if err != nil {
				t.Fatal(err)
			}
			good.peer = tagOf(concentrator)
			// Exchange the addresses, because the far end sends these frames.
			good.softwire.own, good.softwire.far = good.softwire.far, good.softwire.own
			taken := func(p path) bool {
				received, d, ok := parse(p.frame(good.peer, packet))
				received.peer = p.peer // parse returns the sender's address as the peer
				if !ok {
					t.Fatalf("%+v is not parsed", p)
				}
				got, ok := l.in(received, d)
				return ok && got.protocol == ipv4Type
			}
			if !taken(good) {
				t.Fatalf("%+v is not taken", good)
			}
			for name, spoil := range map[string]func(*path){
				"no tag":       func(p *path) { p.tags = [2]tag{} },
				"other tag":    func(p *path) { p.tags[0] = tag{TagC, 77} },
				"other TPID":   func(p *path) { p.tags[0].protocol ^= TagC ^ TagS },
				"one tag more": func(p *path) { p.tags[1] = tag{TagC, 77} },
				"session":      func(p *path) { p.session++ },
				"concentrator": func(p *path) {
					if p.session != 0 {
						p.peer = tagOf(config("", 9).MAC)
					}
				},
				"no softwire": func(p *path) { p.softwire = softwire{} },
				"other AFTR": func(p *path) {
					if p.softwire.far.IsValid() {
						p.softwire.own = v6Of(99)
					}
				},
				"other B4":   func(p *path) { p.softwire = softwire{own: aftr, far: v6Of(98)} },
				"to ourself": func(p *path) { p.softwire = softwire{own: b4, far: b4} },
				"no session": func(p *path) { p.session = 0 },
			} {
				p := good
				spoil(&p)
				if p.tags[0].vid == 0 && p.tags[0].protocol != 0 {
					continue // a priority tag is not a VLAN
				}
				if p != good && taken(p) {
					t.Errorf("%s: %+v is taken on a line with %+v", name, p, good)
				}
			}
		})
	}
}
