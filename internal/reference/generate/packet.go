package generate

import (
	"encoding/binary"
	"net/netip"
	"slices"
)

// ip draws an IP packet with the given payload, and sometimes fragments the packet.
func (d *draw) ip(v6 bool, near, far netip.Addr, proto byte, payload []byte) []byte {
	src, dst := near, far
	if !d.up {
		src, dst = far, near
	}
	if v6 {
		return d.ipv6(src, dst, proto, payload)
	}
	return d.ipv4(src, dst, proto, payload)
}

// A fragment describes the position of a part of a packet, and whether more parts follow.
type fragment struct {
	offset uint16 // in units of 8 bytes
	more   bool
}

// part draws a fragment of a payload and returns its position and its bytes. The whole payload counts as a
// fragment too.
func (d *draw) part(payload []byte) (fragment, []byte) {
	form := d.src.IntN(24)
	if d.odd {
		form = 20 + d.src.IntN(12)
	}
	switch form {
	case 20: // a first fragment with all headers
		return fragment{more: true}, payload
	case 21, 22:
		cut := d.src.IntN(20) // cut within a header
		if d.src.IntN(2) == 1 {
			cut += 20 // cut within options or ports
		}
		if !d.odd {
			cut = len(payload)
		}
		return fragment{more: true}, payload[:min(cut, len(payload))]
	case 24:
		return fragment{offset: 1, more: d.src.IntN(2) == 1}, payload[min(8, len(payload)):]
	case 25:
		offset := pick(d.src, []uint16{2, 3, 30, 31, 32, 33, 180})
		return fragment{offset: offset}, payload[min(int(offset)*8, len(payload)):]
	case 26:
		return fragment{offset: uint16(d.src.IntN(8192)), more: d.src.IntN(2) == 1}, payload
	}
	return fragment{}, payload
}

// ipv4 draws an IPv4 packet. If its lengths are right, so is its checksum, unless a wrong one is drawn.
func (d *draw) ipv4(src, dst netip.Addr, proto byte, payload []byte) []byte {
	if chance(d.src, 16) || d.oddly(8) {
		proto, payload = d.chain(proto, payload, true)
	}
	part, payload := d.part(payload)
	options := d.options()
	h := make([]byte, 20, 60+len(payload))
	h[0], h[1] = 0x40|byte(5+len(options)/4), byte(d.src.IntN(256))
	header := 20 + len(options)
	total := header + len(payload)
	binary.BigEndian.PutUint16(h[4:], uint16(d.src.IntN(65536)))
	binary.BigEndian.PutUint16(h[6:], part.offset)
	if part.more {
		h[6] |= 0x20
	}
	if d.src.IntN(2) == 1 {
		h[6] |= 0x40
	}
	h[8], h[9] = 64, proto
	copy(h[12:], src.AsSlice())
	copy(h[16:], dst.AsSlice())
	if d.oddly(6) {
		switch d.src.IntN(7) {
		case 0:
			h[0] = h[0]&0xf | byte(d.src.IntN(16))<<4
		case 1:
			h[0] = 0x40 | byte(d.src.IntN(5))
		case 2:
			h[0] = 0x40 | byte(5+d.src.IntN(11))
		case 3:
			total = d.src.IntN(header)
		case 4:
			total += 1 + d.src.IntN(40)
		case 5:
			total = header + d.src.IntN(len(payload)+1)
		default:
			payload = payload[:0]
		}
	}
	binary.BigEndian.PutUint16(h[2:], uint16(total))
	packet := append(h, options...)
	if header <= 60 {
		binary.BigEndian.PutUint16(packet[10:], ^fold(packet))
	}
	if chance(d.src, 16) { // flip a bit of the header checksum
		packet[10+d.src.IntN(2)] ^= 1 << d.src.IntN(8)
	}
	return append(packet, payload...)
}

// fold returns the ones' complement sum of an even number of bytes (RFC 1071).
func fold(b []byte) uint16 {
	sum := uint32(0)
	for i := 0; i < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	sum = sum>>16 + sum&0xffff
	return uint16(sum>>16 + sum&0xffff)
}

// options draws IPv4 options, padded to a multiple of four bytes.
func (d *draw) options() []byte {
	if d.src.IntN(8) != 1 && !d.oddly(6) {
		return nil
	}
	var b []byte
	for range 1 + d.src.IntN(4) {
		switch d.src.IntN(4) {
		case 0:
			b = append(b, slices.Repeat([]byte{1}, 1+d.src.IntN(12))...)
		case 1:
			b = append(b, 0x94, 4, 0, 0) // router alert
		case 2:
			b = append(b, 0x44, 12, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0) // timestamp
		default:
			b = append(b, 7, 7, 4, 0, 0, 0, 0) // record route
		}
		if d.oddly(6) {
			switch d.src.IntN(5) {
			case 0, 1:
				b = append(b, pick(d.src, []byte{131, 137}), 7, 4, 198, 51, 100, 1)
			case 2:
				b = append(b, 0x44, byte(d.src.IntN(2)))
			case 3:
				b = append(b, 0x44, byte(20+d.src.IntN(236)))
			default:
				b = append(b, 0) // the end of the option list
			}
		}
	}
	for len(b)%4 != 0 {
		b = append(b, byte(d.src.IntN(2)))
	}
	return b[:min(len(b), 40)]
}

// ipv6 draws an IPv6 packet.
func (d *draw) ipv6(src, dst netip.Addr, proto byte, payload []byte) []byte {
	if d.src.IntN(4) == 1 || d.oddly(3) {
		proto, payload = d.chain(proto, payload, false)
	}
	length, version := len(payload), byte(0x60)
	if d.oddly(8) {
		switch d.src.IntN(5) {
		case 0:
			version = byte(d.src.IntN(16)) << 4
		case 1:
			length += 1 + d.src.IntN(40)
		case 2:
			length = d.src.IntN(length + 1)
		case 3:
			length = 0
		default:
			payload = payload[:d.src.IntN(len(payload)+1)]
		}
	}
	h := []byte{version | byte(d.src.IntN(16)), 0, 0, byte(d.src.IntN(256)), byte(length >> 8), byte(length), proto, 64}
	return slices.Concat(h, src.AsSlice(), dst.AsSlice(), payload)
}

// chain draws extension headers for a payload. If authentic is set, the first header is an AH, as in IPv4.
func (d *draw) chain(proto byte, payload []byte, authentic bool) (first byte, packet []byte) {
	count, units := 1+d.src.IntN(4), 2
	if d.odd {
		count, units = 1+d.src.IntN(6), 8
	}
	for i := range count {
		next := pick(d.src, []byte{60, 0, 43, 44, 51, 135, 139, 140})
		if authentic && i == count-1 {
			next = 51
		}
		proto, payload = next, d.extension(next, proto, payload, units)
	}
	return proto, payload
}

// extension draws an extension header for a payload.
func (d *draw) extension(kind, next byte, payload []byte, units int) []byte {
	var h []byte
	switch kind {
	case 44:
		var part fragment
		part, payload = d.part(payload)
		h = []byte{next, 0, byte(part.offset >> 5), byte(part.offset << 3), 0, 0, 0, byte(d.src.IntN(256))}
		if part.more {
			h[3] |= 1
		}
	case 51:
		h = make([]byte, 8+4*(1+d.src.IntN(2*units)))
		h[0], h[1] = next, byte(len(h)/4-2)
	default:
		h = make([]byte, 8*(1+d.src.IntN(units)))
		h[0], h[1] = next, byte(len(h)/8-1)
		h[2], h[4] = 1, 1
		if kind != 43 {
			h[3] = byte(len(h) - 4)
		} else if d.oddly(6) {
			h[3] = 1 // segments left
		}
	}
	if d.oddly(24) {
		h[1] = byte(d.src.IntN(256))
	}
	return append(h, payload...)
}
