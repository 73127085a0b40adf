package engine

import (
	"fmt"
	"strings"

	"op25b/internal/softswitch/match"
)

// An action is one action of the program, compiled.
type action struct {
	name   string
	id     int // in the program
	index  int // in program.actions
	params []ActionParam
	at     []int // each parameter's first word among the arguments
	words  int
	code   []instr
	regs   []*Register // that it touches, locked in this order while it runs
}

// The operations of actions. Moves that need no evaluation have their own; everything else is a closure.
const (
	opConst  = iota // s[a] = k
	opMove          // s[a] = s[b] & k
	opArg           // s[a] = args[b] & k
	opEval          // s[a] = ev() & k
	opCall          // fn()
	opJump          // go on at a
	opJumpIf        // go on at a if ev() is zero
)

// An instr is one primitive.
type instr struct {
	op   uint8
	a, b int32
	k    uint64
	ev   ev
	fn   func(*packet)
}

// maxJumpsBack bounds the turns of the loops in one run of an action.
const maxJumpsBack = 1 << 20

// run executes an action.
func (p *packet) run(a *action, args []uint64) {
	p.args = args
	for _, r := range a.regs {
		r.mu.Lock()
	}
	s, back := p.s, 0
	for pc := 0; pc < len(a.code); {
		in := &a.code[pc]
		pc++
		switch in.op {
		case opConst:
			s[in.a] = in.k
		case opMove:
			s[in.a] = s[in.b] & in.k
		case opArg:
			s[in.a] = args[in.b] & in.k
		case opEval:
			s[in.a] = in.ev(p) & in.k
		case opCall:
			in.fn(p)
		default:
			if in.op == opJumpIf && in.ev(p) != 0 {
				continue
			}
			if int(in.a) < pc {
				if back++; back > maxJumpsBack {
					p.w.count(&p.w.stats.Looped)
					pc = len(a.code)
					continue
				}
			}
			pc = int(in.a)
		}
	}
	for _, r := range a.regs {
		r.mu.Unlock()
	}
}

func actionNames(as []*action) []string {
	out := make([]string, len(as))
	for i, a := range as {
		out[i] = a.name
	}
	return out
}

func actionNamed(as []*action, name string) *action {
	for _, a := range as {
		if a.name == name {
			return a
		}
	}
	return nil
}

// bind finds an action and lays its arguments out.
func bind(as []*action, c ActionCall) (*action, []uint64, error) {
	a := actionNamed(as, c.Name)
	if a == nil {
		return nil, nil, fmt.Errorf("%w: action %q, must be one of %s", ErrInvalid, c.Name, strings.Join(actionNames(as), ", "))
	}
	if len(c.Args) != len(a.params) {
		return nil, nil, fmt.Errorf("%w: action %q: %d arguments, it has %d parameters", ErrInvalid, c.Name, len(c.Args), len(a.params))
	}
	args := make([]uint64, a.words)
	for i, p := range a.params {
		w, err := wordsOf(c.Args[i], p.Width)
		if err != nil {
			return nil, nil, fmt.Errorf("action %q: parameter %q: %w", c.Name, p.Name, err)
		}
		copy(args[a.at[i]:], w)
	}
	return a, args, nil
}

func newAction(j *jsonAction, index int) *action {
	a := &action{name: j.Name, id: j.ID, index: index}
	for _, p := range j.RuntimeData {
		a.params = append(a.params, ActionParam{p.Name, p.Bitwidth})
		a.at = append(a.at, a.words)
		a.words += max(1, match.Words(p.Bitwidth))
	}
	return a
}
