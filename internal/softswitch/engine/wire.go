package engine

import "encoding/binary"

// A chunk is a run of up to eight bytes of a header on the wire. Its parts are the fields in these bytes, or parts of fields.
type chunk struct {
	off, n int // offset in the header and number of bytes
	parts  []part
}

// A part is a run of bits in a chunk that belongs to one slot.
type part struct {
	slot  int // the slot, relative to the header's validity slot
	mask  uint64
	right uint8 // number of bits by which the part is shifted in the chunk's value
	left  uint8 // number of bits by which the part is shifted in the slot
	join  bool  // whether the slot already contains the more significant bits
}

// packing divides fields of fixed width into chunks. Where possible within 64 bits, a chunk ends where a field ends on a byte boundary,
// so that most fields have only one part.
func packing(fields []*field) []chunk {
	type run struct {
		slot, width, left int
		join              bool
	}
	var runs []run
	for _, f := range fields {
		if f.variable {
			return nil
		}
		rest := f.width
		for w := 0; w < f.words && rest > 0; w++ {
			bits := rest - 64*(f.words-1-w)
			runs = append(runs, run{slot: f.off + w, width: bits})
			rest -= bits
		}
	}
	var out []chunk
	for at := 0; len(runs) > 0; {
		// Take the longest sequence of whole runs that ends on a byte boundary within 64 bits. If there is none, take eight bytes and cut
		// the last run.
		take, bits := 0, 0
		for i, sum := 0, 0; i < len(runs); i++ {
			if sum += runs[i].width; sum > 64 {
				break
			}
			if sum%8 == 0 {
				take, bits = i+1, sum
			}
		}
		if take == 0 {
			sum := 0
			for i := range runs {
				if sum+runs[i].width >= 64 {
					keep := 64 - sum
					if cut := runs[i].width - keep; cut > 0 {
						tail := run{slot: runs[i].slot, width: cut, join: true}
						runs[i].width, runs[i].left = keep, cut
						runs = append(runs[:i+1], append([]run{tail}, runs[i+1:]...)...)
					}
					take, bits = i+1, 64
					break
				}
				sum += runs[i].width
				take, bits = i+1, sum
			}
		}
		c := chunk{off: at, n: (bits + 7) / 8}
		pos := c.n * 8
		for _, r := range runs[:take] {
			pos -= r.width
			c.parts = append(c.parts, part{slot: r.slot, mask: ones(r.width), right: uint8(pos), left: uint8(r.left), join: r.join})
		}
		out = append(out, c)
		runs = runs[take:]
		at += c.n
	}
	return out
}

// ones returns a mask of the low n bits. n is from 0 to 64.
func ones(n int) uint64 {
	if n <= 0 {
		return 0
	}
	return ^uint64(0) >> (64 - uint(n))
}

func load(b []byte, n int) uint64 {
	switch n {
	case 8:
		return binary.BigEndian.Uint64(b)
	case 6:
		return uint64(binary.BigEndian.Uint32(b))<<16 | uint64(binary.BigEndian.Uint16(b[4:]))
	case 4:
		return uint64(binary.BigEndian.Uint32(b))
	case 2:
		return uint64(binary.BigEndian.Uint16(b))
	case 1:
		return uint64(b[0])
	}
	var v uint64
	for _, x := range b[:n] {
		v = v<<8 | uint64(x)
	}
	return v
}

func store(b []byte, n int, v uint64) {
	switch n {
	case 8:
		binary.BigEndian.PutUint64(b, v)
		return
	case 6:
		binary.BigEndian.PutUint32(b, uint32(v>>16))
		binary.BigEndian.PutUint16(b[4:], uint16(v))
		return
	case 4:
		binary.BigEndian.PutUint32(b, uint32(v))
		return
	case 2:
		binary.BigEndian.PutUint16(b, uint16(v))
		return
	case 1:
		b[0] = byte(v)
		return
	}
	for i := n - 1; i >= 0; i-- {
		b[i] = byte(v)
		v >>= 8
	}
}

// unpack reads a header without a variable field from b into its slots. b must contain the whole header.
func unpack(s []uint64, pack []chunk, b []byte) {
	for i := range pack {
		c := &pack[i]
		v := load(b[c.off:], c.n)
		for j := range c.parts {
			p := &c.parts[j]
			x := v >> p.right & p.mask << p.left
			if p.join {
				x |= s[p.slot]
			}
			s[p.slot] = x
		}
	}
}

// packInto writes a header without a variable field to b.
func packInto(b []byte, pack []chunk, s []uint64) {
	for i := range pack {
		c := &pack[i]
		var v uint64
		for j := range c.parts {
			p := &c.parts[j]
			v |= s[p.slot] >> p.left & p.mask << p.right
		}
		store(b[c.off:], c.n, v)
	}
}

// A bitReader reads fields of any width from a byte string, most significant bit first.
type bitReader struct {
	b   []byte
	bit int
}

// take returns the next n bits, at most 64. Bits after the end of the byte string are zero.
func (r *bitReader) take(n int) uint64 {
	var v uint64
	for n > 0 {
		i, in := r.bit/8, r.bit%8
		k := min(8-in, n)
		var x uint64
		if i < len(r.b) {
			x = uint64(r.b[i])
		}
		v = v<<k | x>>(8-in-k)&ones(k)
		r.bit += k
		n -= k
	}
	return v
}

// field reads a field of fixed width into its slots.
func (r *bitReader) field(s []uint64, f *field) {
	for w, rest := 0, f.width; w < f.words && rest > 0; w++ {
		n := rest - 64*(f.words-1-w)
		s[w] = r.take(n)
		rest -= n
	}
}

// A bitWriter appends fields of any width to a byte string, most significant bit first. b must have enough room, and must be zero after
// the written part.
type bitWriter struct {
	b   []byte
	n   int    // number of whole bytes written
	acc uint64 // its low pen bits are not written yet
	pen int    // number of pending bits, less than 8
}

// put appends the low n bits of v, at most 64.
func (w *bitWriter) put(v uint64, n int) {
	if n > 56 {
		w.put(v>>32, n-32)
		v, n = v&ones(32), 32
	}
	w.acc = w.acc<<n | v&ones(n)
	w.pen += n
	for w.pen >= 8 {
		w.pen -= 8
		w.b[w.n] = byte(w.acc >> w.pen)
		w.n++
	}
	w.acc &= ones(w.pen)
}

// field appends a field of fixed width from its slots.
func (w *bitWriter) field(s []uint64, f *field) {
	for i, rest := 0, f.width; i < f.words && rest > 0; i++ {
		n := rest - 64*(f.words-1-i)
		w.put(s[i], n)
		rest -= n
	}
}

// bytes appends whole bytes.
func (w *bitWriter) bytes(b []byte) {
	if w.pen == 0 {
		w.n += copy(w.b[w.n:], b)
		return
	}
	for _, x := range b {
		w.put(uint64(x), 8)
	}
}

// end appends zero bits up to the next byte boundary and returns the written bytes.
func (w *bitWriter) end() []byte {
	if w.pen > 0 {
		w.put(0, 8-w.pen)
	}
	return w.b[:w.n]
}
