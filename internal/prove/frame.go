package prove

import (
	"encoding/binary"
	"net/netip"

	"op25b/internal/pipeline"
)

// A shape is the form of a frame, apart from its access form.
type shape uint8

const (
	ofTCP     shape = iota
	ofLater         // a later fragment, without ports
	ofTiny          // a fragment that could overwrite the ports
	ofUnclear       // the IP length exceeds the frame
)

// TCP flags.
const (
	flagSYN = 0x02
	flagACK = 0x10
)

// A segment describes a frame.
type segment struct {
	port     pipeline.Port // where the frame enters the switch
	vlans    pipeline.VLANKey
	session  pipeline.Session
	dst, src pipeline.MAC
	from, to netip.AddrPort // of the innermost packet
	// outerFrom and outerTo are the addresses of the tunnel's packet. They are invalid if there is no tunnel.
	outerFrom, outerTo netip.Addr
	flags              byte
	shape              shape
}

// outer returns the addresses of the outermost packet.
func (s *segment) outer() (from, to netip.Addr) {
	if s.outerFrom.IsValid() {
		return s.outerFrom, s.outerTo
	}
	return s.from.Addr(), s.to.Addr()
}

const minFrame = 60 // an Ethernet frame without FCS

// appendTo appends the frame to b.
func (s *segment) appendTo(b []byte) []byte {
	start := len(b)
	outerFrom, _ := s.outer()
	payload := s.ipSize()
	b = append(append(b, s.dst[:]...), s.src[:]...)
	outerTag := uint16(0x8100)
	if s.vlans.InnerVID != 0 {
		outerTag = 0x88a8
	}
	if s.vlans.OuterVID != 0 {
		b = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(b, outerTag), uint16(s.vlans.OuterVID))
	}
	if s.vlans.InnerVID != 0 {
		b = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(b, 0x8100), uint16(s.vlans.InnerVID))
	}
	ethertype, ppp := uint16(0x0800), uint16(0x0021)
	if outerFrom.Is6() {
		ethertype, ppp = 0x86dd, 0x0057
	}
	if s.session != 0 { // RFC 2516
		b = append(binary.BigEndian.AppendUint16(b, 0x8864), 0x11, 0)
		b = binary.BigEndian.AppendUint16(b, uint16(s.session))
		b = binary.BigEndian.AppendUint16(b, uint16(2+payload))
		b = binary.BigEndian.AppendUint16(b, ppp)
	} else {
		b = binary.BigEndian.AppendUint16(b, ethertype)
	}
	if s.outerFrom.IsValid() {
		proto := byte(4)
		if s.from.Addr().Is6() {
			proto = 41
		}
		b = appendIP(b, s.outerFrom, s.outerTo, proto, payload-headerSize(s.outerFrom), ofTCP)
	}
	b = appendIP(b, s.from.Addr(), s.to.Addr(), 6, tcpSize, s.shape)
	b = s.appendTCP(b)
	for len(b)-start < minFrame {
		b = append(b, 0)
	}
	return b
}

const tcpSize = 20

func headerSize(a netip.Addr) int {
	if a.Is4() {
		return 20
	}
	return 40
}

// ipSize returns the number of bytes from the first IP header to the end of the segment.
func (s *segment) ipSize() int {
	n := headerSize(s.from.Addr()) + tcpSize
	if s.fragment6() {
		n += 8
	}
	if s.outerFrom.IsValid() {
		n += headerSize(s.outerFrom)
	}
	return n
}

// fragment6 reports whether the segment is in an IPv6 fragment, which has a header of its own.
func (s *segment) fragment6() bool {
	return s.from.Addr().Is6() && (s.shape == ofLater || s.shape == ofTiny)
}

func appendIP(b []byte, from, to netip.Addr, proto byte, payload int, of shape) []byte {
	offset := uint16(0)
	switch of {
	case ofLater:
		offset = 100
	case ofTiny:
		offset = 1
	}
	const longer = 2000 // than any frame of this package
	if from.Is6() {
		next, length := proto, payload
		if offset != 0 {
			next, length = 44, payload+8
		}
		if of == ofUnclear {
			length += longer
		}
		b = append(b, 0x60, 0, 0, 0, byte(length>>8), byte(length), next, 64)
		f, t := from.As16(), to.As16()
		b = append(append(b, f[:]...), t[:]...)
		if offset != 0 {
			b = append(b, proto, 0, byte(offset<<3>>8), byte(offset<<3), 0, 0, 0, 1)
		}
		return b
	}
	at, length := len(b), 20+payload
	if of == ofUnclear {
		length += longer
	}
	b = append(b, 0x45, 0, byte(length>>8), byte(length), 0, 0, byte(offset>>8), byte(offset), 64, proto, 0, 0)
	f, t := from.As4(), to.As4()
	b = append(append(b, f[:]...), t[:]...)
	binary.BigEndian.PutUint16(b[at+10:], fold(sum(0, b[at:])))
	return b
}

func (s *segment) appendTCP(b []byte) []byte {
	at := len(b)
	b = binary.BigEndian.AppendUint16(b, s.from.Port())
	b = binary.BigEndian.AppendUint16(b, s.to.Port())
	b = append(b, 0, 0, 0, 1, 0, 0, 0, 0, 5<<4, s.flags, 0xff, 0xff, 0, 0, 0, 0)
	pseudo := sum(0, s.from.Addr().AsSlice())
	pseudo = sum(pseudo, s.to.Addr().AsSlice()) + 6 + tcpSize
	binary.BigEndian.PutUint16(b[at+16:], fold(sum(pseudo, b[at:])))
	return b
}

// sum adds the 16-bit words of b, whose length must be even, and fold makes the Internet checksum of a sum (RFC 1071).
func sum(total uint32, b []byte) uint32 {
	for i := 0; i+1 < len(b); i += 2 {
		total += uint32(b[i])<<8 | uint32(b[i+1])
	}
	return total
}

func fold(total uint32) uint16 {
	for total > 0xffff {
		total = total>>16 + total&0xffff
	}
	return ^uint16(total)
}
