package reference_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"op25b/internal/reference"
)

// Addresses of the fixture.
const (
	home, home6     = "192.0.2.1", "2001:db8:1::1"
	relay, relay6   = "198.51.100.1", "2001:db8:100::1"
	carrier         = "198.51.100.18"
	pin             = "198.51.100.17"
	hall            = "198.51.100.33"
	sink            = "198.51.100.49"
	other, other6   = "203.0.113.99", "2001:db8:ffff::1"
	office, office6 = "192.0.2.5", "2001:db8:5::1"
)

// A frameCase is a frame and its expected decision, in the notation of short.
type frameCase struct {
	name  string
	port  uint16
	frame []byte
	want  string
}

// short returns a decision in the notation of the test tables: fault or shape, line, leg and service, rule and verdict,
// output ports.
func short(d reference.Decision) string {
	var b strings.Builder
	if b.WriteString(string(d.Shape)); d.Why != "" {
		b.Reset()
		b.WriteString(string(d.Why))
	}
	if d.Asked {
		line, service := d.Line, "-"
		if line == "" {
			line = "nobody"
		}
		if d.Service != "" {
			service = fmt.Sprintf("%s %s", d.Leg, d.Service)
		}
		rule := "-"
		if d.Rule != 0 {
			rule = fmt.Sprintf("%s %s", d.RuleName, d.Verdict)
		}
		fmt.Fprintf(&b, " | %s | %s | %s", line, service, rule)
	} else {
		b.WriteString(" | unasked")
	}
	b.WriteString(" |")
	for _, o := range d.Out {
		fmt.Fprintf(&b, " %d", o.Port)
	}
	if len(d.Out) == 0 {
		b.WriteString(" nowhere")
	}
	if d.Rejected {
		b.WriteString(" rejected")
	}
	if d.Timed {
		b.WriteString(" timed")
	}
	return b.String()
}

// mail returns a packet with a SYN from home to port 25 of a server.
func mail(dst string) []byte { return ip4(home, dst, 6, tcp(40000, 25, syn)) }

func mail6(payload []byte, next byte) []byte { return ip6(home6, other6, next, payload) }

const (
	stopped      = "tcp | home | up_dst smtp | rest reject | 1 rejected"
	silent       = "tcp | home | up_dst smtp | rest reject | nowhere"
	undetermined = " | home | up_dst undetermined | undetermined drop | nowhere"
	later        = "later fragment | home | up_dst later-fragment | - | 3"
	tiny         = " | home | - | tiny-fragment drop | nowhere"
	passes       = "other | home | - | - | 3"
)

// TestReading verifies section 1, which defines the parts of a frame that are read, and where reading ends.
func TestReading(t *testing.T) {
	synOut := tcp(40000, 25, syn)
	ports := synOut[:4]
	nops := func(n int) []byte { return bytes.Repeat([]byte{1}, n) }
	chain := func(sizes ...int) []byte { // returns a packet with destination options headers of these sizes
		payload, next := synOut, byte(6)
		for _, size := range sizes {
			payload, next = ext(next, size, payload), 60
		}
		return mail6(payload, next)
	}
	inFour := func(packet []byte) []byte { return up(v4eth(ip4(home, "203.0.113.7", 4, packet))) }
	inFourCut := func(payload []byte, proto byte) []byte {
		return up(v4eth(frag4(ip4(home, "203.0.113.7", proto, payload), 0, 1)))
	}
	for _, c := range []frameCase{
		// Ethernet and tags.
		{"13 bytes", 1, up(v4eth(mail(other)))[:13], "ethernet: header cut" + undetermined},
		{"no tag", 1, up(v4eth(mail(other))), stopped},
		{"padding is not the packet's", 1, append(up(v4eth(mail(other))), 0, 1, 2, 3), stopped},
		{"a priority tag is no VLAN", 1, up(tag(0x8100, 0xe000), v4eth(mail(other))), stopped},
		{"one tag", 1, up(tag(0x8100, 100), v4eth(mail(other))), "tcp | vlan | up_dst smtp | rest reject | 1 rejected"},
		{"one tag of a provider", 1, up(tag(0x88a8, 0x7064), v4eth(mail(other))), "tcp | vlan | up_dst smtp | rest reject | 1 rejected"},
		{"one tag of old gear", 1, up(tag(0x9100, 100), v4eth(mail(other))), "tcp | vlan | up_dst smtp | rest reject | 1 rejected"},
		{"no tag at all", 1, up(tag(0x9200, 100), v4eth(mail(other))), passes},
		{"two tags", 2, up(tag(0x88a8, 200), tag(0x8100, 7), v4eth(ip4("192.0.2.3", other, 6, synOut))), "tcp | qinq | up_dst smtp | rest reject | 2 rejected"},
		{"two tags the wrong way round", 2, up(tag(0x88a8, 7), tag(0x8100, 200), v4eth(ip4("192.0.2.3", other, 6, synOut))), "tcp | nobody | up_dst smtp | fail-closed drop | nowhere"},
		{"a priority tag before another is seen through", 1, up(tag(0x8100, 0), tag(0x8100, 100), v4eth(mail(other))), "tcp | vlan | up_dst smtp | rest reject | 1 rejected"},
		{"a priority tag behind another", 1, up(tag(0x8100, 100), tag(0x8100, 0), v4eth(mail(other))), "tcp | vlan | up_dst smtp | rest reject | 1 rejected"},
		{"two priority tags", 1, up(tag(0x8100, 0), tag(0x8100, 0), v4eth(mail(other))), stopped},
		{"a priority tag is a tag", 2, up(tag(0x8100, 0), tag(0x88a8, 200), tag(0x8100, 7), v4eth(mail(other))), "tag: third | nobody | up_dst undetermined | undetermined drop | nowhere"},
		{"three tags", 2, up(tag(0x88a8, 200), tag(0x8100, 7), tag(0x8100, 1), v4eth(mail(other))), "tag: third | qinq | up_dst undetermined | undetermined monitor | 3"},
		{"a tag cut off", 1, up(tag(0x8100, 100)), "tag: cut" + undetermined},
		{"the second tag cut off", 1, up(tag(0x8100, 100), tag(0x8100, 7)), "tag: cut | vlan | up_dst undetermined | undetermined drop | nowhere"},
		{"ARP", 1, up(unhex("0806 0001")), passes},
		{"LLC", 1, up(unhex("0010 4242030000000000")), passes},
		{"SNAP", 1, up(unhex("0030 aaaa03000000 0800"), mail(other)), "llc: snap" + undetermined},
		{"SNAP of the longest length", 1, up(unhex("05ff aaaa03000000 0800")), "llc: snap" + undetermined},
		{"SNAP behind a tag", 1, up(tag(0x8100, 100), unhex("0030 aaaa03000000 86dd"), mail(other)), "llc: snap | vlan | up_dst undetermined | undetermined drop | nowhere"},
		{"SNAP cut", 1, up(unhex("0030 aaaa03000000 08")), passes},
		{"SNAP of a vendor", 1, up(unhex("0030 aaaa0300000c 2000")), passes},
		{"an ethertype before what looks like SNAP", 1, up(unhex("0600 aaaa03000000 0800")), passes},
		{"PPPoE discovery", 1, up(unhex("8863 1109 0000 0000")), passes},

		// PPPoE.
		{"session", 2, up(tag(0x8100, 201), session(5, 0x21, ip4("192.0.2.4", other, 6, synOut))), "tcp | ppp | up_dst smtp | rest reject | 2 rejected"},
		{"IPv6 in a session", 2, up(tag(0x8100, 201), session(5, 0x57, ip6("2001:db8:4::1", other6, 6, synOut))), "tcp | ppp | up_dst smtp | rest reject | 2 rejected"},
		{"padding behind a session", 2, append(up(tag(0x8100, 201), session(5, 0x21, ip4("192.0.2.4", other, 6, synOut))), 9, 9), "tcp | ppp | up_dst smtp | rest reject | 2 rejected"},
		{"another session", 2, up(tag(0x8100, 201), session(7, 0x21, ip4("192.0.2.4", other, 6, synOut))), "tcp | nobody | up_dst smtp | fail-closed drop | nowhere"},
		{"a session's VLAN without one", 2, up(tag(0x8100, 201), v4eth(ip4("192.0.2.4", other, 6, synOut))), "tcp | nobody | up_dst smtp | fail-closed drop | nowhere"},
		{"a session on a line without one", 1, up(session(7, 0x21, mail(other))), stopped},
		{"session header cut", 1, up(session(7, 0x21, mail(other)))[:19], "pppoe: header cut" + undetermined},
		{"session version", 1, set(up(session(7, 0x21, mail(other))), 14, 0x21), "pppoe: version" + undetermined},
		{"session type", 1, set(up(session(7, 0x21, mail(other))), 14, 0x12), "pppoe: type" + undetermined},
		{"session code", 1, set(up(session(7, 0x21, mail(other))), 15, 1), "pppoe: code" + undetermined},
		{"a faulty session is still the line's", 2, set(up(tag(0x8100, 201), session(5, 0x21, mail(other))), 18, 0x21), "pppoe: version | ppp | up_dst undetermined | undetermined monitor | 3"},
		{"session length 1", 1, set(up(session(7, 0x21, mail(other))), 18, 0, 1), "pppoe: length below 2" + undetermined},
		{"session length past the frame", 1, set(up(session(7, 0x21, mail(other))), 18, 0, 43), "pppoe: length past the frame" + undetermined},
		{"session length before the packet's end", 1, set(up(session(7, 0x21, mail(other))), 18, 0, 41), "ipv4: total length past the room" + undetermined},
		{"one-byte protocol", 1, up(unhex("8864 1100 0007 0029 21"), mail(other)), "ppp: compressed protocol field" + undetermined},
		{"van Jacobson", 1, up(session(7, 0x2d, mail(other))), "ppp: other network-layer protocol" + undetermined},
		{"the last network-layer protocol", 1, up(session(7, 0x3efe, mail(other))), "ppp: other network-layer protocol" + undetermined},
		{"LCP", 1, up(session(7, 0xc021, mail(other))), passes},
		{"the first that is not", 1, up(session(7, 0x4021, mail(other))), passes},

		// IPv4.
		{"IPv4 header cut", 1, up(v4eth(mail(other)))[:33], "ipv4: header cut" + undetermined},
		{"IPv4 version 6", 1, up(v4eth(set(mail(other), 0, 0x65))), "ipv4: version" + undetermined},
		{"IHL 4", 1, up(v4eth(set(mail(other), 0, 0x44))), "ipv4: header length below 5" + undetermined},
		{"total length below IHL", 1, up(v4eth(set(ip4Options(home, other, 6, nops(8), synOut), 3, 27))), "ipv4: total length below the header's" + undetermined},
		{"total length past the frame", 1, up(v4eth(mail(other)))[:53], "ipv4: total length past the room" + undetermined},
		{"total length leaves no ports", 1, up(v4eth(set(mail(other), 3, 23))), "tcp: ports cut" + tiny},
		{"total length leaves ports alone", 1, up(v4eth(set(mail(other), 3, 24))), silent},
		{"options", 1, up(v4eth(ip4Options(home, other, 6, unhex("94040000"), synOut))), stopped},
		{"most options", 1, up(v4eth(ip4Options(home, other, 6, nops(40), synOut))), stopped},
		{"ports in the options are not ports", 1, up(v4eth(ip4Options(home, other, 17, ports, synOut))), passes},
		{"loose source route", 1, up(v4eth(ip4Options(home, other, 6, unhex("83070401020304 00"), synOut))), "ipv4: source route" + undetermined},
		{"strict source route behind padding", 1, up(v4eth(ip4Options(home, other, 6, append(nops(5), unhex("89070401020304")...), synOut))), "ipv4: source route" + undetermined},
		{"source route behind another option", 1, up(v4eth(ip4Options(home, other, 6, unhex("94040000 83030400"), synOut))), "ipv4: source route" + undetermined},
		{"source route as the last byte", 1, up(v4eth(ip4Options(home, other, 6, unhex("01010183"), synOut))), "ipv4: source route" + undetermined},
		{"source route behind the end of the list", 1, up(v4eth(ip4Options(home, other, 6, unhex("00830304"), synOut))), stopped},
		{"source route inside another option", 1, up(v4eth(ip4Options(home, other, 6, unhex("94048304"), synOut))), stopped},
		{"option length 1", 1, up(v4eth(ip4Options(home, other, 6, unhex("94010000"), synOut))), "ipv4: option length below 2" + undetermined},
		{"option past the header", 1, up(v4eth(ip4Options(home, other, 6, unhex("94050000"), synOut))), stopped},
		{"option without a length", 1, up(v4eth(ip4Options(home, other, 6, unhex("01010194"), synOut))), "ipv4: option length below 2" + undetermined},
		{"UDP", 1, up(v4eth(ip4(home, other, 17, synOut))), passes},
		{"ESP", 1, up(v4eth(ip4(home, other, 50, synOut))), passes},
		{"AH", 1, up(v4eth(ip4(home, other, 51, auth(6, 24, synOut)))), silent},
		{"AH and another header", 1, up(v4eth(ip4(home, other, 51, auth(60, 24, ext(6, 8, synOut))))), silent},
		{"a first fragment", 1, up(v4eth(frag4(mail(other), 0, 1))), stopped},
		{"a fragment at 8", 1, up(v4eth(frag4(mail(other), 1, 1))), "tcp: fragment offset 1" + tiny},
		{"a fragment at 16", 1, up(v4eth(frag4(mail(other), 2, 0))), later},
		{"the last fragment there can be", 1, up(v4eth(frag4(mail(other), 8191, 0))), later},
		{"a fragment in a tunnel's headers", 1, up(v4eth(frag4(ip4(home, other, 4, synOut), 1, 0))), "headers: fragment offset below 32" + tiny},
		{"the last fragment in another tunnel's headers", 1, up(v4eth(frag4(ip4(home, other, 41, synOut), 31, 1))), "headers: fragment offset below 32" + tiny},
		{"a later fragment of a tunnel", 1, up(v4eth(frag4(ip4(home, other, 41, synOut), 32, 0))), later},
		{"a fragment in AH", 1, up(v4eth(frag4(ip4(home, other, 51, synOut), 2, 0))), "headers: fragment offset below 32" + tiny},
		{"a later fragment of AH", 1, up(v4eth(frag4(ip4(home, other, 51, synOut), 32, 0))), later},
		{"a later fragment of UDP", 1, up(v4eth(frag4(ip4(home, other, 17, synOut), 1, 0))), passes},
		{"a segment with ports alone", 1, up(v4eth(ip4(home, other, 6, ports))), silent},
		{"a segment of 19 bytes", 1, up(v4eth(ip4(home, other, 6, synOut[:19]))), silent},
		{"a segment of 3 bytes", 1, up(v4eth(ip4(home, other, 6, synOut[:3]))), "tcp: ports cut" + tiny},

		// IPv6.
		{"IPv6", 1, up(v6eth(mail6(synOut, 6))), stopped},
		{"IPv6 header cut", 1, up(v6eth(mail6(synOut, 6)))[:53], "ipv6: header cut" + undetermined},
		{"IPv6 version 4", 1, up(v6eth(set(mail6(synOut, 6), 0, 0x45))), "ipv6: version" + undetermined},
		{"payload length past the frame", 1, up(v6eth(set(mail6(synOut, 6), 5, 21))), "ipv6: payload length past the room" + undetermined},
		{"payload length leaves ports alone", 1, up(v6eth(set(mail6(synOut, 6), 5, 4))), silent},
		{"payload length leaves no ports", 1, up(v6eth(set(mail6(synOut, 6), 5, 3))), "tcp: ports cut" + tiny},
		{"jumbogram", 1, up(v6eth(set(mail6(ext(6, 8, synOut), 0), 5, 0))), "chain: header past the room" + undetermined},
		{"no next header", 1, up(v6eth(mail6(synOut, 59))), passes},
		{"ESP in IPv6", 1, up(v6eth(mail6(synOut, 50))), passes},
		{"hop by hop", 1, up(v6eth(mail6(ext(6, 8, synOut), 0))), stopped},
		{"routing", 1, up(v6eth(mail6(ext(6, 24, synOut), 43))), stopped},
		{"routing on", 1, up(v6eth(set(mail6(ext(6, 24, synOut), 43), 43, 1))), "chain: source route" + undetermined},
		{"AH in IPv6", 1, up(v6eth(mail6(auth(6, 24, synOut), 51))), stopped},
		{"AH of 4n bytes", 1, up(v6eth(mail6(auth(6, 20, synOut), 51))), stopped},
		{"mobility", 1, up(v6eth(mail6(ext(6, 16, synOut), 135))), stopped},
		{"HIP", 1, up(v6eth(mail6(ext(6, 40, synOut), 139))), stopped},
		{"shim6", 1, up(v6eth(mail6(ext(6, 8, synOut), 140))), stopped},
		{"four headers", 1, up(v6eth(chain(8, 8, 8, 8))), stopped},
		{"five headers", 1, up(v6eth(chain(8, 8, 8, 8, 8))), "chain: more than 4 headers" + undetermined},
		{"128 bytes", 1, up(v6eth(chain(64, 64))), stopped},
		{"128 bytes in one", 1, up(v6eth(chain(128))), stopped},
		{"136 bytes", 1, up(v6eth(chain(64, 72))), "chain: more than 128 bytes" + undetermined},
		{"a header of 2048 bytes", 1, up(v6eth(set(chain(8), 41, 255))), "chain: more than 128 bytes" + undetermined},
		{"a header past the room", 1, up(v6eth(set(chain(8), 41, 3))), "chain: header past the room" + undetermined},
		{"a header without its length", 1, up(v6eth(ip6(home6, other6, 60, []byte{6}))), "chain: header past the room" + undetermined},
		{"an atomic fragment", 1, up(v6eth(mail6(frag6(6, 0, 0, synOut), 44))), stopped},
		{"a first fragment in IPv6", 1, up(v6eth(mail6(frag6(6, 0, 1, synOut), 44))), stopped},
		{"a first fragment with more headers", 1, up(v6eth(mail6(frag6(60, 0, 1, ext(6, 8, synOut)), 44))), stopped},
		{"a first fragment without its ports", 1, up(v6eth(mail6(frag6(60, 0, 1, ext(6, 8, nil)), 44))), "tcp: ports cut" + tiny},
		{"a fragment at 8 in IPv6", 1, up(v6eth(mail6(frag6(6, 1, 0, synOut), 44))), "tcp: fragment offset 1" + tiny},
		{"a fragment at 16 in IPv6", 1, up(v6eth(mail6(frag6(6, 2, 0, synOut), 44))), "headers: fragment offset below 32" + tiny},
		{"a fragment in a chain", 1, up(v6eth(mail6(frag6(60, 1, 0, synOut), 44))), "headers: fragment offset below 32" + tiny},
		{"the last fragment in a tunnel's headers in IPv6", 1, up(v6eth(mail6(frag6(41, 31, 0, synOut), 44))), "headers: fragment offset below 32" + tiny},
		{"a later fragment of a chain", 1, up(v6eth(mail6(frag6(60, 32, 0, synOut), 44))), later},
		{"a later fragment of a tunnel in IPv6", 1, up(v6eth(mail6(frag6(41, 32, 0, synOut), 44))), later},
		{"a later fragment that says UDP in IPv6", 1, up(v6eth(mail6(frag6(17, 32, 0, synOut), 44))), later},
		{"an early fragment that says UDP in IPv6", 1, up(v6eth(mail6(frag6(17, 31, 0, synOut), 44))), "headers: fragment offset below 32" + tiny},
		{"a fragment header cut", 1, up(v6eth(mail6(unhex("06000000000000"), 44))), "chain: header past the room" + undetermined},

		// Tunnels.
		{"4 in 6", 1, up(v6eth(mail6(mail(other), 4))), stopped},
		{"4 in 6 behind the encapsulation limit", 1, up(v6eth(mail6(ext(4, 8, mail(other)), 60))), stopped},
		{"6 in 4", 1, up(v4eth(ip4(home, other, 41, mail6(synOut, 6)))), stopped},
		{"4 in 4", 1, inFour(mail(other)), stopped},
		{"6 in 6", 1, up(v6eth(mail6(mail6(synOut, 6), 41))), stopped},
		{"a tunnel in AH", 1, up(v4eth(ip4(home, other, 51, auth(4, 24, mail(other))))), silent},
		{"each chain has its own bounds", 1, up(v6eth(mail6(ext(41, 128, chain(128)), 60))), stopped},
		{"a second tunnel", 1, inFour(ip4(home, other, 4, mail(other))), "tunnel: second" + undetermined},
		{"a second tunnel behind headers", 1, up(v6eth(mail6(mail6(ext(41, 8, synOut), 60), 41))), "tunnel: second" + undetermined},
		{"a later fragment in a tunnel", 1, inFour(frag4(mail(other), 3, 0)), later},
		{"a fragment at 8 in a tunnel", 1, inFour(frag4(mail(other), 1, 0)), "tcp: fragment offset 1" + tiny},
		{"a fragment in a second tunnel's headers", 1, inFour(frag4(ip4(home, other, 4, synOut), 3, 0)), "headers: fragment offset below 32" + tiny},
		{"a later fragment of a second tunnel", 1, inFour(frag4(ip4(home, other, 4, synOut), 32, 0)), later},
		{"UDP in a tunnel", 1, inFour(ip4(home, other, 17, synOut)), passes},
		{"the wrong version in a tunnel", 1, inFour(mail6(synOut, 6)), "ipv4: version" + undetermined},
		{"a tunnelled length past the room", 1, inFour(mail(other)[:39]), "ipv4: total length past the room" + undetermined},
		{"a first fragment of a tunnel", 1, inFourCut(mail(other)[:40], 4), stopped},
		{"a first fragment with ports alone", 1, inFourCut(mail(other)[:24], 4), silent},
		{"a first fragment without ports", 1, inFourCut(mail(other)[:23], 4), "tcp: ports cut" + tiny},
		{"a first fragment of half a header", 1, inFourCut(mail(other)[:16], 4), "ipv4: header cut" + undetermined},
		{"a first fragment of half the options", 1, inFourCut(ip4Options(home, other, 6, nops(8), synOut)[:24], 4), "ipv4: options cut" + undetermined},
		{"a first fragment of IPv6", 1, inFourCut(mail6(synOut, 6)[:48], 41), silent},
		{"a first fragment in IPv6 of a tunnel", 1, up(v6eth(mail6(frag6(4, 0, 1, mail(other)[:32]), 44))), silent},
		{"an atomic fragment of a tunnel is whole", 1, up(v6eth(mail6(frag6(4, 0, 0, mail(other)[:32]), 44))), "ipv4: total length past the room" + undetermined},
		{"a later length is the inner's", 1, inFourCut(set(mail(other), 3, 23), 4), "tcp: ports cut" + tiny},
	} {
		if d := model(t, "now").Decide(0, c.port, c.frame); short(d) != c.want {
			t.Errorf("%s: %x\n got %s\nwant %s", c.name, c.frame, short(d), c.want)
		}
	}
}

// TestForwarding verifies section 3, which defines the output ports of a frame, and whether the filter decides about it.
func TestForwarding(t *testing.T) {
	web := v4eth(ip4(home, other, 6, tcp(40000, 80, syn)))
	from25 := func(dst string) []byte { return v4eth(ip4(other, dst, 6, tcp(25, 40000, ack))) }
	const free = "tcp | home | - | - |"
	for _, c := range []frameCase{
		{"to a station", 1, eth(macEdge, macHome, web), free + " 4"},
		{"to a stranger", 1, eth(macNobody, macHome, web), free + " 3 4"},
		{"to all", 1, eth(broadcast, macHome, web), free + " 3 4"},
		{"to a neighbour", 1, eth(macOffice, macHome, web), free + " nowhere"},
		{"to itself", 1, eth(macHome, macHome, web), free + " nowhere"},
		{"mail to a neighbour is asked about", 1, eth(macOffice, macHome, v4eth(mail(other))), "tcp | home | up_dst smtp | rest reject | 1 rejected"},
		{"an unknown port is an access port", 9, eth(broadcast, macHome, web), "tcp | nobody | - | - | 3 4"},
		{"12 bytes", 2, eth(macCore, macHome), "ethernet: header cut | office | up_dst undetermined | undetermined permit | 3 4"},
		{"between network ports", 3, eth(macEdge, macCore, from25(home)), "tcp | unasked | 4"},
		{"back where it came from", 3, eth(macCore, macEdge, from25(home)), "tcp | unasked | nowhere"},
		{"down to a station", 3, down(macHome, from25(home)), "tcp | home | down_src smtp | rest reject | nowhere"},
		{"down by VLAN", 3, down(macNobody, tag(0x8100, 100), from25(home)), "tcp | vlan | down_src smtp | rest reject | nowhere"},
		{"down by VLANs", 3, down(macNobody, tag(0x8100, 200), tag(0x8100, 7), web), "tcp | qinq | - | - | 2"},
		{"down by the outer VLAN alone", 3, down(macNobody, tag(0x8100, 200), web), "tcp | nobody | - | - | 1 2 4"},
		{"down to one of two lines of a VLAN", 3, down(macNobody, tag(0x8100, 201), session(5, 0x21, ip4(other, "192.0.2.4", 6, tcp(80, 40000, ack)))), "tcp | ppp | - | - | 2"},
		{"down to no line of a VLAN", 3, down(macNobody, tag(0x8100, 201), session(9, 0x21, ip4(other, "192.0.2.4", 6, tcp(80, 40000, ack)))), "tcp | nobody | - | - | 2"},
		{"a station in another line's VLAN", 3, down(macHome, tag(0x8100, 201), web), "tcp | nobody | - | - | 1"},
		{"a group in a VLAN", 3, down(broadcast, tag(0x8100, 100), web), "tcp | nobody | - | - | 1 2 4"},
		{"a priority tag names no line", 3, down(macNobody, tag(0x8100, 0), web), "tcp | nobody | - | - | 1 2 4"},
		{"untagged to a stranger", 3, down(macNobody, web), "tcp | nobody | - | - | 1 2 4"},
		{"stopped on its way to all", 3, down(macNobody, from25(home)), "tcp | nobody | down_src smtp | fail-closed drop | 4"},
		{"undetermined, down", 3, down(macHome, from25(home)[:20]), "ipv4: header cut | home | - | - | 1"},
		{"tiny, down", 3, down(macHome, v4eth(frag4(ip4(other, home, 6, tcp(25, 40000, ack)), 1, 0))), "tcp: fragment offset 1 | home | - | - | 1"},
		{"later, down", 3, down(macOffice, v4eth(frag4(ip4(other, home, 6, tcp(25, 40000, ack)), 2, 0))), "later fragment | office | - | - | 2"},
	} {
		d := model(t, "now").Decide(0, c.port, c.frame)
		if short(d) != c.want {
			t.Errorf("%s: %x\n got %s\nwant %s", c.name, c.frame, short(d), c.want)
		}
		for _, o := range d.Out {
			if !d.Rejected && !bytes.Equal(o.Frame, c.frame) {
				t.Errorf("%s: port %d sends %x", c.name, o.Port, o.Frame)
			}
		}
	}
}

// TestUntaggedIsNoVLAN verifies that an untagged frame to an unknown station is flooded, even if only one line is untagged.
func TestUntaggedIsNoVLAN(t *testing.T) {
	p, inv := fixture(t)
	p.Exemptions = nil
	inv.Switches[0].Lines = inv.Switches[0].Lines[:4] // remove office, the second untagged line
	m := reference.New(p, inv, "edge", "now", noon())
	for _, frame := range [][]byte{down(macNobody, unhex("0806")), down(macNobody, tag(0x8100, 0), unhex("0806")), down(macNobody, unhex("0806"))[:13]} {
		if d := m.Decide(0, 3, frame); d.Way != reference.DownFlood || len(d.Out) != 3 {
			t.Errorf("%x: %v", frame, d)
		}
	}
	inv.Switches[0].Lines[1].Port, inv.Switches[0].Lines[1].VLAN = "a1", 201
	m = reference.New(p, inv, "edge", "now", noon())
	if d := m.Decide(0, 3, down(macNobody, tag(0x8100, 201), unhex("0806"))); d.Way != reference.DownFlood {
		t.Errorf("a VLAN of lines on two ports: %v", d)
	}
}

// TestRules verifies sections 5 to 9, which define the deciding rule and its effect.
func TestRules(t *testing.T) {
	smtp := func(src, dst string) []byte { return v4eth(ip4(src, dst, 6, tcp(40000, 25, syn))) }
	seg := func(src, dst string, from, to int, flags byte) []byte {
		return v4eth(ip4(src, dst, 6, tcp(from, to, flags)))
	}
	qinq := func(packet []byte) []byte { return up(tag(0x8100, 200), tag(0x8100, 7), packet) }
	toQinq := func(packet []byte) []byte { return down(macNobody, tag(0x8100, 200), tag(0x8100, 7), packet) }
	for _, c := range []frameCase{
		// Sources.
		{"own source", 2, qinq(smtp("192.0.2.3", relay)), "tcp | qinq | up_dst smtp | relay permit | 3"},
		{"another's source", 2, qinq(smtp(home, relay)), "tcp | qinq | up_dst smtp | spoofed drop | nowhere"},
		{"another's source, web", 2, qinq(seg(home, other, 40000, 80, syn)), "tcp | qinq | - | spoofed drop | nowhere"},
		{"another's source, ping", 2, qinq(v4eth(ip4(home, other, 1, nil))), "other | qinq | - | spoofed drop | nowhere"},
		{"another's source, tiny", 2, qinq(v4eth(frag4(mail(other), 1, 0))), "tcp: fragment offset 1 | qinq | - | spoofed drop | nowhere"},
		{"another's source, undetermined", 2, qinq(v4eth(set(mail(other), 0, 0x44))), "ipv4: header length below 5 | qinq | - | spoofed drop | nowhere"},
		{"no source known, undetermined", 2, qinq(v4eth(mail(other)[:19])), "ipv4: header cut | qinq | up_dst undetermined | undetermined monitor | 3"},
		{"ARP has no source", 2, qinq(unhex("08060001")), "other | qinq | - | - | 3"},
		{"source 0.0.0.0", 2, qinq(v4eth(ip4("0.0.0.0", "255.255.255.255", 17, nil))), "other | qinq | - | - | 3"},
		{"source ::", 2, qinq(v6eth(ip6("::", other6, 58, nil))), "other | qinq | - | - | 3"},
		{"source link-local", 2, qinq(v6eth(ip6("febf::1", other6, 58, nil))), "other | qinq | - | - | 3"},
		{"source beyond link-local", 2, qinq(v6eth(ip6("fec0::1", other6, 58, nil))), "other | qinq | - | spoofed drop | nowhere"},
		{"the tunnel's source counts", 2, qinq(v6eth(ip6("2001:db8:3::1", other6, 4, ip4("10.0.0.1", other, 6, tcp(1, 80, syn))))), "tcp | qinq | - | - | 3"},
		{"watched source, web", 2, up(seg(home, other, 40000, 80, syn)), "tcp | office | - | spoofed monitor | 3"},
		{"watched source, mail", 2, up(smtp(home, hall)), "tcp | office | up_dst smtp | to-hall monitor | 3"},
		{"watched source, relay", 2, up(smtp(home, relay)), "tcp | office | up_dst smtp | relay permit | 3"},
		{"watched source, tiny", 2, up(v4eth(frag4(mail(other), 1, 0))), "tcp: fragment offset 1 | office | - | tiny-fragment drop | nowhere"},
		{"down, no source is looked at", 3, toQinq(seg("192.0.2.99", "192.0.2.3", 80, 40000, ack)), "tcp | qinq | - | - | 2"},

		// Services and legs.
		{"587", 1, up(seg(home, other, 40000, 587, syn)), "tcp | home | up_dst submission | submission permit | 3"},
		{"465 from 25", 1, up(seg(home, other, 25, 465, syn)), "tcp | home | up_dst submission | submission permit | 3"},
		{"587 to a relay", 1, up(seg(home, relay, 40000, 587, syn)), "tcp | home | up_dst submission | relay permit | 3"},
		{"26", 1, up(seg(home, other, 40000, 26, syn)), "tcp | home | - | - | 3"},
		{"110 to a carrier", 1, up(seg(home, carrier, 40000, 110, syn)), "tcp | home | up_dst pop3 | pop reject | 1 rejected"},
		{"110 elsewhere", 1, up(seg(home, other, 40000, 110, syn)), "tcp | home | up_dst pop3 | - | 3"},
		{"110 to a relay", 1, up(seg(home, relay, 40000, 110, syn)), "tcp | home | up_dst pop3 | - | 3"},
		{"answer of an own server", 1, up(seg(home, other, 25, 40000, synAck)), "tcp | home | up_src smtp | server-answers reject | nowhere"},
		{"answer of an own server, unruled", 2, up(seg(office, other, 25, 40000, synAck)), "tcp | office | up_src smtp | exempt permit | 3"},
		{"25 on both ends, up", 1, up(seg(home, other, 25, 25, syn)), stopped},
		{"110 on the other end of 25, up", 1, up(seg(home, carrier, 25, 110, syn)), "tcp | home | up_dst pop3 | pop reject | 1 rejected"},
		{"answer from 25", 3, toQinq(seg(other, "192.0.2.3", 25, 40000, synAck)), "tcp | qinq | down_src smtp | rest reject | nowhere"},
		{"25 on both ends, down", 3, toQinq(seg(carrier, "192.0.2.3", 25, 25, syn)), "tcp | qinq | down_src smtp | to-carrier drop | nowhere"},
		{"answer of a relay", 3, toQinq(seg(relay, "192.0.2.3", 25, 40000, synAck)), "tcp | qinq | down_src smtp | relay permit | 2"},
		{"to an own server", 3, toQinq(seg(other, "192.0.2.3", 40000, 25, syn)), "tcp | qinq | down_dst smtp | servers drop | nowhere"},
		{"to an own server from a relay", 3, toQinq(seg(relay, "192.0.2.3", 40000, 25, syn)), "tcp | qinq | down_dst smtp | relay permit | 2"},
		{"to an own server from 587", 3, toQinq(seg(other, "192.0.2.3", 587, 25, ack)), "tcp | qinq | down_src submission | submission permit | 2"},
		{"to an own server from 110", 3, toQinq(seg(carrier, "192.0.2.3", 110, 25, ack)), "tcp | qinq | down_src pop3 | - | 2"},
		{"to an own server from 587, new", 3, toQinq(seg(other, "192.0.2.3", 587, 25, syn)), "tcp | qinq | down_dst smtp | servers drop | nowhere"},
		{"to an own server from 587, answering", 3, toQinq(seg(other, "192.0.2.3", 587, 25, synAck)), "tcp | qinq | down_src submission | submission permit | 2"},
		{"to an own server from 587, flags not known", 3, toQinq(v4eth(ip4(other, "192.0.2.3", 6, tcp(587, 25, syn)[:19]))), "tcp | qinq | down_src submission | submission permit | 2"},
		{"answer of an own server to 587", 1, up(seg(home, other, 25, 587, synAck)), "tcp | home | up_src smtp | server-answers reject | nowhere"},
		{"answer of an own server to 25", 1, up(seg(home, other, 25, 25, synAck)), silent},
		{"later from an own server to 587", 1, up(seg(home, other, 25, 587, ack)), "tcp | home | up_dst submission | submission permit | 3"},
		{"to an own submission server", 3, toQinq(seg(other, "192.0.2.3", 40000, 587, syn)), "tcp | qinq | - | - | 2"},

		// Classes.
		{"the longest prefix", 1, up(smtp(home, pin)), "tcp | home | up_dst smtp | to-pin limit | 3 timed"},
		{"the shorter prefix", 1, up(smtp(home, carrier)), "tcp | home | up_dst smtp | to-carrier drop | nowhere"},
		{"the longest prefix, whichever class is first", 1, up(smtp(home, "198.51.100.34")), "tcp | home | up_dst smtp | to-sink permit | 3"},
		{"a rule of other groups", 2, qinq(smtp("192.0.2.3", hall)), "tcp | qinq | up_dst smtp | rest reject | 2 rejected"},
		{"a rule of no group holds for nobody's line", 9, up(smtp(home, carrier)), "tcp | nobody | up_dst smtp | to-carrier drop | nowhere"},
		{"a rule of groups does not", 9, up(smtp(home, hall)), "tcp | nobody | up_dst smtp | fail-closed drop | nowhere"},
		{"a rule of one leg", 3, down(macHome, seg(hall, home, 25, 40000, ack)), "tcp | home | down_src smtp | rest reject | nowhere"},
		{"the inner remote counts", 1, up(v6eth(mail6(mail(relay), 4))), "tcp | home | up_dst smtp | relay permit | 3"},
		{"the outer remote does not", 1, up(v6eth(ip6(home6, relay6, 4, mail(other)))), stopped},
		{"the inner remote counts, down", 3, down(macHome, v6eth(ip6(other6, home6, 4, ip4(relay, home, 6, tcp(25, 40000, synAck))))), "tcp | home | down_src smtp | relay permit | 1"},
		{"the outer remote does not, down", 3, down(macHome, v6eth(ip6(relay6, home6, 4, ip4(other, home, 6, tcp(25, 40000, synAck))))), "tcp | home | down_src smtp | rest reject | nowhere"},
		{"exempt, down, by the outer subscriber", 3, down(macOffice, v6eth(ip6(other6, office6, 4, ip4(other, home, 6, tcp(25, 40000, synAck))))), "tcp | office | down_src smtp | exempt permit | 2"},
		{"exempt", 2, up(smtp(office, other)), "tcp | office | up_dst smtp | exempt permit | 3"},
		{"exempt in IPv6", 2, up(v6eth(ip6(office6, other6, 6, tcp(40000, 25, syn)))), "tcp | office | up_dst smtp | exempt permit | 3"},
		{"exempt by the outer source", 2, up(v6eth(ip6(office6, other6, 4, mail(other)))), "tcp | office | up_dst smtp | exempt permit | 3"},
		{"not by the inner", 1, up(v6eth(ip6(home6, other6, 4, ip4(office, other, 6, tcp(40000, 25, syn))))), stopped},
		{"exempt, down", 3, down(macOffice, seg(other, office, 25, 40000, synAck)), "tcp | office | down_src smtp | exempt permit | 2"},
		{"exempt, not for 110", 2, up(seg(office, carrier, 40000, 110, syn)), "tcp | office | up_dst pop3 | pop reject | 2 rejected"},
		{"exempt on another's line", 1, up(smtp(office, other)), stopped},
		{"exempt on nobody's line", 9, up(smtp(office, other)), "tcp | nobody | up_dst smtp | fail-closed drop | nowhere"},
		{"exempt, down, to another's line", 3, down(macHome, seg(other, office, 25, 40000, synAck)), "tcp | home | down_src smtp | rest reject | nowhere"},
		{"exempt, down, to all", 3, down(broadcast, seg(other, office, 25, 40000, synAck)), "tcp | nobody | down_src smtp | exempt permit | 1 2 4"},
		{"exempt no more", 1, up(tag(0x8100, 100), smtp("192.0.2.2", other)), "tcp | vlan | up_dst smtp | rest reject | 1 rejected"},
		{"exempt by prefix", 1, up(smtp("192.0.2.71", other)), "tcp | home | up_dst smtp | exempt permit | 3"},
		{"beside the prefix", 1, up(smtp("192.0.2.72", other)), stopped},

		// Knobs.
		{"later, dropped", 2, qinq(v4eth(frag4(ip4("192.0.2.3", relay, 6, nil), 2, 0))), "later fragment | qinq | up_dst later-fragment | later-fragment drop | nowhere"},
		{"later, watched", 2, up(v4eth(frag4(ip4(office, other, 6, nil), 2, 0))), "later fragment | office | up_dst later-fragment | later-fragment monitor | 3"},
		{"later, silent", 1, up(v4eth(frag4(mail(other), 2, 0))), later},
		{"undetermined, permitted", 2, up(v4eth(set(ip4(office, other, 6, nil), 0, 0x44))), "ipv4: header length below 5 | office | up_dst undetermined | undetermined permit | 3"},

		// Verdicts.
		{"limit, not new", 1, up(seg(home, pin, 40000, 25, ack)), "tcp | home | up_dst smtp | to-pin limit | 3"},
		{"limit, flags not known", 1, up(v4eth(ip4(home, pin, 6, tcp(40000, 25, ack)[:19]))), "tcp | home | up_dst smtp | to-pin limit | 3 timed"},
		{"limit, down", 3, down(macHome, seg(pin, home, 25, 40000, synAck)), "tcp | home | down_src smtp | to-pin limit | 1 timed"},
		{"permit by a rule", 9, up(smtp(home, sink)), "tcp | nobody | up_dst smtp | to-sink permit | 3"},
		{"reject, not new", 1, up(seg(home, other, 40000, 25, ack)), silent},
		{"reject, an answer", 1, up(seg(home, other, 40000, 25, synAck)), silent},
		{"reject, to all", 1, eth(broadcast, macHome, smtp(home, other)), silent},
		{"reject, from nobody", 1, up(smtp("0.0.0.0", other)), silent},
		{"reject, from the last host", 1, up(smtp("223.255.255.255", other)), stopped},
		{"reject, from a group", 1, up(smtp("224.0.0.1", other)), silent},
		{"reject, from ::", 1, up(v6eth(ip6("::", other6, 6, tcp(40000, 25, syn)))), silent},
		{"reject, from a group in IPv6", 1, up(v6eth(ip6("ff02::1", other6, 6, tcp(40000, 25, syn)))), silent},
		{"reject, from a group's station", 1, set(up(smtp(home, other)), 6, 3), silent},
		{"reject, to a group", 1, up(smtp(home, "224.0.0.1")), silent},
		{"reject, to the last that is no group", 1, up(smtp(home, "223.255.255.255")), stopped},
		{"reject, to a group in IPv6", 1, up(v6eth(ip6(home6, "ff02::1", 6, tcp(40000, 25, syn)))), silent},
		{"reject, to a group in a tunnel alone", 1, up(v6eth(ip6(home6, "ff02::1", 4, mail(other)))), stopped},
		{"reject, from a group in a tunnel", 1, up(v6eth(mail6(ip4("224.0.0.1", other, 6, tcp(40000, 25, syn)), 4))), silent},
	} {
		if d := model(t, "now").Decide(0, c.port, c.frame); short(d) != c.want {
			t.Errorf("%s: %x\n got %s\nwant %s", c.name, c.frame, short(d), c.want)
		}
	}
}

// TestDrain verifies that the rules of a phase with synOnly drop or reject only new connections.
func TestDrain(t *testing.T) {
	seg := func(dst string, flags byte) []byte { return up(v4eth(ip4(home, dst, 6, tcp(40000, 25, flags)))) }
	for _, c := range []frameCase{
		{"open, dropped", 1, seg(carrier, ack), "tcp | home | up_dst smtp | to-carrier monitor | 3"},
		{"open, rejected", 1, seg(other, ack), "tcp | home | up_dst smtp | rest monitor | 3"},
		{"open, down", 3, down(macHome, v4eth(ip4(other, home, 6, tcp(25, 40000, ack)))), "tcp | home | down_src smtp | rest monitor | 1"},
		{"new", 1, seg(carrier, syn), "tcp | home | up_dst smtp | to-carrier drop | nowhere"},
		{"answer", 1, seg(other, synAck), silent},
		{"flags not known", 1, up(v4eth(ip4(home, carrier, 6, tcp(40000, 25, ack)[:19]))), "tcp | home | up_dst smtp | to-carrier drop | nowhere"},
		{"fail-closed knows no drain", 9, seg(other, ack), "tcp | nobody | up_dst smtp | fail-closed drop | nowhere"},
		{"tiny knows no drain", 1, up(v4eth(frag4(mail(other), 1, 0))), "tcp: fragment offset 1" + tiny},
	} {
		if d := model(t, "drain").Decide(0, c.port, c.frame); short(d) != c.want {
			t.Errorf("%s: %x\n got %s\nwant %s", c.name, c.frame, short(d), c.want)
		}
	}
}

// TestLegsOff verifies that a leg is not looked up if no rule of any phase has it.
func TestLegsOff(t *testing.T) {
	p, inv := fixture(t)
	for i := range p.Phases {
		p.Phases[i].Rules = slices.Delete(slices.Clone(p.Phases[i].Rules), 4, 6) // remove the rules servers and server-answers
	}
	m := reference.New(p, inv, "edge", "now", noon())
	for _, c := range []frameCase{
		{"to an own server", 3, down(macHome, v4eth(ip4(other, home, 6, tcp(40000, 25, syn)))), "tcp | home | - | - | 1"},
		{"answer of an own server", 1, up(v4eth(ip4(home, other, 6, tcp(25, 40000, synAck)))), "tcp | home | - | - | 3"},
		{"answer from 587", 3, down(macHome, v4eth(ip4(other, home, 6, tcp(587, 40000, synAck)))), "tcp | home | - | - | 1"},
		{"answer from 25", 3, down(macHome, v4eth(ip4(other, home, 6, tcp(25, 40000, ack)))), "tcp | home | down_src smtp | rest reject | nowhere"},
	} {
		if d := m.Decide(0, c.port, c.frame); short(d) != c.want {
			t.Errorf("%s: %x\n got %s\nwant %s", c.name, c.frame, short(d), c.want)
		}
	}
}

// TestRuleIDs verifies that rule ids are assigned in the order in which names first appear in the phases.
func TestRuleIDs(t *testing.T) {
	p, inv := fixture(t)
	p.Phases[1].Rules = slices.Clone(p.Phases[1].Rules)
	slices.Reverse(p.Phases[1].Rules)
	m := reference.New(p, inv, "edge", "drain", noon())
	if d := m.Decide(0, 1, up(v4eth(mail(carrier)))); d.Rule != 5+7 || d.RuleName != "rest" {
		t.Errorf("rule %d %q, want 12 rest, the eighth of the phase before", d.Rule, d.RuleName)
	}
}

// TestPacketsOfAController verifies that only a packet of kind 1 from the CPU port goes back, with the switch's time, and that the same bytes from
// another port are an ordinary frame.
func TestPacketsOfAController(t *testing.T) {
	const at = 0x0102_0304_0506 * time.Microsecond
	for _, c := range []struct {
		packet, want string
		way          reference.Way
	}{
		{"01", "01010203040506", reference.Clock},
		{"01ff00", "01010203040506ff00", reference.Clock},
		{"", "", reference.NoAnswer},
		{"00aa", "", reference.NoAnswer},
		{"02aa", "", reference.NoAnswer},
	} {
		d := model(t, "now").Decide(at, 510, unhex(c.packet))
		if d.Way != c.way || d.Asked || d.Passes != (c.want != "") {
			t.Errorf("%q: %v", c.packet, d)
		}
		if c.want != "" && (len(d.Out) != 1 || d.Out[0].Port != 510 || !bytes.Equal(d.Out[0].Frame, unhex(c.want))) {
			t.Errorf("%q: %v, want port 510 with %s", c.packet, d, c.want)
		}
		if d := model(t, "now").Decide(at, 1, unhex(c.packet)); d.Why != reference.ShortEthernet || d.Passes {
			t.Errorf("%q from a line: %v", c.packet, d)
		}
	}
}
