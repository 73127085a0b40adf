package reference_test

import (
	"bytes"
	"net"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"op25b/internal/reference"
)

// TestAnswer verifies that the ICMP errors equal the frames that gopacket serializes from the expected fields, byte for byte. gopacket
// computes the headers, lengths and checksums independently.
func TestAnswer(t *testing.T) {
	ethernet := func(next layers.EthernetType) *layers.Ethernet {
		return &layers.Ethernet{SrcMAC: unhex(macCore), DstMAC: unhex(macHome), EthernetType: next}
	}
	four := func(src, dst string, proto layers.IPProtocol) *layers.IPv4 {
		return &layers.IPv4{Version: 4, TTL: 64, Flags: layers.IPv4DontFragment, Protocol: proto, SrcIP: net.ParseIP(src), DstIP: net.ParseIP(dst)}
	}
	six := func(src, dst string, next layers.IPProtocol) *layers.IPv6 {
		return &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: next, SrcIP: net.ParseIP(src), DstIP: net.ParseIP(dst)}
	}
	icmp4 := &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(3, 13)}
	icmp6 := func(ip *layers.IPv6) []gopacket.SerializableLayer {
		icmp := &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(1, 1)}
		if err := icmp.SetNetworkLayerForChecksum(ip); err != nil {
			t.Fatal(err)
		}
		return []gopacket.SerializableLayer{ip, icmp, gopacket.Payload(unhex("00000000"))}
	}
	const switch4, switch6, tunnelEnd = "203.0.113.1", "2001:db8:ff::1", "203.0.113.7"
	data := []byte("data behind the header")
	segment := append(tcp(40000, 25, syn), data...)
	quoted := func(packet []byte) gopacket.SerializableLayer {
		return gopacket.Payload(packet[:len(packet)-len(data)])
	}

	plain4 := ip4(home, other, 6, segment)
	options := ip4Options(home, other, 6, unhex("94040000 01010100"), segment)
	first := frag4(plain4, 0, 1)
	plain6 := ip6(home6, other6, 6, segment)
	chain := ip6(home6, other6, 60, ext(44, 16, frag6(6, 0, 1, segment)))
	for _, c := range []struct {
		name  string
		frame []byte
		want  []gopacket.SerializableLayer
	}{
		{
			"IPv4", up(v4eth(plain4)),
			[]gopacket.SerializableLayer{ethernet(0x0800), four(switch4, home, 1), icmp4, quoted(plain4)},
		},
		{
			"padding and data are not quoted", append(up(v4eth(plain4)), 1, 2, 3),
			[]gopacket.SerializableLayer{ethernet(0x0800), four(switch4, home, 1), icmp4, quoted(plain4)},
		},
		{
			"options are quoted", up(v4eth(options)),
			[]gopacket.SerializableLayer{ethernet(0x0800), four(switch4, home, 1), icmp4, quoted(options)},
		},
		{
			"a first fragment is quoted as one", up(v4eth(first)),
			[]gopacket.SerializableLayer{ethernet(0x0800), four(switch4, home, 1), icmp4, quoted(first)},
		},
		{
			"IPv6", up(v6eth(plain6)),
			append(append([]gopacket.SerializableLayer{ethernet(0x86dd)}, icmp6(six(switch6, home6, 58))...), quoted(plain6)),
		},
		{
			"extension headers are quoted", up(v6eth(chain)),
			append(append([]gopacket.SerializableLayer{ethernet(0x86dd)}, icmp6(six(switch6, home6, 58))...), quoted(chain)),
		},
		{
			"tags stay", up(tag(0x88a8, 0xa064), tag(0x8100, 0xf000), v4eth(plain4)),
			[]gopacket.SerializableLayer{
				ethernet(0x88a8), &layers.Dot1Q{Priority: 5, VLANIdentifier: 100, Type: 0x8100}, &layers.Dot1Q{Priority: 7, DropEligible: true, Type: 0x0800},
				four(switch4, home, 1), icmp4, quoted(plain4),
			},
		},
		{
			"a session stays", append(up(session(7, 0x21, plain4)), 1, 2, 3),
			[]gopacket.SerializableLayer{
				ethernet(0x8864), &layers.PPPoE{Version: 1, Type: 1, SessionId: 7}, &layers.PPP{PPPType: layers.PPPTypeIPv4},
				four(switch4, home, 1), icmp4, quoted(plain4),
			},
		},
		{
			"a session of IPv6 stays", up(tag(0x8100, 0), session(7, 0x57, plain6)),
			append(append([]gopacket.SerializableLayer{
				ethernet(0x8100), &layers.Dot1Q{Type: 0x8864}, &layers.PPPoE{Version: 1, Type: 1, SessionId: 7}, &layers.PPP{PPPType: layers.PPPTypeIPv6},
			}, icmp6(six(switch6, home6, 58))...), quoted(plain6)),
		},
		{
			"4 in 6", up(v6eth(ip6(home6, other6, 60, ext(4, 8, plain4)))),
			[]gopacket.SerializableLayer{ethernet(0x86dd), six(other6, home6, 4), four(switch4, home, 1), icmp4, quoted(plain4)},
		},
		{
			"4 in 4 with options", up(v4eth(ip4Options(home, tunnelEnd, 4, unhex("94040000"), options))),
			[]gopacket.SerializableLayer{ethernet(0x0800), four(tunnelEnd, home, 4), four(switch4, home, 1), icmp4, quoted(options)},
		},
		{
			"6 in 4 in a session", up(session(7, 0x21, ip4(home, tunnelEnd, 41, plain6))),
			append(append([]gopacket.SerializableLayer{
				ethernet(0x8864), &layers.PPPoE{Version: 1, Type: 1, SessionId: 7}, &layers.PPP{PPPType: layers.PPPTypeIPv4}, four(tunnelEnd, home, 41),
			}, icmp6(six(switch6, home6, 58))...), quoted(plain6)),
		},
		{
			"6 in 6, a first fragment", up(v6eth(ip6(home6, other6, 44, frag6(41, 0, 1, chain[:len(chain)-len(data)])))),
			append(append([]gopacket.SerializableLayer{ethernet(0x86dd), six(other6, home6, 41)}, icmp6(six(switch6, home6, 58))...), quoted(chain)),
		},
	} {
		d := model(t, "now").Decide(0, 1, c.frame)
		if !d.Rejected || len(d.Out) != 1 || d.Out[0].Port != 1 {
			t.Errorf("%s: %v", c.name, d)
			continue
		}
		buf := gopacket.NewSerializeBuffer()
		if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, c.want...); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if !bytes.Equal(d.Out[0].Frame, buf.Bytes()) {
			t.Errorf("%s:\n got %x\nwant %x", c.name, d.Out[0].Frame, buf.Bytes())
		}
	}
}

// TestNotAnswerable verifies that a frame that cannot be answered is dropped without a reply, is counted as a reject, and does not use up
// the reject rate.
func TestNotAnswerable(t *testing.T) {
	p, inv := fixture(t)
	inv.Switches[0].RejectFrom = inv.Switches[0].RejectFrom[:1] // IPv4 only
	m := reference.New(p, inv, "edge", "now", noon())
	for range 4 {
		for name, frame := range map[string][]byte{
			"IPv6":         up(v6eth(mail6(tcp(40000, 25, syn), 6))),
			"6 in 4":       up(v4eth(ip4(home, other, 41, mail6(tcp(40000, 25, syn), 6)))),
			"AH in IPv4":   up(v4eth(ip4(home, other, 51, auth(6, 24, tcp(40000, 25, syn))))),
			"AH in 4 in 6": up(v6eth(mail6(ip4(home, other, 51, auth(6, 24, tcp(40000, 25, syn))), 4))),
			"4 in AH in 4": up(v4eth(ip4(home, other, 51, auth(4, 24, mail(other))))),
			"wrong sum":    up(v4eth(set(mail(other), 10, 0x12, 0x34))),
			"wrong inside": up(v4eth(ip4(home, other, 4, set(mail(other), 10, 0x12, 0x34)))),
			"wrong around": up(v4eth(set(ip4(home, other, 4, mail(other)), 11, 0))),
		} {
			if d := m.Decide(0, 1, frame); d.Rejected || d.Passes || d.Out != nil || d.Outcome != reference.Stopped || d.RuleName != "rest" {
				t.Errorf("%s: %v", name, d)
			}
		}
	}
	for name, frame := range map[string][]byte{
		"4 in 6":           up(v6eth(mail6(mail(other), 4))),
		"AH in outer IPv6": up(v6eth(mail6(auth(4, 24, mail(other)), 51))),
	} {
		if d := m.Decide(0, 1, frame); !d.Rejected {
			t.Errorf("%s: %v", name, d)
		}
	}
}
