package api

import (
	"context"
	"slices"
	"time"

	"connectrpc.com/connect"

	"op25b/internal/intent"
	"op25b/internal/policy"
	"op25b/internal/store"
	op25bv1 "op25b/proto/op25b/v1"
)

// Preview says what Activate or Rollback would change.
func (s phaseService) Preview(ctx context.Context, req *connect.Request[op25bv1.PreviewRequest]) (*connect.Response[op25bv1.PreviewResponse], error) {
	m := req.Msg
	in, err := s.current(ctx)
	if err != nil {
		return nil, err
	}
	if m.Base != 0 && m.Base != in.Number {
		return nil, &store.StaleError{Base: m.Base, Current: in.Number}
	}
	scope, now := policy.Scope{Groups: m.Groups, Switches: m.Switches}, s.Now()
	phase := m.Phase
	if phase == "" {
		if phase, err = in.Bundle.Previous(in.Activations, scope, now); err != nil {
			return nil, err
		}
	}
	if err := in.Bundle.CheckActivation(policy.Activation{Phase: phase, Groups: m.Groups, Switches: m.Switches, At: now}); err != nil {
		return nil, err
	}
	return connect.NewResponse(&op25bv1.PreviewResponse{
		Revision: in.Number, Phase: phase, Changes: replacedBy(in, scope, now), Switches: uint32(len(in.Bundle.Inventory.Switches)),
	}), nil
}

// replacedBy are the phases in force in a scope, in the order of the switches and their line groups.
func replacedBy(in *intent.Intent, scope policy.Scope, now time.Time) []*op25bv1.PhaseChange {
	known := in.Bundle.Policy.LineGroups
	var all []*op25bv1.PhaseChange
	for _, sw := range in.Bundle.Inventory.Switches {
		if len(scope.Switches) > 0 && !slices.Contains(scope.Switches, sw.Name) {
			continue
		}
		phases, err := in.InForce(sw.Name, now)
		if err != nil { // none has begun
			phases = policy.InForce{}
		}
		var here []*op25bv1.PhaseChange
		from := func(phase string) *op25bv1.PhaseChange {
			i := slices.IndexFunc(here, func(c *op25bv1.PhaseChange) bool { return c.From == phase })
			if i < 0 {
				i = len(here)
				here = append(here, &op25bv1.PhaseChange{From: phase})
			}
			return here[i]
		}
		if len(scope.Groups) == 0 {
			from(phases.Default).ByDefault = true
		}
		for _, g := range known {
			if len(scope.Groups) == 0 || slices.Contains(scope.Groups, g.Name) {
				c := from(phases.Phase(g.Name))
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

// together adds what changes on a switch, to that of another with the same if there is one.
func together(all []*op25bv1.PhaseChange, c *op25bv1.PhaseChange, sw string) []*op25bv1.PhaseChange {
	same := func(x *op25bv1.PhaseChange) bool {
		return x.From == c.From && x.ByDefault == c.ByDefault && slices.Equal(x.Groups, c.Groups)
	}
	i := slices.IndexFunc(all, same)
	if i < 0 {
		i, all = len(all), append(all, c)
	}
	all[i].Switches = append(all[i].Switches, sw)
	return all
}
