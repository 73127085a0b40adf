package engine

import (
	"encoding/json"
	"math/big"
	"slices"

	"op25b/internal/softswitch/extern"
	"op25b/internal/softswitch/match"
)

// A calculation is a hash over fields, constants, headers and the payload. Fields of invalid headers are omitted.
type calculation struct {
	hash    *extern.Hash
	pieces  []piece
	payload bool
}

// A piece is a run of fields in one header, or a constant.
type piece struct {
	h      *header // nil if the piece is a constant
	fields []*field
	pack   []chunk // wire layout of the fields if they fill whole bytes
	bytes  int
	inWire int      // offset of the fields in the header, in bytes; -1 if they are not adjacent in the header
	words  []uint64 // value of the constant
	konst  field
}

func (c *compiler) calculation(algo string, input []jsonValue) *calculation {
	h, err := extern.NewHash(algo, nil)
	if err != nil {
		c.fail(ErrUnsupported, "%v", err)
	}
	k := &calculation{hash: h}
	size := 0
	for i := range input {
		v := &input[i]
		switch v.Type {
		case "field":
			r := c.summand(v)
			k.add(r)
			size += (r.f.width+7)/8 + 1
			if r.f.variable {
				size += r.h.typ.varMax
			}
		case "header":
			n := c.want(c.headerNode(c.text(v.Value)), kHeader)
			for _, f := range n.h.typ.fields {
				k.add(ref{n.h, f})
			}
			size += n.h.typ.bytes + n.h.typ.varMax + 1
		case "hexstr":
			if v.BitWidth <= 0 {
				c.fail(ErrProgram, "a constant without width")
			}
			c.bits(v.BitWidth, "a constant")
			n := c.expr(v)
			mask := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), uint(v.BitWidth)), big.NewInt(1))
			w := bigWords(mask.And(mask, n.lo), match.Words(v.BitWidth))
			k.pieces = append(k.pieces, piece{words: w, konst: field{width: v.BitWidth, words: len(w)}})
			size += v.BitWidth/8 + 1
		case "payload":
			k.payload = true
		default:
			c.fail(ErrUnsupported, "input of type %q", v.Type)
		}
	}
	for i := range k.pieces {
		k.pieces[i].finish()
	}
	c.bufMax = max(c.bufMax, size)
	return k
}

// summand returns a field that is an input of a hash. The program need not load the field, because sum fills the field's header.
func (c *compiler) summand(v *jsonValue) ref {
	var at [2]string
	if json.Unmarshal(v.Value, &at) == nil {
		r, err := c.l.find(at[0], at[1])
		c.check(err)
		return r
	}
	n := c.expr(v)
	if n.op != leafField {
		c.fail(ErrUnsupported, "a field of %s", n.l.op)
	}
	return n.ref
}

// add appends a field. If the last piece is a run of fields in the same header, add extends that piece, unless the piece fills whole bytes and the
// field does not follow it in the header. Then both can be copied from the packet, such as the parts of an IPv4 header before and behind its
// checksum.
func (k *calculation) add(r ref) {
	if n := len(k.pieces); n > 0 && k.pieces[n-1].h == r.h {
		last := &k.pieces[n-1]
		with := append(slices.Clone(last.fields), r.f)
		if r.h.typ.together(with) >= 0 || r.h.typ.together(last.fields) < 0 || bitsOf(last.fields)%8 != 0 {
			last.fields = with
			return
		}
	}
	k.pieces = append(k.pieces, piece{h: r.h, fields: []*field{r.f}})
}

// bitsOf returns the width of fields of fixed width.
func bitsOf(fields []*field) (bits int) {
	for _, f := range fields {
		bits += f.width
	}
	return bits
}

// finish computes the wire layout of a piece. It has no effect if a field is variable or the fields do not fill whole bytes.
func (pc *piece) finish() {
	pc.inWire = -1
	if slices.ContainsFunc(pc.fields, func(f *field) bool { return f.variable }) {
		return
	}
	if bits := bitsOf(pc.fields); pc.h != nil && bits%8 == 0 {
		pc.pack, pc.bytes = packing(pc.fields), bits/8
		pc.inWire = pc.h.typ.together(pc.fields)
	}
}

// sum computes the hash for a packet.
func (k *calculation) sum(p *packet) uint64 {
	w := bitWriter{b: p.w.buf}
	for i := range k.pieces {
		pc := &k.pieces[i]
		if pc.h == nil {
			w.field(pc.words, &pc.konst)
			continue
		}
		if p.s[pc.h.base] == 0 {
			continue
		}
		if src := pc.h.src; src >= 0 && pc.inWire >= 0 && w.pen == 0 && p.s[src] != 0 {
			w.n += copy(w.b[w.n:], p.data[int(p.s[src])-1+pc.inWire:][:pc.bytes])
			continue
		}
		p.whole(pc.h)
		if pc.pack != nil && w.pen == 0 {
			packInto(w.b[w.n:], pc.pack, p.s[pc.h.base:])
			w.n += pc.bytes
			continue
		}
		for _, f := range pc.fields {
			if f.variable {
				w.bytes(p.variable(pc.h))
			} else {
				w.field(p.s[pc.h.base+f.off:], f)
			}
		}
	}
	b := w.end()
	if k.payload {
		n := len(b)
		b = p.w.buf[:n+copy(p.w.buf[n:], p.payload())]
	}
	return k.hash.Sum(b)
}

// payload returns the bytes after the parsed headers, up to the length set by truncate.
func (p *packet) payload() []byte {
	b := p.data[p.at:]
	return b[:min(len(b), p.cut)]
}

// A checksum is a field that is verified after parsing and updated before deparsing, or only one of the two.
type checksum struct {
	field          ref
	calc           *calculation
	cond           bv // condition under which the checksum applies; nil means always
	set            func(*packet, uint64)
	verify, update bool
}

func (c *compiler) checksum(j *jsonChecksum) *checksum {
	defer c.at("checksum %q", j.Name)()
	if j.Type != "generic" {
		c.fail(ErrUnsupported, "type %q", j.Type)
	}
	r, err := c.l.find(j.Target[0], j.Target[1])
	c.check(err)
	calc, ok := c.calcs[j.Calculation]
	if !ok {
		c.fail(ErrProgram, "no calculation %q", j.Calculation)
	}
	if r.f.variable {
		c.fail(ErrUnsupported, "a checksum in a variable field")
	}
	k := &checksum{field: r, calc: calc, verify: j.Verify == nil || *j.Verify, update: j.Update == nil || *j.Update}
	from, to, mask := r.slot(), r.slot()+r.f.words-1, ones(min(r.f.width, 64))
	r.h.hot[r.f] = true
	k.set = func(p *packet, v uint64) {
		p.fill(r.h)
		clear(p.s[from:to])
		p.s[to] = v & mask
	}
	if j.IfCond != nil {
		defer c.at("condition")()
		k.cond = c.bv(c.want(c.expr(j.IfCond), kBool))
	}
	return k
}

// good reports whether the checksum is correct. A checksum counts as correct if its header is invalid or its condition does not hold.
func (k *checksum) good(p *packet) bool {
	if p.s[k.field.h.base] == 0 || k.cond != nil && !k.cond(p) {
		return true
	}
	return k.calc.sum(p) == p.s[k.field.slot()+k.field.f.words-1]
}
