package engine

import "slices"

// Most headers leave as they came. So a header that is extracted stays where it is, in the packet's bytes: only the fields that the program
// mentions go to their slots. It is filled in when something else wants it whole, or before it is written. What has not been written since
// it was extracted is sent as the bytes that it was.

// fill brings all fields of an extracted header to their slots, which from then on are what counts.
func (p *packet) fill(h *header) {
	if h.src < 0 || p.s[h.src] == 0 {
		return
	}
	p.whole(h)
	if h.typ.varF != nil {
		copy(p.vb[h.varAt:], p.variable(h))
	}
	p.s[h.src] = 0
}

// whole brings all fixed fields of an extracted header to their slots, to be read.
func (p *packet) whole(h *header) {
	if h.src < 0 || p.s[h.src] == 0 {
		return
	}
	b := p.data[p.s[h.src]-1:]
	if h.typ.varF == nil {
		unpack(p.s[h.base:h.base+h.typ.words], h.typ.pack, b)
		return
	}
	for i := range h.typ.fixed {
		p.takeFixed(h, &h.typ.fixed[i])
	}
}

// takeFixed brings a field beside a variable one to its slots.
func (p *packet) takeFixed(h *header, x *fixedField) {
	r := bitReader{b: p.data, bit: int(p.s[h.src]-1)*8 + x.bit}
	if x.after {
		r.bit += int(p.s[h.base+h.typ.varF.off])
	}
	r.field(p.s[h.base+x.f.off:], x.f)
}

// variable is the variable field of a header.
func (p *packet) variable(h *header) []byte {
	n := int(p.s[h.base+h.typ.varF.off] / 8)
	if h.src < 0 || p.s[h.src] == 0 {
		return p.vb[h.varAt:][:n]
	}
	at := int(p.s[h.src]-1)*8 + h.typ.varOff
	if at%8 == 0 {
		return p.data[at/8:][:n]
	}
	v, r := p.vb[h.varAt:][:n], bitReader{b: p.data, bit: at}
	for i := range v {
		v[i] = byte(r.take(8))
	}
	return v
}

// own adds what fills a header in before it is written.
func own(h *header, code []instr) []instr {
	if h.metadata {
		return code
	}
	return append([]instr{{op: opFill, x: &extra{h: h}}}, code...)
}

// finishHeaders works out, once the whole program is known, what extraction takes out of the packet, and leaves out the filling in of
// headers that are never extracted.
func (c *compiler) finishHeaders(pr *program) {
	for _, h := range c.l.all {
		if !h.typ.even || h.metadata {
			h.hotPack = h.typ.pack
			continue
		}
		for _, x := range h.typ.fixed {
			if h.hot[x.f] {
				h.hotFixed = append(h.hotFixed, x)
			}
		}
		for _, k := range h.typ.pack {
			k.parts = append([]part(nil), k.parts...)
			n := 0
			for _, pt := range k.parts {
				if h.hot[h.typ.at(pt.slot)] {
					k.parts[n] = pt
					n++
				}
			}
			if k.parts = k.parts[:n]; n > 0 {
				h.hotPack = append(h.hotPack, k)
			}
		}
	}
	for _, a := range pr.actions {
		a.code = withoutIdleFills(a.code)
	}
	for i := range pr.code {
		if in := &pr.code[i]; in.op == opFill && !in.x.h.extracted {
			*in = instr{op: opGoto}
		}
	}
}

// withoutIdleFills returns code without the instrs that fill in a header which is never extracted.
func withoutIdleFills(code []instr) []instr {
	moved := make([]int32, len(code)+1) // where each instr goes, or the next one that is kept
	kept := func(in *instr) bool { return in.op != opFill || in.x.h.extracted }
	for i := range code {
		moved[i+1] = moved[i]
		if kept(&code[i]) {
			moved[i+1]++
		}
	}
	out := make([]instr, 0, moved[len(code)])
	for i, in := range code {
		if kept(&in) {
			in.c = moved[i+1+int(in.c)] - moved[i] - 1
			out = append(out, in)
		}
	}
	return out
}

// at is the field that has this slot.
func (t *headerType) at(slot int) *field {
	for _, f := range t.fields {
		if slot >= f.off && slot < f.off+f.words {
			return f
		}
	}
	return nil
}

// together tells at which byte of a header these fields begin, if they are neighbours there in this order; else it is -1.
func (t *headerType) together(fields []*field) int {
	bit := 0
	for i, f := range t.fields {
		if f.variable {
			return -1
		}
		if f != fields[0] {
			bit += f.width
			continue
		}
		if bit%8 != 0 || !slices.Equal(t.fields[i:min(len(t.fields), i+len(fields))], fields) {
			return -1
		}
		return bit / 8
	}
	return -1
}
