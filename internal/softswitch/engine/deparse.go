package engine

// deparse writes the valid headers and the payload to the worker's buffer. It returns false if they do not fit.
func (w *Worker) deparse(p *packet) ([]byte, bool) {
	pr := w.prog
	for _, k := range pr.update {
		if k.cond == nil || k.cond(p) {
			k.set(p, k.calc.sum(p))
		}
	}
	if len(pr.before) > 0 {
		p.exec(pr.before, 0, 0)
	}
	// p.data[from:to] is still to be written. It contains unchanged headers that are adjacent in the packet.
	at, from, to := 0, 0, 0
	for _, h := range pr.emits {
		if p.s[h.base] == 0 {
			continue
		}
		if h.src >= 0 && p.s[h.src] != 0 {
			off := int(p.s[h.src]) - 1
			if off != to {
				at += copy(w.out[at:], p.data[from:to])
				from = off
			}
			to = off + p.headerBytes(h)
			continue
		}
		at += copy(w.out[at:], p.data[from:to])
		from, to = 0, 0
		if h.typ.varF == nil {
			packInto(w.out[at:], h.typ.pack, p.s[h.base:])
			at += h.typ.bytes
			continue
		}
		bw := bitWriter{b: w.out[at:]}
		for _, f := range h.typ.fields {
			if f.variable {
				bw.bytes(p.variable(h))
			} else {
				bw.field(p.s[h.base+f.off:], f)
			}
		}
		at += len(bw.end())
	}
	if to != p.at {
		at += copy(w.out[at:], p.data[from:to])
		from = p.at
	}
	body := p.data[from:]
	if at+len(body) > len(w.out) {
		return nil, false
	}
	at += copy(w.out[at:], body)
	return w.out[:min(at, p.cut)], true
}
