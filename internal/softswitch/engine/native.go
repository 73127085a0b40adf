package engine

import (
	"crypto/sha256"
	"slices"
)

// A Native is the code of one program as Go functions, which Source has generated from the instrs of the program. It does exactly what they do,
// several times as fast, because nothing is decoded while a packet is processed.
//
// Traced and watched packets run the instrs, and so does a program of which a table that p4c created has got an entry.
type Native struct {
	// Program is the SHA-256 of the program's JSON. A program with another sum runs its instrs.
	Program [sha256.Size]byte
	// Instrs is the SHA-256 of what the functions were generated from. The JSON alone does not determine it, because it also depends on this package.
	Instrs [sha256.Size]byte
	// Run executes the instrs from one of the program's entries until they stop.
	Run func(p *Packet, at int)
	// Actions has a function for each action of the program, or nil for an action that has no instrs.
	Actions []func(p *Packet)
}

// A Packet is a packet in progress. Only generated code uses its exported methods.
type Packet = packet

// Code is a sequence of instrs of which generated code calls those that are closures. at is the index of an instr.
type Code []instr

// setNative makes the program use the first Native that was generated from it.
func (e *Engine) setNative(program []byte) {
	sum := sha256.Sum256(program)
	i := slices.IndexFunc(e.o.Native, func(n *Native) bool { return n.Program == sum })
	if i < 0 {
		return
	}
	n := e.o.Native[i]
	if n.Instrs != e.prog.sum(e.lay) {
		return
	}
	e.native = n
	for i, a := range e.prog.actions {
		a.native = n.Actions[i]
	}
	e.refitNative()
}

// refitNative decides whether the program runs its Native. All workers must be stopped.
func (e *Engine) refitNative() {
	e.prog.run = nil
	if e.native == nil || slices.ContainsFunc(e.tables, func(t *Table) bool { return t.in != nil && t.rows.Len() > 0 }) {
		return
	}
	e.prog.run = e.native.Run
}

// IsNative reports whether packets that are not traced run generated code.
func (e *Engine) IsNative() bool {
	e.ctl.RLock()
	defer e.ctl.RUnlock()
	return e.prog.run != nil
}

// exec executes the program's code from one of its entries until it stops.
func (pr *program) exec(p *packet, at int32) {
	if pr.run != nil {
		pr.run(p, int(at))
		return
	}
	p.exec(pr.code, int(at), 0)
}

// Slots returns the packet's state.
func (p *packet) Slots() []uint64 { return p.s }

// Args returns the arguments of the running action.
func (p *packet) Args() []uint64 { return p.args }

// Code returns the code of the parser and the pipelines.
func (p *packet) Code() Code { return p.w.prog.code }

// ActionCode returns the code of an action.
func (p *packet) ActionCode(action int) Code { return p.w.prog.actions[action].code }

// Take returns the next n bytes of the packet, and their position in it counted from 1. If there are fewer, it fails and returns nil.
func (p *packet) Take(n int) (b []byte, from uint64) {
	if len(p.data)-p.at < n {
		p.failed = p.w.prog.tooShort
		return nil, 0
	}
	b, from = p.data[p.at:p.at+n], uint64(p.at)+1
	p.at += n
	return b, from
}

// Enter counts a parser state that is entered. It returns false if the parser has entered too many, and then stops with an error.
func (p *packet) Enter() bool {
	if p.states++; p.states == maxStates {
		p.failed = p.w.prog.timeout
		return false
	}
	return true
}

// Fail stops the parser with an error.
func (p *packet) Fail(code uint64) { p.failed = code }

// Exited reports whether the program has executed exit.
func (p *packet) Exited() bool { return p.exit }

// Back counts a backward jump within an action, given the number of those before. It returns false if there are too many.
func (p *packet) Back(n int) bool {
	if n > maxJumpsBack {
		p.w.count(&p.w.stats.Looped)
		return false
	}
	return true
}

// Interpret executes the code from a position until it stops.
func (c Code) Interpret(at int, p *Packet) { p.exec(c, at, 0) }

// Call runs a closure.
func (c Code) Call(at int, p *Packet) { c[at].x.fn(p) }

// Try runs a closure that may stop the parser.
func (c Code) Try(at int, p *Packet) bool { return c[at].x.try(p) }

// Test evaluates a condition.
func (c Code) Test(at int, p *Packet) bool { return c[at].x.test(p) }

// Eval evaluates a number.
func (c Code) Eval(at int, p *Packet) uint64 { return c[at].x.ev(p) }

// Fill fills a header.
func (c Code) Fill(at int, p *Packet) { p.fill(c[at].x.h) }

// Extract extracts a header.
func (c Code) Extract(at int, p *Packet) bool { return p.extract(c[at].x.h) }

// Do runs an action without arguments.
func (c Code) Do(at int, p *Packet) { p.run(c[at].x.act, nil) }

// Lock locks the registers of an action.
func (c Code) Lock(at int) {
	for _, r := range c[at].x.act.regs {
		r.mu.Lock()
	}
}

// Unlock unlocks what Lock has locked.
func (c Code) Unlock(at int) {
	for _, r := range c[at].x.act.regs {
		r.mu.Unlock()
	}
}

// Choose returns the position of the state that a selection selects, or -1 if the parser stops.
func (c Code) Choose(at int, p *Packet) int32 {
	next, ok := c[at].x.sel.choose(p)
	if !ok {
		return end
	}
	return next
}

// Apply applies a table and returns the node that follows.
func (c Code) Apply(at int, p *Packet) int32 { return c[at].x.table.apply(p) }

// Key returns the words for the key of a table, which the caller must set, and then call Look.
func (c Code) Key(at int, p *Packet) []uint64 { return p.w.key[:c[at].x.table.words] }

// Look applies a table to the key that Key returned, and returns the node that follows.
func (c Code) Look(at int, p *Packet, key []uint64) int32 {
	t := c[at].x.table
	return t.decide(p, t.rows.Lookup(key))
}

// Follow continues at a node that the generated code does not know as one that can follow a table.
func (c Code) Follow(node int32, p *Packet) {
	if node != end && !p.exit {
		p.exec(c, int(p.w.prog.entry[node]), 0)
	}
}
