package wire

import "encoding/binary"

const (
	typeIPv4, typeIPv6      = 0x0800, 0x86dd
	typeVLAN, typeService   = 0x8100, 0x88a8
	tcpProtocol             = 6
	ipv4Minimum, ipv6Header = 20, 40
	tcpMinimum              = 20

	tcpFIN, tcpPSH, tcpCWR = 0x01, 0x08, 0x80
)

// A segmenter cuts a TCP segment that is larger than the wire carries into smaller segments, as the sender's network card would. It reuses
// its buffer between calls.
type segmenter struct {
	out []byte
}

// cut cuts frame into segments with at most size bytes of payload each, and passes them to recv. If frame is not a TCP segment behind at
// most two tags, or if a segment would exceed MaxFrame, cut passes nothing and returns false.
func (s *segmenter) cut(frame []byte, size int, recv func(frame []byte)) bool {
	network, kind, ok := networkHeader(frame)
	if !ok {
		return false
	}
	transport, ok := transportHeader(frame, network, kind)
	if !ok {
		return false
	}
	headers := transport + int(frame[transport+12]>>4)*4
	if headers < transport+tcpMinimum || headers > len(frame) || headers+size > MaxFrame {
		return false
	}
	payload := frame[headers:]
	sequence := binary.BigEndian.Uint32(frame[transport+4:])
	for i, offset := 0, 0; offset == 0 || offset < len(payload); i, offset = i+1, offset+size {
		part := payload[offset:min(offset+size, len(payload))]
		s.out = append(append(s.out[:0], frame[:headers]...), part...)
		tcp := s.out[transport:]
		binary.BigEndian.PutUint32(tcp[4:], sequence+uint32(offset))
		if offset > 0 {
			tcp[13] &^= tcpCWR
		}
		if offset+size < len(payload) {
			tcp[13] &^= tcpFIN | tcpPSH
		}
		finish(s.out, network, transport, kind, i)
		recv(s.out)
	}
	return true
}

// networkHeader returns the offset of the IP header, which may follow at most two tags, and the EtherType.
func networkHeader(frame []byte) (offset int, kind uint16, ok bool) {
	offset = 14
	for range 3 {
		if len(frame) < offset {
			return 0, 0, false
		}
		kind = binary.BigEndian.Uint16(frame[offset-2:])
		if kind != typeVLAN && kind != typeService {
			return offset, kind, true
		}
		offset += 4
	}
	return 0, 0, false
}

// transportHeader returns the offset of the TCP header. It does not accept IPv6 extension headers, because Linux does not offload the
// segmentation of such packets.
func transportHeader(frame []byte, network int, kind uint16) (int, bool) {
	packet := frame[network:]
	length := 0
	switch {
	case kind == typeIPv4 && len(packet) >= ipv4Minimum && packet[9] == tcpProtocol:
		length = int(packet[0]&0xf) * 4
		if length < ipv4Minimum {
			return 0, false
		}
	case kind == typeIPv6 && len(packet) >= ipv6Header && packet[6] == tcpProtocol:
		length = ipv6Header
	default:
		return 0, false
	}
	return network + length, len(packet) >= length+tcpMinimum
}

// finish sets the lengths, the identification and the checksums of segment number i.
func finish(frame []byte, network, transport int, kind uint16, i int) {
	ip, tcp := frame[network:transport], frame[transport:]
	var pseudo uint64
	if kind == typeIPv4 {
		binary.BigEndian.PutUint16(ip[2:], uint16(len(ip)+len(tcp)))
		binary.BigEndian.PutUint16(ip[4:], binary.BigEndian.Uint16(ip[4:])+uint16(i))
		binary.BigEndian.PutUint16(ip[10:], 0)
		binary.BigEndian.PutUint16(ip[10:], ^fold(add(0, ip)))
		pseudo = add(0, ip[12:20])
	} else {
		binary.BigEndian.PutUint16(ip[4:], uint16(len(tcp)))
		pseudo = add(0, ip[8:40])
	}
	pseudo += tcpProtocol + uint64(len(tcp))
	binary.BigEndian.PutUint16(tcp[16:], 0)
	binary.BigEndian.PutUint16(tcp[16:], ^fold(add(pseudo, tcp)))
}
