package engine

import (
	"fmt"
	"strings"

	"op25b/internal/softswitch/match"
)

// An action is the compiled form of an action in the program.
type action struct {
	name   string
	id     int // the action's id in the program
	index  int // the action's index in program.actions
	params []ActionParam
	at     []int // index in the arguments of each parameter's first word
	words  int
	code   []instr
	exits  bool            // whether the action may end the pipeline
	native func(p *packet) // generated from code; nil if there is none, or if code is empty
	regs   []*Register     // the registers that the action uses; they are locked in this order while it runs
}

// run executes an action with its arguments.
func (p *packet) run(a *action, args []uint64) {
	p.args = args
	if len(a.regs) > 0 {
		p.runLocked(a)
		return
	}
	if a.native != nil && p.w.prog.run != nil {
		a.native(p)
		return
	}
	if pc, acc := p.words(a.code, 0, 0); pc < len(a.code) {
		p.exec(a.code, pc, acc)
	}
}

func (p *packet) runLocked(a *action) {
	for _, r := range a.regs {
		r.mu.Lock()
	}
	if a.native != nil && p.w.prog.run != nil {
		a.native(p)
	} else {
		p.exec(a.code, 0, 0)
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

// bind finds the action of a call and converts its arguments to words.
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
