package netsim

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip"
	"pgregory.net/rapid"

	"op25b/internal/wire"
)

func tagOf(mac net.HardwareAddr) tcpip.LinkAddress { return tcpip.LinkAddress(mac) }

func v6Of(last byte) netip.Addr {
	return netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 15: last})
}

func drawPath(t *rapid.T) path {
	p := path{peer: tcpip.LinkAddress(rapid.SliceOfN(rapid.Byte(), 6, 6).Draw(t, "peer"))}
	for i := range rapid.IntRange(0, 2).Draw(t, "tags") {
		p.tags[i] = tag{rapid.SampledFrom([]uint16{TagC, TagS}).Draw(t, "tpid"), rapid.Uint16Range(1, 4095).Draw(t, "vid")}
	}
	p.session = rapid.Uint16().Draw(t, "session")
	if rapid.Bool().Draw(t, "tunnelled") {
		p.softwire = softwire{v6Of(rapid.Byte().Draw(t, "own")), v6Of(rapid.Byte().Draw(t, "far")), rapid.Bool().Draw(t, "limit")}
	}
	return p
}

// TestEncapsulationRoundTrip verifies that parse and open restore the datagram from every encapsulation, and that Ethernet's padding
// does not remain inside a session or a softwire.
func TestEncapsulationRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sent := drawPath(t)
		d := datagram{ipv4Type, rapid.SliceOfN(rapid.Byte(), 20, 1500).Draw(t, "packet")}
		padding := []byte{}
		if sent.session != 0 || sent.softwire.far.IsValid() {
			padding = rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "padding")
		}
		own := tcpip.LinkAddress("\x02own_\x01")
		frame := sent.frame(own, d)
		if tagBytes := 4 * len(bytes.TrimRight([]byte{byte(sent.tags[0].vid>>8) | byte(sent.tags[0].vid), byte(sent.tags[1].vid>>8) | byte(sent.tags[1].vid)}, "\x00")); len(frame) != 14+tagBytes+sent.overhead()+len(d.bytes) {
			t.Fatalf("frame of %d bytes, want 14, %d of tags, %d of overhead and %d", len(frame), tagBytes, sent.overhead(), len(d.bytes))
		}
		got, inner, ok := parse(append(frame, padding...))
		if !ok {
			t.Fatalf("%+v: not parsed", sent)
		}
		if got.peer != own || string(frame[:6]) != string(sent.peer) {
			t.Fatalf("from %x to %x", got.peer, frame[:6])
		}
		if sent.softwire.far.IsValid() {
			if got.softwire, inner, ok = inner.open(); !ok {
				t.Fatalf("%+v: not opened", sent)
			}
			got.softwire.own, got.softwire.far = got.softwire.far, got.softwire.own
		}
		if got.encapsulation != sent.encapsulation || inner.protocol != d.protocol || !bytes.Equal(inner.bytes, d.bytes) {
			t.Fatalf("got %+v with %d bytes, sent %+v with %d", got, len(inner.bytes), sent, len(d.bytes))
		}
	})
}

// TestAnyFrameIsSurvived verifies that no frame makes a host panic, even if the frame is truncated or any of its bytes is changed.
func TestAnyFrameIsSurvived(t *testing.T) {
	e := newEdge(&Edge{AFTR: aftr, Subscribers: 10})
	c := config("client", 1)
	tunnel(true)(&c)
	l := newLine(&c)
	rapid.Check(t, func(t *rapid.T) {
		p := drawPath(t)
		if p.softwire.far.IsValid() {
			p.softwire.own, p.softwire.far = v6Of(1), aftr
		}
		frame := p.frame("\x02own_\x01", datagram{ipv4Type, rapid.SliceOfN(rapid.Byte(), 0, 60).Draw(t, "packet")})
		for range rapid.IntRange(0, 4).Draw(t, "changes") {
			frame[rapid.IntRange(0, len(frame)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "to")
		}
		frame = frame[:rapid.IntRange(0, len(frame)).Draw(t, "length")]
		got, d, ok := parse(frame)
		if !ok {
			return
		}
		var seen tally
		for _, a := range []access{e, l} {
			if inner, ok := a.in(got, d); ok {
				seen.count(asNoRoute(inner), len(frame), false, Count.Plus)
			}
		}
		if n := len(e.paths); n > 10 {
			t.Fatalf("%d addresses are remembered, want 10 at most", n)
		}
	})
}

func TestWhatIsNoSession(t *testing.T) {
	good := path{peer: "\x02peer\x01", encapsulation: encapsulation{session: 1}}
	frame := good.frame("\x02own_\x01", datagram{ipv4Type, make([]byte, 20)})
	for name, spoil := range map[string]func([]byte) []byte{
		"discovery":     func(f []byte) []byte { f[13] = 0x63; return f },
		"version 2":     func(f []byte) []byte { f[14] = 0x21; return f },
		"a code":        func(f []byte) []byte { f[15] = 0xa7; return f },
		"session 0":     func(f []byte) []byte { f[17] = 0; return f },
		"LCP":           func(f []byte) []byte { f[20], f[21] = 0xc0, 0x21; return f },
		"too long":      func(f []byte) []byte { binary.BigEndian.PutUint16(f[18:], 23); return f },
		"too short":     func(f []byte) []byte { binary.BigEndian.PutUint16(f[18:], 1); return f },
		"without PPP":   func(f []byte) []byte { return f[:21] },
		"without PPPoE": func(f []byte) []byte { return f[:14] },
	} {
		if _, _, ok := parse(spoil(bytes.Clone(frame))); ok {
			t.Errorf("%s is taken for IP in a session", name)
		}
	}
	if _, _, ok := parse(frame); !ok {
		t.Error("the session itself is not parsed")
	}
}

// TestEdgeForgetsTheLongestSilent verifies that an edge remembers the most recently seen addresses, each with its last path.
func TestEdgeForgetsTheLongestSilent(t *testing.T) {
	e := newEdge(&Edge{Subscribers: 2})
	from := func(last byte, vid uint16) {
		p := path{peer: "\x02peer\x01", encapsulation: encapsulation{tags: [2]tag{{TagC, vid}}}}
		packet := append([]byte{0x45, 11: 0}, 192, 0, 2, last, 198, 51, 100, 1)
		if _, ok := e.in(p, datagram{ipv4Type, packet}); !ok {
			t.Fatalf("the packet of %d is not taken", last)
		}
	}
	for _, step := range []struct {
		last byte
		vid  uint16
		want map[byte]uint16
	}{
		{1, 10, map[byte]uint16{1: 10}},
		{2, 20, map[byte]uint16{1: 10, 2: 20}},
		{1, 11, map[byte]uint16{1: 11, 2: 20}}, // a known subscriber has another path
		{3, 30, map[byte]uint16{1: 11, 3: 30}},
		{4, 40, map[byte]uint16{3: 30, 4: 40}},
	} {
		from(step.last, step.vid)
		for last := byte(1); last <= 4; last++ {
			p, err := e.to(netip.AddrFrom4([4]byte{192, 0, 2, last}))
			if vid, known := step.want[last]; known != (err == nil) || p.tags[0].vid != vid {
				t.Errorf("after %d: the path to %d is %+v, %v; want VLAN %d", step.last, last, p, err, vid)
			}
		}
	}
	from(0, 50) // 192.0.2.0 is a valid host: only the unspecified address and multicast addresses are invalid
	for _, nobody := range [][]byte{{0, 0, 0, 0}, {224, 0, 0, 1}} {
		before := len(e.paths)
		packet := append(append([]byte{0x45, 11: 0}, nobody...), 198, 51, 100, 1)
		if _, ok := e.in(path{}, datagram{ipv4Type, packet}); !ok || len(e.paths) != before {
			t.Errorf("%v: taken %t, and the table went from %d to %d", nobody, ok, before, len(e.paths))
		}
		if _, err := e.to(netip.AddrFrom4([4]byte(nobody))); err == nil {
			t.Errorf("%v is remembered", nobody)
		}
	}
}

// TestAFTRTakesNothingElse verifies that the AFTR's address only terminates softwires and answers neighbour discovery, so it offers
// no path to the server around a filter.
func TestAFTRTakesNothingElse(t *testing.T) {
	e := newEdge(&Edge{AFTR: aftr})
	packet := func(next byte) datagram {
		p := path{encapsulation: encapsulation{softwire: softwire{own: v6Of(1), far: aftr}}}
		d := p.frame("\x02own_\x01", datagram{ipv4Type, make([]byte, 20)})[14:]
		d[6] = next
		return datagram{ipv6Type, d}
	}
	for next, want := range map[byte]uint16{tcpProtocol: 0, 17: 0, protocolOptions: 0, icmpv6Protocol: ipv6Type, protocolIPv4: ipv4Type} {
		if got, ok := e.in(path{}, packet(next)); ok != (want != 0) || got.protocol != want {
			t.Errorf("next header %d: type %#04x, %t; want %#04x", next, got.protocol, ok, want)
		}
	}
}

// segment returns a TCP segment over IPv4 to 192.0.2.2 with the given total length.
func segment(size int) datagram {
	packet := make([]byte, size)
	copy(packet, []byte{0x45, 0, byte(size >> 8), byte(size), 8: 64, 9: tcpProtocol, 12: 192, 0, 2, 1, 192, 0, 2, 2})
	return datagram{ipv4Type, packet}
}

// TestSessionFramesToAllAreNotTaken verifies that a card accepts broadcast frames, but not broadcast frames of a PPPoE session.
func TestSessionFramesToAllAreNotTaken(t *testing.T) {
	for _, tc := range []struct {
		to      tcpip.LinkAddress
		session uint16
		want    uint64
	}{
		{"\x02\x00\x00\x00\x00\x02", 0, 1},
		{"\x02\x00\x00\x00\x00\x02", 7, 1},
		{"\x02\x00\x00\x00\x00\x03", 0, 0},
		{"\x02\x00\x00\x00\x00\x03", 7, 0},
		{"\xff\xff\xff\xff\xff\xff", 0, 1},
		{"\xff\xff\xff\xff\xff\xff", 7, 0},
		{"\x01\x00\x5e\x00\x00\x01", 7, 0},
	} {
		link, _ := wire.Pipe("server", "nobody")
		c := config("server", 2)
		c.Edge = &Edge{}
		h := start(t, link, c)
		p := path{peer: tc.to, encapsulation: encapsulation{session: tc.session}}
		h.nic.receive(p.frame("\x02own_\x01", segment(40)))
		if got := h.Received(nil).Packets; got != tc.want {
			t.Errorf("%d frames to %x in session %d are taken, want %d", got, tc.to, tc.session, tc.want)
		}
	}
}

// TestTooLongForTheEncapsulation verifies that a packet that does not fit into its encapsulation is never sent, even if the stack
// passes one to the card.
func TestTooLongForTheEncapsulation(t *testing.T) {
	t.Parallel()
	for _, f := range forms {
		if f.name == "DS-Lite" || f.name == "DS-Lite with limit" || f.name == "DS-Lite in QinQ" {
			continue // DS-Lite without a session would wait for the AFTR; DS-Lite in PPPoE covers this case
		}
		link, _ := wire.Pipe("client", "nobody")
		c := config("client", 1)
		f.access(&c)
		h := start(t, link, c)
		fits := int(f.mss4) + 40
		if err := h.nic.write(segment(fits+1), "\x02peer\x01"); err == nil || h.Sent(nil).Packets != 0 {
			t.Errorf("%s: a packet of %d bytes: %v, and %+v was sent", f.name, fits+1, err, h.Sent(nil))
		}
		if err := h.nic.write(segment(fits), "\x02peer\x01"); err != nil || h.Sent(nil).Packets != 1 {
			t.Errorf("%s: a packet of %d bytes: %v, and %+v was sent", f.name, fits, err, h.Sent(nil))
		}
	}
}

// TestPriorityTagsAreNone verifies that a tag with VLAN id 0 is ignored, whether it is the only tag or precedes another.
func TestPriorityTagsAreNone(t *testing.T) {
	for name, tc := range map[string]struct{ sent, want [2]tag }{
		"alone":        {[2]tag{{TagC, 0}}, [2]tag{}},
		"outside":      {[2]tag{{TagS, 0}, {TagC, 5}}, [2]tag{{TagC, 5}}},
		"inside":       {[2]tag{{TagS, 5}, {TagC, 0}}, [2]tag{{TagS, 5}}},
		"with pcp":     {[2]tag{{TagC, 0xe000}}, [2]tag{}},
		"pcp with VID": {[2]tag{{TagC, 0xe005}}, [2]tag{{TagC, 5}}},
	} {
		p := path{peer: "\x02peer\x01", encapsulation: encapsulation{tags: tc.sent}}
		if got, _, ok := parse(p.frame("\x02own_\x01", segment(40))); !ok || got.tags != tc.want {
			t.Errorf("%s: tags %+v, %t; want %+v", name, got.tags, ok, tc.want)
		}
	}
}
