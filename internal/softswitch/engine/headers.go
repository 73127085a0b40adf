package engine

import "bytes"

// setValid makes header h valid and the other headers of its union invalid. The fields of h keep their values.
func (p *packet) setValid(h *header) {
	p.s[h.base] = 1
	if h.in != nil {
		for _, m := range h.in.members {
			if m != h {
				p.s[m.base] = 0
			}
		}
	}
}

// addHeader implements the program's setValid. If the header was invalid, its fields are set to zero and the packet's
// length grows.
func (p *packet) addHeader(h *header) {
	if p.s[h.base] != 0 {
		return
	}
	clear(p.s[h.base : h.base+h.typ.words])
	if h.src >= 0 {
		p.s[h.src] = 0
	}
	p.setValid(h)
	p.length += p.headerBytes(h)
}

// removeHeader implements the program's setInvalid.
func (p *packet) removeHeader(h *header) {
	if p.s[h.base] == 0 || h.metadata {
		return
	}
	p.length -= p.headerBytes(h)
	p.s[h.base] = 0
}

// headerBytes returns the length of a header on the wire, in bytes.
func (p *packet) headerBytes(h *header) int {
	n := h.typ.bytes
	if h.typ.varF != nil {
		n += int(p.s[h.base+h.typ.varF.off] / 8)
	}
	return n
}

// copyHeader copies src to dst, including its validity. If src is invalid, dst's fields keep their values.
func (p *packet) copyHeader(dst, src *header) {
	if p.s[src.base] == 0 {
		if !dst.metadata {
			p.s[dst.base] = 0
		}
		return
	}
	if dst == src {
		return
	}
	p.whole(src)
	if dst.src >= 0 {
		p.s[dst.src] = 0
	}
	p.setValid(dst)
	n := dst.typ.words
	copy(p.s[dst.base+1:dst.base+n], p.s[src.base+1:src.base+n])
	if dst.typ.varF != nil {
		copy(p.vb[dst.varAt:dst.varAt+dst.typ.varMax], p.variable(src))
	}
}

// sameHeader reports whether two headers are both valid and equal.
func (p *packet) sameHeader(a, b *header) bool {
	if a.typ != b.typ || p.s[a.base] == 0 || p.s[b.base] == 0 {
		return false
	}
	p.whole(a)
	p.whole(b)
	for _, f := range a.typ.fields {
		if f.variable {
			if !bytes.Equal(p.variable(a), p.variable(b)) {
				return false
			}
			continue
		}
		for w := f.off; w < f.off+f.words; w++ {
			if p.s[a.base+w] != p.s[b.base+w] {
				return false
			}
		}
	}
	return true
}

// member returns the valid header of a union, or nil if all are invalid.
func (p *packet) member(u *union) *header {
	for _, m := range u.members {
		if p.s[m.base] != 0 {
			return m
		}
	}
	return nil
}

// swapHeaders exchanges two headers of the same type, including their validity.
func (p *packet) swapHeaders(a, b *header) {
	p.fill(a)
	p.fill(b)
	x, y := p.s[a.base:a.base+a.typ.words], p.s[b.base:b.base+b.typ.words]
	for i := range x {
		x[i], y[i] = y[i], x[i]
	}
	if a.typ.varMax > 0 {
		v, w := p.vb[a.varAt:a.varAt+a.typ.varMax], p.vb[b.varAt:b.varAt+b.typ.varMax]
		for i := range v {
			v[i], w[i] = w[i], v[i]
		}
	}
}

// push moves the elements of a stack n places towards its end. The first n elements become invalid.
func (p *packet) push(next, size int, n uint64, swap func(p *packet, i, j int), clear func(p *packet, i int)) {
	if n == 0 {
		return
	}
	k := int(min(n, uint64(size)))
	p.s[next] = min(uint64(size), p.s[next]+uint64(k))
	for i := size - 1; i >= k; i-- {
		swap(p, i, i-k)
	}
	for i := range k {
		clear(p, i)
	}
}

// pop moves the elements of a stack n places towards its start. The last n elements become invalid.
func (p *packet) pop(next, size int, n uint64, swap func(p *packet, i, j int), clear func(p *packet, i int)) {
	if n == 0 {
		return
	}
	k := int(min(n, uint64(size)))
	p.s[next] -= min(p.s[next], uint64(k))
	i := 0
	for ; i < size-k; i++ {
		swap(p, i, i+k)
	}
	for ; i < size; i++ {
		clear(p, i)
	}
}

// moves returns a function that exchanges two elements of the stack and a function that invalidates an element.
func (st *stack) moves() (swap func(p *packet, i, j int), clear func(p *packet, i int)) {
	return func(p *packet, i, j int) { p.swapHeaders(st.elems[i], st.elems[j]) },
		func(p *packet, i int) { p.s[st.elems[i].base] = 0 }
}

func (us *unionStack) moves() (swap func(p *packet, i, j int), clear func(p *packet, i int)) {
	return func(p *packet, i, j int) {
			for m := range us.elems[i].members {
				p.swapHeaders(us.elems[i].members[m], us.elems[j].members[m])
			}
		}, func(p *packet, i int) {
			for _, m := range us.elems[i].members {
				p.s[m.base] = 0
			}
		}
}
