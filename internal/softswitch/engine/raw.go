package engine

import "slices"

// Most headers are sent unchanged. So an extracted header stays in the packet's bytes, and only the fields that the program uses are
// loaded into their slots. Before a header is written or used as a whole, it is filled, which means that all of its fields are loaded.
// A header that was not written since its extraction is sent as its original bytes.

// fill loads all fields of an extracted header into their slots. From then on, the slots determine the header's value, and the packet's
// bytes no longer do.
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

// whole loads all fixed fields of an extracted header into their slots, so that they can be read.
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

// takeFixed loads one fixed field of a header with a variable field.
func (p *packet) takeFixed(h *header, x *fixedField) {
	r := bitReader{b: p.data, bit: int(p.s[h.src]-1)*8 + x.bit}
	if x.after {
		r.bit += int(p.s[h.base+h.typ.varF.off])
	}
	r.field(p.s[h.base+x.f.off:], x.f)
}

// variable returns the bytes of a header's variable field.
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

// own returns code that writes h, with an instr in front that fills h.
func own(h *header, code []instr) []instr {
	if h.metadata {
		return code
	}
	return append([]instr{{op: opFill, x: &extra{h: h}}}, code...)
}

// finishHeaders determines which fields are loaded when a header is extracted. It also removes the instrs that fill headers that are
// never extracted. It must be called after the whole program has been compiled.
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

// withoutIdleFills returns code without the instrs that fill headers that are never extracted.
func withoutIdleFills(code []instr) []instr {
	moved := make([]int32, len(code)+1) // new position of each instr, or of the next instr that is kept
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

// at returns the field to which a slot belongs.
func (t *headerType) at(slot int) *field {
	for _, f := range t.fields {
		if slot >= f.off && slot < f.off+f.words {
			return f
		}
	}
	return nil
}

// together returns the byte offset in a header at which the given fields begin. It returns -1 if they are not adjacent there in this
// order.
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
