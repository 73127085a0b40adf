package extern

import (
	"encoding/binary"
	"math/bits"
)

// A Checksum computes the Internet checksum (RFC 1071) of a sequence of bytes that is added in pieces. For example, the *_with_payload
// externs add the header fields and then the payload. Pieces may have odd lengths, because only the end of the sequence is padded with a
// zero byte. The zero value is an empty sequence. A Checksum is not safe for concurrent use and does not allocate.
type Checksum struct {
	sum uint64 // one's complement sum of the complete words
	odd bool   // whether the number of bytes added so far is odd
}

// Add appends b to the sequence.
func (c *Checksum) Add(b []byte) {
	if len(b) == 0 {
		return
	}
	if c.odd {
		c.sum = addOnes(c.sum, uint64(b[0]))
		c.odd = false
		b = b[1:]
	}
	sum, carry := c.sum, uint64(0)
	for ; len(b) >= 32; b = b[32:] {
		sum, carry = bits.Add64(sum, binary.BigEndian.Uint64(b), carry)
		sum, carry = bits.Add64(sum, binary.BigEndian.Uint64(b[8:]), carry)
		sum, carry = bits.Add64(sum, binary.BigEndian.Uint64(b[16:]), carry)
		sum, carry = bits.Add64(sum, binary.BigEndian.Uint64(b[24:]), carry)
	}
	for ; len(b) >= 8; b = b[8:] {
		sum, carry = bits.Add64(sum, binary.BigEndian.Uint64(b), carry)
	}
	sum = addOnes(sum, carry)
	for ; len(b) >= 2; b = b[2:] {
		sum = addOnes(sum, uint64(binary.BigEndian.Uint16(b)))
	}
	if len(b) == 1 {
		sum = addOnes(sum, uint64(b[0])<<8)
		c.odd = true
	}
	c.sum = sum
}

// Sum16 returns the checksum of the bytes added so far, in the form that is written to a header. If all bytes are zero, the checksum is
// 0xffff. Sum16 may return 0, which means in UDP that there is no checksum. The caller must handle this case.
func (c *Checksum) Sum16() uint16 {
	s := c.sum>>32 + c.sum&0xffffffff
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return ^uint16(s)
}

// Checksum16 returns the checksum of b, like v1model's csum16.
func Checksum16(b []byte) uint16 {
	var c Checksum
	c.Add(b)
	return c.Sum16()
}

// addOnes returns the one's complement sum of a and b.
func addOnes(a, b uint64) uint64 {
	s, carry := bits.Add64(a, b, 0)
	return s + carry
}
