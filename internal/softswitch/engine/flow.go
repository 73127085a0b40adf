package engine

// An inlined describes a table without a key and with a fixed action whose code is inlined into the pipeline's code. While the table has
// an entry, an instr that applies the table replaces the first inlined instr.
type inlined struct {
	at    int32
	first instr
}

// refit updates the inlined code after entries have been added or removed. All workers must be stopped.
func (t *Table) refit() {
	if t.in == nil {
		return
	}
	at := &t.e.prog.code[t.in.at]
	if t.rows.Len() == 0 {
		*at = t.in.first
	} else {
		*at = instr{op: opTable, x: &extra{table: t}}
	}
	t.e.refitNative()
}

// fixed returns the action of a table that can only run this action. For any other table it returns nil.
func (t *Table) fixed() *action {
	if len(t.key) > 0 || !t.constDefault || t.profile != nil || t.rows.Len() > 0 || len(t.miss.args) > 0 {
		return nil
	}
	return t.miss.act
}

// straight reports whether an action's code can be inlined. The action must have no parameters and no backward jumps, because backward
// jumps are counted for each run of an action.
func (a *action) straight() bool {
	if len(a.params) > 0 {
		return false
	}
	for i := range a.code {
		if in := &a.code[i]; in.op == opJump && in.c < 0 {
			return false
		}
	}
	return true
}

// inline adds the code of an action without parameters. If the code cannot be inlined, it adds an instr that runs the action.
func (s *asm) inline(a *action) {
	switch {
	case !a.straight():
		s.add(instr{op: opRun, x: &extra{act: a}})
	case len(a.regs) > 0:
		s.add(instr{op: opLock, x: &extra{act: a}})
		s.add(a.code...)
		s.add(instr{op: opUnlock, x: &extra{act: a}})
	default:
		s.add(a.code...)
	}
	if a.exits {
		s.add(instr{op: opExit})
	}
}

// flow lays out the code of all pipelines. Where possible, each node directly follows one of its predecessors.
func (c *compiler) flow(pr *program) {
	var s asm
	base := int32(len(pr.code))
	labels := make([]int, len(pr.nodes))
	for i := range labels {
		labels[i] = s.label()
	}
	stop := s.label()
	to := func(node int32) int {
		if node == end {
			return stop
		}
		return labels[node]
	}
	done := make([]bool, len(pr.nodes))
	open := make([]int32, len(pr.nodes), 2*len(pr.nodes)+2)
	for i := range open {
		open[i] = int32(i) // unreachable nodes are compiled last
	}
	for open = append(open, pr.egress, pr.ingress); len(open) > 0; {
		at := open[len(open)-1]
		open = open[:len(open)-1]
		if at == end || done[at] {
			continue
		}
		for at != end && !done[at] {
			n := &pr.nodes[at]
			done[at] = true
			s.place(labels[at])
			switch {
			case n.table != nil && n.table.fixed() != nil:
				n.table.in = &inlined{at: base + int32(len(s.code))}
				before := len(s.code)
				s.inline(n.table.miss.act)
				if len(s.code) == before {
					s.add(instr{op: opGoto})
				}
				open = append(open, n.table.ways()...)
				at = n.table.miss.next
			case n.table != nil:
				s.add(instr{op: opTable, x: &extra{table: n.table}})
				open = append(open, n.table.ways()...)
				at = n.table.miss.next
			case n.cond != nil:
				func() {
					defer c.at("pipeline %q: condition %q", n.pipeline, n.name)()
					c.branch(&s, n.cond, false, to(n.no))
				}()
				open = append(open, n.no)
				at = n.yes
			default:
				s.inline(n.act)
				at = n.yes
			}
		}
		if at == end {
			s.add(instr{op: opEnd})
		} else {
			s.jump(instr{op: opGoto}, to(at))
		}
	}
	s.place(stop)
	s.add(instr{op: opEnd})
	pr.entry = make([]int32, len(pr.nodes))
	for i, label := range labels {
		pr.entry[i] = end
		if done[i] {
			pr.entry[i] = base + int32(s.labels[label])
		}
	}
	pr.code = append(pr.code, s.link()...)
}

// ways returns the nodes that can follow the table.
func (t *Table) ways() []int32 {
	out := []int32{t.base, t.miss.next}
	if t.onHit != nil {
		out = append(out, *t.onHit, *t.onMiss)
	}
	for _, a := range t.actions {
		out = append(out, t.nextOf[a.index])
	}
	return out
}
