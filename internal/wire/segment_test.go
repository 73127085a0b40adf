package wire

import (
	"bytes"
	"encoding/binary"
	"net"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// tcpFrame builds a TCP segment with correct checksums.
func tcpFrame(t *testing.T, v6 bool, tags []uint16, tcp layers.TCP, payload []byte) []byte {
	t.Helper()
	kind, network := layers.EthernetTypeIPv4, gopacket.SerializableLayer(nil)
	if v6 {
		kind = layers.EthernetTypeIPv6
		ip := &layers.IPv6{Version: 6, NextHeader: layers.IPProtocolTCP, HopLimit: 64, SrcIP: net.ParseIP("2001:db8::1"), DstIP: net.ParseIP("2001:db8::2")}
		_ = tcp.SetNetworkLayerForChecksum(ip)
		network = ip
	} else {
		ip := &layers.IPv4{Version: 4, Id: 7, Protocol: layers.IPProtocolTCP, TTL: 64, SrcIP: net.IP{192, 0, 2, 1}, DstIP: net.IP{192, 0, 2, 2}}
		_ = tcp.SetNetworkLayerForChecksum(ip)
		network = ip
	}
	eth := &layers.Ethernet{SrcMAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}, DstMAC: net.HardwareAddr{2, 0, 0, 0, 0, 2}, EthernetType: kind}
	stack := []gopacket.SerializableLayer{eth}
	for i, id := range tags {
		tag := &layers.Dot1Q{VLANIdentifier: id, Type: kind}
		if i < len(tags)-1 {
			tag.Type = layers.EthernetTypeDot1Q
		}
		stack = append(stack, tag)
		eth.EthernetType = layers.EthernetTypeDot1Q
	}
	b := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, append(stack, network, &tcp, gopacket.Payload(payload))...); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestCut verifies that an oversized frame is cut into the frames that the sender would have sent
// without offload.
func TestCut(t *testing.T) {
	pattern := make([]byte, 40_000)
	for i := range pattern {
		pattern[i] = byte(i * 7)
	}
	options := []layers.TCPOption{{OptionType: layers.TCPOptionKindNop}, {OptionType: layers.TCPOptionKindNop}, {OptionType: layers.TCPOptionKindTimestamps, OptionLength: 10, OptionData: make([]byte, 8)}}
	for name, tc := range map[string]struct {
		v6   bool
		tags []uint16
		size int
	}{"IPv4": {false, nil, 1448}, "IPv6": {true, nil, 1428}, "IPv4 tagged": {false, []uint16{5}, 1448}, "IPv6 tagged twice": {true, []uint16{5, 6}, 1000}} {
		t.Run(name, func(t *testing.T) {
			whole := layers.TCP{SrcPort: 25, DstPort: 50000, Seq: 0xffff_fff0, Ack: 9, ACK: true, PSH: true, FIN: true, CWR: true, Window: 100, Options: options}
			super := tcpFrame(t, tc.v6, tc.tags, whole, pattern)
			// Make the checksums incomplete, as the sender would leave them.
			for _, at := range []int{len(super) - len(pattern) - 16, len(super) - len(pattern) - 15} {
				super[at] ^= 0x55
			}
			var want [][]byte
			for offset := 0; offset < len(pattern); offset += tc.size {
				part := whole
				part.Seq += uint32(offset)
				last := offset+tc.size >= len(pattern)
				part.PSH, part.FIN, part.CWR = last, last, offset == 0
				f := tcpFrame(t, tc.v6, tc.tags, part, pattern[offset:min(offset+tc.size, len(pattern))])
				if !tc.v6 {
					ip := f[14+4*len(tc.tags):]
					binary.BigEndian.PutUint16(ip[4:], 7+uint16(offset/tc.size))
					ip[10], ip[11] = 0, 0
					binary.BigEndian.PutUint16(ip[10:], headerChecksum(ip[:20]))
				}
				want = append(want, f)
			}
			var s segmenter
			i := 0
			if !s.cut(super, tc.size, func(got []byte) {
				if i >= len(want) || !bytes.Equal(got, want[i]) {
					t.Fatalf("segment %d is\n%x\nwant\n%x", i, got[:90], want[min(i, len(want)-1)][:90])
				}
				i++
			}) {
				t.Fatal("not cut")
			}
			if i != len(want) {
				t.Errorf("%d segments, want %d", i, len(want))
			}
		})
	}
}

// headerChecksum computes RFC 1071's sum without the package's code.
func headerChecksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i < len(b); i += 2 {
		sum += uint32(b[i])<<8 | uint32(b[i+1])
		if sum > 0xffff {
			sum -= 0xffff
		}
	}
	return ^uint16(sum)
}

func TestNotCut(t *testing.T) {
	good := tcpFrame(t, false, nil, layers.TCP{ACK: true}, make([]byte, 3000))
	change := func(at int, b byte) []byte {
		f := bytes.Clone(good)
		f[at] = b
		return f
	}
	for name, tc := range map[string]struct {
		frame []byte
		size  int
	}{
		"short":             {good[:20], 1000},
		"not IP":            {change(12, 0x99), 1000},
		"UDP":               {change(23, 17), 1000},
		"IP header":         {change(14, 0x44), 1000},
		"TCP header":        {change(46, 0x40), 1000},
		"TCP header beyond": {tcpFrame(t, false, nil, layers.TCP{ACK: true}, nil)[:54], 1000},
		"larger segments":   {good, MaxFrame},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "TCP header beyond" {
				tc.frame[46] = 0xf0
			}
			var s segmenter
			if s.cut(tc.frame, tc.size, func([]byte) { t.Error("a segment was handed over") }) {
				t.Error("cut")
			}
		})
	}
}

func TestComplete(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		for length := range 4 {
			want := tcpFrame(t, v6, nil, layers.TCP{ACK: true, Seq: 77}, bytes.Repeat([]byte{0xab}, length))
			network, transport := 14, 34
			pseudo := uint64(tcpProtocol + 20 + length)
			source := want[network+12 : network+20]
			if v6 {
				transport = 54
				source = want[network+8 : network+40]
			}
			frame := bytes.Clone(want)
			binary.BigEndian.PutUint16(frame[transport+16:], fold(add(pseudo, source)))
			var h [10]byte
			h[0] = needsChecksum
			binary.NativeEndian.PutUint16(h[6:], uint16(transport))
			binary.NativeEndian.PutUint16(h[8:], 16)
			if !decodeOffload(h).complete(frame) || !bytes.Equal(frame, want) {
				t.Errorf("IPv6 %t, %d bytes: completed\n%x\nwant\n%x", v6, length, frame, want)
			}
			if decodeOffload(h).complete(frame[:transport+17]) {
				t.Error("completed a checksum that is beyond the frame")
			}
		}
	}
	if decodeOffload([10]byte{1: 5}).complete(make([]byte, 100)) {
		t.Error("a frame to be cut in an unknown way was let through")
	}
}
