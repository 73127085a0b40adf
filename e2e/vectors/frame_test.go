package vectors

import (
	"bytes"
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

func mustBuild(t *testing.T, text string) []byte {
	t.Helper()
	b, err := buildFrame(names{}, newSpan("f", 1, text))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestFramesByHand verifies frames against bytes that were written by hand from the diagrams in the standards.
func TestFramesByHand(t *testing.T) {
	const eth, macs = "eth 02:00:00:00:01:01>02:00:00:00:02:01 ", "020000000201 020000000101 "
	for _, test := range []struct{ text, want string }{
		{eth + "type=0x88b5", macs + "88b5"},
		{eth + "| tag 88a8 200 pri=5 dei | tag 9100 30 type=0x0806", macs + "88a8 b0c8 9100 001e 0806"},
		// RFC 2516: version and type, code, session, length, PPP protocol.
		{eth + "| pppoe 0x1001 proto=0xc021 | raw 0x0102", macs + "8864 11 00 1001 0004 c021 0102"},
		{eth + "| pppoe 0x1001 short proto=0x0021 | raw 0x45", macs + "8864 11 00 1001 0002 21 45"},
		// The header of RFC 791. The sum is 4500 + 14 + 4006 + c000 + 201 + c000 + 202 = 2091d, or 91f with the carry, and its complement
		// is the checksum.
		{eth + "| ip4 192.0.2.1>192.0.2.2 proto=6", macs + "0800 4500 0014 0000 0000 4006 f6e0 c0000201 c0000202"},
		{eth + "| ip6 ::1>::2 next=59 hop=9 tc=1 flow=2", macs + "86dd 6010 0002 0000 3b09 00000000000000000000000000000001 00000000000000000000000000000002"},
		{eth + "| ip6 ::1>::2 | dstopt limit=4 next=59", macs + "86dd 6000 0000 0008 3c40 00000000000000000000000000000001 00000000000000000000000000000002 3b00 0401 04 01 01 00"},
		{eth + "| ip6 ::1>::2 | frag off=1 mf id=3 next=6 | cut 62", macs + "86dd 6000 0000 0008 2c40 00000000000000000000000000000001 00000000000000000000000000000002 0600 0009 00000003"},
		{eth + "| ip6 ::1>::2 | ah next=59 size=12 | pad 2", macs + "86dd 6000 0000 000c 3340 00000000000000000000000000000001 00000000000000000000000000000002 3b01 0000 00000001 00000000 0000"},
		{"raw 0x00ff", "00ff"},
	} {
		got := mustBuild(t, test.text)
		if want, err := hex.DecodeString(strings.ReplaceAll(test.want, " ", "")); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s\nis   %x\nwant %x %v", test.text, got, want, err)
		}
	}
}

// TestChecksumsCancel verifies that the checksum of the pseudo-header and the segment, with an odd payload, is zero.
func TestChecksumsCancel(t *testing.T) {
	for _, test := range []struct {
		text     string
		ip, size int // the offset of the IP addresses, and their total length
		segment  int
		protocol uint64
	}{
		{"eth 02:00:00:00:01:01>02:00:00:00:02:01 | ip4 192.0.2.1>192.0.2.2 | tcp 1>2 SA | data 5", 26, 8, 34, 6},
		{"eth 02:00:00:00:01:01>02:00:00:00:02:01 | ip4 192.0.2.1>192.0.2.2 | udp 1>2 | data 5", 26, 8, 34, 17},
		{"eth 02:00:00:00:01:01>02:00:00:00:02:01 | ip6 2001:db8::1>::2 | tcp 1>2 SA size=32 | data 5", 22, 32, 54, 6},
		{"eth 02:00:00:00:01:01>02:00:00:00:02:01 | ip6 2001:db8::1>::2 | icmp6 1/1 | raw 0x0102030405", 22, 32, 54, 58},
	} {
		b := mustBuild(t, test.text)
		half := test.size / 2
		h := ipHeader{b[test.ip : test.ip+half], b[test.ip+half : test.ip+test.size]}
		segment := b[test.segment:]
		if sum := checksum(h.pseudo(test.protocol, len(segment)), segment); sum != 0 {
			t.Errorf("%s: the checksum leaves %#x, want 0", test.text, sum)
		}
		segment[len(segment)-1] ^= 1
		if checksum(h.pseudo(test.protocol, len(segment)), segment) == 0 {
			t.Errorf("%s: a changed bit does not show in the checksum", test.text)
		}
	}
}

// TestFramesAgreeWithGopacket verifies the frames against gopacket. gopacket parses each frame and serializes it again with its own
// lengths and checksums. The bytes must be the same.
func TestFramesAgreeWithGopacket(t *testing.T) {
	frames := map[string][]byte{}
	for _, v := range golden(t) {
		for _, s := range v.Steps {
			frames[s.Layers] = s.Frame
			if len(s.Want.Ports) > 0 && !s.Want.Same {
				frames[s.Want.Layers] = s.Want.Frame
			}
		}
	}
	compared := map[gopacket.LayerType]int{}
	for text, frame := range frames {
		// Skip frames that gopacket cannot write, which are those with deliberately wrong values, one-byte PPP protocols or padding.
		if strings.Contains(strings.ReplaceAll(text, "pri=", ""), "=") || strings.Contains(text, " short") || strings.Contains(text, "| pad ") {
			continue
		}
		p := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.NoCopy)
		if p.ErrorLayer() != nil || !slices.ContainsFunc(p.Layers(), isTransport) {
			continue
		}
		var stack []gopacket.SerializableLayer
		var last gopacket.NetworkLayer
		whole := true
		for _, l := range p.Layers() {
			s, ok := l.(gopacket.SerializableLayer)
			if n, isNetwork := l.(gopacket.NetworkLayer); isNetwork {
				last = n
			}
			switch l := l.(type) {
			case *layers.TCP:
				_ = l.SetNetworkLayerForChecksum(last)
			case *layers.UDP:
				_ = l.SetNetworkLayerForChecksum(last)
			case *layers.ICMPv6:
				_ = l.SetNetworkLayerForChecksum(last)
			case *layers.Ethernet, *layers.Dot1Q, *layers.IPv4, *layers.IPv6, *layers.PPPoE, *layers.PPP, *layers.ICMPv4, *gopacket.Payload:
			default:
				ok = false
			}
			whole = whole && ok
			stack = append(stack, s)
		}
		if !whole {
			continue
		}
		b := gopacket.NewSerializeBuffer()
		if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, stack...); err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		// gopacket pads short frames.
		if got := b.Bytes()[:min(len(b.Bytes()), len(frame))]; !bytes.Equal(got, frame) {
			t.Errorf("%s\nis          %x\nof gopacket %x", text, frame, got)
		}
		for _, l := range p.Layers() {
			compared[l.LayerType()]++
		}
	}
	for _, l := range []gopacket.LayerType{layers.LayerTypeTCP, layers.LayerTypeIPv4, layers.LayerTypeIPv6, layers.LayerTypeDot1Q, layers.LayerTypePPPoE} {
		if compared[l] < 50 {
			t.Errorf("%d layers of %v compared, want 50 or more", compared[l], l)
		}
	}
	t.Log(compared)
}

func isTransport(l gopacket.Layer) bool {
	return slices.Contains([]gopacket.LayerType{layers.LayerTypeTCP, layers.LayerTypeUDP, layers.LayerTypeICMPv4, layers.LayerTypeICMPv6}, l.LayerType())
}

// TestDumpReadsBack verifies that the dump of a frame builds the same frame, and that at most one dump in fifty is raw.
func TestDumpReadsBack(t *testing.T) {
	raw, plain := 0, 0
	for _, v := range golden(t) {
		for _, s := range v.Steps {
			for _, frame := range [][]byte{s.Frame, s.Want.Frame} {
				if frame == nil {
					continue
				}
				text := Dump(frame)
				back, err := buildFrame(nil, newSpan("f", 1, text))
				if err != nil || !bytes.Equal(back, frame) {
					t.Errorf("%v: %x\nis dumped as %s\nwhich reads as %x, %v", s.At, frame, text, back, err)
				}
				if strings.HasPrefix(text, "raw") {
					raw++
				} else {
					plain++
				}
			}
		}
	}
	if plain < 50*raw {
		t.Errorf("%d frames are dumped by layers and %d as bytes alone", plain, raw)
	}
}

func TestDumpShowsLayers(t *testing.T) {
	text := "eth 02:00:00:00:01:02>02:00:00:00:02:01 | tag 88a8 200 | tag 8100 30 pri=3 | pppoe 0x1003 | ip6 2001:db8::1>2001:db8::2 | " +
		"dstopt size=8 limit=4 | ip4 192.0.2.1>192.0.2.2 id=7 df ttl=9 opts=0x01010101 | tcp 49152>25 SEC win=7 | raw 0x0001"
	if got := Dump(mustBuild(t, text)); got != text {
		t.Errorf("dumped as\n%s\nwant\n%s", got, text)
	}
}
