package reference

import (
	"encoding/binary"
	"net/netip"
	"slices"
)

// The type and code of the ICMP error for a reject, which mean "communication administratively prohibited" (RFC 1812 section 5.2.7.1, RFC
// 4443 section 3.1).
const (
	icmpv4Unreachable, icmpv4Prohibited = 3, 13
	icmpv6Unreachable, icmpv6Prohibited = 1, 1

	protoICMPv4 = 1
	protoICMPv6 = 58
	answerTTL   = 64
	quotedTCP   = 20 // the length of the TCP header without options, from which the sender can identify its connection
)

// answerable reports whether an ICMP error can be sent in reply to a packet (section 9). The packet must have the shape TCP, with flags.
// answerable also returns the error's source address.
func (m *Model) answerable(p *packet) (from netip.Addr, ok bool) {
	from = m.rejectFrom4
	if p.inner.v6 {
		from = m.rejectFrom6
	}
	group := (p.frame[0]|p.frame[6])&1 != 0 // whether the source or the destination MAC address is a group address
	if !from.IsValid() || group || p.inner.ipv4AH || p.outer.ipv4AH || !p.headerSumRight(p.inner) || !p.headerSumRight(p.outer) {
		return from, false
	}
	groups := byte(224) // the lowest first byte of a multicast or reserved address
	if p.inner.v6 {
		groups = 0xff
	}
	src, dst := p.inner.src.AsSlice(), p.inner.dst.AsSlice()
	loopback := !p.inner.v6 && src[0] == 127
	return from, !p.inner.src.IsUnspecified() && !loopback && src[0] < groups && dst[0] < groups
}

// headerSumRight reports whether an IPv4 header's checksum is right (RFC 791). The checksum of the whole header, including its checksum
// field, must be zero. For an IPv6 header, which has no checksum, headerSumRight returns true.
func (p *packet) headerSumRight(h *ipHeader) bool {
	header := p.frame[h.start:]
	return h.v6 || checksum(header[:4*int(header[0]&0xf)]) == 0
}

// answer returns the frame with the ICMP error in reply to a packet (section 9).
func answer(p *packet, from netip.Addr) []byte {
	quote := p.frame[p.inner.start : p.tcp+quotedTCP]
	var packet []byte
	if p.inner.v6 {
		icmp := append([]byte{icmpv6Unreachable, icmpv6Prohibited, 0, 0, 0, 0, 0, 0}, quote...)
		pseudo := slices.Concat(from.AsSlice(), p.inner.src.AsSlice(), binary.BigEndian.AppendUint32(nil, uint32(len(icmp))), []byte{0, 0, 0, protoICMPv6})
		binary.BigEndian.PutUint16(icmp[2:], checksum(append(pseudo, icmp...)))
		packet = headed(from, p.inner.src, protoICMPv6, icmp)
	} else {
		icmp := append([]byte{icmpv4Unreachable, icmpv4Prohibited, 0, 0, 0, 0, 0, 0}, quote...)
		binary.BigEndian.PutUint16(icmp[2:], checksum(icmp))
		packet = headed(from, p.inner.src, protoICMPv4, icmp)
	}
	if p.tunnel != 0 {
		packet = headed(p.outer.dst, p.outer.src, p.tunnel, packet)
	}
	// Copy the tags, the PPPoE header and the PPP protocol. Only the PPPoE length changes.
	link := slices.Concat(p.frame[6:12], p.frame[0:6], p.frame[12:p.outer.start])
	if p.pppoe {
		binary.BigEndian.PutUint16(link[len(link)-4:], uint16(2+len(packet)))
	}
	return append(link, packet...)
}

// headed prepends a new IP header to a payload.
func headed(src, dst netip.Addr, proto byte, payload []byte) []byte {
	if src.Is6() {
		h := []byte{0x60, 0, 0, 0, 0, 0, proto, answerTTL}
		binary.BigEndian.PutUint16(h[4:], uint16(len(payload)))
		return slices.Concat(h, src.AsSlice(), dst.AsSlice(), payload)
	}
	h := []byte{0x45, 0, 0, 0, 0, 0, 0x40, 0, answerTTL, proto, 0, 0} // 0x40 means "do not fragment"
	binary.BigEndian.PutUint16(h[2:], uint16(20+len(payload)))
	h = slices.Concat(h, src.AsSlice(), dst.AsSlice())
	binary.BigEndian.PutUint16(h[10:], checksum(h))
	return append(h, payload...)
}

// checksum returns the Internet checksum (RFC 1071).
func checksum(b []byte) uint16 {
	sum := uint32(0)
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(b[i])<<8 | uint32(b[i+1])
	}
	if len(b)%2 == 1 {
		sum += uint32(b[len(b)-1]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
