package engine

import "slices"

// parserStates holds the compiled states of a parser until they are placed in the program's code.
type parserStates struct {
	all   []parserState
	first int32
}

type parserState struct {
	name string
	code []instr
	sel  *selection
}

// lay appends the code of all states to the program's code. If traced is set, the code also records the states that it enters and the keys
// of their selections.
func (ps *parserStates) lay(pr *program, traced bool) {
	var s asm
	at := make([]int, len(ps.all))
	for i := range at {
		at[i] = s.label()
	}
	sels := make([]*selection, len(ps.all))
	for i := range ps.all {
		st := &ps.all[i]
		sel := *st.sel
		sel.cases = slices.Clone(sel.cases)
		sels[i] = &sel
		s.place(at[i])
		if traced {
			s.add(tells(Event{Kind: EventState, Name: st.name}))
		}
		s.add(st.code...)
		switch {
		case len(sel.cases) > 0:
			if traced {
				s.add(tell(func(p *packet) Event { return sel.event(p, st.name) }))
			}
			op := uint16(opSelect)
			if sel.joined {
				op = opSelectWord
			}
			s.add(instr{op: op, x: &extra{sel: &sel}})
		case sel.other == end:
			s.add(instr{op: opEnd})
		default:
			s.jump(instr{op: opNext}, at[sel.other])
		}
	}
	base := int32(len(pr.code))
	begins := func(state int32) int32 {
		if state == end {
			return end
		}
		return base + int32(s.labels[at[state]])
	}
	for _, sel := range sels {
		sel.settle(begins)
	}
	pr.firstState = begins(ps.first)
	pr.code = append(pr.code, s.link()...)
}
