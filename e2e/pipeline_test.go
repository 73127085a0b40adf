package e2e

import (
	"net"
	"slices"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"op25b/internal/openconfig/p4source"
	"op25b/internal/pipeline"
	"op25b/internal/softswitch/engine"
	"op25b/p4src"
)

// A segmentSpec is a TCP SYN in the words of its headers; the zero value of a field is the usual.
type segmentSpec struct {
	from, to  pipeline.MAC
	vlan      uint16 // 0: untagged
	src, dst  string // addresses; IPv6 if they are
	sport     layers.TCPPort
	dport     layers.TCPPort
	options   bool // of IPv4
	more      bool // fragments follow
	offset    uint16
	udp       bool
	corrupt   func(ip []byte) // spoils the IP packet
	truncated int             // bytes left of the frame; 0: all
}

func (s segmentSpec) frame(t *testing.T) []byte {
	t.Helper()
	src, dst := net.ParseIP(s.src), net.ParseIP(s.dst)
	v4 := src.To4() != nil
	eth := &layers.Ethernet{SrcMAC: s.from[:], DstMAC: s.to[:], EthernetType: layers.EthernetTypeIPv6}
	if v4 {
		eth.EthernetType = layers.EthernetTypeIPv4
	}
	stack := []gopacket.SerializableLayer{eth}
	if s.vlan != 0 {
		stack = append(stack, &layers.Dot1Q{VLANIdentifier: s.vlan, Type: eth.EthernetType})
		eth.EthernetType = layers.EthernetTypeDot1Q
	}
	protocol := layers.IPProtocolTCP
	if s.udp {
		protocol = layers.IPProtocolUDP
	}
	if s.sport == 0 {
		s.sport = 49152
	}
	tcp := &layers.TCP{SrcPort: s.sport, DstPort: s.dport, SYN: true, Window: 65535}
	if v4 {
		ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: protocol, SrcIP: src, DstIP: dst, FragOffset: s.offset}
		if s.options {
			ip.Options = []layers.IPv4Option{{OptionType: 148, OptionLength: 4, OptionData: []byte{0, 0}}} // router alert
		}
		if s.more {
			ip.Flags = layers.IPv4MoreFragments
		}
		_ = tcp.SetNetworkLayerForChecksum(ip)
		stack = append(stack, ip, tcp)
	} else {
		ip := &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: protocol, SrcIP: src, DstIP: dst}
		_ = tcp.SetNetworkLayerForChecksum(ip)
		stack = append(stack, ip, tcp)
	}
	b := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, stack...); err != nil {
		t.Fatal(err)
	}
	f := slices.Clone(b.Bytes())
	if s.corrupt != nil {
		ip := 14
		if s.vlan != 0 {
			ip = 18
		}
		s.corrupt(f[ip:])
	}
	if s.truncated != 0 {
		f = f[:s.truncated]
	}
	return f
}

// TestPipeline says frame by frame what the reference switch does. Each row that is dropped has one that passes beside it.
func TestPipeline(t *testing.T) {
	e := loaded(t, comparedState())
	layout, err := p4source.FindACLCounter(p4src.P4Info())
	if err != nil {
		t.Fatal(err)
	}
	rule, ok := e.Counter(layout.CounterName)
	if !ok {
		t.Fatalf("the program has no counter %q", layout.CounterName)
	}
	worker := e.NewWorker()
	home, server, far := subscriberMAC, serverMAC, pipeline.MAC{2, 0, 0, 0, 2, 2}
	stranger, everyone := pipeline.MAC{2, 7, 7, 7, 7, 7}, pipeline.MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	const ordinary4, exempt4, relay4, other4 = "192.0.2.11", "10.0.0.1", "172.16.0.5", "203.0.113.129"
	const ordinary6, exempt6, relay6, other6 = "2001:db8:9::1", "2001:db8:0:1::9", "2001:db8:25::25", "2001:db8:99::25"

	for _, test := range []struct {
		what string
		in   pipeline.Port
		segmentSpec
		out  []uint32
		rule uint32 // counted on the ingress port; 0: none
	}{
		// The decision, in both families.
		{"mail to a server", 1, segmentSpec{from: home, to: server, src: ordinary4, dst: other4, dport: 25}, nil, 5},
		{"mail to a server", 1, segmentSpec{from: home, to: server, src: ordinary6, dst: other6, dport: 25}, nil, 5},
		{"mail to the relay", 1, segmentSpec{from: home, to: server, src: ordinary4, dst: relay4, dport: 25}, []uint32{11}, 2},
		{"mail to the relay", 1, segmentSpec{from: home, to: server, src: ordinary6, dst: relay6, dport: 25}, []uint32{11}, 2},
		{"mail of an exempt subscriber", 1, segmentSpec{from: home, to: server, src: exempt4, dst: other4, dport: 25}, []uint32{11}, 4},
		{"mail of an exempt subscriber", 1, segmentSpec{from: home, to: server, src: exempt6, dst: other6, dport: 25}, []uint32{11}, 4},
		{"submission", 1, segmentSpec{from: home, to: server, src: ordinary4, dst: other4, dport: 587}, []uint32{11}, 3},
		{"submission", 1, segmentSpec{from: home, to: server, src: ordinary6, dst: other6, dport: 587}, []uint32{11}, 3},
		{"465, which this state has no service for", 1, segmentSpec{from: home, to: server, src: ordinary4, dst: other4, dport: 465}, []uint32{11}, 0},
		{"no mail", 1, segmentSpec{from: home, to: server, src: ordinary4, dst: other4, dport: 443}, []uint32{11}, 0},
		{"UDP port 25", 1, segmentSpec{from: home, to: server, src: ordinary4, dst: other4, dport: 25, udp: true}, []uint32{11}, 0},
		{"a server's answer", 11, segmentSpec{from: server, to: home, src: other4, dst: ordinary4, sport: 25, dport: 49152}, []uint32{1}, 0},
		{"mail between servers", 11, segmentSpec{from: server, to: far, src: relay4, dst: other4, dport: 25}, []uint32{12}, 0},

		// Lines.
		{"a line in a VLAN whose group is monitored", 1, segmentSpec{from: home, to: server, vlan: 100, src: ordinary4, dst: other4, dport: 25}, []uint32{11}, 6},
		{"a VLAN that no entry names", 1, segmentSpec{from: home, to: server, vlan: 101, src: ordinary4, dst: other4, dport: 25}, nil, 5},
		{"the same, and no mail", 1, segmentSpec{from: home, to: server, vlan: 101, src: ordinary4, dst: other4, dport: 443}, []uint32{11}, 0},
		{"a port that no entry names", 2, segmentSpec{from: stranger, to: server, src: ordinary4, dst: other4, dport: 25}, nil, 5},
		{"the same, to the relay", 2, segmentSpec{from: stranger, to: server, src: ordinary4, dst: relay4, dport: 25}, []uint32{11}, 2},

		// What hides ports, and what only looks as if it did.
		{"behind IPv4 options", 1, segmentSpec{from: home, to: server, src: ordinary4, dst: other4, dport: 25, options: true}, nil, 5},
		{"behind IPv4 options, to the relay", 1, segmentSpec{from: home, to: server, src: ordinary4, dst: relay4, dport: 25, options: true}, []uint32{11}, 2},
		{"a first fragment", 1, segmentSpec{from: home, to: server, src: ordinary4, dst: other4, dport: 25, more: true}, nil, 5},
		{"a first fragment to the relay", 1, segmentSpec{from: home, to: server, src: ordinary4, dst: relay4, dport: 25, more: true}, []uint32{11}, 2},
		{"a later fragment has no ports", 1, segmentSpec{from: home, to: server, src: ordinary4, dst: other4, dport: 25, offset: 8}, []uint32{11}, 0},
		{"a header length of 4 words", 1, segmentSpec{from: home, to: server, src: ordinary4, dst: other4, dport: 443, corrupt: func(ip []byte) { ip[0] = 0x44 }}, nil, 1},
		{"version 5", 1, segmentSpec{from: home, to: server, src: ordinary4, dst: other4, dport: 443, corrupt: func(ip []byte) { ip[0] = 0x55 }}, nil, 1},
		{"the same from the network side", 11, segmentSpec{from: server, to: home, src: other4, dst: ordinary4, dport: 443, corrupt: func(ip []byte) { ip[0] = 0x55 }}, []uint32{1}, 0},
		{"cut in the TCP header", 1, segmentSpec{from: home, to: server, src: ordinary4, dst: other4, dport: 443, truncated: 14 + 20 + 12}, nil, 1},
		{"cut in the IPv6 header", 1, segmentSpec{from: home, to: server, src: ordinary6, dst: other6, dport: 443, truncated: 14 + 30}, nil, 1},

		// The bridge and its split horizon.
		{"to another subscriber", 2, segmentSpec{from: stranger, to: home, src: ordinary4, dst: other4, dport: 443}, nil, 0},
		{"to another subscriber's address, flooded", 1, segmentSpec{from: home, to: stranger, src: ordinary4, dst: other4, dport: 443}, []uint32{11, 12}, 0},
		{"broadcast of a subscriber", 1, segmentSpec{from: home, to: everyone, src: ordinary4, dst: other4, dport: 443}, []uint32{11, 12}, 0},
		{"broadcast of the network side", 11, segmentSpec{from: server, to: everyone, src: other4, dst: ordinary4, dport: 443}, []uint32{1, 2, 12}, 0},
		{"unknown address from the network side", 12, segmentSpec{from: far, to: stranger, src: other4, dst: ordinary4, dport: 443}, []uint32{1, 2, 11}, 0},
		{"an address of the port that it came from", 11, segmentSpec{from: far, to: server, src: other4, dst: ordinary4, dport: 443}, nil, 0},
	} {
		before := ruleCounts(t, rule, test.in)
		frame := test.frame(t)
		var out []uint32
		worker.Process(uint32(test.in), frame, func(port uint32, f []byte) {
			out = append(out, port)
			if !slices.Equal(f, frame) {
				t.Errorf("%s, %s to %s: port %d sent %x, which is not what came in: %x", test.what, test.src, test.dst, port, f, frame)
			}
		})
		slices.Sort(out)
		if !slices.Equal(out, test.out) {
			t.Errorf("%s, %s to %s: out of ports %v, want %v", test.what, test.src, test.dst, out, test.out)
		}
		want := before
		if test.rule != 0 {
			want[test.rule]++
		}
		if got := ruleCounts(t, rule, test.in); got != want {
			t.Errorf("%s, %s to %s: rule counters went from %v to %v, want one more of rule %d", test.what, test.src, test.dst, before, got, test.rule)
		}
	}
}

// ruleCounts are the packets that the rules 0 to 7 have counted on a port.
func ruleCounts(t *testing.T, rule *engine.Counter, port pipeline.Port) (counts [8]uint64) {
	t.Helper()
	for id := range counts {
		v, err := rule.Read(int(port)<<8 | id)
		if err != nil {
			t.Fatal(err)
		}
		counts[id] = v.Packets
	}
	return counts
}
