package engine

import (
	"math"
	"math/big"
	"slices"
	"strings"

	"op25b/internal/softswitch/extern"
)

// A fieldList names the fields that a clone, resubmission or recirculation preserves.
type fieldList struct{ fields []ref }

// copyTo copies the fields of the list from the state of src to the state of dst.
func (l *fieldList) copyTo(dst, src *packet) {
	for _, r := range l.fields {
		at := r.slot()
		dst.fill(r.h)
		copy(dst.s[at:at+r.f.words], src.s[at:at+r.f.words])
		if r.f.variable {
			copy(dst.vb[r.h.varAt:], src.variable(r.h))
		}
	}
}

// A learnList is the definition of a digest that the program can send.
type learnList struct {
	id    int
	name  string
	elems []learnElem
}

// A learnElem is an element of a digest: a field or a constant.
type learnElem struct {
	ref   ref
	bytes []byte
}

func (c *compiler) register(name string) *Register {
	r, ok := c.e.Register(name)
	if !ok {
		c.fail(ErrProgram, "no register %q", name)
	}
	return r
}

// uses records that the action that is being compiled accesses a register.
func (c *compiler) uses(r *Register) {
	if c.act == nil {
		c.fail(ErrUnsupported, "register %q outside of an action", r.name)
	}
	if slices.Contains(c.act.regs, r) {
		return
	}
	c.act.regs = append(c.act.regs, r)
	slices.SortFunc(c.act.regs, func(a, b *Register) int {
		return slices.Index(c.e.registers, a) - slices.Index(c.e.registers, b)
	})
}

func (c *compiler) registerParam(v *jsonValue) *Register {
	if v.Type != "register_array" {
		c.fail(ErrProgram, "want a register, got a value of type %q", v.Type)
	}
	r := c.register(c.text(v.Value))
	c.uses(r)
	return r
}

// buildRegisterRead compiles the read of a register cell. If the index is out of range, the destination field is unchanged, as in bmv2.
func buildRegisterRead(c *compiler, v []jsonValue) []instr {
	r := c.registerParam(&v[1])
	ixNode := c.want(c.expr(&v[2]), kData)
	lo, hi := r.span()
	read := do(c.assign(c.expr(&v[0]), &node{op: leafReg, lo: lo, hi: hi, reg: r, r: ixNode}))
	ix, size := c.index(ixNode), uint64(r.size)
	return call(func(p *packet) {
		if i := ix(p); i < size {
			if p.w.trace != nil {
				r.told(p, EventRead, i)
			}
			read(p)
		}
	})
}

func buildRegisterWrite(c *compiler, v []jsonValue) []instr {
	r := c.registerParam(&v[0])
	ix, src := c.index(c.want(c.expr(&v[1]), kData)), c.want(c.expr(&v[2]), kData)
	mask := ones(r.width - 64*(r.words-1))
	if r.words == 1 {
		e := c.ev(src)
		return call(func(p *packet) {
			if i := ix(p); i < uint64(r.size) {
				r.cells[i] = e(p) & mask
				if p.w.trace != nil {
					r.told(p, EventWrite, i)
				}
			}
		})
	}
	e, t := c.wideTo(src, r.words), c.temp(r.words)
	return call(func(p *packet) {
		i := ix(p)
		if i >= uint64(r.size) {
			return
		}
		x := p.w.scratch[t : t+r.words]
		e(p, x)
		cell := r.cells[int(i)*r.words:][:r.words]
		reversed(cell, x)
		cell[0] &= mask
		if p.w.trace != nil {
			r.told(p, EventWrite, i)
		}
	})
}

func buildTruncate(c *compiler, v []jsonValue) []instr {
	n := c.index(c.want(c.expr(&v[0]), kData))
	return call(func(p *packet) {
		if k := n(p); k < uint64(p.cut) {
			p.cut = int(k)
		}
	})
}

// whole returns the value of an operand that must be a constant, such as the id of a list.
func (c *compiler) whole(v *jsonValue) int {
	n := c.want(c.expr(v), kData)
	if !n.isConst() || !n.lo.IsInt64() || n.lo.Int64() < 0 || n.lo.Int64() > math.MaxInt32 {
		c.fail(ErrUnsupported, "a list that is not named by a constant")
	}
	return int(n.lo.Int64())
}

// list returns the field list with the id that v gives. Id 0 means no list, because bmv2 reserves it for "not requested".
func (c *compiler) list(v *jsonValue) *fieldList {
	id := c.whole(v)
	if id == 0 {
		return nil
	}
	l, ok := c.lists[id]
	if !ok {
		c.fail(ErrProgram, "no field list with id %d", id)
	}
	return l
}

func (c *compiler) again(v []jsonValue, set func(*packet, *fieldList)) []instr {
	l := c.list(&v[0])
	return call(func(p *packet) { set(p, l) })
}

func buildClone(c *compiler, v []jsonValue) []instr {
	if len(v) != 2 {
		c.fail(ErrProgram, "%d parameters, want 2", len(v))
	}
	session, l := c.number(&v[0]), c.list(&v[1])
	if l == nil {
		l = &fieldList{}
	}
	return call(func(p *packet) {
		p.cloneTo, p.cloneSession = l, uint32(session(p))&maxCloneSession
	})
}

func buildDigest(c *compiler, v []jsonValue) []instr {
	id := c.whole(&v[1])
	for i := range c.j.LearnLists {
		if j := &c.j.LearnLists[i]; j.ID == id {
			l := c.learnList(j)
			return call(func(p *packet) { p.digest = l })
		}
	}
	c.fail(ErrProgram, "no learn list with id %d", id)
	return nil
}

func (c *compiler) learnList(j *jsonFieldList) *learnList {
	defer c.at("learn list %q", j.Name)()
	l := &learnList{id: j.ID, name: j.Name}
	for i := range j.Elements {
		el := &j.Elements[i]
		c.bits(el.BitWidth, "element %d", i)
		n := c.expr(el)
		switch {
		case n.op == leafField:
			l.elems = append(l.elems, learnElem{ref: n.ref})
		case n.isConst() && el.BitWidth > 0:
			w := bigWords(new(big.Int).And(n.lo, new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), uint(el.BitWidth)), big.NewInt(1))), (el.BitWidth+63)/64)
			l.elems = append(l.elems, learnElem{bytes: bytesOf(w, el.BitWidth)})
		default:
			c.fail(ErrUnsupported, "element of type %q", el.Type)
		}
	}
	return l
}

// learn delivers the packet's digest. If no digest is free, it drops the digest. Load has allocated all digests.
func (p *packet) learn(l *learnList) {
	if p.w.trace != nil {
		p.w.trace.add(l.event(p))
	}
	var d *Digest
	select {
	case d = <-p.w.e.spare:
	default:
		p.w.count(&p.w.stats.DigestsDropped)
		return
	}
	d.Name, d.ListID, d.Values, d.bytes = l.name, l.id, d.Values[:0], d.bytes[:0]
	for _, el := range l.elems {
		from := len(d.bytes)
		switch {
		case el.ref.h == nil:
			d.bytes = append(d.bytes, el.bytes...)
		case el.ref.f.variable:
			d.bytes = append(d.bytes, p.variable(el.ref.h)...)
		default:
			at := el.ref.slot()
			d.bytes = appendBytes(d.bytes, p.s[at:at+el.ref.f.words], el.ref.f.width)
		}
		d.Values = append(d.Values, d.bytes[from:len(d.bytes):len(d.bytes)])
	}
	p.w.count(&p.w.stats.Digests)
	p.w.e.digests <- d // never blocks, because the channel has room for every digest
}

// event returns the trace event of the digest.
func (l *learnList) event(p *packet) Event {
	e := Event{Kind: EventDigest, Name: l.name}
	for _, el := range l.elems {
		switch {
		case el.ref.h == nil:
			e.Fields = append(e.Fields, Value{Width: 8 * len(el.bytes), Value: slices.Clone(el.bytes)})
		case el.ref.f.variable:
			v := slices.Clone(p.variable(el.ref.h))
			e.Fields = append(e.Fields, Value{el.ref.f.name, 8 * len(v), v})
		default:
			at := el.ref.slot()
			e.Fields = append(e.Fields, valueOf(el.ref.f.name, el.ref.f.width, p.s[at:at+el.ref.f.words]))
		}
	}
	return e
}

// spareDigests allocates the digests that the engine delivers. Each has room for the program's longest digest, in which a variable field
// counts for at most 256 bytes.
func (c *compiler) spareDigests() {
	values, bytes := 0, 0
	for i := range c.j.LearnLists {
		l := c.learnList(&c.j.LearnLists[i])
		size := 0
		for _, el := range l.elems {
			switch {
			case el.ref.h == nil:
				size += len(el.bytes)
			case el.ref.f.variable:
				size += min(el.ref.h.typ.varMax, 256)
			default:
				size += (el.ref.f.width + 7) / 8
			}
		}
		values, bytes = max(values, len(l.elems)), max(bytes, size)
	}
	if values == 0 {
		return
	}
	c.reserve(cap(c.e.spare), bytes+24*values, "digests")
	for range cap(c.e.spare) {
		c.e.spare <- &Digest{Values: make([][]byte, 0, values), bytes: make([]byte, 0, bytes), spare: c.e.spare}
	}
}

// buildRandom compiles random(). If the low bound is above the high bound, the destination field is unchanged, as in bmv2.
func buildRandom(c *compiler, v []jsonValue) []instr {
	set, lo, hi := c.setter(&v[0]), c.number(&v[1]), c.number(&v[2])
	return call(func(p *packet) {
		a, b := lo(p), hi(p)
		switch {
		case a > b:
		case b-a == math.MaxUint64:
			set(p, p.w.rng.Uint64())
		default:
			set(p, a+p.w.rng.Uint64N(b-a+1))
		}
	})
}

func buildHash(c *compiler, v []jsonValue) []instr {
	set, base, size := c.setter(&v[0]), c.number(&v[1]), c.number(&v[3])
	name := c.text(v[2].Value)
	calc, ok := c.calcs[name]
	if v[2].Type != "calculation" || !ok {
		c.fail(ErrProgram, "no calculation %q", name)
	}
	return call(func(p *packet) { set(p, extern.InRange(calc.sum(p), base(p), size(p))) })
}

// asserts compiles assert and assume. bmv2 terminates when one of them fails. The engine logs and counts the failure, and continues with
// the packet.
func (c *compiler) asserts(what string, v *jsonValue) func(*packet) {
	n := c.expr(v)
	if n.kind == kData {
		n = &node{kind: kBool, op: "d2b", r: n}
	}
	ok, log, where := c.bv(c.want(n, kBool)), c.e.o.Log, strings.Join(c.places, ": ")
	return func(p *packet) {
		if !ok(p) {
			p.w.count(&p.w.stats.AssertsFailed)
			if log != nil {
				log(where + ": " + what + " failed")
			}
		}
	}
}

// buildLog compiles log_msg. Each {} in the text is replaced by the next value, in decimal.
func buildLog(c *compiler, v []jsonValue) []instr {
	if len(v) < 1 || len(v) > 2 || v[0].Type != "string" {
		c.fail(ErrProgram, "want a string and its values")
	}
	parts := strings.Split(c.text(v[0].Value), "{}")
	var vals []func(*packet) string
	if len(v) == 2 {
		var list []jsonValue
		if s := strings.Join(strings.Fields(string(v[1].Value)), ""); s != "{}" { // p4c writes an empty list of values this way
			c.decode(v[1].Value, &list, "a list of values")
		}
		for i := range list {
			vals = append(vals, c.decimal(c.want(c.expr(&list[i]), kData)))
		}
	}
	if len(vals) != len(parts)-1 {
		c.fail(ErrProgram, "%d values for %d {}", len(vals), len(parts)-1)
	}
	log := c.e.o.Log
	if log == nil {
		return call(func(*packet) {})
	}
	return call(func(p *packet) {
		var b strings.Builder
		for i, s := range parts {
			b.WriteString(s)
			if i < len(vals) {
				b.WriteString(vals[i](p))
			}
		}
		log(b.String())
	})
}

func (c *compiler) decimal(n *node) func(*packet) string {
	k := n.limbs()
	f, at := c.wideTo(n, k), c.temp(k)
	return func(p *packet) string {
		t := p.w.scratch[at : at+k]
		f(p, t)
		out := new(big.Int)
		for i := k - 1; i >= 0; i-- {
			out.Or(out.Lsh(out, 64), new(big.Int).SetUint64(t[i]))
		}
		if int64(t[k-1]) < 0 {
			out.Sub(out, new(big.Int).Lsh(big.NewInt(1), uint(64*k)))
		}
		return out.String()
	}
}
