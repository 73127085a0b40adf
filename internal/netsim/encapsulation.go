package netsim

import (
	"encoding/binary"
	"net/netip"

	"gvisor.dev/gvisor/pkg/tcpip"
)

const (
	// TagC and TagS are the tag protocol identifiers of the customer tag and the service tag (IEEE 802.1Q, formerly 802.1ad).
	TagC = 0x8100
	TagS = 0x88a8

	tagLength = 4 // length of a tag in bytes: the tag protocol identifier and the tag control information
	vlanMask  = 0x0fff

	ipv4Type, arpType, ipv6Type = 0x0800, 0x0806, 0x86dd

	sessionType     = 0x8864 // EtherType of the PPPoE session stage, RFC 2516 section 4
	sessionHeader   = 6      // length in bytes: version and type, code, session id, length field
	sessionVersion  = 0x11   // version 1, type 1
	pppHeader       = 2      // length in bytes of the protocol field, which the PPPoE length includes
	pppIPv4, pppIP6 = 0x0021, 0x0057

	ipv4Minimum        = 20
	ipv6Header         = 40
	ipv6Version        = 0x60
	softwireHops       = 64
	protocolIPv4       = 4  // the next header value of an encapsulated IPv4 packet
	protocolOptions    = 60 // the next header value of the destination options header
	optionsLength      = 8
	optionLimit        = 4 // the type of the tunnel encapsulation limit option, RFC 2473 section 4.1.1
	arpLength          = 28
	arpSender, arpSeek = 14, 24 // the offsets of the sender's and the target's protocol address in ARP for IPv4
)

// limitOptions is the destination options header that Linux inserts into tunnelled packets. It consists of the next header IPv4, the
// tunnel encapsulation limit 4, and padding (PadN).
var limitOptions = [optionsLength]byte{protocolIPv4, 0, optionLimit, 1, 4, 1, 1, 0}

// A datagram is the content of a frame's innermost layer, an IP packet or an ARP message, with its EtherType.
type datagram struct {
	protocol uint16
	bytes    []byte
}

// An encapsulation describes all headers between a frame's MAC addresses and its datagram.
type encapsulation struct {
	tags     [2]tag // the outermost tag first
	session  uint16 // the PPPoE session id; 0 means no session
	softwire softwire
}

// A tag is a VLAN tag. If protocol is 0, there is no tag.
type tag struct{ protocol, vid uint16 }

// A softwire describes the outer IPv6 header of an IPv4 packet by the addresses of its near and far end. If the addresses are invalid,
// there is no softwire.
type softwire struct {
	own, far netip.Addr
	limit    bool // whether limitOptions follows the header
}

// A path contains the peer's MAC address and the encapsulation of frames in either direction. If peer is empty, its MAC address is not
// resolved yet.
type path struct {
	peer tcpip.LinkAddress
	encapsulation
}

// overhead returns the number of bytes by which the encapsulation reduces the MTU. Tags do not reduce it, because links that carry tags
// accept longer frames.
func (e *encapsulation) overhead() int {
	n := 0
	if e.session != 0 {
		n += sessionHeader + pppHeader
	}
	return n + e.softwire.length()
}

func (w softwire) length() int {
	switch {
	case !w.far.IsValid():
		return 0
	case w.limit:
		return ipv6Header + optionsLength
	}
	return ipv6Header
}

// frame builds the frame that carries a datagram on the path.
func (p *path) frame(from tcpip.LinkAddress, d datagram) []byte {
	payload := p.softwire.length() + len(d.bytes)
	f := make([]byte, 12, ethernetHeader+len(p.tags)*tagLength+p.overhead()+len(d.bytes))
	copy(f, p.peer)
	copy(f[6:], from)
	for _, t := range p.tags {
		if t.protocol != 0 {
			f = binary.BigEndian.AppendUint16(f, t.protocol)
			f = binary.BigEndian.AppendUint16(f, t.vid)
		}
	}
	protocol := d.protocol
	if p.softwire.far.IsValid() {
		protocol = ipv6Type
	}
	if p.session == 0 {
		f = binary.BigEndian.AppendUint16(f, protocol)
	} else {
		f = binary.BigEndian.AppendUint16(f, sessionType)
		f = append(f, sessionVersion, 0)
		f = binary.BigEndian.AppendUint16(f, p.session)
		f = binary.BigEndian.AppendUint16(f, uint16(pppHeader+payload))
		ppp := uint16(pppIPv4)
		if protocol == ipv6Type {
			ppp = pppIP6
		}
		f = binary.BigEndian.AppendUint16(f, ppp)
	}
	return append(p.softwire.appendTo(f, len(d.bytes)), d.bytes...)
}

// appendTo appends the headers of RFC 2473 that precede an IPv4 packet of the given length.
func (w softwire) appendTo(f []byte, length int) []byte {
	if !w.far.IsValid() {
		return f
	}
	f = append(f, ipv6Version, 0, 0, 0)
	f = binary.BigEndian.AppendUint16(f, uint16(w.length()-ipv6Header+length))
	next := byte(protocolIPv4)
	if w.limit {
		next = protocolOptions
	}
	f = append(f, next, softwireHops)
	f = append(append(f, w.own.AsSlice()...), w.far.AsSlice()...)
	if w.limit {
		f = append(f, limitOptions[:]...)
	}
	return f
}

// parse reads a frame up to the content of its tags and PPPoE session. It does not open a softwire. ok is false if the frame is truncated,
// or contains neither IP nor ARP. parse omits a tag with VLAN id 0, which only carries a priority (IEEE 802.1Q section 9.6).
func parse(frame []byte) (p path, d datagram, ok bool) {
	if len(frame) < ethernetHeader {
		return path{}, datagram{}, false
	}
	p.peer = tcpip.LinkAddress(frame[6:12])
	protocol, rest := binary.BigEndian.Uint16(frame[12:]), frame[ethernetHeader:]
	for seen, kept := 0, 0; (protocol == TagC || protocol == TagS) && seen < len(p.tags); seen++ {
		if len(rest) < tagLength {
			return path{}, datagram{}, false
		}
		if vid := binary.BigEndian.Uint16(rest) & vlanMask; vid != 0 {
			p.tags[kept] = tag{protocol, vid}
			kept++
		}
		protocol, rest = binary.BigEndian.Uint16(rest[2:]), rest[tagLength:]
	}
	if protocol == sessionType {
		if p.session, protocol, rest, ok = parseSession(rest); !ok {
			return path{}, datagram{}, false
		}
	}
	switch protocol {
	case ipv4Type, ipv6Type, arpType:
		return p, datagram{protocol, rest}, true
	}
	return path{}, datagram{}, false
}

// parseSession reads the PPPoE and PPP headers. It drops bytes after the PPPoE length, which are padding. ok is false for protocols other
// than IP, such as LCP.
func parseSession(b []byte) (session, protocol uint16, rest []byte, ok bool) {
	if len(b) < sessionHeader+pppHeader || b[0] != sessionVersion || b[1] != 0 {
		return 0, 0, nil, false
	}
	session = binary.BigEndian.Uint16(b[2:])
	length := int(binary.BigEndian.Uint16(b[4:]))
	if session == 0 || length < pppHeader || sessionHeader+length > len(b) {
		return 0, 0, nil, false
	}
	rest = b[sessionHeader+pppHeader : sessionHeader+length]
	switch binary.BigEndian.Uint16(b[sessionHeader:]) {
	case pppIPv4:
		return session, ipv4Type, rest, true
	case pppIP6:
		return session, ipv6Type, rest, true
	}
	return 0, 0, nil, false
}

// open returns the softwire of a datagram and the IPv4 packet inside. It returns false if the datagram has no softwire.
func (d datagram) open() (softwire, datagram, bool) {
	if d.protocol != ipv6Type || len(d.bytes) < ipv6Header || d.bytes[0]>>4 != 6 {
		return softwire{}, datagram{}, false
	}
	far, own, _ := d.addrs()
	w := softwire{own: own, far: far}
	length := int(binary.BigEndian.Uint16(d.bytes[4:]))
	if ipv6Header+length > len(d.bytes) {
		return softwire{}, datagram{}, false
	}
	inner := d.bytes[ipv6Header : ipv6Header+length]
	switch next := d.bytes[6]; {
	case next == protocolIPv4:
	case next == protocolOptions && length >= optionsLength && inner[0] == protocolIPv4 && inner[1] == 0 && inner[2] == optionLimit:
		w.limit = true
		inner = inner[optionsLength:]
	default:
		return softwire{}, datagram{}, false
	}
	return w, datagram{ipv4Type, inner}, true
}

// addrs returns the source and destination addresses of an IP packet, or the sender's and the target's address of an ARP message.
func (d datagram) addrs() (source, destination netip.Addr, ok bool) {
	b := d.bytes
	switch {
	case d.protocol == ipv4Type && len(b) >= ipv4Minimum:
		return netip.AddrFrom4([4]byte(b[12:])), netip.AddrFrom4([4]byte(b[16:])), true
	case d.protocol == ipv6Type && len(b) >= ipv6Header:
		return netip.AddrFrom16([16]byte(b[8:])), netip.AddrFrom16([16]byte(b[24:])), true
	case d.protocol == arpType && len(b) >= arpLength:
		return netip.AddrFrom4([4]byte(b[arpSender:])), netip.AddrFrom4([4]byte(b[arpSeek:])), true
	}
	return netip.Addr{}, netip.Addr{}, false
}
