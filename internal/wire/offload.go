package wire

import "encoding/binary"

// An offload describes the work on a frame that the sender left to its network card (struct virtio_net_hdr of virtio 1.2, section
// 5.1.6).
type offload struct {
	checksum     bool // whether the checksum is incomplete and must be computed over the bytes from start to the end
	start, place int  // start is the offset at which the sum begins; place is the offset of the 16-bit checksum from start
	segment      int  // payload bytes of each TCP segment into which the frame must be cut; 0 means that the frame is not cut
}

const (
	needsChecksum = 0x01
	gsoNone       = 0x00
	gsoTCPv4      = 0x01
	gsoTCPv6      = 0x04
	gsoECN        = 0x80
	// gsoOther marks a frame that must be cut in a way that this package does not support.
	gsoOther = -1
)

func decodeOffload(h [10]byte) offload {
	o := offload{
		checksum: h[0]&needsChecksum != 0,
		start:    int(binary.NativeEndian.Uint16(h[6:])),
		place:    int(binary.NativeEndian.Uint16(h[8:])),
	}
	switch h[1] &^ gsoECN {
	case gsoNone:
	case gsoTCPv4, gsoTCPv6:
		o.segment = int(binary.NativeEndian.Uint16(h[4:]))
		if o.segment == 0 {
			o.segment = gsoOther
		}
	default:
		o.segment = gsoOther
	}
	return o
}

// complete finishes the checksum in place. frame does not contain the tag that the kernel has stripped. complete returns false if the
// checksum cannot be finished. If the frame must be cut, complete leaves the checksums to the segmenter.
func (o offload) complete(frame []byte) bool {
	switch {
	case o.segment == gsoOther:
		return false
	case o.segment != 0 || !o.checksum:
		return true
	case o.start > len(frame) || o.start+o.place+2 > len(frame):
		return false
	}
	field := frame[o.start+o.place:]
	// The field already contains the sum of the pseudo header (RFC 9293 section 3.1), so the sum includes the pseudo header.
	sum := ^fold(add(0, frame[o.start:]))
	if sum == 0 {
		// 0xffff and 0 are equal in ones' complement, but in UDP 0 means that there is no checksum (RFC 768).
		sum = 0xffff
	}
	binary.BigEndian.PutUint16(field, sum)
	return true
}

// add adds the 16-bit words of b to sum, for the Internet checksum (RFC 1071).
func add(sum uint64, b []byte) uint64 {
	for len(b) >= 4 {
		sum += uint64(binary.BigEndian.Uint32(b))
		b = b[4:]
	}
	if len(b) >= 2 {
		sum += uint64(binary.BigEndian.Uint16(b))
		b = b[2:]
	}
	if len(b) == 1 {
		sum += uint64(b[0]) << 8
	}
	return sum
}

// fold reduces a sum to 16 bits in ones' complement.
func fold(sum uint64) uint16 {
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return uint16(sum)
}
