package engine

// An asm assembles code. Jumps refer to labels until link resolves the labels.
type asm struct {
	code   []instr
	labels []int       // position of each label in code; -1 if it is not placed yet
	fix    map[int]int // label of each jump, by the position of the jump in code
}

func (s *asm) label() int {
	s.labels = append(s.labels, -1)
	return len(s.labels) - 1
}

func (s *asm) place(label int) { s.labels[label] = len(s.code) }

func (s *asm) add(in ...instr) { s.code = append(s.code, in...) }

// jump adds an instr that jumps to a label.
func (s *asm) jump(in instr, label int) {
	if s.fix == nil {
		s.fix = map[int]int{}
	}
	s.fix[len(s.code)] = label
	s.code = append(s.code, in)
}

// link converts the jumps from labels to relative distances.
func (s *asm) link() []instr {
	for at, label := range s.fix {
		s.code[at].c = int32(s.labels[label] - at - 1)
	}
	return s.code
}

func call(f func(*packet)) []instr { return []instr{{op: opCall, x: &extra{fn: f}}} }

// do returns a function that executes code for a packet.
func do(code []instr) func(*packet) {
	if len(code) == 1 && code[0].op == opCall {
		return code[0].x.fn
	}
	return func(p *packet) { p.exec(code, 0, 0) }
}

// A shape is a word of a packet's state to which a right shift, a left shift, an addition and a mask are applied, in this order.
type shape struct {
	slot int
	r, l uint
	k, m uint64
	bits int // number of correct low bits; 64 if all are correct
}

func (h *shape) plain() bool { return h.r == 0 && h.l == 0 && h.k == 0 && h.m == ^uint64(0) }

// shapeOf returns the shape of a number's low word. It returns false if the low word has no shape.
func shapeOf(n *node) (shape, bool) {
	h, ok := looseShape(n)
	return h, ok && h.bits == 64
}

func looseShape(n *node) (shape, bool) {
	none := shape{}
	if n.op == leafField {
		f := n.ref.f
		if f.variable || f.signed && f.width < 64 {
			return none, false
		}
		return shape{slot: n.ref.slot() + f.words - 1, m: ^uint64(0), bits: 64}, true
	}
	if n.r == nil || !n.r.isConst() || n.l == nil {
		return none, false
	}
	k := low64(n.r.lo)
	if n.op == "&" {
		h, ok := looseShape(n.l)
		if !ok || n.r.lo.Sign() < 0 {
			return none, false
		}
		if h.bits < 64 && n.r.lo.BitLen() <= h.bits {
			h.bits = 64
		}
		h.m &= k
		return h, true
	}
	if n.op == ">>" && n.l.op == leafField && n.l.ref.f.words > 1 && !n.l.ref.f.variable && !n.l.ref.f.signed {
		// A shift within a wide field is a shape only if the result lies within one word.
		f := n.l.ref.f
		if !n.r.lo.IsUint64() || k >= uint64(64*f.words) {
			return none, false
		}
		h := shape{slot: n.l.ref.slot() + f.words - 1 - int(k/64), r: uint(k % 64), m: ^uint64(0), bits: 64}
		if h.r > 0 && k/64 < uint64(f.words-1) {
			h.bits = 64 - int(h.r)
		}
		return h, true
	}
	h, ok := shapeOf(n.l)
	if !ok {
		return none, false
	}
	all := h.m == ^uint64(0)
	switch n.op {
	case "+":
		h.k += k
		return h, all
	case "-":
		h.k -= k
		return h, all
	case "<<":
		if h.k != 0 || !n.r.lo.IsUint64() || k+uint64(h.l) > 63 {
			return none, false
		}
		h.l += uint(k)
		if !all {
			h.m <<= k
		}
		return h, true
	case ">>":
		if h.k != 0 || h.l != 0 || !n.l.fits64() || !n.r.lo.IsUint64() || k+uint64(h.r) > 63 {
			return none, false
		}
		h.r += uint(k)
		h.m >>= k
		return h, true
	}
	return none, false
}

// acc adds code that computes the low word of a number. A shape takes one instr. Sums and similar operations are computed word by word.
func (c *compiler) acc(s *asm, n *node) {
	if h, ok := shapeOf(n); ok {
		s.add(instr{op: opLoad, b: int32(h.slot), r: uint8(h.r), l: uint8(h.l), k: h.k, m: h.m})
		return
	}
	if l, r := n.l, n.r; l != nil && r != nil && c.accTwo(s, n, l, r) {
		return
	}
	s.add(instr{op: opCompute, x: &extra{ev: c.ev(n)}})
}

func (c *compiler) accTwo(s *asm, n, l, r *node) bool {
	const all = ^uint64(0)
	k := uint64(0)
	if r.isConst() {
		k = low64(r.lo)
		switch {
		case n.op == "&":
			c.acc(s, l)
			s.add(instr{op: opReshape, m: k})
			return true
		case n.op == "|":
			c.acc(s, l)
			s.add(instr{op: opOrConst, k: k})
			return true
		case n.op == "+":
			c.acc(s, l)
			s.add(instr{op: opReshape, k: k, m: all})
			return true
		case n.op == "<<" && r.lo.IsUint64() && k < 64:
			c.acc(s, l)
			s.add(instr{op: opReshape, l: uint8(k), m: all})
			return true
		case n.op == ">>" && l.fits64() && r.lo.IsUint64() && k < 64:
			c.acc(s, l)
			s.add(instr{op: opReshape, r: uint8(k), m: all})
			return true
		}
		return false
	}
	ops := map[string]uint16{"+": opAdd, "-": opSub, "&": opAnd, "|": opOr, "^": opXor}
	op, ok := ops[n.op]
	if !ok {
		return false
	}
	if h, ok := shapeOf(r); ok && h.plain() {
		c.acc(s, l)
		s.add(instr{op: op, b: int32(h.slot), m: all})
		return true
	}
	if h, ok := shapeOf(l); ok && h.plain() {
		if op == opSub {
			op = opSubFrom
		}
		c.acc(s, r)
		s.add(instr{op: op, b: int32(h.slot), m: all})
		return true
	}
	return false
}

// branch adds a jump to label. The jump is taken if the value of the condition equals want.
func (c *compiler) branch(s *asm, n *node, want bool, label int) {
	switch n.op {
	case leafBool:
		if n.b == want {
			s.jump(instr{op: opGoto}, label)
		}
		return
	case "not":
		c.branch(s, n.r, !want, label)
		return
	case "and", "or":
		if (n.op == "or") == want {
			c.branch(s, n.l, want, label)
			c.branch(s, n.r, want, label)
			return
		}
		past := s.label()
		c.branch(s, n.l, !want, past)
		c.branch(s, n.r, want, label)
		s.place(past)
		return
	case "d2b":
		if n.r.op == "b2d" {
			c.branch(s, n.r.r, want, label)
			return
		}
		c.branchCompare(s, &node{kind: kBool, op: "!=", l: n.r, r: constNode(zero)}, want, label)
		return
	case "valid":
		if n.r.h != nil {
			s.jump(instr{op: either(want, opIfNotZero, opIfZero), b: int32(n.r.h.base)}, label)
			return
		}
	case "==", "!=", "<", "<=", ">", ">=":
		if n.l.kind == kData {
			c.branchCompare(s, n, want, label)
			return
		}
	}
	c.branchTest(s, n, want, label)
}

func either(want bool, yes, no uint16) uint16 {
	if want {
		return yes
	}
	return no
}

// branchTest adds a jump to label. The jump is taken if the closure that evaluates the condition returns want.
func (c *compiler) branchTest(s *asm, n *node, want bool, label int) {
	s.jump(instr{op: either(want, opIfTrue, opIfFalse), x: &extra{test: c.bv(n)}}, label)
}

// negation maps each comparison to its negation. mirror maps each comparison to the equivalent comparison with exchanged operands.
var (
	negation = map[string]string{"==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}
	mirror   = map[string]string{"==": "==", "!=": "!=", "<": ">", ">": "<", "<=": ">=", ">=": "<="}
)

func (c *compiler) branchCompare(s *asm, n *node, want bool, label int) {
	l, r, op := n.l, n.r, n.op
	if l.isConst() && !r.isConst() {
		l, r, op = r, l, mirror[op]
	}
	if !l.fits64() || !r.fits64() {
		equal := op == "==" || op == "!="
		if f := l.ref.f; equal && l.op == leafField && !f.variable && !f.signed && r.isConst() && r.lo.Sign() == 0 {
			s.jump(instr{op: either((op == "==") == want, opIfAllZero, opIfSomeOne), b: int32(l.ref.slot()), k: uint64(f.words)}, label)
			return
		}
		c.branchTest(s, n, want, label)
		return
	}
	if !want {
		op = negation[op]
	}
	if r.isConst() {
		c.branchConst(s, op, l, low64(r.lo), label)
		return
	}
	x, xok := shapeOf(l)
	y, yok := shapeOf(r)
	xok, yok = xok && x.plain(), yok && y.plain()
	switch {
	case xok && yok:
		a, b := y.slot, x.slot
		if op == ">" || op == "<=" {
			a, b, op = b, a, mirror[op]
		}
		s.jump(instr{op: map[string]uint16{"==": opIfEq, "!=": opIfNe, "<": opIfLt, ">=": opIfGe}[op], a: int32(a), b: int32(b)}, label)
	case yok || xok:
		if !yok {
			l, y, op = r, x, mirror[op]
		}
		c.acc(s, l)
		ops := map[string]uint16{"==": opAccEq, "!=": opAccNe, "<": opAccLt, ">=": opAccGe, ">": opAccGt, "<=": opAccLe}
		s.jump(instr{op: ops[op], b: int32(y.slot)}, label)
	default:
		c.branchTest(s, n, want, label)
	}
}

// branchConst adds a jump to label. The jump is taken if the comparison of a number with the constant k holds.
func (c *compiler) branchConst(s *asm, op string, l *node, k uint64, label int) {
	if op == ">" || op == "<=" {
		if k == ^uint64(0) {
			if op == "<=" {
				s.jump(instr{op: opGoto}, label)
			}
			return
		}
		k++
		op = map[string]string{">": ">=", "<=": "<"}[op]
	}
	if h, ok := shapeOf(l); ok && h.plain() {
		in := instr{op: map[string]uint16{"==": opIfEqConst, "!=": opIfNeConst, "<": opIfLtConst, ">=": opIfGeConst}[op], b: int32(h.slot), k: k}
		if k == 0 && op == "==" {
			in.op = opIfZero
		}
		if k == 0 && op == "!=" {
			in.op = opIfNotZero
		}
		s.jump(in, label)
		return
	}
	c.acc(s, l)
	ops := map[string]uint16{"==": opAccEqConst, "!=": opAccNeConst, "<": opAccLtConst, ">=": opAccGeConst}
	s.jump(instr{op: ops[op], k: k}, label)
}
