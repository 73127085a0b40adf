package api

import (
	"context"
	"fmt"
	"slices"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"op25b/internal/intent"
	"op25b/internal/policy"
	"op25b/internal/prove"
	"op25b/internal/store"
	op25bv1 "op25b/proto/op25b/v1"
)

// Preview returns the changes that Activate or Rollback would make.
func (s phaseService) Preview(ctx context.Context, req *connect.Request[op25bv1.PreviewRequest]) (*connect.Response[op25bv1.PreviewResponse], error) {
	m := req.Msg
	in, err := s.current(ctx)
	if err != nil {
		return nil, err
	}
	if m.Base != 0 && m.Base != in.Number {
		return nil, &store.StaleError{Base: m.Base, Current: in.Number}
	}
	now := s.dates()
	a := policy.Activation{Phase: m.Phase, Groups: m.Groups, Switches: m.Switches, UntilNextDate: m.UntilNextDate}
	if m.Phase == "" {
		if a, err = in.Bundle.Undo(in.Activations, a.Scope(), now); err != nil {
			return nil, err
		}
	}
	a.ID, a.At = in.Number+1, now
	if err := in.Bundle.CheckActivation(a); err != nil {
		return nil, err
	}
	after := timeline{in, append(slices.Clone(in.Activations), a)}
	answer := &op25bv1.PreviewResponse{
		Revision: in.Number, Time: timestamppb.New(now), Switches: uint32(len(in.Bundle.Inventory.Switches)),
		Changes:  changes(in, a.Scope(), timeline{in, in.Activations}.at(now), after.at(now)),
		NextTurn: after.nextTurn(a.Scope(), now), Broken: brokenOf(in), UtcOffset: offsetOf(in),
	}
	for i, c := range answer.Changes {
		c.Lines = linesIn(in, c)
		switch {
		case i == 0:
			answer.Phase = c.To
		case c.To != answer.Phase:
			answer.Phase = ""
		}
	}
	if i := slices.IndexFunc(in.Activations, func(x policy.Activation) bool { return a.Undoes != 0 && x.ID == a.Undoes }); i >= 0 {
		answer.Undoes = activationOf(in.Activations[i])
	}
	statuses, err := s.Switches.List(ctx)
	if err != nil {
		return nil, err
	}
	answer.Held = heldAmong(statuses, func(name string) bool {
		return slices.ContainsFunc(answer.Changes, func(c *op25bv1.PhaseChange) bool { return c.From != c.To && slices.Contains(c.Switches, name) })
	})
	if m.Plan {
		made, err := s.plan(ctx, in, in.Activated(a), m.Switches, 0, false)
		if err != nil {
			return nil, err
		}
		answer.Plan = made
	}
	if in.Broken() == nil {
		answer.Proof = proofMessage(s.previewProof(ctx, in, a))
	}
	return connect.NewResponse(answer), nil
}

// previewProof proves a change of phase as Activate or Rollback does: it does not wait for the proof of a way back any longer than they do.
func (s *server) previewProof(ctx context.Context, in *intent.Intent, a policy.Activation) (*prove.Result, error) {
	next := in.Activated(a)
	if a.Undoes != 0 || goesBack(in, next, a.At) {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, hastyProof, errHasty)
		defer cancel()
	}
	return s.Deps.Plan.Prove(ctx, in, next, nil)
}

// linesIn returns the number of lines that a change of phase includes.
func linesIn(in *intent.Intent, c *op25bv1.PhaseChange) (n uint32) {
	for _, name := range c.Switches {
		sw, _ := in.Bundle.Inventory.Switch(name)
		for i := range sw.Lines {
			if group := sw.Lines[i].Group; slices.Contains(c.Groups, group) || c.ByDefault && group == "" {
				n++
			}
		}
	}
	return n
}

// notSince returns an error if the date of a phase has come since the caller's preview of a rollback.
func (s *server) notSince(ctx context.Context, shown *timestamppb.Timestamp) error {
	if shown == nil {
		return nil
	}
	if err := shown.CheckValid(); err != nil {
		return fault("shown", "not a time: "+err.Error(), "give PreviewResponse.time, or omit it")
	}
	in, err := s.current(ctx)
	if err != nil {
		return err
	}
	now := s.dates()
	for _, b := range slices.Backward(in.Bundle.Policy.Beginnings()) {
		if !b.At.After(now) && b.At.After(shown.AsTime()) {
			return connect.NewError(connect.CodeFailedPrecondition, fmt.Errorf("phase %q has begun by its date since the preview: preview the rollback again", b.Phase.Name))
		}
	}
	return nil
}

// A timeline computes the phases that result from the documents of an intent and a list of activations.
type timeline struct {
	in   *intent.Intent
	acts []policy.Activation
}

// An inForce returns the phases in force on a switch. It returns an empty result before the first phase begins.
type inForce func(sw string) policy.InForce

func (t timeline) at(now time.Time) inForce {
	return func(sw string) policy.InForce {
		phases, _ := t.in.Bundle.Policy.InForceAt(t.acts, sw, now)
		return phases
	}
}

// nextTurn returns the first change of phase by date after now for lines in a scope, or nil if there is none.
func (t timeline) nextTurn(scope policy.Scope, now time.Time) *op25bv1.PhaseTurn {
	for _, turn := range t.turns(scope, now, 1) {
		return turn
	}
	return nil
}

// turns returns the first changes of phase by date after now for lines in a scope, at most most of them.
func (t timeline) turns(scope policy.Scope, now time.Time, most int) []*op25bv1.PhaseTurn {
	var all []*op25bv1.PhaseTurn
	for _, b := range t.in.Bundle.Policy.Beginnings() {
		at := b.At
		if !at.After(now) || len(all) == most {
			continue
		}
		turned := slices.DeleteFunc(changes(t.in, scope, t.at(now), t.at(at)), func(c *op25bv1.PhaseChange) bool { return c.From == c.To })
		if len(turned) > 0 {
			all, now = append(all, &op25bv1.PhaseTurn{Time: timestamppb.New(at), Phase: b.Phase.Name, Changes: turned}), at
		}
	}
	return all
}

// changes returns the changes of phase in a scope, sorted by switch and line group.
func changes(in *intent.Intent, scope policy.Scope, was, is inForce) []*op25bv1.PhaseChange {
	known := in.Bundle.Policy.LineGroups
	var all []*op25bv1.PhaseChange
	for _, sw := range in.Bundle.Inventory.Switches {
		if len(scope.Switches) > 0 && !slices.Contains(scope.Switches, sw.Name) {
			continue
		}
		before, after := was(sw.Name), is(sw.Name)
		var here []*op25bv1.PhaseChange
		change := func(from, to string) *op25bv1.PhaseChange {
			i := slices.IndexFunc(here, func(c *op25bv1.PhaseChange) bool { return c.From == from && c.To == to })
			if i < 0 {
				i = len(here)
				here = append(here, &op25bv1.PhaseChange{From: from, To: to})
			}
			return here[i]
		}
		if len(scope.Groups) == 0 {
			change(before.Default, after.Default).ByDefault = true
		}
		for _, g := range known {
			if len(scope.Groups) == 0 || slices.Contains(scope.Groups, g.Name) {
				c := change(before.Phase(g.Name), after.Phase(g.Name))
				c.Groups = append(c.Groups, g.Name)
			}
		}
		for _, c := range here {
			c.EveryLine = c.ByDefault && len(c.Groups) == len(known)
			all = together(all, c, sw.Name)
		}
	}
	return all
}

// together adds the change c on switch sw to the list. If the list already has the same change for other switches, together adds sw
// to that change.
func together(all []*op25bv1.PhaseChange, c *op25bv1.PhaseChange, sw string) []*op25bv1.PhaseChange {
	same := func(x *op25bv1.PhaseChange) bool {
		return x.From == c.From && x.To == c.To && x.ByDefault == c.ByDefault && slices.Equal(x.Groups, c.Groups)
	}
	i := slices.IndexFunc(all, same)
	if i < 0 {
		i, all = len(all), append(all, c)
	}
	all[i].Switches = append(all[i].Switches, sw)
	return all
}
