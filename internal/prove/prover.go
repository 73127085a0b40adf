package prove

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"time"

	"op25b/internal/compile"
	"op25b/internal/pipeline"
	"op25b/internal/reconcile"
	"op25b/p4src"
)

// maxKnown is the number of results that a Prover keeps, so that contents are not proved again. A result takes a few KiB.
const maxKnown = 1024

// A Prover proves changes, one at a time. It is safe for concurrent use: further callers wait.
type Prover struct {
	order    Order
	contract *pipeline.Contract

	turn  chan struct{} // holds one value while nobody proves; whoever has taken it owns the fields below
	spare *twin         // an empty twin; nil if there is none
	known map[digest]*Result
	first []digest // the keys of known, the oldest first
}

// maxSpare is the number of entries up to which a twin is cleared and kept for the next proof. A new twin costs as much as clearing this many entries, and
// a larger one would keep its memory.
const maxSpare = 4_096

type digest [sha256.Size]byte

// New returns a Prover for the embedded pipeline.
func New() (*Prover, error) { return newProver(reconcile.Make) }

func newProver(order Order) (*Prover, error) {
	contract, err := pipeline.NewContract(p4src.P4Info())
	if err != nil {
		return nil, err
	}
	p := &Prover{order: order, contract: contract, turn: make(chan struct{}, 1), known: make(map[digest]*Result)}
	p.turn <- struct{}{}
	return p, nil
}

// Prove proves the changes of switches. It returns ErrUnproved if a proof cannot be finished, with the cause of ctx if ctx ended. A change that is
// disproved is no error: see Result.Err. A panic of the prover is ErrUnproved too, so that a fault of the prover has the same way around it as any other
// proof that is not finished. A proof that goes on when ctx has ended keeps further callers waiting until it ends.
func (p *Prover) Prove(ctx context.Context, changes ...*Change) (*Result, error) {
	select {
	case <-p.turn:
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: another proof took too long: %w", ErrUnproved, context.Cause(ctx))
	}
	type outcome struct {
		result *Result
		err    error
	}
	ended := make(chan outcome, 1)
	go func() {
		var o outcome
		defer func() {
			if fault := recover(); fault != nil {
				p.spare = nil
				o = outcome{err: fmt.Errorf("%w: the prover has failed: panic: %v, at %s", ErrUnproved, fault, panickedAt())}
			}
			p.turn <- struct{}{}
			ended <- o
		}()
		o.result, o.err = p.all(ctx, changes)
	}()
	select {
	case o := <-ended:
		return o.result, o.err
	case <-ctx.Done():
	}
	grace := time.NewTimer(obeyWithin)
	defer grace.Stop()
	select {
	case o := <-ended: // usually, because a proof looks at ctx
		return o.result, o.err
	case <-grace.C:
		return nil, fmt.Errorf("%w: the prover does not end: %w", ErrUnproved, context.Cause(ctx))
	}
}

// obeyWithin is the time within which a proof whose context has ended must end. Between two looks at the context, a proof tries 1,024 packets, or makes the
// packets or the steps of one switch.
const obeyWithin = 5 * time.Second

// all proves the changes, while no other proof runs.
func (p *Prover) all(ctx context.Context, changes []*Change) (*Result, error) {
	start := time.Now()
	all := &Result{}
	counted := make(map[digest]bool)
	shared := make(map[string]*proved)
	for _, ch := range changes {
		s := scopeOf(ch)
		if key, known := p.whole(ch, s); known {
			all.Switches++
			if !counted[key] {
				counted[key] = true
				all.Contents++
				all.Known++
				all.add(p.known[key])
			}
			continue
		}
		of := ch.PolicyDigest + " " + rulesOf(ch.New) + " " + rulesOf(ch.Old)
		if shared[of] == nil {
			shared[of] = &proved{groups: make(map[groupOnForm]bool)}
		}
		shared[of].narrow(s, ch)
		r, key, known, err := p.one(ctx, ch, s)
		if err != nil {
			return nil, fmt.Errorf("%w: switch %q: %w", ErrUnproved, ch.Switch, err)
		}
		all.Switches++
		if r == nil || counted[key] {
			continue
		}
		counted[key] = true
		all.Contents++
		if known {
			all.Known++
		}
		all.add(r)
	}
	all.Took = time.Since(start)
	return all, nil
}

// panickedAt returns the function and line in which a panic began that is being recovered. A panic that ahead raises again began in its other goroutine.
func panickedAt() string {
	var pcs [32]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(0, pcs[:])])
	after := false
	for {
		f, more := frames.Next()
		if after && !strings.HasPrefix(f.Function, "runtime.") {
			return fmt.Sprintf("%s:%d", f.Function, f.Line)
		}
		after = after || f.Function == "runtime.gopanic"
		if !more {
			return "an unknown place"
		}
	}
}

// whole returns the key of the proof of a whole switch, and reports whether it has been proved.
func (p *Prover) whole(ch *Change, s *scope) (key digest, known bool) {
	sw, ok := ch.Bundle.Inventory.Switch(ch.Switch)
	if !ok || !s.whole || len(p.known) == 0 {
		return key, false
	}
	x := &run{Change: ch, sw: sw, scope: s}
	x.prepare()
	key, err := x.digest()
	if err != nil {
		return key, false // the proof returns the error
	}
	_, known = p.known[key]
	return key, known
}

// rulesOf identifies what does not depend on the lines of a switch: the rules, services, classes and settings of line groups. Tables that a compiler gives
// to several switches are known by their place in memory, so that equal tables may count as different ones.
func rulesOf(c *compile.Compiled) string {
	if c == nil {
		return "empty"
	}
	h := sha256.New()
	entries, err := pipeline.RuleEntries(c.State.Verdicts, 1)
	if err != nil {
		return fmt.Sprintf("%p", c) // its own; the proof returns the error
	}
	var b []byte
	for _, e := range entries {
		b = e.AppendBinary(b)
	}
	_, _ = h.Write(b) // a hash returns no error
	s := &c.State
	return fmt.Sprintf("%q %x %p %p %p %t %v", c.InForce, h.Sum(nil), s.Services, s.Remotes, s.SourceChecks, s.SynOnly, s.RejectFrom)
}

// proved is what earlier switches of one call have proved of the policy that they share.
type proved struct {
	policy bool                 // the prefixes of servers, and the prefixes that are exempt on every switch
	groups map[groupOnForm]bool // the line groups and access forms for which the rules were tried
}

// A groupOnForm is a line group in an access form.
type groupOnForm struct {
	group string
	form  form
}

// narrow removes from the scope of a switch what was proved on an earlier switch, and adds what the switch proves.
func (p *proved) narrow(s *scope, ch *Change) {
	if !s.whole && !s.rules {
		return
	}
	sw, ok := ch.Bundle.Inventory.Switch(ch.Switch)
	if !ok {
		return
	}
	news := len(p.groups) == 0 // the first switch, which may have no line
	p.groups[groupOnForm{}] = true
	for i := range sw.Lines {
		l := &sw.Lines[i]
		at := lineAt{key: pipeline.LineKey{OuterVID: l.VLAN, InnerVID: l.InnerVLAN, Session: l.PPPoE}}
		if g := (groupOnForm{l.Group, at.form()}); !p.groups[g] {
			p.groups[g], news = true, true
		}
	}
	if s.whole && p.policy {
		s.whole, s.ports, s.rules = false, true, true
		for i := range sw.Lines {
			s.lines[sw.Lines[i].Name] = true
		}
	}
	s.rules = s.rules && news
	p.policy = p.policy || s.whole
}

// one proves a change, unless the same content has been proved. The result is nil if the change changes nothing.
func (p *Prover) one(ctx context.Context, ch *Change, s *scope) (r *Result, key digest, known bool, err error) {
	if s.empty() {
		return nil, key, false, nil
	}
	sw, ok := ch.Bundle.Inventory.Switch(ch.Switch)
	if !ok {
		return nil, key, false, errors.New("the inventory does not have it")
	}
	x := &run{Change: ch, sw: sw, scope: s, order: p.order, result: &Result{}}
	x.prepare()
	if key, err = x.digest(); err != nil {
		return nil, key, false, err
	}
	if r, known := p.known[key]; known {
		return r, key, true, nil
	}
	tw := p.spare
	p.spare = nil
	if tw == nil {
		if tw, err = newTwin(); err != nil {
			return nil, key, false, err
		}
	}
	x.twin, r = tw, x.result
	if err := x.prove(ctx, p.contract); err != nil {
		return nil, key, false, err
	}
	if len(tw.entries) <= maxSpare {
		if err := tw.clear(); err != nil {
			return nil, key, false, err
		}
		p.spare = tw
	}
	if r.Disagreements == 0 {
		p.keep(key, r)
	}
	return r, key, false, nil
}

func (p *Prover) keep(key digest, r *Result) {
	if len(p.first) >= maxKnown {
		delete(p.known, p.first[0])
		p.first = p.first[1:]
	}
	p.known[key] = r
	p.first = append(p.first, key)
}
