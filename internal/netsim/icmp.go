package netsim

import (
	"bytes"
	"encoding/binary"
)

const (
	icmpv6Protocol    = 58
	icmpv6Header      = 8
	icmpv6Unreachable = 1 // RFC 4443 section 3.1
	codeNoRoute       = 0
	codePort          = 4
)

// asNoRoute returns a copy of an ICMPv6 error "destination unreachable" with code 0 (no route to destination). netstack ignores all codes
// except 0 and "port unreachable", so a prohibited connection (code 1, 5 or 6) would otherwise time out. For IPv4, netstack supports all
// codes.
func asNoRoute(d datagram) datagram {
	if d.protocol != ipv6Type || len(d.bytes) < ipv6Header+icmpv6Header || d.bytes[6] != icmpv6Protocol {
		return d
	}
	if message := d.bytes[ipv6Header:]; message[0] != icmpv6Unreachable || message[1] == codeNoRoute || message[1] == codePort {
		return d
	}
	d.bytes = bytes.Clone(d.bytes)
	message := d.bytes[ipv6Header:]
	was := binary.BigEndian.Uint16(message)
	message[1] = codeNoRoute
	// RFC 1624, equation 3. An invalid checksum stays invalid.
	sum := uint32(^binary.BigEndian.Uint16(message[2:])) + uint32(^was) + uint32(binary.BigEndian.Uint16(message))
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	binary.BigEndian.PutUint16(message[2:], ^uint16(sum))
	return d
}
