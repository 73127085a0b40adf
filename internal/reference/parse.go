package reference

import (
	"encoding/binary"
	"net/netip"
)

// A Fault is the reason why a frame is tiny or undetermined.
type Fault string

// The faults, in the order in which the parser detects them.
const (
	ShortEthernet        Fault = "ethernet: header cut"
	ShortTag             Fault = "tag: cut"
	ThirdTag             Fault = "tag: third"
	SNAP                 Fault = "llc: snap"
	ShortPPPoE           Fault = "pppoe: header cut"
	PPPoEVersion         Fault = "pppoe: version"
	PPPoEType            Fault = "pppoe: type"
	PPPoECode            Fault = "pppoe: code"
	PPPoELengthShort     Fault = "pppoe: length below 2"
	PPPoELengthLong      Fault = "pppoe: length past the frame"
	PPPCompressed        Fault = "ppp: compressed protocol field"
	PPPNetworkLayer      Fault = "ppp: other network-layer protocol"
	ShortIPv4            Fault = "ipv4: header cut"
	IPv4Version          Fault = "ipv4: version"
	IPv4HeaderLength     Fault = "ipv4: header length below 5"
	IPv4TotalLengthShort Fault = "ipv4: total length below the header's"
	IPv4TotalLengthLong  Fault = "ipv4: total length past the room"
	ShortIPv4Options     Fault = "ipv4: options cut"
	IPv4OptionLength     Fault = "ipv4: option length below 2"
	IPv4SourceRoute      Fault = "ipv4: source route"
	ShortIPv6            Fault = "ipv6: header cut"
	IPv6Version          Fault = "ipv6: version"
	IPv6PayloadLong      Fault = "ipv6: payload length past the room"
	ChainHeaders         Fault = "chain: more than 4 headers"
	ChainBytes           Fault = "chain: more than 128 bytes"
	ShortChain           Fault = "chain: header past the room"
	IPv6SourceRoute      Fault = "chain: source route"
	SecondTunnel         Fault = "tunnel: second"
	FragmentAtOne        Fault = "tcp: fragment offset 1"
	FragmentOfHeaders    Fault = "headers: fragment offset below 32"
	ShortTCP             Fault = "tcp: ports cut"
)

// UndeterminedFaults lists the faults that make a frame undetermined.
func UndeterminedFaults() []Fault {
	return []Fault{
		ShortEthernet, ShortTag, ThirdTag, SNAP,
		ShortPPPoE, PPPoEVersion, PPPoEType, PPPoECode, PPPoELengthShort, PPPoELengthLong, PPPCompressed, PPPNetworkLayer,
		ShortIPv4, IPv4Version, IPv4HeaderLength, IPv4TotalLengthShort, IPv4TotalLengthLong, ShortIPv4Options, IPv4OptionLength, IPv4SourceRoute,
		ShortIPv6, IPv6Version, IPv6PayloadLong, ChainHeaders, ChainBytes, ShortChain, IPv6SourceRoute, SecondTunnel,
	}
}

// TinyFaults lists the faults that make a frame a tiny fragment.
func TinyFaults() []Fault { return []Fault{FragmentAtOne, FragmentOfHeaders, ShortTCP} }

// The protocol numbers that the parser distinguishes, as assigned by IANA.
const (
	etherIPv4  = 0x0800
	etherIPv6  = 0x86dd
	etherPPPoE = 0x8864

	minEthertype = 0x0600                     // a lower value is a length, and an LLC header follows (IEEE 802.3)
	snap         = "\xaa\xaa\x03\x00\x00\x00" // the LLC header and the OUI before an EtherType (RFC 1042)

	pppIPv4 = 0x0021
	pppIPv6 = 0x0057

	protoHopByHop    = 0
	protoIPv4        = 4
	protoTCP         = 6
	protoIPv6        = 41
	protoRouting     = 43
	protoFragment    = 44
	protoAH          = 51
	protoDestination = 60
	protoMobility    = 135
	protoHIP         = 139
	protoShim6       = 140
)

// The limits for a chain of extension headers. A parser with a fixed number of headers has such limits.
const (
	maxChainHeaders = 4
	maxChainBytes   = 128
)

func isTag(ethertype uint16) bool {
	return ethertype == 0x8100 || ethertype == 0x88a8 || ethertype == 0x9100
}

func isExtension(proto byte) bool {
	switch proto {
	case protoHopByHop, protoRouting, protoFragment, protoAH, protoDestination, protoMobility, protoHIP, protoShim6:
		return true
	}
	return false
}

func isTunnel(proto byte) bool { return proto == protoIPv4 || proto == protoIPv6 }

// headersEnd is the maximum length of the headers before TCP, in units of 8 bytes. A fragment with a smaller offset could overlap the ports
// of the first fragment. No host sends fragments that small.
const headersEnd = 32

// A packet contains the parsed parts of a frame. Offsets count from the first byte of the frame.
type packet struct {
	frame []byte
	shape Shape
	why   Fault

	ethernet         bool // whether the frame contains the whole Ethernet header of 14 bytes
	outerVID         uint16
	innerVID         uint16
	pppoe            bool // whether the frame contains the whole PPPoE header of 6 bytes
	session          uint16
	outer, inner     *ipHeader // equal if there is no tunnel; nil until a header of the right version has been read
	tunnel           byte      // the protocol number that announces the inner header
	srcPort, dstPort uint16    // valid only for the shape TCP
	flags            bool      // whether the frame contains the TCP flags
	syn, ack         bool
	tcp              int // the offset of the TCP header
}

// An ipHeader describes an IP header with its options or extension headers.
type ipHeader struct {
	v6       bool
	src, dst netip.Addr
	start    int
	ipv4AH   bool // whether an AH follows the IPv4 header
}

// be16 returns the first two bytes as a big-endian number.
func be16(b []byte) uint16 { return binary.BigEndian.Uint16(b) }

// end records the fault that ends parsing.
func (p *packet) end(shape Shape, why Fault) { p.shape, p.why = shape, why }

// parse parses a frame (section 1).
func parse(frame []byte) *packet {
	p := &packet{frame: frame, shape: Other}
	if len(frame) < 14 {
		p.end(Undetermined, ShortEthernet)
		return p
	}
	p.ethernet = true
	ethertype, at := be16(frame[12:]), 14
	for tags := 0; isTag(ethertype); tags++ {
		if tags == 2 {
			p.end(Undetermined, ThirdTag)
			return p
		}
		if len(frame) < at+4 {
			p.end(Undetermined, ShortTag)
			return p
		}
		// A priority tag, which has VLAN id 0, does not count as a VLAN, because receivers ignore it.
		switch vid := be16(frame[at:]) & 0xfff; {
		case p.outerVID == 0:
			p.outerVID = vid
		case p.innerVID == 0:
			p.innerVID = vid
		}
		ethertype, at = be16(frame[at+2:]), at+4
	}
	switch {
	case ethertype == etherIPv4:
		p.ipv4(frame[at:], false, false)
	case ethertype == etherIPv6:
		p.ipv6(frame[at:], false, false)
	case ethertype == etherPPPoE:
		p.session2516(frame[at:])
	case ethertype < minEthertype && len(frame) >= at+8 && string(frame[at:at+6]) == snap:
		p.end(Undetermined, SNAP)
	}
	return p
}

// offset returns the position of a slice within the frame. The slice's capacity must not be 0. Callers pass slices that begin with a
// header.
func (p *packet) offset(part []byte) int { return cap(p.frame) - cap(part) }

// session2516 reads a PPPoE session header (RFC 2516) and the PPP protocol field.
func (p *packet) session2516(room []byte) {
	if len(room) < 6 {
		p.end(Undetermined, ShortPPPoE)
		return
	}
	p.pppoe, p.session = true, be16(room[2:])
	length := int(be16(room[4:]))
	switch {
	case room[0]>>4 != 1:
		p.end(Undetermined, PPPoEVersion)
	case room[0]&0xf != 1:
		p.end(Undetermined, PPPoEType)
	case room[1] != 0:
		p.end(Undetermined, PPPoECode)
	case length < 2:
		p.end(Undetermined, PPPoELengthShort)
	case length > len(room)-6:
		p.end(Undetermined, PPPoELengthLong)
	case room[6]&1 == 1: // a compressed protocol field, RFC 1661 section 6.5
		p.end(Undetermined, PPPCompressed)
	default:
		payload := room[8 : 6+length]
		switch proto := be16(room[6:]); {
		case proto == pppIPv4:
			p.ipv4(payload, false, false)
		case proto == pppIPv6:
			p.ipv6(payload, false, false)
		case proto < 0x4000:
			p.end(Undetermined, PPPNetworkLayer)
		}
	}
}

// ipv4 reads an IPv4 packet. inTunnel states whether the packet is inside a tunnel. cut states whether the outer packet is a first
// fragment, whose inner length may exceed the available bytes.
func (p *packet) ipv4(room []byte, inTunnel, cut bool) {
	if len(room) < 20 {
		p.end(Undetermined, ShortIPv4)
		return
	}
	if room[0]>>4 != 4 {
		p.end(Undetermined, IPv4Version)
		return
	}
	h := &ipHeader{src: netip.AddrFrom4([4]byte(room[12:])), dst: netip.AddrFrom4([4]byte(room[16:])), start: p.offset(room)}
	p.header(h, inTunnel)
	header, total := int(room[0]&0xf)*4, int(be16(room[2:]))
	switch {
	case header < 20:
		p.end(Undetermined, IPv4HeaderLength)
		return
	case total < header:
		p.end(Undetermined, IPv4TotalLengthShort)
		return
	case total > len(room) && !cut:
		p.end(Undetermined, IPv4TotalLengthLong)
		return
	case header > len(room):
		p.end(Undetermined, ShortIPv4Options)
		return
	}
	room = room[:min(total, len(room))]
	if why := readOptions(room[20:header]); why != "" {
		p.end(Undetermined, why)
		return
	}
	proto, payload := room[9], room[header:]
	offset, more := be16(room[6:])&0x1fff, room[6]&0x20 != 0
	switch {
	case offset == 0 && proto == protoTCP:
		p.readTCP(payload)
	case offset == 0 && isTunnel(proto):
		p.enter(payload, proto, inTunnel, more)
	case offset == 0 && proto == protoAH:
		h.ipv4AH = true
		p.chain(payload, proto, inTunnel, more)
	case offset == 1 && proto == protoTCP: // RFC 3128
		p.end(TinyFragment, FragmentAtOne)
	case offset != 0 && offset < headersEnd && (isTunnel(proto) || proto == protoAH):
		p.end(TinyFragment, FragmentOfHeaders)
	case offset != 0 && (proto == protoTCP || isTunnel(proto) || proto == protoAH):
		p.shape = LaterFragment
	}
}

// readOptions reads the options of an IPv4 header (RFC 791 section 3.1), and returns a fault or "".
func readOptions(options []byte) Fault {
	for len(options) > 0 {
		switch kind := options[0]; {
		case kind == 0:
			return ""
		case kind == 1:
			options = options[1:]
		case kind == 131 || kind == 137:
			return IPv4SourceRoute
		case len(options) == 1: // the option's length would be outside the header
			return IPv4OptionLength
		case options[1] < 2:
			return IPv4OptionLength
		case int(options[1]) > len(options):
			return ""
		default:
			options = options[options[1]:]
		}
	}
	return ""
}

// ipv6 reads an IPv6 packet. The parameters are the same as for ipv4.
func (p *packet) ipv6(room []byte, inTunnel, cut bool) {
	if len(room) < 40 {
		p.end(Undetermined, ShortIPv6)
		return
	}
	if room[0]>>4 != 6 {
		p.end(Undetermined, IPv6Version)
		return
	}
	p.header(&ipHeader{v6: true, src: netip.AddrFrom16([16]byte(room[8:])), dst: netip.AddrFrom16([16]byte(room[24:])), start: p.offset(room)}, inTunnel)
	length, next, payload := int(be16(room[4:])), room[6], room[40:]
	if length > len(payload) && !cut {
		p.end(Undetermined, IPv6PayloadLong)
		return
	}
	p.chain(payload[:min(length, len(payload))], next, inTunnel, false)
}

// header records an IP header.
func (p *packet) header(h *ipHeader, inTunnel bool) {
	if !inTunnel {
		p.outer = h
	}
	p.inner = h
}

// chain reads the extension headers and the payload after them. more states whether more fragments follow.
func (p *packet) chain(room []byte, next byte, inTunnel, more bool) {
	headers, bytes := 0, 0
	for isExtension(next) {
		if headers++; headers > maxChainHeaders {
			p.end(Undetermined, ChainHeaders)
			return
		}
		if len(room) < 2 {
			p.end(Undetermined, ShortChain)
			return
		}
		var length int
		switch next {
		case protoFragment:
			length = 8
		case protoAH:
			length = (int(room[1]) + 2) * 4
		default:
			length = (int(room[1]) + 1) * 8
		}
		if bytes += length; bytes > maxChainBytes {
			p.end(Undetermined, ChainBytes)
			return
		}
		if length > len(room) {
			p.end(Undetermined, ShortChain)
			return
		}
		switch next {
		case protoRouting:
			if room[3] != 0 { // segments left
				p.end(Undetermined, IPv6SourceRoute)
				return
			}
		case protoFragment:
			offset, behind := be16(room[2:])>>3, room[0]
			switch {
			case offset == 1 && behind == protoTCP:
				p.end(TinyFragment, FragmentAtOne)
				return
			case offset != 0 && offset < headersEnd: // whatever the next header is, because a receiver uses only the first fragment's next header
				p.end(TinyFragment, FragmentOfHeaders)
				return
			case offset != 0:
				p.shape = LaterFragment
				return
			}
			more = more || room[3]&1 != 0
		}
		next, room = room[0], room[length:]
	}
	switch {
	case next == protoTCP:
		p.readTCP(room)
	case isTunnel(next):
		p.enter(room, next, inTunnel, more)
	}
}

// enter reads the packet inside a tunnel.
func (p *packet) enter(room []byte, proto byte, inTunnel, more bool) {
	switch {
	case inTunnel:
		p.end(Undetermined, SecondTunnel)
	case proto == protoIPv4:
		p.tunnel = proto
		p.ipv4(room, true, more)
	default:
		p.tunnel = proto
		p.ipv6(room, true, more)
	}
}

// readTCP reads the ports. If the TCP header without options is complete, it also reads the flags.
func (p *packet) readTCP(room []byte) {
	if len(room) < 4 {
		p.end(TinyFragment, ShortTCP)
		return
	}
	p.shape = TCP
	p.tcp = p.offset(room)
	p.srcPort, p.dstPort = be16(room), be16(room[2:])
	if len(room) >= 20 {
		p.flags = true
		p.syn, p.ack = room[13]&0x02 != 0, room[13]&0x10 != 0
	}
}
