package plan

import (
	"context"
	"fmt"
	"time"

	"op25b/internal/bring"
	"op25b/internal/compile"
	"op25b/internal/intent"
	"op25b/internal/meaning"
	"op25b/internal/pipeline"
	"op25b/internal/policy"
)

// plan returns the plan for one switch.
func (p *Planner) plan(ctx context.Context, r Request, t target, now time.Time) *SwitchPlan {
	s := &SwitchPlan{Switch: t.sw.Name, Address: t.sw.P4Runtime}
	was := p.before(ctx, r, t.sw.Name, now)
	s.AppliedRevision, s.PhaseBefore = was.applied.Revision, was.phase()
	if t.gone {
		s.Standing = Gone
		s.Reason = "the proposed inventory does not have it: it keeps its entries, and no controller owns it"
		return s
	}
	will, err := r.Proposed.Compile(t.sw.Name, now)
	if err != nil {
		s.Err = err
	} else {
		s.PhaseAfter = will.InForce
	}
	foreign := p.foreign(ctx, r, t.sw.Name, will, was, now)
	have := p.read(ctx, t.sw)
	s.Standing, s.Reason = have.standing, have.reason
	if have.standing == Unreachable {
		have.entries = p.assumed(was, s)
	} else if was.compiled != nil {
		s.Drift = drift(have.entries, was.compiled, will, foreign, r.Entries)
	}
	if will == nil {
		return s
	}
	p.change(s, have.entries, was.compiled, will, foreign, r.Entries)
	if s.Err == nil {
		s.Meaning = meaning.Of(was.compiled, will, max(r.Entries, meaning.DefaultSingle))
	}
	return s
}

// A before is the state that a switch was last brought to.
type before struct {
	applied  bring.Applied
	compiled *compile.Compiled // nil if unknown
	why      string            // the reason why compiled is unknown although the revision is known
}

func (b before) phase() policy.InForce {
	if b.compiled == nil {
		return policy.InForce{}
	}
	return b.compiled.InForce
}

// before returns the state that a switch was last brought to.
func (p *Planner) before(ctx context.Context, r Request, name string, now time.Time) before {
	var b before
	switch {
	case r.Applied != nil:
		b.applied = r.Applied[name]
	case r.Base != nil:
		b.applied = bring.Applied{Revision: r.Base.Number, Audited: now}
	}
	if b.applied.Revision == 0 {
		return b
	}
	in, err := p.at(ctx, r, b.applied.Revision)
	if err == nil {
		b.compiled, err = in.Compile(name, now)
	}
	if err != nil {
		b.why = err.Error()
	}
	return b
}

// at returns the revision of the intent with the given number.
func (p *Planner) at(ctx context.Context, r Request, number uint64) (*intent.Intent, error) {
	for _, in := range []*intent.Intent{r.Base, r.Proposed} {
		if in != nil && in.Number == number {
			return in, nil
		}
	}
	if p.cfg.At == nil {
		return nil, fmt.Errorf("revision %d cannot be had", number)
	}
	return p.cfg.At(ctx, number)
}

// foreign returns a bring.Foreign that identifies foreign entries in the same way as the switch's controller. will may be nil.
func (p *Planner) foreign(ctx context.Context, r Request, name string, will *compile.Compiled, was before, now time.Time) *bring.Foreign {
	want := bring.Desired{Intent: r.Proposed, Switch: name, At: now}
	if will != nil {
		want.Phases = will.InForce
	}
	return bring.NewForeign(want, func() ([]bring.Desired, error) {
		return was.applied.Past(ctx, name, func(ctx context.Context, number uint64) (*intent.Intent, error) { return p.at(ctx, r, number) })
	})
}

// assumed returns the entries that a switch that could not be read presumably has, and states the assumption in s.Reason.
func (p *Planner) assumed(was before, s *SwitchPlan) []pipeline.Entry {
	switch {
	case was.compiled != nil:
		if entries, err := heldBy(&was.compiled.State); err == nil {
			entries = append(entries, was.compiled.Sessions.Held(nil)...)
			s.Reason += fmt.Sprintf("; this plan assumes the entries of revision %d", was.applied.Revision)
			return entries
		}
	case was.why != "":
		s.Reason += fmt.Sprintf("; revision %d, to which it was last brought, cannot be used (%s)", was.applied.Revision, was.why)
	}
	s.Reason += "; this plan assumes an empty switch"
	return nil
}

// drift returns how a switch differs from the state that it was last brought to. In the result, old entries are those that the switch
// should have, and new entries are those that it has. will may be nil.
func drift(have []pipeline.Entry, was, will *compile.Compiled, foreign *bring.Foreign, most int) *EntryDiff {
	should, err := withLayer(was, 1, have)
	if err != nil { // unexpected, because the state was valid when it was compiled
		return nil
	}
	d := compare(effectiveOf(should), effectiveOf(have), nil)
	if will == nil {
		return entryDiff(d, most, was.Sessions)
	}
	diff := entryDiff(d, most, was.Sessions, will.Sessions)
	if wanted, err := withLayer(will, 1, have); err == nil {
		asked := effectiveOf(wanted)
		for _, e := range d.Added {
			if !asked.has(e) && foreign.Is(e) {
				diff.Foreign++
			}
		}
	}
	return diff
}

// change plans the updates of a switch and sets the fields of s that describe them. was may be nil.
func (p *Planner) change(s *SwitchPlan, have []pipeline.Entry, was, will *compile.Compiled, foreign *bring.Foreign, most int) {
	want := &will.State
	made, err := p.program.Plan(have, want, foreign, will.Sessions)
	if err != nil {
		s.Err = err
		return
	}
	should, err := withLayer(will, made.Running, have)
	if err != nil {
		s.Err = err
		return
	}
	lines := []*compile.SessionLines{will.Sessions}
	if was != nil {
		lines = append(lines, was.Sessions)
	}
	s.Change = entryDiff(compare(effectiveOf(have), effectiveOf(should), foreign.Filter()), most, lines...)
	s.Updates, s.Tables = made.Updates(), made.Tables
	for _, step := range made.Steps {
		s.Steps = append(s.Steps, StepCount{step.Why, len(step.Updates)})
	}
}
