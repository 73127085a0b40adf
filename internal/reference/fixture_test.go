package reference_test

import (
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"op25b/internal/pipeline"
	"op25b/internal/policy"
	"op25b/internal/reference"
)

// The MAC addresses of the fixture.
const (
	macHome   = "020000000101" // a station of line home
	macOffice = "020000000105" // a station of line office
	macCore   = "020000000301" // a station behind port 3
	macEdge   = "020000000401" // a station behind port 4
	macNobody = "0200000000ee"
	broadcast = "ffffffffffff"
)

// fixture returns a policy and an inventory that use all features. They have the access ports 1 and 2, the network ports 3 and 4, and lines
// with every kind of access. The phases "now" and "drain" differ only in synOnly.
func fixture(t *testing.T) (*policy.Policy, *policy.Inventory) {
	t.Helper()
	prefixes := func(of ...string) (list []netip.Prefix) {
		for _, text := range of {
			list = append(list, netip.MustParsePrefix(text))
		}
		return list
	}
	mac := func(text string) []pipeline.MAC {
		raw, _ := hex.DecodeString(text)
		return []pipeline.MAC{pipeline.MAC(raw)}
	}
	rules := []policy.PhaseRule{
		{Name: "to-pin", Service: "smtp", Remote: "pin", Action: policy.Limit, Groups: []string{"adsl"}},
		{Name: "to-carrier", Service: "smtp", Remote: "carrier", Action: policy.Drop},
		{Name: "to-hall", Service: "smtp", Remote: "hall", Action: policy.Monitor, Groups: []string{"adsl", "open"}, Legs: []policy.Leg{policy.UpDst}},
		{Name: "pop", Service: "pop3", Remote: "carrier", Action: policy.Reject},
		{Name: "servers", Service: "smtp", Action: policy.Drop, Legs: []policy.Leg{policy.DownDst}},
		{Name: "server-answers", Service: "smtp", Action: policy.Reject, Legs: []policy.Leg{policy.UpSrc}, Groups: []string{"adsl"}},
		{Name: "to-sink", Service: "smtp", Remote: "sink", Action: policy.Permit},
		{Name: "rest", Service: "smtp", Remote: "any", Action: policy.Reject, Groups: []string{"adsl", "strict", "open"}},
	}
	p := &policy.Policy{
		Name: "fixture",
		LineGroups: []policy.LineGroup{
			{Name: "adsl", Limit: policy.Rate{PerSecond: 1, Burst: 1}},
			{Name: "strict", Undetermined: "monitor", LaterFragments: "drop", SourceCheck: "drop"},
			{Name: "open", Undetermined: "permit", LaterFragments: "monitor", SourceCheck: "monitor"},
		},
		Services: []policy.Service{
			{Name: "smtp", Ports: []policy.TCPPort{25}}, {Name: "submission", Ports: []policy.TCPPort{587, 465}}, {Name: "pop3", Ports: []policy.TCPPort{110}},
		},
		Remotes: []policy.Remote{
			{Name: "relay", Relay: true, Prefixes: prefixes("198.51.100.0/28", "2001:db8:100::/48")},
			{Name: "pin", Within: []string{"carrier"}, Prefixes: prefixes("198.51.100.17/32")},
			{Name: "carrier", Prefixes: prefixes("198.51.100.16/28", "2001:db8:101::/48")},
			{Name: "hall", Prefixes: prefixes("198.51.100.32/28")},
			{Name: "sink", Within: []string{"hall"}, Prefixes: prefixes("198.51.100.48/28", "198.51.100.34/32")},
		},
		Exemptions: []policy.Exemption{
			{Line: "office", Owner: "noc", Reason: "server", Expires: policy.Date{Year: 2006, Month: 10, Day: 15}},
			{Line: "vlan", Owner: "noc", Reason: "server", Expires: policy.Date{Year: 2006, Month: 10, Day: 14}},
			{Prefix: netip.MustParsePrefix("192.0.2.64/29"), Owner: "noc", Reason: "server", Expires: policy.Date{Year: 2006, Month: 10, Day: 31}},
		},
		Phases: []policy.Phase{
			{Name: "now", Effective: policy.Moment{Date: policy.Date{Year: 2006, Month: 10, Day: 1}}, Rules: rules},
			{Name: "drain", Effective: policy.Moment{Date: policy.Date{Year: 2006, Month: 11, Day: 1}}, Rules: rules, SynOnly: true},
		},
	}
	inv := &policy.Inventory{Switches: []policy.Switch{{
		Name: "edge", DeviceID: 1, P4Runtime: "h:1", GNMI: "h:2",
		RejectFrom: []netip.Addr{netip.MustParseAddr("203.0.113.1"), netip.MustParseAddr("2001:db8:ff::1")},
		Ports: []policy.Port{
			{Number: 1, Name: "a1"},
			{Number: 2, Name: "a2"},
			{Number: 3, Name: "n1", Role: pipeline.Network, MACs: mac(macCore)},
			{Number: 4, Name: "n2", Role: pipeline.Network, MACs: mac(macEdge)},
		},
		Lines: []policy.Line{
			{Name: "home", Port: "a1", Group: "adsl", MACs: mac(macHome), Prefixes: prefixes("192.0.2.1/32", "2001:db8:1::/56")},
			{Name: "vlan", Port: "a1", VLAN: 100, Group: "adsl", Prefixes: prefixes("192.0.2.2/32")},
			{Name: "qinq", Port: "a2", VLAN: 200, InnerVLAN: 7, Group: "strict", Prefixes: prefixes("192.0.2.3/32", "2001:db8:3::/56")},
			{Name: "ppp", Port: "a2", VLAN: 201, PPPoE: 5, Group: "strict", Prefixes: prefixes("192.0.2.4/32", "2001:db8:4::/56")},
			{Name: "office", Port: "a2", Group: "open", MACs: mac(macOffice), Prefixes: prefixes("192.0.2.5/32", "2001:db8:5::/56")},
			{Name: "ppp2", Port: "a2", VLAN: 201, PPPoE: 6, Group: "adsl", Prefixes: prefixes("192.0.2.6/32")},
		},
	}}}
	if err := policy.Validate(t.Context(), p, inv); err != nil {
		t.Fatal(err)
	}
	return p, inv
}

// noon returns a time at which office's exemption is in force and vlan's exemption has expired.
func noon() time.Time { return time.Date(2006, 10, 15, 12, 0, 0, 0, time.UTC) }

func model(t *testing.T, phase string) *reference.Model {
	t.Helper()
	p, inv := fixture(t)
	return reference.New(p, inv, "edge", phase, noon())
}

// The functions below build frames byte by byte. Each prepends one header to its argument.

func unhex(text string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

func u16(v int) []byte { return binary.BigEndian.AppendUint16(nil, uint16(v)) }

// eth returns a frame that consists of the addresses and the layers, which begin with the first EtherType.
func eth(dst, src string, layers ...[]byte) []byte {
	return slices.Concat(unhex(dst), unhex(src), slices.Concat(layers...))
}

// up returns a frame from a subscriber to the core. down returns a frame from the core to a station.
func up(layers ...[]byte) []byte { return eth(macCore, macHome, layers...) }

func down(dst string, layers ...[]byte) []byte { return eth(dst, macCore, layers...) }

// tag returns a VLAN tag without the EtherType that follows it.
func tag(tpid, tci int) []byte { return append(u16(tpid), u16(tci)...) }

func v4eth(packet []byte) []byte { return append(u16(0x0800), packet...) }

func v6eth(packet []byte) []byte { return append(u16(0x86dd), packet...) }

// session returns a PPPoE session frame from its EtherType on.
func session(id, proto int, packet []byte) []byte {
	return slices.Concat(unhex("8864 11 00"), u16(id), u16(2+len(packet)), u16(proto), packet)
}

// ip4 returns an IPv4 packet without options.
func ip4(src, dst string, proto byte, payload []byte) []byte {
	return ip4Options(src, dst, proto, nil, payload)
}

func ip4Options(src, dst string, proto byte, options, payload []byte) []byte {
	s, d := netip.MustParseAddr(src).As4(), netip.MustParseAddr(dst).As4()
	return summed(slices.Concat([]byte{0x45 + byte(len(options)/4), 0}, u16(20+len(options)+len(payload)), unhex("abcd 0000 40"), []byte{proto}, u16(0), s[:], d[:], options, payload))
}

// summed sets an IPv4 packet's header checksum in place (RFC 791), and returns the packet.
func summed(packet []byte) []byte {
	packet[10], packet[11] = 0, 0
	sum := 0
	for i := 0; i < 4*int(packet[0]&0xf); i += 2 {
		sum += int(packet[i])<<8 | int(packet[i+1])
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	copy(packet[10:], u16(0xffff-sum))
	return packet
}

func ip6(src, dst string, next byte, payload []byte) []byte {
	s, d := netip.MustParseAddr(src).As16(), netip.MustParseAddr(dst).As16()
	return slices.Concat(unhex("60012345"), u16(len(payload)), []byte{next, 64}, s[:], d[:], payload)
}

// ext returns an extension header of the given size, followed by the payload.
func ext(next byte, size int, payload []byte) []byte {
	h := make([]byte, size)
	h[0], h[1] = next, byte(size/8-1)
	return append(h, payload...)
}

// auth returns an AH of the given size, followed by the payload.
func auth(next byte, size int, payload []byte) []byte {
	h := make([]byte, size)
	h[0], h[1] = next, byte(size/4-2)
	return append(h, payload...)
}

// frag6 returns a fragment header, followed by the payload. offset is in units of 8 bytes. more is 1 if more fragments follow.
func frag6(next byte, offset, more int, payload []byte) []byte {
	return slices.Concat([]byte{next, 0}, u16(offset<<3|more), u16(0), u16(7), payload)
}

// set returns a copy of b in which the bytes from at on are replaced.
func set(b []byte, at int, bytes ...byte) []byte {
	b = slices.Clone(b)
	copy(b[at:], bytes)
	return b
}

// frag4 returns an IPv4 packet as a fragment. offset is in units of 8 bytes. more is 1 if more fragments follow.
func frag4(packet []byte, offset, more int) []byte {
	return summed(set(packet, 6, u16(more<<13|offset)...))
}

const (
	syn    = 0x02
	synAck = 0x12
	ack    = 0x10
)

// tcp returns a TCP segment without options or data.
func tcp(src, dst int, flags byte) []byte {
	return slices.Concat(u16(src), u16(dst), unhex("00000001 00000000 50"), []byte{flags}, unhex("ffff 0000 0000"))
}
