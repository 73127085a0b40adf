package plan

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"op25b/internal/compile"
	"op25b/internal/intent"
	"op25b/internal/pipeline"
	"op25b/internal/policy"
	"op25b/internal/prove"
)

const (
	// maxPartLines is the number of lines inside the prefix of an exemption up to which its proof loads them.
	maxPartLines = 64
	// witnesses is the number of other lines of the switch in the proof of an exemption, which must not get it.
	witnesses = 2
)

// errDelta means that the entries of an exemption are not those of the compiled documents.
var errDelta = errors.New("the entries of the exemption are not those of the documents")

// Exempting checks a change of the exemption of one line or prefix, as Fits and Proved check a change of documents. It loads and counts only what the
// exemption touches, so that it takes milliseconds. proposed differs from base in nothing else. It returns ErrRefused, with the errors of Fits and
// Proved.
func (p *Planner) Exempting(ctx context.Context, base, proposed *intent.Intent, of policy.Exemption) error {
	ctx, cancel := WithProofTime(ctx)
	defer cancel()
	now := p.cfg.Now()
	var changes []*prove.Change
	plain := false // whether the change was tried on a switch that has no lines in a prefix
	for _, name := range proposed.Concerns(of) {
		was, will := base.For(name), proposed.For(name)
		subjects, known := will.ExemptionsSince(was)
		if !known {
			return p.whole(ctx, base, proposed)
		}
		delta, err := will.ExemptionDelta(was, name, subjects, now)
		if err != nil {
			return err
		}
		if len(delta) == 0 {
			continue
		}
		if !p.roomy(will, name, delta, now) {
			if err := p.Fits(ctx, proposed); err != nil {
				return err
			}
		}
		part, lines := partOf(was, name, of)
		if part == nil {
			return p.whole(ctx, base, proposed)
		}
		if of.Line == "" && lines == 0 {
			if plain {
				continue
			}
			plain = true
		}
		ch, err := p.exempting(was, will, part, name, of, now)
		if err == nil {
			err = sameDelta(ch, delta)
		}
		if err != nil {
			return fmt.Errorf("%w: %w: switch %q: %w", ErrRefused, prove.ErrUnproved, name, err)
		}
		ch.PolicyDigest = fmt.Sprintf("%s, %d changes, %v", base.ID, len(subjects), of) // what is proved does not depend on the rest
		changes = append(changes, ch)
	}
	r, err := p.cfg.Prover.Prove(ctx, changes...)
	if err == nil {
		err = r.Err()
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return nil
}

// whole checks the change as one of the documents.
func (p *Planner) whole(ctx context.Context, base, proposed *intent.Intent) error {
	if err := p.Fits(ctx, proposed); err != nil {
		return err
	}
	return p.Proved(ctx, base, proposed)
}

// roomy reports whether it is certain that a switch has room for the entries of an exemption.
func (p *Planner) roomy(will *intent.Intent, name string, delta []compile.Touched, now time.Time) bool {
	more := false
	for _, x := range delta {
		more = more || x.Was.Class == 0
	}
	if !more {
		return true
	}
	need, err := will.SubscriberNeed(name, now)
	return err == nil && p.program.RoomFor(pipeline.SubscriberNeed(need.V4, need.V6), need.Sessions) == nil
}

// exempting compiles a part of the documents before and after the change.
func (p *Planner) exempting(was, will *intent.Intent, part *policy.Switch, name string, of policy.Exemption, now time.Time) (*prove.Change, error) {
	phases, err := will.InForce(name, now)
	if errors.Is(err, intent.ErrNoPhase) {
		phases, err = policy.Everywhere(will.Bundle.Policy.Phases[0].Name), nil
	}
	if err != nil {
		return nil, err
	}
	ch := &prove.Change{Switch: name, OldBundle: partBundle(was, part, of), Bundle: partBundle(will, part, of), Now: now}
	if ch.Old, err = was.CompilePart(ch.OldBundle, name, phases, now); err != nil {
		return nil, err
	}
	ch.New, err = will.CompilePart(ch.Bundle, name, phases, now)
	return ch, err
}

// partOf returns a switch with only the lines that an exemption concerns, and a few others, and the number of the former. It returns nil if there are
// too many.
func partOf(in *intent.Intent, name string, of policy.Exemption) (*policy.Switch, int) {
	sw, ok := in.Bundle.Inventory.Switch(name)
	if !ok {
		return nil, 0
	}
	part := *sw
	part.Lines = nil
	n, others := 0, 0
	for i := range sw.Lines {
		l := &sw.Lines[i]
		concerned := of.Line != "" && l.Name == of.Line
		for _, p := range l.Prefixes {
			concerned = concerned || of.Line == "" && p.Overlaps(of.Prefix)
		}
		switch {
		case concerned:
			if n++; n > maxPartLines {
				return nil, n
			}
		case others < witnesses:
			others++
		default:
			continue
		}
		part.Lines = append(part.Lines, *l)
	}
	return &part, n
}

// partBundle returns the documents of a part of a switch: with the exemptions of its lines, and those of the prefixes that meet the exemption.
func partBundle(in *intent.Intent, part *policy.Switch, of policy.Exemption) *policy.Bundle {
	p := *in.Bundle.Policy
	p.Exemptions = nil
	var near []netip.Prefix
	names := make(map[string]bool)
	if of.Line == "" {
		near = append(near, of.Prefix)
	}
	for i := range part.Lines {
		names[part.Lines[i].Name] = true
		near = append(near, part.Lines[i].Prefixes...)
	}
	for i := range in.Bundle.Policy.Exemptions {
		e := &in.Bundle.Policy.Exemptions[i]
		if e.Line != "" {
			if names[e.Line] {
				p.Exemptions = append(p.Exemptions, *e)
			}
			continue
		}
		for _, n := range near {
			if n.Overlaps(e.Prefix) {
				p.Exemptions = append(p.Exemptions, *e)
				break
			}
		}
	}
	return &policy.Bundle{Policy: &p, Inventory: &policy.Inventory{Switches: []policy.Switch{*part}}}
}

// sameDelta returns an error unless the entries that switches will get are those that are proved.
func sameDelta(ch *prove.Change, delta []compile.Touched) error {
	for _, x := range delta {
		for _, side := range []struct {
			of  *compile.Compiled
			sub pipeline.Subscriber
			end time.Time
		}{{ch.Old, x.Was, x.WasEnd}, {ch.New, x.Is, x.Ends}} {
			end, _ := side.of.End(x.Prefix)
			if side.of.State.Subscribers[x.Prefix] != side.sub || !end.Equal(side.end) {
				return fmt.Errorf("%w: prefix %v", errDelta, x.Prefix)
			}
		}
	}
	return nil
}
