package engine

// optimise makes the code of the parser and the pipelines shorter: p4c keeps every step of a condition in a variable that is read once.
//
// First each jump goes on to where the code jumps next, as far as what it has just learned of a slot decides that. Then what nobody gets
// to any more, and what writes slots that nobody reads, is left out. Last, constants and moves in a row become one instr each.
func (c *compiler) optimise(pr *program) {
	pinned := make([]bool, len(pr.code))
	for _, t := range c.e.tables {
		if t.in != nil {
			pinned[t.in.at] = true
		}
	}
	for at := range pr.code {
		thread(pr.code, pinned, at)
	}
	live := pr.reachable()
	c.dropStores(pr, live, pinned)
	pr.compact(live)
	pr.join()
	for _, a := range pr.actions {
		a.code, _ = compact(a.code, joinRuns(a.code, make([]bool, len(a.code)+1)))
	}
	for _, n := range pr.nodes {
		if t := n.table; t != nil && t.in != nil {
			t.in.at = pr.entry[t.in.node]
			t.in.first = pr.code[t.in.at]
		}
	}
}

// A fact is what is known of a slot: that it is k, or that it is not.
type fact struct {
	slot int32
	k    uint64
	is   bool
}

// decides tells whether a fact decides a branch, and if so, whether it is taken.
func (f *fact) decides(in *instr) (taken, ok bool) {
	if in.b != f.slot {
		return false, false
	}
	k := in.k
	switch in.op {
	case opIfZero, opIfNotZero:
		k = 0
	case opIfEqConst, opIfNeConst:
	case opIfLtConst:
		return f.k < k, f.is
	case opIfGeConst:
		return f.k >= k, f.is
	default:
		return false, false
	}
	if !f.is && f.k != k {
		return false, false
	}
	equal := f.is && f.k == k
	return equal == (in.op == opIfZero || in.op == opIfEqConst), true
}

// learns is what a jump that is taken says of a slot.
func (in *instr) learns() (fact, bool) {
	switch in.op {
	case opConst:
		return fact{in.a, in.k, true}, true
	case opIfZero:
		return fact{in.b, 0, true}, true
	case opIfNotZero:
		return fact{in.b, 0, false}, true
	case opIfEqConst:
		return fact{in.b, in.k, true}, true
	case opIfNeConst:
		return fact{in.b, in.k, false}, true
	}
	return fact{}, false
}

// thread lets one instr jump as far as can be. It does not jump past a pinned instr, which may come to do something else.
func thread(code []instr, pinned []bool, at int) {
	in := &code[at]
	if !in.jumps() && in.op != opConst || in.op == opJump {
		return
	}
	f, known := in.learns()
	to := at + 1 + int(in.c)
	for range code { // a loop without end has to end here
		next := &code[to]
		if pinned[to] {
			break
		}
		if next.op == opGoto {
			to += 1 + int(next.c)
			continue
		}
		if !known {
			break
		}
		taken, ok := f.decides(next)
		if !ok {
			break
		}
		to++
		if taken {
			to += int(next.c)
		}
	}
	in.c = int32(to - at - 1)
}

// reachable tells which instrs packets can get to.
func (pr *program) reachable() []bool {
	live := make([]bool, len(pr.code))
	var open []int32
	if pr.firstState != end {
		open = append(open, pr.firstState)
	}
	open = append(open, pr.entry...)
	for len(open) > 0 {
		at := open[len(open)-1]
		open = open[:len(open)-1]
		for at >= 0 && !live[at] {
			live[at] = true
			in := &pr.code[at]
			switch {
			case in.op == opSelect || in.op == opSelectWord:
				open = append(open, in.x.sel.other)
				for i := range in.x.sel.cases {
					open = append(open, in.x.sel.cases[i].next)
				}
				at = end
			case in.op == opTable || in.op == opEnd || in.op == opFail || in.op == opFailAs:
				at = end // the nodes after a table are all among the entries
			case in.op == opGoto || in.op == opNext || in.op == opConst:
				at += 1 + in.c
			default:
				if in.jumps() {
					open = append(open, at+1+in.c)
				}
				at++
			}
		}
	}
	return live
}

// reads calls f for each slot that an instr itself reads.
func (in *instr) reads(f func(slot int)) {
	a, b := int(in.a), int(in.b)
	switch in.op {
	case opMoveTwo:
		f(b)
		f(b + 1)
	case opMoveAll, opIfAllZero, opIfSomeOne:
		for i := range int(in.k) {
			f(b + i)
		}
	case opIfEq, opIfNe, opIfLt, opIfGe:
		f(a)
		f(b)
	case opMove, opShape, opLoad, opAdd, opSub, opSubFrom, opAnd, opOr, opXor, opIfZero, opIfNotZero, opIfEqConst, opIfNeConst, opIfLtConst,
		opIfGeConst, opAccEq, opAccNe, opAccLt, opAccGe, opAccGt, opAccLe:
		f(b)
	}
}

// dropStores unmarks what only writes a slot of metadata that nobody reads.
func (c *compiler) dropStores(pr *program, live, pinned []bool) {
	read := make([]bool, c.l.slots)
	note := func(slot int) { read[slot] = true }
	for slot := range c.read {
		note(slot)
	}
	for _, a := range pr.actions {
		for i := range a.code {
			a.code[i].reads(note)
		}
	}
	for i := range pr.before {
		pr.before[i].reads(note)
	}
	for i := range pr.code {
		if live[i] {
			pr.code[i].reads(note)
		}
	}
	sent := map[*header]bool{}
	for _, h := range pr.emits {
		sent[h] = true
	}
	unread := make([]bool, c.l.slots)
	for _, h := range c.l.order {
		if !h.metadata || sent[h] {
			continue
		}
		for i := h.base + 1; i < h.base+h.typ.words; i++ {
			unread[i] = !read[i]
		}
	}
	for i := range pr.code {
		switch in := &pr.code[i]; in.op {
		case opConst, opMove, opShape, opStore:
			if unread[in.a] && !pinned[i] && live[i] {
				*in = instr{op: opGoto, c: in.c}
			}
		}
	}
	for i := range pr.code {
		thread(pr.code, pinned, i)
	}
	for i := range pr.code {
		if in := &pr.code[i]; in.op == opGoto && in.c == 0 && !pinned[i] {
			live[i] = false
		}
	}
}

// compact leaves out the instrs of the program's code that are not live.
func (pr *program) compact(live []bool) {
	var moved []int32
	pr.code, moved = compact(pr.code, live)
	to := func(at int32) int32 {
		if at == end {
			return end
		}
		return moved[at]
	}
	for i := range pr.code {
		if in := &pr.code[i]; in.op == opSelect || in.op == opSelectWord {
			in.x.sel.settle(to)
		}
	}
	pr.firstState = to(pr.firstState)
	for i := range pr.entry {
		pr.entry[i] = to(pr.entry[i])
	}
}

// compact returns the live part of code, and where each instr of the whole has gone, or the next that is live.
func compact(code []instr, live []bool) (out []instr, moved []int32) {
	moved = make([]int32, len(code)+1)
	for i := range code {
		moved[i+1] = moved[i]
		if live[i] {
			moved[i+1]++
		}
	}
	out = make([]instr, 0, moved[len(code)])
	for i := range code {
		if live[i] {
			in := code[i]
			in.c = moved[i+1+int(in.c)] - moved[i] - 1
			out = append(out, in)
		}
	}
	return out, moved
}

// join makes one instr of constants, and of moves, that follow each other and that nobody jumps into.
func (pr *program) join() {
	entered := make([]bool, len(pr.code)+1)
	enter := func(at int32) {
		if at != end {
			entered[at] = true
		}
	}
	enter(pr.firstState)
	for _, at := range pr.entry {
		enter(at)
	}
	for i := range pr.code {
		if in := &pr.code[i]; in.op == opSelect || in.op == opSelectWord {
			enter(in.x.sel.other)
			for k := range in.x.sel.cases {
				enter(in.x.sel.cases[k].next)
			}
		}
	}
	pr.compact(joinRuns(pr.code, entered))
}

// joinRuns joins runs in code, and returns what is left of it as live.
func joinRuns(code []instr, entered []bool) (live []bool) {
	live = make([]bool, len(code))
	for i := range code {
		live[i] = true
		if c := code[i].c; c != 0 {
			entered[i+1+int(c)] = true
		}
	}
	runs := map[uint16]uint16{opConst: opConsts, opMove: opMoves, opArg: opArgs}
	for i := 0; i < len(code); i++ {
		many, ok := runs[code[i].op]
		if !ok {
			continue
		}
		j := i
		for j+1 < len(code) && code[j].c == 0 && !entered[j+1] && code[j+1].op == code[i].op {
			j++
		}
		if j == i {
			continue
		}
		list := make([]slotMove, 0, j-i+1)
		for k := i; k <= j; k++ {
			in := &code[k]
			list = append(list, slotMove{in.a, in.b, in.k | in.m})
			live[k] = k == i
		}
		code[i] = instr{op: many, c: int32(j-i) + code[j].c, x: &extra{list: list}}
		i = j
	}
	return live
}
