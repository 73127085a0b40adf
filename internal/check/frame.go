package check

import (
	"encoding/binary"
	"net/netip"

	"op25b/internal/pipeline"
)

// Values of header fields.
const (
	typeIPv4    = 0x0800
	typeIPv6    = 0x86dd
	typeCTag    = 0x8100
	typeSTag    = 0x88a8
	typeSession = 0x8864 // PPPoE session stage (RFC 2516 section 4)
	pppIPv4     = 0x0021
	pppIPv6     = 0x0057

	protocolTCP = 6
	hops        = 64

	flagSYN, flagACK = 0x02, 0x10

	clientPort = 49152 // the first dynamic port, which is assigned to no service (RFC 6335 section 6)
)

// An access is the port of a line and the encapsulation of the frames between the line and the switch.
type access struct {
	port     pipeline.Port
	vlans    pipeline.VLANKey
	session  pipeline.Session
	own, far pipeline.MAC // the MAC addresses of the line's station and of its peer
}

// header returns the headers that precede the IP header in a frame from the line (up) or to the line.
func (a *access) header(up, v6 bool, payload int) []byte {
	to, from := a.own, a.far
	if up {
		to, from = a.far, a.own
	}
	b := append(append([]byte(nil), to[:]...), from[:]...)
	tag := func(protocol uint16, vid pipeline.VID) {
		if vid != 0 {
			b = binary.BigEndian.AppendUint16(b, protocol)
			b = binary.BigEndian.AppendUint16(b, uint16(vid))
		}
	}
	outer := uint16(typeCTag)
	if a.vlans.InnerVID != 0 {
		outer = typeSTag
	}
	tag(outer, a.vlans.OuterVID)
	tag(typeCTag, a.vlans.InnerVID)
	protocol, ppp := uint16(typeIPv4), uint16(pppIPv4)
	if v6 {
		protocol, ppp = typeIPv6, pppIPv6
	}
	if a.session == 0 {
		return binary.BigEndian.AppendUint16(b, protocol)
	}
	b = binary.BigEndian.AppendUint16(b, typeSession)
	b = append(b, 0x11, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(a.session))
	b = binary.BigEndian.AppendUint16(b, uint16(2+payload))
	return binary.BigEndian.AppendUint16(b, ppp)
}

// syn returns the frame with which a host on the line opens a connection, and synAck returns the server's reply.
func (a *access) syn(line netip.Addr, server netip.AddrPort) []byte {
	return a.frame(true, netip.AddrPortFrom(line, clientPort), server, 1, 0, flagSYN)
}

func (a *access) synAck(line netip.Addr, server netip.AddrPort) []byte {
	return a.frame(false, server, netip.AddrPortFrom(line, clientPort), 1, 2, flagSYN|flagACK)
}

// frame returns a frame that contains a TCP segment without payload. The frame is padded to the minimum length of 60
// bytes.
func (a *access) frame(up bool, src, dst netip.AddrPort, seq, ack uint32, flags byte) []byte {
	tcp := binary.BigEndian.AppendUint16(nil, src.Port())
	tcp = binary.BigEndian.AppendUint16(tcp, dst.Port())
	tcp = binary.BigEndian.AppendUint32(tcp, seq)
	tcp = binary.BigEndian.AppendUint32(tcp, ack)
	tcp = append(tcp, 5<<4, flags, 0xff, 0xff, 0, 0, 0, 0)
	pseudo := append(src.Addr().AsSlice(), dst.Addr().AsSlice()...)
	pseudo = append(pseudo, 0, protocolTCP, 0, byte(len(tcp)))
	binary.BigEndian.PutUint16(tcp[16:], checksum(append(pseudo, tcp...)))

	var ip []byte
	v6 := dst.Addr().Is6()
	if v6 {
		ip = append(ip, 0x60, 0, 0, 0, 0, byte(len(tcp)), protocolTCP, hops)
	} else {
		ip = append(ip, 0x45, 0, 0, byte(20+len(tcp)), 0, 0, 0x40, 0, hops, protocolTCP, 0, 0)
	}
	ip = append(append(ip, src.Addr().AsSlice()...), dst.Addr().AsSlice()...)
	if !v6 {
		binary.BigEndian.PutUint16(ip[10:], checksum(ip))
	}
	f := append(a.header(up, v6, len(ip)+len(tcp)), ip...)
	f = append(f, tcp...)
	return append(f, make([]byte, max(0, 60-len(f)))...)
}

// checksum returns the Internet checksum (RFC 1071) of b, whose length must be even.
func checksum(b []byte) uint16 {
	sum := uint32(0)
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}

// prohibits reports whether a frame to the line is the ICMP error "communication administratively prohibited". This error
// has type 3 and code 13 in ICMP (RFC 1812 section 5.2.7.1), and type 1 and code 1 in ICMPv6 (RFC 4443 section 3.1).
func (a *access) prohibits(frame []byte, v6 bool) bool {
	at, next, size := len(a.header(false, v6, 0)), 9, 20
	icmp, kind, code := byte(1), byte(3), byte(13)
	if v6 {
		next, size = 6, 40
		icmp, kind, code = 58, 1, 1
	}
	if len(frame) < at+size+2 || !v6 && frame[at] != 0x45 {
		return false
	}
	ip := frame[at:]
	return ip[next] == icmp && ip[size] == kind && ip[size+1] == code
}
