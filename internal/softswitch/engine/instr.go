package engine

// An instr is one instruction of an action, or of the flow through a parser or pipeline, into which actions are inlined. a and b are
// slots, and k and m are constants. c is the distance of a jump. It is relative to the next instr, so that code can be moved. Instructions
// that only move, shift and compare words have their own operations. Everything else is a closure.
type instr struct {
	op      uint16
	r, l    uint8
	a, b, c int32
	k, m    uint64
	x       *extra
}

// An extra holds operands that only a few operations need.
type extra struct {
	ev    ev
	test  bv
	fn    func(*packet)
	try   func(*packet) bool
	h     *header
	table *Table
	act   *action
	sel   *selection
}

// The operations. acc is a word that each instr passes to the next, and s is the packet's slots.
const (
	opConst   = iota // s[a] = k
	opMove           // s[a] = s[b] & m
	opMoveTwo        // s[a], s[a+1] = s[b] & m, s[b+1]
	opMoveAll        // s[a:a+k] = s[b:b+k]; s[a] &= m
	opClear          // s[a:a+k] = 0
	opShape          // s[a] = (s[b] >> r << l + k) & m
	opArg            // s[a] = args[b] & m
	opEval           // s[a] = ev() & m

	opLoad    // acc = (s[b] >> r << l + k) & m
	opCompute // acc = ev()
	opReshape // acc = (acc >> r << l + k) & m
	opAdd     // acc = (acc + s[b]) & m
	opSub     // acc = (acc - s[b]) & m
	opSubFrom // acc = (s[b] - acc) & m
	opAnd     // acc = acc & s[b]
	opOr      // acc = acc | s[b]
	opXor     // acc = acc ^ s[b]
	opOrConst // acc = acc | k
	opStore   // s[a] = acc & m

	opIfZero     // jump if s[b] is zero
	opIfNotZero  // jump if s[b] is not zero
	opIfAllZero  // jump if all words of s[b:b+k] are zero
	opIfSomeOne  // jump if any word of s[b:b+k] is not zero
	opIfEqConst  // jump if s[b] == k
	opIfNeConst  //
	opIfLtConst  //
	opIfGeConst  //
	opIfEq       // jump if s[b] == s[a]
	opIfNe       //
	opIfLt       //
	opIfGe       //
	opAccEqConst // jump if acc == k
	opAccNeConst //
	opAccLtConst //
	opAccGeConst //
	opAccEq      // jump if acc == s[b]
	opAccNe      //
	opAccLt      //
	opAccGe      //
	opAccGt      //
	opAccLe      //
	opIfTrue     // jump if test()
	opIfFalse    // jump if not test()
	opGoto       // jump
	opNext       // jump to the next state
	opJump       // jump within an action; backward jumps are limited

	opCall       // fn()
	opTry        // try(); stop if it returns false
	opExtract    // extract h; stop on an error
	opFill       // fill h
	opFail       // stop with the parser error k
	opFailAs     // stop with the parser error ev()
	opSelect     // jump to the state that sel selects
	opSelectWord // like opSelect, for a key that is one word
	opTable      // apply table and continue at the node that follows
	opRun        // run act
	opLock       // lock the registers of act, as opRun does
	opUnlock     //
	opExit       // stop if the program has executed exit
	opEnd        // stop
)

// maxJumpsBack is the largest number of backward jumps in one run of an action.
const maxJumpsBack = 1 << 20

// exec executes code from pc until it stops.
func (p *packet) exec(code []instr, pc int, acc uint64) {
	s, back := p.s, 0
	for {
		if pc, acc = p.words(code, pc, acc); pc >= len(code) {
			return
		}
		in := &code[pc]
		pc++
		switch in.op {
		case opMoveAll:
			copy(s[in.a:int(in.a)+int(in.k)], s[in.b:int(in.b)+int(in.k)])
			s[in.a] &= in.m
		case opClear:
			clear(s[in.a : int(in.a)+int(in.k)])
		case opEval:
			s[in.a] = in.x.ev(p) & in.m
		case opCompute:
			acc = in.x.ev(p)
		case opIfAllZero:
			if allZero(s[in.b : int(in.b)+int(in.k)]) {
				pc += int(in.c)
			}
		case opIfSomeOne:
			if !allZero(s[in.b : int(in.b)+int(in.k)]) {
				pc += int(in.c)
			}
		case opIfTrue:
			if in.x.test(p) {
				pc += int(in.c)
			}
		case opIfFalse:
			if !in.x.test(p) {
				pc += int(in.c)
			}
		case opJump:
			if in.c < 0 {
				if back++; back > maxJumpsBack {
					p.w.count(&p.w.stats.Looped)
					return
				}
			}
			pc += int(in.c)
		case opCall:
			in.x.fn(p)
		case opTry:
			if !in.x.try(p) {
				return
			}
		case opFill:
			p.fill(in.x.h)
		case opExtract:
			if !p.extract(in.x.h) {
				return
			}
		case opFail:
			p.failed = in.k
			return
		case opFailAs:
			p.failed = in.x.ev(p)
			return
		case opSelect:
			next, ok := in.x.sel.choose(p)
			if !ok || next == end {
				return
			}
			if p.states++; p.states == maxStates {
				p.failed = p.w.prog.timeout
				return
			}
			pc = int(next)
		case opTable:
			next := in.x.table.apply(p)
			if next == end || p.exit {
				return
			}
			pc = int(p.w.prog.entry[next])
		case opRun:
			p.run(in.x.act, nil)
		case opLock:
			for _, r := range in.x.act.regs {
				r.mu.Lock()
			}
		case opUnlock:
			for _, r := range in.x.act.regs {
				r.mu.Unlock()
			}
		case opExit:
			if p.exit {
				return
			}
		default:
			return
		}
	}
}

// words executes instrs that only move, shift and compare words. It stops before any other instr. Because words calls no functions, its
// variables stay in machine registers.
func (p *packet) words(code []instr, pc int, acc uint64) (int, uint64) {
	s := p.s
	for uint(pc) < uint(len(code)) {
		in := &code[pc]
		pc++
		switch in.op {
		case opConst:
			s[in.a] = in.k
		case opMove:
			s[in.a] = s[in.b] & in.m
		case opMoveTwo:
			from, to := s[in.b:in.b+2], s[in.a:in.a+2]
			to[0], to[1] = from[0]&in.m, from[1]
		case opShape:
			s[in.a] = (s[in.b]>>(in.r&63)<<(in.l&63) + in.k) & in.m
		case opLoad:
			acc = (s[in.b]>>(in.r&63)<<(in.l&63) + in.k) & in.m
		case opReshape:
			acc = (acc>>(in.r&63)<<(in.l&63) + in.k) & in.m
		case opAdd:
			acc = (acc + s[in.b]) & in.m
		case opSub:
			acc = (acc - s[in.b]) & in.m
		case opSubFrom:
			acc = (s[in.b] - acc) & in.m
		case opAnd:
			acc &= s[in.b]
		case opOr:
			acc |= s[in.b]
		case opXor:
			acc ^= s[in.b]
		case opOrConst:
			acc |= in.k
		case opStore:
			s[in.a] = acc & in.m
		case opIfZero:
			if s[in.b] == 0 {
				pc += int(in.c)
			}
		case opIfNotZero:
			if s[in.b] != 0 {
				pc += int(in.c)
			}
		case opIfEqConst:
			if s[in.b] == in.k {
				pc += int(in.c)
			}
		case opIfNeConst:
			if s[in.b] != in.k {
				pc += int(in.c)
			}
		case opIfLtConst:
			if s[in.b] < in.k {
				pc += int(in.c)
			}
		case opIfGeConst:
			if s[in.b] >= in.k {
				pc += int(in.c)
			}
		case opIfEq:
			if s[in.b] == s[in.a] {
				pc += int(in.c)
			}
		case opIfNe:
			if s[in.b] != s[in.a] {
				pc += int(in.c)
			}
		case opIfLt:
			if s[in.b] < s[in.a] {
				pc += int(in.c)
			}
		case opIfGe:
			if s[in.b] >= s[in.a] {
				pc += int(in.c)
			}
		case opAccEqConst:
			if acc == in.k {
				pc += int(in.c)
			}
		case opAccNeConst:
			if acc != in.k {
				pc += int(in.c)
			}
		case opAccLtConst:
			if acc < in.k {
				pc += int(in.c)
			}
		case opAccGeConst:
			if acc >= in.k {
				pc += int(in.c)
			}
		case opAccEq:
			if acc == s[in.b] {
				pc += int(in.c)
			}
		case opAccNe:
			if acc != s[in.b] {
				pc += int(in.c)
			}
		case opAccLt:
			if acc < s[in.b] {
				pc += int(in.c)
			}
		case opAccGe:
			if acc >= s[in.b] {
				pc += int(in.c)
			}
		case opAccGt:
			if acc > s[in.b] {
				pc += int(in.c)
			}
		case opAccLe:
			if acc <= s[in.b] {
				pc += int(in.c)
			}
		case opGoto:
			pc += int(in.c)
		case opArg:
			s[in.a] = p.args[in.b] & in.m
		case opNext:
			if p.states++; p.states == maxStates {
				p.failed = p.w.prog.timeout
				return len(code), 0
			}
			pc += int(in.c)
		case opSelectWord:
			sel := in.x.sel
			v := s[sel.key[0].slot]
			for i := 1; i < len(sel.key); i++ {
				k := &sel.key[i]
				v = v<<(uint(k.width)&63) | s[k.slot]
			}
			next := sel.other
			if v < uint64(len(sel.direct)) {
				next = sel.direct[v]
			} else {
				for i := range sel.cases {
					if c := &sel.cases[i]; v&c.mask == c.value {
						next = c.next
						break
					}
				}
			}
			if next == end {
				return len(code), 0
			}
			if p.states++; p.states == maxStates {
				p.failed = p.w.prog.timeout
				return len(code), 0
			}
			pc = int(next)
		default:
			return pc - 1, acc
		}
	}
	return pc, acc
}

func allZero(w []uint64) bool {
	for _, x := range w {
		if x != 0 {
			return false
		}
	}
	return true
}
