package api

import (
	"context"
	"slices"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"op25b/internal/intent"
	"op25b/internal/plan"
	"op25b/internal/policy"
	"op25b/internal/store"
	op25bv1 "op25b/proto/op25b/v1"
	"op25b/proto/op25b/v1/op25bv1connect"
)

type phaseService struct{ *server }

var _ op25bv1connect.PhaseServiceHandler = phaseService{}

// ListPhases lists the phases of the current policy.
func (s phaseService) ListPhases(ctx context.Context, _ *connect.Request[op25bv1.ListPhasesRequest]) (*connect.Response[op25bv1.ListPhasesResponse], error) {
	in, err := s.current(ctx)
	if err != nil {
		return nil, err
	}
	now := s.dates()
	phases, err := s.phases(ctx, in, now)
	if err != nil {
		return nil, err
	}
	answer := &op25bv1.ListPhasesResponse{Revision: in.Number, Policy: in.Bundle.Policy.Name, Time: timestamppb.New(now), Phases: phases, Broken: brokenOf(in), UtcOffset: offsetOf(in)}
	if next, ok := in.NextEvent(now); ok {
		answer.Next = timestamppb.New(next)
	}
	if answer.Scheduled, err = s.scheduled(ctx); err != nil {
		return nil, err
	}
	answer.NextTurn = timeline{in, in.Activations}.nextTurn(policy.Scope{}, now)
	return connect.NewResponse(answer), nil
}

// brokenOf returns the reason why an intent's documents cannot be used, or an empty string if they can.
func brokenOf(in *intent.Intent) string {
	if err := in.Broken(); err != nil {
		text, _ := plan.Cut(err.Error(), maxRefusal)
		return text
	}
	return ""
}

// phases returns the phases of the current intent. For each phase, it lists the switches on which the phase is in force, and whether each
// switch has confirmed the phase.
func (s phaseService) phases(ctx context.Context, in *intent.Intent, now time.Time) ([]*op25bv1.Phase, error) {
	seenIn, err := s.seenIn(ctx, in)
	if err != nil {
		return nil, err
	}
	all := phasesOf(in, now)
	for _, ph := range all {
		for _, where := range ph.InForce {
			wanted, err := in.InForce(where.Switch, now)
			where.Confirmed = err == nil && seenIn[where.Switch] == wanted.String()
		}
	}
	return all, nil
}

// seenIn returns the phases that each switch has confirmed at the current revision, keyed by the name of the switch. It omits switches
// without a live controller.
func (s *server) seenIn(ctx context.Context, in *intent.Intent) (map[string]string, error) {
	statuses, err := s.Switches.List(ctx)
	if err != nil {
		return nil, err
	}
	return seenOf(in, statuses), nil
}

// seenOf is like seenIn, for statuses that byStore has not updated.
func seenOf(in *intent.Intent, statuses []*op25bv1.SwitchStatus) map[string]string {
	seen := make(map[string]string)
	for _, st := range statuses {
		if confirmed(in, st) {
			seen[st.Switch] = st.InForce
		}
	}
	return seen
}

// confirmed reports whether a status that byStore has not updated confirms its phases at the intent's revision.
func confirmed(in *intent.Intent, st *op25bv1.SwitchStatus) bool {
	if st.Wanted != in.Number {
		return false
	}
	return st.Converged && st.Revision == in.Number || st.Reason == op25bv1.SwitchReason_SWITCH_REASON_PHASE_ONLY
}

// phasesOf returns the phases of an intent, with the switches on which each phase should be in force.
func phasesOf(in *intent.Intent, now time.Time) []*op25bv1.Phase {
	p := in.Bundle.Policy
	all := make([]*op25bv1.Phase, len(p.Phases))
	at := make(map[string]*op25bv1.Phase, len(p.Phases))
	for i := range p.Phases {
		ph := &p.Phases[i]
		all[i] = &op25bv1.Phase{
			Name: ph.Name, Title: ph.Title, Effective: ph.Effective.String(), Begins: timestamppb.New(p.Begins(ph)),
			SynOnly: ph.SynOnly, Rules: uint32(len(ph.Rules)), StaysOpen: staysOpen(p, ph, slices.MaxFunc([]time.Time{now, p.Begins(ph)}, time.Time.Compare)),
		}
		for _, d := range ph.EffectiveFor {
			all[i].EffectiveFor = append(all[i].EffectiveFor, &op25bv1.GroupDate{
				Groups: d.Groups, Effective: d.Effective.String(), Begins: timestamppb.New(d.Effective.Start(p.UTCOffset)),
			})
		}
		at[ph.Name] = all[i]
	}
	switches := in.Bundle.Inventory.Switches
	for i := range switches {
		for phase, where := range inForceOn(in, switches[i].Name, now) {
			if ph := at[phase]; ph != nil {
				ph.InForce = append(ph.InForce, where)
			}
		}
	}
	for _, ph := range all {
		ph.Everywhere = len(switches) > 0 && len(ph.InForce) == len(switches)
		for _, where := range ph.InForce {
			ph.Everywhere = ph.Everywhere && where.ByDefault && len(where.Groups) == len(p.LineGroups)
		}
	}
	return all
}

// staysOpen returns what passes in a phase whatever its rules say. An exemption counts unless it has ended at the given time.
func staysOpen(p *policy.Policy, ph *policy.Phase, at time.Time) *op25bv1.StaysOpen {
	open := &op25bv1.StaysOpen{Ports: []uint32{uint32(policy.PortSubmissions), uint32(policy.PortSubmission)}}
	for _, r := range p.Remotes {
		if !r.Ours() {
			continue
		}
		servers := &op25bv1.OpenServers{Name: r.Name, Title: r.Title}
		if servers.Limited = r.Own && ph.OwnServices != nil; servers.Limited {
			servers.Services = ph.OwnServices
		}
		open.Servers = append(open.Servers, servers)
	}
	for i := range p.Exemptions {
		switch e := &p.Exemptions[i]; {
		case p.Ended(e, at):
		case e.Line != "":
			open.ExemptLines++
		default:
			open.ExemptPrefixes++
		}
	}
	return open
}

// inForceOn returns the line groups for which each phase is in force on a switch, keyed by phase.
func inForceOn(in *intent.Intent, name string, now time.Time) map[string]*op25bv1.InForce {
	of := make(map[string]*op25bv1.InForce)
	phases, err := in.InForce(name, now)
	if err != nil { // no phase has begun
		return of
	}
	where := func(phase string) *op25bv1.InForce {
		if of[phase] == nil {
			of[phase] = &op25bv1.InForce{Switch: name}
		}
		return of[phase]
	}
	where(phases.Default).ByDefault = true
	for _, g := range in.Bundle.Policy.LineGroups {
		w := where(phases.Phase(g.Name))
		w.Groups = append(w.Groups, g.Name)
	}
	return of
}

// ShowPhase returns a phase and its rules.
func (s phaseService) ShowPhase(ctx context.Context, req *connect.Request[op25bv1.ShowPhaseRequest]) (*connect.Response[op25bv1.ShowPhaseResponse], error) {
	in, err := s.current(ctx)
	if err != nil {
		return nil, err
	}
	now := s.dates()
	ph, ok := in.Bundle.Policy.Phase(req.Msg.Phase)
	if !ok {
		return nil, in.Bundle.CheckActivation(policy.Activation{Phase: req.Msg.Phase, At: now})
	}
	phases, err := s.phases(ctx, in, now)
	if err != nil {
		return nil, err
	}
	answer := &op25bv1.ShowPhaseResponse{Revision: in.Number, Rules: rulesOf(in.Bundle.Policy, ph), UtcOffset: offsetOf(in)}
	for _, shown := range phases {
		if shown.Name == ph.Name {
			answer.Phase = shown
		}
	}
	return connect.NewResponse(answer), nil
}

func rulesOf(p *policy.Policy, ph *policy.Phase) []*op25bv1.PhaseRule {
	ports := make(map[string][]uint32)
	for _, s := range p.Services {
		for _, port := range s.Ports {
			ports[s.Name] = append(ports[s.Name], uint32(port))
		}
	}
	all := make([]*op25bv1.PhaseRule, len(ph.Rules))
	for i, r := range ph.Rules {
		rule := &op25bv1.PhaseRule{Name: r.Name, Groups: r.Groups, Service: r.Service, Ports: ports[r.Service], Remote: r.Remote, Action: string(r.Action)}
		if rule.Remote == "" {
			rule.Remote = policy.AnyRemote
		}
		for _, leg := range r.Legs {
			rule.Legs = append(rule.Legs, string(leg))
		}
		all[i] = rule
	}
	return all
}

// Activate puts a phase in force.
func (s phaseService) Activate(ctx context.Context, req *connect.Request[op25bv1.ActivateRequest], out *connect.ServerStream[op25bv1.Progress]) error {
	m := req.Msg
	if err := checkReason(m.Reason); err != nil {
		return err
	}
	in, err := s.once(ctx, m.RequestId, m.Base, func() (*intent.Intent, error) {
		was, err := s.basedOn(ctx, m.Base)
		if err != nil {
			return nil, err
		}
		if err := s.noRollout(ctx); err != nil {
			return nil, err
		}
		a, by := policy.Activation{Phase: m.Phase, Groups: m.Groups, Switches: m.Switches, UntilNextDate: m.UntilNextDate}, by(ctx, m, "")
		if by.Unproved, err = s.provedPhase(ctx, was, a, m.Unproved); err != nil { // I16
			return nil, err
		}
		return s.Book.ActivateUntil(ctx, m.Base, a, by)
	})
	if err != nil {
		return err
	}
	return s.follow(ctx, in, m.NoWait, out.Send)
}

// Rollback undoes the last activation.
func (s phaseService) Rollback(ctx context.Context, req *connect.Request[op25bv1.RollbackRequest], out *connect.ServerStream[op25bv1.Progress]) error {
	m := req.Msg
	if err := checkReason(m.Reason); err != nil {
		return err
	}
	in, err := s.once(ctx, m.RequestId, m.Base, func() (*intent.Intent, error) {
		was, err := s.basedOn(ctx, m.Base)
		if err != nil {
			return nil, err
		}
		if err := s.noRollout(ctx); err != nil {
			return nil, err
		}
		if err := s.notSince(ctx, m.Shown); err != nil {
			return nil, err
		}
		scope, by := policy.Scope{Groups: m.Groups, Switches: m.Switches}, by(ctx, m, "")
		a, err := was.Bundle.Undo(was.Activations, scope, s.dates())
		if err != nil {
			return nil, err
		}
		if by.Unproved, err = s.provedPhase(ctx, was, a, false); err != nil {
			return nil, err
		}
		return s.Book.Rollback(ctx, m.Base, scope, by)
	})
	if err != nil {
		return err
	}
	return s.follow(ctx, in, m.NoWait, out.Send)
}

// basedOn returns the current revision, or a store.StaleError if a request is based on another one. Callers call basedOn before they check names,
// because names may differ between revisions.
func (s *server) basedOn(ctx context.Context, base uint64) (*intent.Intent, error) {
	in, err := s.current(ctx)
	if err != nil {
		return nil, err
	}
	if in.Number != base {
		return nil, &store.StaleError{Base: base, Current: in.Number}
	}
	return in, nil
}
