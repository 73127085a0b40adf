package netsim

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"op25b/internal/wire"
)

// prohibition returns the ICMP error with which a filter rejects the frame.
func prohibition(t *testing.T, frame []byte, code uint8) []byte {
	t.Helper()
	p := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.Default)
	eth := p.Layer(layers.LayerTypeEthernet).(*layers.Ethernet)
	answer := []gopacket.SerializableLayer{&layers.Ethernet{SrcMAC: eth.DstMAC, DstMAC: eth.SrcMAC, EthernetType: eth.EthernetType}}
	quote := gopacket.Payload(eth.Payload)
	if ip, ok := p.Layer(layers.LayerTypeIPv4).(*layers.IPv4); ok {
		answer = append(answer, &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolICMPv4, SrcIP: ip.DstIP, DstIP: ip.SrcIP},
			&layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(layers.ICMPv4TypeDestinationUnreachable, code)}, quote)
	} else {
		ip := p.Layer(layers.LayerTypeIPv6).(*layers.IPv6)
		reply := &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: layers.IPProtocolICMPv6, SrcIP: ip.DstIP, DstIP: ip.SrcIP}
		icmp := &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(layers.ICMPv6TypeDestinationUnreachable, code)}
		_ = icmp.SetNetworkLayerForChecksum(reply)
		answer = append(answer, reply, icmp, gopacket.Payload(make([]byte, 4)), quote) // the 4 unused bytes of the ICMPv6 error
	}
	b := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, answer...); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestProhibited verifies that a filter's reject ends the attempt at once, and is reported as a blocked path
// rather than as a refusal by the server.
func TestProhibited(t *testing.T) {
	for name, tc := range map[string]struct {
		v6   bool
		code uint8
	}{
		"IPv4 network": {false, 9}, "IPv4 host": {false, 10}, "IPv4 administratively": {false, 13},
		"IPv6 administratively": {true, 1}, "IPv6 policy": {true, 5}, "IPv6 reject route": {true, 6},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			links := newRejecting(t, PortSMTP, tc.code)
			client, server := start(t, links[0], config("client", 1)), start(t, links[1], config("server", 2))
			a := attempt(t, mailServer(t, server, carrier), MX, tc.v6)
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

// newRejecting returns the far ends of a bridge that answers TCP segments to the given port with an ICMP
// error.
func newRejecting(t *testing.T, port uint16, code uint8) []wire.Link {
	t.Helper()
	var links []wire.Link
	pass := dropping(port)
	var b *bridge
	links, b = bridgeOf(t, 2, func(in int, frame []byte) bool {
		if pass(in, frame) {
			return true
		}
		_ = b.ports[in].Send(prohibition(t, frame, code))
		return false
	})
	return links
}

func TestAsNoRouteLeavesTheRest(t *testing.T) {
	syn := make([]byte, 74)
	syn[12], syn[13], syn[20] = 0x86, 0xdd, 6
	unreachable := func(kind, code byte) []byte {
		f := make([]byte, 14+40+8)
		f[12], f[13], f[14+6], f[14+40], f[14+41] = 0x86, 0xdd, icmpv6Protocol, kind, code
		return f
	}
	for name, frame := range map[string][]byte{
		"TCP": syn, "no route": unreachable(1, 0), "port": unreachable(1, 4), "time exceeded": unreachable(3, 1),
		"short": unreachable(1, 1)[:61], "IPv4": append(bytes.Repeat([]byte{2}, 12), append([]byte{8, 0}, make([]byte, 60)...)...),
	} {
		if got := asNoRoute(datagram{binary.BigEndian.Uint16(frame[12:]), frame[14:]}); &got.bytes[0] != &frame[14] {
			t.Errorf("%s: changed", name)
		}
	}
	prohibited := unreachable(1, 1)
	if got := asNoRoute(datagram{ipv6Type, prohibited[14:]}); got.bytes[41] != 0 || prohibited[14+41] != 1 {
		t.Error("prohibited: not changed in a copy")
	}
}

func TestDialWithoutTheFamily(t *testing.T) {
	a, _ := wire.Pipe("a", "b")
	c := config("old", 1)
	c.IPv6 = nil
	h := start(t, a, c)
	if _, err := h.DialContext(within(t), "tcp", "[2001:db8::2]:25"); err == nil || !bytes.Contains([]byte(err.Error()), []byte("no IPv6 address")) {
		t.Errorf("DialContext: %v", err)
	}
	if _, err := h.Listen("tcp", "[::]:25"); err == nil {
		t.Error("Listen without an address of the family succeeded")
	}
	if got, ok := h.Addr(true); ok {
		t.Errorf("Addr: %v", net.IP(got.AsSlice()))
	}
}
