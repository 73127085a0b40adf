package api

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"connectrpc.com/connect"

	"op25b/internal/intent"
	"op25b/internal/policy"
	op25bv1 "op25b/proto/op25b/v1"
)

// ListLines lists the lines of the inventory. It does not say who has which address: that is FindAddress.
func (s fleetService) ListLines(ctx context.Context, req *connect.Request[op25bv1.ListLinesRequest]) (*connect.Response[op25bv1.ListLinesResponse], error) {
	m := req.Msg
	limit, err := listLimit(m.Limit)
	if err != nil {
		return nil, err
	}
	in, err := s.current(ctx)
	if err != nil {
		return nil, err
	}
	now := s.dates()
	// The check of names is that of an activation with the same scope.
	if err := in.Bundle.CheckActivation(policy.Activation{Phase: in.Bundle.Policy.Phases[0].Name, Groups: m.Groups, Switches: m.Switches, At: now}); err != nil {
		return nil, err
	}
	seen, err := s.seenIn(ctx, in)
	if err != nil {
		return nil, err
	}
	exempt := exemptLines(in.Bundle.Policy, now)
	answer := &op25bv1.ListLinesResponse{Revision: in.Number}
	begun, more := m.After == "", false
	for _, sw := range in.Switches() {
		if len(m.Switches) > 0 && !slices.Contains(m.Switches, sw.Name) {
			continue
		}
		phases := phasesFor(in, sw.Name, seen, now)
		for j := range sw.Lines {
			l := &sw.Lines[j]
			line := &op25bv1.InventoryLine{Line: l.Name, Switch: sw.Name, Group: l.Group, Exempt: exempt[l.Name]}
			line.Phase, line.State = phases.of(l.Group)
			selected := (len(m.Groups) == 0 || slices.Contains(m.Groups, l.Group)) && (m.State == 0 || m.State == line.State) && (!m.Exempt || line.Exempt != "")
			if selected {
				answer.Total++
			}
			switch {
			case !begun:
				begun = l.Name == m.After
			case !selected:
			case len(answer.Lines) == limit:
				more = true
			default:
				answer.Lines = append(answer.Lines, line)
			}
		}
	}
	if !begun {
		return nil, fault("after", fmt.Sprintf("line %q is not listed", m.After), "give ListLinesResponse.next, or omit it to begin again")
	}
	if more {
		answer.Next = answer.Lines[limit-1].Line
	}
	return connect.NewResponse(answer), nil
}

// switchPhases are the phases that should be in force on a switch, and those that it has confirmed.
type switchPhases struct {
	wanted, seen policy.InForce
	begun, heard bool
}

func phasesFor(in *intent.Intent, name string, seen map[string]string, now time.Time) (p switchPhases) {
	var err error
	p.wanted, err = in.InForce(name, now)
	p.begun = err == nil
	text, told := seen[name]
	if told {
		p.seen, err = policy.ParseInForce(text)
		p.heard = err == nil
	}
	return p
}

// of returns the phase that should be in force for the lines of a group, and whether the switch has confirmed it.
func (p switchPhases) of(group string) (string, op25bv1.LineState) {
	switch phase := p.wanted.Phase(group); {
	case !p.begun:
		return "", op25bv1.LineState_LINE_STATE_NO_PHASE
	case p.heard && p.seen.Phase(group) == phase:
		return phase, op25bv1.LineState_LINE_STATE_CONFIRMED
	default:
		return phase, op25bv1.LineState_LINE_STATE_NOT_CONFIRMED
	}
}

// exemptLines returns the last day of each exempt line.
func exemptLines(p *policy.Policy, now time.Time) map[string]string {
	all := make(map[string]string)
	for i := range p.Exemptions {
		if e := &p.Exemptions[i]; e.Line != "" && !p.Ended(e, now) {
			all[e.Line] = max(all[e.Line], e.Expires.String())
		}
	}
	return all
}

// describe adds to an answer what the policy says of a line, and of an address of it, which may be invalid.
func (s *server) describe(ctx context.Context, in *intent.Intent, own ownLine, addr netip.Addr, answer *op25bv1.FindAddressResponse) error {
	now, p := s.dates(), in.For(own.sw.Name).Bundle.Policy
	seen, err := s.seenIn(ctx, in)
	if err != nil {
		return err
	}
	phase, state := phasesFor(in, own.sw.Name, seen, now).of(own.line.Group)
	answer.Phase, answer.PhaseConfirmed = phase, state == op25bv1.LineState_LINE_STATE_CONFIRMED
	for i := range p.Exemptions {
		e := &p.Exemptions[i]
		covers := e.Line == own.line.Name || e.Prefix.IsValid() && (addr.IsValid() && e.Prefix.Contains(addr) || slices.ContainsFunc(own.line.Prefixes, e.Prefix.Overlaps))
		if !covers || p.Ended(e, now) {
			continue
		}
		answer.Exemptions = append(answer.Exemptions, exemptionMessage(in, e))
	}
	if ph, ok := p.Phase(phase); ok {
		answer.Rules = port25Rules(p, ph, own.line.Group)
	}
	return nil
}

// port25Rules returns the rules of a phase for connections of a group's lines to port 25, up to the first that is for every server. Rules for leased
// subscribers are left out, because a login decides whether they apply.
func port25Rules(p *policy.Policy, ph *policy.Phase, group string) (all []*op25bv1.LineRule) {
	for _, r := range ph.Rules {
		service := p.Service(r.Service)
		if service == nil || !slices.ContainsFunc(service.Ports, policy.TCPPort.IsSMTP) || !r.ForGroup(group) || r.Leased() || !slices.Contains(p.LegsOf(r), policy.UpDst) {
			continue
		}
		rule := &op25bv1.LineRule{Rule: r.Name, Remote: r.Remote, Action: string(r.Action)}
		if r.ForAnyRemote() {
			rule.Remote = policy.AnyRemote
		}
		if all = append(all, rule); r.ForAnyRemote() {
			break
		}
	}
	return all
}
