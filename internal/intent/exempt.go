package intent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"op25b/internal/compile"
	"op25b/internal/policy"
	"op25b/internal/store"
)

var (
	// ErrExempt means that a line or a prefix that should become exempt has another exemption.
	ErrExempt = errors.New("already exempt")
	// ErrNotExempt means that a line or a prefix has no exemption.
	ErrNotExempt = errors.New("no exemption")
)

// An Exempting is a change of one exemption.
type Exempting struct {
	// Verb is "add", "renew" or "end".
	Verb string
	// Exemption has the line or the prefix. For "add" it is the whole exemption. For "renew" it has the new days, and a new ticket unless that is
	// empty. For "end" it has only the ticket of the change, which may be empty.
	policy.Exemption
}

// The verbs of an Exempting.
const (
	ExemptionAdd   = "add"
	ExemptionRenew = "renew"
	ExemptionEnd   = "end"
)

// ProposeExemption returns a proposal in which one exemption is changed and everything else is as it is now. Unlike Propose, it parses no document
// and validates only that exemption.
//
// It returns store.ErrUnchanged with the current intent if the exemption is as wanted already, ErrExempt or ErrNotExempt if it is not as the verb
// requires, strict.Faults if it is not valid, and ErrBroken if the current documents cannot be used.
func (b *Book) ProposeExemption(ctx context.Context, x Exempting) (*Proposal, error) {
	current, err := b.Current(ctx)
	if err != nil {
		return nil, err
	}
	if err := current.Broken(); err != nil {
		return nil, err
	}
	p, now := current.Bundle.Policy, b.dates()
	at, there := p.Exemption(x.Exemption)
	if !there && current.next != nil { // only the next documents may have the line
		p = current.next.with.Bundle.Policy
		at, there = p.Exemption(x.Exemption)
	}
	var had policy.Exemption
	if there {
		had = p.Exemptions[at]
	}
	next, err := x.apply(p, had, there, now)
	if err != nil {
		if errors.Is(err, store.ErrUnchanged) {
			return &Proposal{Base: current.Number, Intent: current, Kept: true}, err
		}
		return nil, err
	}
	in, err := current.exempted(x.Exemption, next, now)
	if err != nil {
		return nil, err
	}
	return &Proposal{Base: current.Number, Intent: in, Kept: true}, nil
}

// exempted makes the change in the documents in force, and in the next documents of a rollout, which must neither delay an exemption nor end it.
// Either may lack the line, and then has no exemption of it.
func (in *Intent) exempted(of policy.Exemption, next *policy.Exemption, now time.Time) (*Intent, error) {
	change := func(of *Intent, subject policy.Exemption) (*Intent, error) {
		if next != nil {
			if err := policy.ValidateExemption(of.Bundle, *next); err != nil {
				return nil, err
			}
		}
		return of.exempting(subject, next, now)
	}
	out, err := change(in, of)
	if in.next == nil {
		return out, err
	}
	with, nextErr := change(in.next.with, of)
	switch {
	case err != nil && nextErr != nil:
		return nil, err
	case err != nil:
		copied := *in
		copied.Revision = store.Revision{}
		out = &copied
	case nextErr != nil:
		with = in.next.with
	}
	out.setNext(in.next.Split, with)
	return out, nil
}

// apply returns the exemption after the change, or nil if there is none then. had is the exemption before it, if there is one.
func (x *Exempting) apply(p *policy.Policy, had policy.Exemption, there bool, now time.Time) (*policy.Exemption, error) {
	next := x.Exemption
	what := next.Subject()
	switch x.Verb {
	case ExemptionAdd:
		switch {
		case there && had == next && !p.Ended(&had, now):
			return nil, fmt.Errorf("%w: %s is exempt until %v already", store.ErrUnchanged, what, had.Expires)
		case there && !p.Ended(&had, now):
			return nil, fmt.Errorf("%w: %s is exempt until %v, owner %s; move the day with op25b exempt renew", ErrExempt, what, had.Expires, had.Owner)
		}
	case ExemptionRenew:
		if !there {
			return nil, fmt.Errorf("%w: %s has none; add it with op25b exempt add", ErrNotExempt, what)
		}
		moved := had
		moved.Expires, moved.Review = next.Expires, next.Review
		if next.Ticket != "" {
			moved.Ticket = next.Ticket
		}
		if moved == had && !p.Ended(&had, now) {
			return nil, fmt.Errorf("%w: %s is exempt until %v already", store.ErrUnchanged, what, had.Expires)
		}
		next = moved
	default:
		if !there {
			return nil, fmt.Errorf("%w: %s has none, so there is nothing to end", ErrNotExempt, what)
		}
		return nil, nil
	}
	if !next.Expires.IsZero() && p.Ended(&next, now) {
		return nil, policy.PastExemption(next)
	}
	return &next, nil
}

// exempting returns an intent without a revision in which next takes the place of the exemption with the same line or prefix as of. If next is nil,
// there is none any more.
func (in *Intent) exempting(of policy.Exemption, next *policy.Exemption, now time.Time) (*Intent, error) {
	p := in.Bundle.Policy.WithExemption(of, next)
	out := *in
	out.Revision = store.Revision{}
	out.Bundle = &policy.Bundle{Policy: p, Inventory: in.Bundle.Inventory}
	path := exemptionPart(&of)
	part, err := decodePart(nil, path, in.exempt[path])
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBroken, err)
	}
	text, err := encodePart(policy.ReplaceExemption(part, of, next))
	if err != nil {
		return nil, err
	}
	out.exempt = maps.Clone(in.exempt)
	if out.exempt[path] = text; len(text) == 0 {
		delete(out.exempt, path)
	}
	out.compiler = in.compiler.Derive(out.Bundle, of, now)
	return &out, nil
}

// encodePart returns the stored form of a part.
func encodePart(list []policy.Exemption) (part []byte, err error) {
	for i := range list {
		line, err := encodeExemption(&list[i])
		if err != nil {
			return nil, err
		}
		part = append(part, line...)
	}
	return part, nil
}

// PutExemption stores a proposal of ProposeExemption as the next revision. It returns a *store.StaleError if another revision was stored after that.
func (b *Book) PutExemption(ctx context.Context, p *Proposal, x Exempting, by By) (*Intent, error) {
	path := exemptionPart(&x.Exemption)
	c := store.Change{Base: p.Base, Documents: map[string][]byte{path: p.exempt[path]}, KeepOthers: true}
	if n := p.next; n != nil {
		c.Documents[nextFolder+path] = n.with.exempt[path]
	}
	for path, text := range c.Documents {
		if len(text) == 0 { // a part without exemptions is not stored
			delete(c.Documents, path)
			c.Remove = append(c.Remove, path)
		}
	}
	of := x.Exemption // of an exemption that ends, the detail has the ticket of the change
	if at, there := p.Bundle.Policy.Exemption(of); there {
		of = p.Bundle.Policy.Exemptions[at]
	}
	detail, err := json.Marshal(stored(&of))
	if err != nil {
		return nil, err
	}
	in := *p.Intent
	return b.change(ctx, &in, c, by, store.AuditRecord{Verb: "exempt " + x.Verb, Object: of.Subject(), Detail: string(detail)})
}

// Concerns returns the switches that a change of the exemption of a line or prefix concerns: the switch of the line, or all of them for a prefix.
func (in *Intent) Concerns(of policy.Exemption) []string {
	if of.Line != "" && in.next == nil && in.broken == nil {
		if name, ok := in.compiler.SwitchOf(of.Line); ok {
			return []string{name}
		}
		return nil
	}
	var all []string
	for _, sw := range in.Switches() {
		if of.Line == "" || slices.ContainsFunc(sw.Lines, func(l policy.Line) bool { return l.Name == of.Line }) {
			all = append(all, sw.Name)
		}
	}
	return all
}

// ExemptionsSince returns the lines and prefixes whose exemption differs from that in an earlier intent. ok is false if the documents differ in more,
// or if the differences are not known one by one.
func (in *Intent) ExemptionsSince(earlier *Intent) (subjects []policy.Exemption, ok bool) {
	if in.broken != nil || earlier.broken != nil {
		return nil, false
	}
	return in.compiler.Changed(earlier.compiler)
}

// ExemptionDelta returns the entries of subscribers of a switch that differ from those by an earlier intent, given what ExemptionsSince returned.
func (in *Intent) ExemptionDelta(earlier *Intent, switchName string, subjects []policy.Exemption, now time.Time) ([]compile.Touched, error) {
	return in.compiler.Delta(earlier.compiler, switchName, subjects, now)
}

// SubscriberNeed returns what compile.Compiler.SubscriberNeed returns for the phases in force, or for the first phase if none is.
func (in *Intent) SubscriberNeed(switchName string, now time.Time) (compile.SubscriberNeed, error) {
	phases, err := in.InForce(switchName, now)
	if errors.Is(err, ErrNoPhase) {
		phases, err = policy.Everywhere(in.Bundle.Policy.Phases[0].Name), nil
	}
	if err != nil {
		return compile.SubscriberNeed{}, err
	}
	return in.compiler.SubscriberNeed(switchName, phases, now)
}

// CompilePart compiles a switch of a part of the documents: see compile.Compiler.Part.
func (in *Intent) CompilePart(part *policy.Bundle, switchName string, phases policy.InForce, now time.Time) (*compile.Compiled, error) {
	if err := in.Broken(); err != nil {
		return nil, err
	}
	return in.compiler.Part(part).Compile(switchName, phases, now)
}

// Ending returns the number of exemptions that end after a time and no later than another. It does not look at each exemption.
func (in *Intent) Ending(after, by time.Time) int {
	if in.broken != nil {
		return 0
	}
	return in.compiler.Ending(after, by)
}
