package e2e

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
)

// A benchForm is one encapsulation of a subscriber's frames.
type benchForm struct {
	name string
	make func(f *benchFlow) []byte
	// rejecting states that the frames enter on the line whose mail is rejected. Frames of other forms are forwarded.
	rejecting bool
}

// A benchFlow contains the addresses from which a frame of any form is built.
type benchFlow struct {
	src4, dst4 netip.Addr
	src6, dst6 netip.Addr
}

// IP protocol numbers, EtherTypes and PPP protocol numbers.
const (
	nextHopByHop    = 0
	nextIPv4        = 4
	nextTCP         = 6
	nextIPv6        = 41
	nextDestOptions = 60

	frameTypeIPv4  = 0x0800
	frameTypeIPv6  = 0x86dd
	frameTypeCTag  = 0x8100
	frameTypeSTag  = 0x88a8
	frameTypePPPoE = 0x8864

	sessionIPv4 = 0x0021
	sessionIPv6 = 0x0057
)

// The tags and the session that the encapsulated forms use.
const (
	benchOuterVID = 7
	benchInnerVID = 100
	benchSession  = 42
)

// benchForms returns the measured forms. The subscribers are exempt, so the whole policy is evaluated and the frame is forwarded. Only
// frames of the last form are rejected. A later fragment has no ports to look up.
func benchForms() []benchForm {
	smtp := func() []byte { return benchSYN(25) }
	plain4 := func(f *benchFlow) []byte { return benchIPv4(f, nextTCP, 0, nil, smtp()) }
	plain6 := func(f *benchFlow) []byte { return benchIPv6(f, nextTCP, smtp()) }
	// The options are router alert, three no-operations and the end of the list.
	options := []byte{0x94, 4, 0, 0, 1, 1, 1, 0}
	fourInSix := func(f *benchFlow) []byte { return benchIPv6(f, nextIPv4, plain4(f)) }
	return []benchForm{
		{name: "plain4", make: func(f *benchFlow) []byte { return benchEthernet(frameTypeIPv4, plain4(f)) }},
		{name: "plain6", make: func(f *benchFlow) []byte { return benchEthernet(frameTypeIPv6, plain6(f)) }},
		{name: "vlan", make: func(f *benchFlow) []byte {
			return benchEthernet(frameTypeCTag, benchTag(benchInnerVID, frameTypeIPv4, plain4(f)))
		}},
		{name: "qinq", make: func(f *benchFlow) []byte { return benchEthernet(frameTypeSTag, benchTwoTags(frameTypeIPv4, plain4(f))) }},
		{name: "pppoe4", make: func(f *benchFlow) []byte { return benchEthernet(frameTypePPPoE, benchPPPoE(sessionIPv4, plain4(f))) }},
		{name: "pppoe6", make: func(f *benchFlow) []byte { return benchEthernet(frameTypePPPoE, benchPPPoE(sessionIPv6, plain6(f))) }},
		{name: "ipv4-options", make: func(f *benchFlow) []byte {
			return benchEthernet(frameTypeIPv4, benchIPv4(f, nextTCP, 0, options, smtp()))
		}},
		{name: "ipv6-ext", make: func(f *benchFlow) []byte {
			return benchEthernet(frameTypeIPv6, benchIPv6(f, nextHopByHop, benchOptions(nextDestOptions, benchOptions(nextTCP, smtp()))))
		}},
		{name: "4in6", make: func(f *benchFlow) []byte { return benchEthernet(frameTypeIPv6, fourInSix(f)) }},
		{name: "4in6-destopts", make: func(f *benchFlow) []byte {
			return benchEthernet(frameTypeIPv6, benchIPv6(f, nextDestOptions, benchOptions(nextIPv4, plain4(f))))
		}},
		{name: "6in4", make: func(f *benchFlow) []byte {
			return benchEthernet(frameTypeIPv4, benchIPv4(f, nextIPv6, 0, nil, plain6(f)))
		}},
		{name: "pppoe+qinq+4in6", make: func(f *benchFlow) []byte {
			return benchEthernet(frameTypeSTag, benchTwoTags(frameTypePPPoE, benchPPPoE(sessionIPv6, fourInSix(f))))
		}},
		{name: "later-fragment", make: func(f *benchFlow) []byte {
			return benchEthernet(frameTypeIPv4, benchIPv4(f, nextTCP, 100, nil, smtp()))
		}},
		{name: "not-mail", make: func(f *benchFlow) []byte {
			return benchEthernet(frameTypeIPv4, benchIPv4(f, nextTCP, 0, nil, benchSYN(443)))
		}},
		{name: "reject", rejecting: true, make: func(f *benchFlow) []byte { return benchEthernet(frameTypeIPv4, plain4(f)) }},
	}
}

// frames returns n frames of a form. Their subscribers are drawn from the first v4Exempt IPv4 and the first v6Exempt IPv6 exempt
// subscribers. Every run uses the same frames, because the seed is fixed.
func (a *benchForm) frames(n, v4Exempt, v6Exempt int) [][]byte {
	r := rand.New(rand.NewPCG(25, 587))
	out := make([][]byte, n)
	for i := range out {
		f := benchFlow{
			src4: v4(10<<24 | r.IntN(v4Exempt)), dst4: v4(203<<24 | r.IntN(1<<24)),
			src6: benchV6(0x20010db8, uint32(r.IntN(v6Exempt))), dst6: benchV6(0x26200000, r.Uint32()),
		}
		out[i] = a.make(&f)
	}
	return out
}

// benchV6 returns an address in the /64 prefix that consists of high and low.
func benchV6(high, low uint32) netip.Addr {
	var a [16]byte
	binary.BigEndian.PutUint32(a[:], high)
	binary.BigEndian.PutUint32(a[4:], low)
	a[15] = 1
	return netip.AddrFrom16(a)
}

// benchSYN returns a TCP header with the SYN flag, to the given port.
func benchSYN(port uint16) []byte {
	b := binary.BigEndian.AppendUint16(nil, 49152)
	b = binary.BigEndian.AppendUint16(b, port)
	return append(b, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x02, 0xff, 0xff, 0, 0, 0, 0)
}

// benchIPv4 returns an IPv4 packet with the payload. offset is in units of 8 bytes. The length of options must be a multiple of 4.
func benchIPv4(f *benchFlow, protocol byte, offset uint16, options, payload []byte) []byte {
	words := 5 + len(options)/4
	b := []byte{0x40 | byte(words), 0}
	b = binary.BigEndian.AppendUint16(b, uint16(4*words+len(payload)))
	b = append(b, 0, 1)
	b = binary.BigEndian.AppendUint16(b, offset)
	b = append(b, 64, protocol, 0, 0)
	b = append(b, f.src4.AsSlice()...)
	b = append(b, f.dst4.AsSlice()...)
	b = append(b, options...)
	sumIPv4(b)
	return append(b, payload...)
}

func benchIPv6(f *benchFlow, next byte, payload []byte) []byte {
	b := []byte{0x60, 0, 0, 0}
	b = binary.BigEndian.AppendUint16(b, uint16(len(payload)))
	b = append(b, next, 64)
	b = append(b, f.src6.AsSlice()...)
	b = append(b, f.dst6.AsSlice()...)
	return append(b, payload...)
}

// benchOptions returns an extension header for hop-by-hop or destination options that contains only padding, followed by the payload.
func benchOptions(next byte, payload []byte) []byte {
	return append([]byte{next, 0, 1, 4, 0, 0, 0, 0}, payload...)
}

func benchPPPoE(protocol uint16, payload []byte) []byte {
	b := []byte{0x11, 0, 0, benchSession}
	b = binary.BigEndian.AppendUint16(b, uint16(2+len(payload)))
	b = binary.BigEndian.AppendUint16(b, protocol)
	return append(b, payload...)
}

// benchTag returns a VLAN tag without its tag protocol identifier, followed by the EtherType and the payload.
func benchTag(vid, etherType uint16, payload []byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, vid)
	b = binary.BigEndian.AppendUint16(b, etherType)
	return append(b, payload...)
}

func benchTwoTags(etherType uint16, payload []byte) []byte {
	return benchTag(benchOuterVID, frameTypeCTag, benchTag(benchInnerVID, etherType, payload))
}

// benchEthernet returns a frame from the subscriber to the server, padded to the minimum length of 60 bytes.
func benchEthernet(etherType uint16, payload []byte) []byte {
	b := append(append([]byte{}, serverMAC[:]...), subscriberMAC[:]...)
	b = binary.BigEndian.AppendUint16(b, etherType)
	b = append(b, payload...)
	return append(b, make([]byte, max(0, 60-len(b)))...)
}
