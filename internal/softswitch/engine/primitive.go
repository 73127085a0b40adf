package engine

import (
	"op25b/internal/softswitch/extern"
)

// A builder compiles calls of one primitive.
type builder struct {
	params int // number of parameters; -1 if build checks the number
	build  func(c *compiler, v []jsonValue) []instr
}

// primitives returns the builders of all primitives that actions and parser states may call.
func primitives() map[string]builder {
	return map[string]builder{
		"assign":       {2, func(c *compiler, v []jsonValue) []instr { return c.assign(c.expr(&v[0]), c.expr(&v[1])) }},
		"modify_field": {2, func(c *compiler, v []jsonValue) []instr { return c.assign(c.expr(&v[0]), c.expr(&v[1])) }},
		"assign_VL":    {2, func(c *compiler, v []jsonValue) []instr { return c.assign(c.expr(&v[0]), c.expr(&v[1])) }},
		"assign_header": {2, func(c *compiler, v []jsonValue) []instr {
			return call(c.copies(c.expr(&v[0]), c.expr(&v[1])))
		}},
		"copy_header": {2, func(c *compiler, v []jsonValue) []instr {
			return call(c.copies(c.expr(&v[0]), c.expr(&v[1])))
		}},
		"assign_union": {2, func(c *compiler, v []jsonValue) []instr {
			return call(c.copies(c.expr(&v[0]), c.expr(&v[1])))
		}},
		"assign_header_stack": {2, func(c *compiler, v []jsonValue) []instr {
			return call(c.copies(c.expr(&v[0]), c.expr(&v[1])))
		}},
		"assign_union_stack": {2, func(c *compiler, v []jsonValue) []instr {
			return call(c.copies(c.expr(&v[0]), c.expr(&v[1])))
		}},
		"add_header": {1, func(c *compiler, v []jsonValue) []instr {
			h := c.hv(c.want(c.expr(&v[0]), kHeader))
			return call(func(p *packet) { p.addHeader(h(p)) })
		}},
		"add_header_fast": {1, func(c *compiler, v []jsonValue) []instr {
			h := c.hv(c.want(c.expr(&v[0]), kHeader))
			return call(func(p *packet) { p.setValid(h(p)) })
		}},
		"remove_header": {1, func(c *compiler, v []jsonValue) []instr {
			h := c.hv(c.want(c.expr(&v[0]), kHeader))
			return call(func(p *packet) { p.removeHeader(h(p)) })
		}},
		"push":            {2, func(c *compiler, v []jsonValue) []instr { return call(c.shifts(v, (*packet).push)) }},
		"pop":             {2, func(c *compiler, v []jsonValue) []instr { return call(c.shifts(v, (*packet).pop)) }},
		"exit":            {0, buildExit},
		"no_op":           {0, func(*compiler, []jsonValue) []instr { return call(func(*packet) {}) }},
		"_jump":           {1, func(c *compiler, v []jsonValue) []instr { return []instr{{op: opJump, a: c.jump(&v[0])}} }},
		"_jump_if_zero":   {2, buildJumpIf},
		"drop":            {0, func(c *compiler, _ []jsonValue) []instr { return call(c.drops()) }},
		"mark_to_drop":    {-1, func(c *compiler, _ []jsonValue) []instr { return call(c.drops()) }},
		"count":           {2, buildCount},
		"execute_meter":   {3, buildMeter},
		"register_read":   {3, buildRegisterRead},
		"register_write":  {3, buildRegisterWrite},
		"truncate":        {1, buildTruncate},
		"generate_digest": {2, buildDigest},
		"resubmit": {1, func(c *compiler, v []jsonValue) []instr {
			return c.again(v, func(p *packet, l *fieldList) { p.resubmit = l })
		}},
		"recirculate": {1, func(c *compiler, v []jsonValue) []instr {
			return c.again(v, func(p *packet, l *fieldList) { p.recirculate = l })
		}},
		"assert":                              {1, func(c *compiler, v []jsonValue) []instr { return call(c.asserts("assert", &v[0])) }},
		"assume":                              {1, func(c *compiler, v []jsonValue) []instr { return call(c.asserts("assume", &v[0])) }},
		"log_msg":                             {-1, buildLog},
		"modify_field_rng_uniform":            {3, buildRandom},
		"modify_field_with_hash_based_offset": {4, buildHash},
		"clone_ingress_pkt_to_egress":         {-1, buildClone},
		"clone_egress_pkt_to_egress":          {-1, buildClone},
		"add_to_field":                        {2, buildInto("+")},
		"subtract_from_field":                 {2, buildInto("-")},
		"add":                                 {3, buildThree("+")},
		"subtract":                            {3, buildThree("-")},
		"bit_and":                             {3, buildThree("&")},
		"bit_or":                              {3, buildThree("|")},
		"bit_xor":                             {3, buildThree("^")},
		"shift_left":                          {3, buildThree("<<")},
		"shift_right":                         {3, buildThree(">>")},
	}
}

// primitive compiles a call of one primitive.
func (c *compiler) primitive(op string, params []jsonValue) []instr {
	defer c.at("primitive %q", op)()
	b, ok := c.prims[op]
	if !ok {
		c.fail(ErrUnsupported, "the engine does not support it")
	}
	if b.params >= 0 && len(params) != b.params {
		c.fail(ErrProgram, "%d parameters, want %d", len(params), b.params)
	}
	return b.build(c, params)
}

func buildInto(op string) func(*compiler, []jsonValue) []instr {
	return func(c *compiler, v []jsonValue) []instr {
		d := c.expr(&v[0])
		n := &node{op: op, l: c.want(d, kData), r: c.want(c.expr(&v[1]), kData)}
		c.bound(n)
		return c.assign(d, n)
	}
}

func buildThree(op string) func(*compiler, []jsonValue) []instr {
	return func(c *compiler, v []jsonValue) []instr {
		n := &node{op: op, l: c.want(c.expr(&v[1]), kData), r: c.want(c.expr(&v[2]), kData)}
		c.bound(n)
		return c.assign(c.expr(&v[0]), n)
	}
}

// number compiles a numeric operand of a primitive. The primitive uses only the low 64 bits.
func (c *compiler) number(v *jsonValue) ev { return c.ev(c.want(c.expr(v), kData)) }

// copies compiles the assignment of a header, a union, or a stack of headers or unions.
func (c *compiler) copies(dst, src *node) func(*packet) {
	if dst.kind != src.kind {
		c.fail(ErrProgram, "assignment to %v from %v", dst.kind, src.kind)
	}
	switch dst.kind {
	case kHeader:
		if c.typeOf(dst) != c.typeOf(src) {
			c.fail(ErrProgram, "assignment to a header of type %q from one of type %q", c.typeOf(dst).name, c.typeOf(src).name)
		}
		d, s := c.hv(dst), c.hv(src)
		return func(p *packet) { p.copyHeader(d(p), s(p)) }
	case kUnion:
		d, s := c.uv(dst), c.uv(src)
		return func(p *packet) { p.copyUnion(d(p), s(p)) }
	case kStack:
		d, s := dst.st, src.st
		if d.typ != s.typ || len(d.elems) != len(s.elems) {
			c.fail(ErrProgram, "assignment to stack %q from stack %q, which has another type", d.name, s.name)
		}
		return func(p *packet) {
			p.s[d.next] = p.s[s.next]
			for i := range d.elems {
				p.copyHeader(d.elems[i], s.elems[i])
			}
		}
	case kUnionStack:
		d, s := dst.us, src.us
		if d.elems[0].typ != s.elems[0].typ || len(d.elems) != len(s.elems) {
			c.fail(ErrProgram, "assignment to union stack %q from union stack %q, which has another type", d.name, s.name)
		}
		return func(p *packet) {
			p.s[d.next] = p.s[s.next]
			for i := range d.elems {
				p.copyUnion(d.elems[i], s.elems[i])
			}
		}
	}
	c.fail(ErrUnsupported, "assignment of %v", dst.kind)
	return nil
}

func (p *packet) copyUnion(d, s *union) {
	for i := range d.members {
		p.copyHeader(d.members[i], s.members[i])
	}
}

type shift func(p *packet, next, size int, n uint64, swap func(*packet, int, int), clear func(*packet, int))

func (c *compiler) shifts(v []jsonValue, do shift) func(*packet) {
	n, by := c.expr(&v[0]), c.number(&v[1])
	switch n.kind {
	case kStack:
		swap, clr := n.st.moves()
		next, size := n.st.next, len(n.st.elems)
		return func(p *packet) { do(p, next, size, by(p), swap, clr) }
	case kUnionStack:
		swap, clr := n.us.moves()
		next, size := n.us.next, len(n.us.elems)
		return func(p *packet) { do(p, next, size, by(p), swap, clr) }
	}
	c.fail(ErrProgram, "want a stack, got %v", n.kind)
	return nil
}

func (c *compiler) jump(v *jsonValue) int32 {
	n := c.want(c.expr(v), kData)
	if !n.isConst() || !n.lo.IsInt64() || n.lo.Int64() < 0 || n.lo.Int64() > 1<<24 {
		c.fail(ErrUnsupported, "a jump to an index that is not constant")
	}
	return int32(n.lo.Int64())
}

func buildExit(c *compiler, _ []jsonValue) []instr {
	if c.act != nil {
		c.act.exits = true
	}
	return call(func(p *packet) { p.exit = true })
}

func buildJumpIf(c *compiler, v []jsonValue) []instr {
	n := c.want(c.expr(&v[0]), kData)
	var s asm
	past := s.label()
	c.branch(&s, simplify(&node{kind: kBool, op: "d2b", r: n}), true, past)
	s.add(instr{op: opJump, a: c.jump(&v[1])})
	s.place(past)
	return s.link()
}

// drops compiles mark_to_drop, which sets egress_spec to DropPort and clears the multicast group.
func (c *compiler) drops() func(*packet) {
	spec, ok := c.l.standard("standard_metadata", "egress_spec")
	if !ok {
		c.fail(ErrProgram, "no field standard_metadata.egress_spec")
	}
	a, drop := spec.slot(), DropPort&ones(spec.f.width)
	g, ok := c.l.standard("intrinsic_metadata", "mcast_grp")
	if !ok {
		g, ok = c.l.standard("standard_metadata", "mcast_grp")
	}
	if !ok {
		return func(p *packet) { p.s[a] = drop }
	}
	b := g.slot()
	return func(p *packet) { p.s[a], p.s[b] = drop, 0 }
}

func buildCount(c *compiler, v []jsonValue) []instr {
	name := c.text(v[0].Value)
	ctr, ok := c.e.Counter(name)
	if v[0].Type != "counter_array" || !ok {
		c.fail(ErrProgram, "no indexed counter %q", name)
	}
	ix := c.index(c.want(c.expr(&v[1]), kData))
	return call(func(p *packet) {
		i := ix(p)
		ctr.count(i, p.inLen)
		if p.w.trace != nil {
			p.w.trace.add(Event{Kind: EventCounter, Name: name, Index: ptr(i), Bytes: p.inLen})
		}
	})
}

func buildMeter(c *compiler, v []jsonValue) []instr {
	name := c.text(v[0].Value)
	m, ok := c.e.Meter(name)
	if v[0].Type != "meter_array" || !ok {
		c.fail(ErrProgram, "no indexed meter %q", name)
	}
	ix, set := c.index(c.want(c.expr(&v[1]), kData)), c.setter(&v[2])
	return call(func(p *packet) {
		i := ix(p)
		if color, ok := m.cells.Execute(i, p.inLen, extern.Green); ok {
			set(p, uint64(color))
			if p.w.trace != nil {
				p.w.trace.add(Event{Kind: EventMeter, Name: name, Index: ptr(i), Color: color.String()})
			}
		}
	})
}

// setter compiles the assignment of a word to a field. The caller passes the word at run time.
func (c *compiler) setter(v *jsonValue) func(*packet, uint64) {
	n := c.lvalue(c.expr(v))
	f := n.lvalueField()
	if f.variable {
		c.fail(ErrUnsupported, "a result in the variable field %q", f.name)
	}
	last, mask := f.off+f.words-1, ones(min(f.width, 64))
	if n.op == leafDynamic {
		h := c.hv(n.l)
		return func(p *packet, x uint64) {
			on := h(p)
			p.fill(on)
			b := on.base
			clear(p.s[b+f.off : b+last])
			p.s[b+last] = x & mask
		}
	}
	from, to, on := n.ref.slot(), n.ref.h.base+last, n.ref.h
	if !on.metadata {
		return func(p *packet, x uint64) {
			p.fill(on)
			clear(p.s[from:to])
			p.s[to] = x & mask
		}
	}
	if from == to {
		return func(p *packet, x uint64) { p.s[to] = x & mask }
	}
	return func(p *packet, x uint64) {
		clear(p.s[from:to])
		p.s[to] = x & mask
	}
}
