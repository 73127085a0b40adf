package extern

import "math/bits"

// A CRC holds the parameters of a cyclic redundancy check in the usual notation (Rocksoft model). The polynomial and the initial remainder
// are not reflected. The final xor is applied after the remainder is reflected.
type CRC struct {
	Polynomial       uint64 // the polynomial without its highest bit
	Initial          uint64
	FinalXor         uint64
	ReflectData      bool // whether the lowest bit of each byte is processed first
	ReflectRemainder bool
}

// CRC16 returns the parameters of v1model's crc16 (CRC-16/ARC), which are also the initial parameters of crc16_custom.
func CRC16() CRC {
	return CRC{Polynomial: 0x8005, ReflectData: true, ReflectRemainder: true}
}

// CRC32 returns the parameters of v1model's crc32 (CRC-32/ISO-HDLC, used by Ethernet), which are also the initial parameters of
// crc32_custom.
func CRC32() CRC {
	return CRC{
		Polynomial: 0x04c11db7, Initial: 0xffffffff, FinalXor: 0xffffffff,
		ReflectData: true, ReflectRemainder: true,
	}
}

// A crcTable is an immutable table that computes one CRC byte by byte.
//
// The remainder is left-aligned in 64 bits, so that one loop handles all widths. If the data is reflected, the remainder is reflected and
// right-aligned instead, which avoids reflecting every byte.
type crcTable struct {
	step     [256]uint64
	initial  uint64
	finalXor uint64
	shift    int  // 64 - width
	mirrored bool // whether the remainder is reflected
	flip     bool // whether the result must be reflected
}

func newCRCTable(c CRC, width int) *crcTable {
	t := &crcTable{shift: 64 - width, finalXor: c.FinalXor, mirrored: c.ReflectData, flip: c.ReflectData != c.ReflectRemainder}
	poly := c.Polynomial << t.shift
	for i := range t.step {
		r := uint64(i) << 56
		for range 8 {
			top := r >> 63
			r = r<<1 ^ poly&-top
		}
		t.step[i] = r
	}
	t.initial = c.Initial << t.shift
	if t.mirrored {
		straight := t.step
		for i := range t.step {
			t.step[i] = bits.Reverse64(straight[bits.Reverse8(uint8(i))])
		}
		t.initial = bits.Reverse64(t.initial)
	}
	return t
}

func (t *crcTable) sum(b []byte) uint64 {
	r := t.initial
	if t.mirrored {
		for _, c := range b {
			r = r>>8 ^ t.step[uint8(r)^c]
		}
		if t.flip {
			r = bits.Reverse64(r) >> t.shift
		}
		return r ^ t.finalXor
	}
	for _, c := range b {
		r = r<<8 ^ t.step[uint8(r>>56)^c]
	}
	if t.flip {
		return bits.Reverse64(r) ^ t.finalXor
	}
	return r>>t.shift ^ t.finalXor
}
