package demo

import (
	"net/netip"
	"slices"

	"op25b/internal/policy"
)

// expect derives the outcome of one attempt from the policy. leased states that the line has a lease. expect shares no code with
// compile.Compile or the pipeline, because the demo checks them against it.
func expect(p *policy.Policy, ph *policy.Phase, line policy.Line, leased bool, to netip.Addr, port uint16) Expected {
	exemptLine := slices.ContainsFunc(p.Exemptions, func(e policy.Exemption) bool { return e.Line == line.Name })
	exempt := exemptLine && port == 25
	leased = leased || exemptLine // an exempt line needs no lease
	var remotes []policy.Remote   // the classes of the server
	for _, r := range p.Remotes {
		if slices.ContainsFunc(r.Prefixes, func(x netip.Prefix) bool { return x.Contains(to) }) {
			remotes = append(remotes, r)
		}
	}
	own := slices.ContainsFunc(remotes, func(r policy.Remote) bool { return r.Own })
	if own && exempt {
		return Expected{Delivered, policy.RuleExempt, string(policy.Permit)}
	}
	if own { // its rules decide first, and a phase without ownServices has none
		if want, ok := byRules(p, ph, line, remotes, port, p.ForOwn, leased); ok {
			return want
		}
	}
	submits := port == 587 || port == 465
	switch {
	case (port == 25 || submits) && slices.ContainsFunc(remotes, policy.Remote.Ours):
		return Expected{Delivered, policy.RuleRelay, string(policy.Permit)}
	case submits:
		return Expected{Delivered, policy.RuleSubmission, string(policy.Permit)}
	case exempt:
		return Expected{Delivered, policy.RuleExempt, string(policy.Permit)}
	}
	if want, ok := byRules(p, ph, line, remotes, port, func(r policy.PhaseRule) bool { return !p.ForOwn(r) }, leased); ok {
		return want
	}
	if port == 25 {
		return Expected{Blocked, policy.RuleFailClosed, string(policy.Drop)}
	}
	return Expected{Result: Delivered} // no rule is about it
}

// byRules returns the outcome by the first of a phase's rules that matches. Only the rules for which among returns true count. leased reports
// whether the rules for subscribers with a lease apply to the line.
func byRules(p *policy.Policy, ph *policy.Phase, line policy.Line, remotes []policy.Remote, port uint16, among func(policy.PhaseRule) bool, leased bool) (Expected, bool) {
	for _, r := range ph.Rules {
		service := slices.ContainsFunc(p.Services, func(s policy.Service) bool {
			return s.Name == r.Service && slices.Contains(s.Ports, policy.TCPPort(port))
		})
		if !service || !among(r) || r.Leased() && !leased || len(r.Groups) > 0 && !slices.Contains(r.Groups, line.Group) {
			continue
		}
		if len(r.Legs) > 0 && !slices.Contains(r.Legs, policy.UpDst) {
			continue // the rule does not match what a subscriber sends
		}
		named := slices.ContainsFunc(p.Remotes, func(x policy.Remote) bool { return x.Name == r.Remote })
		if named && !slices.ContainsFunc(remotes, func(x policy.Remote) bool { return x.Name == r.Remote }) {
			continue
		}
		result := Delivered
		if r.Action == policy.Drop || r.Action == policy.Reject {
			result = Blocked
		}
		return Expected{result, r.Name, string(r.Action)}, true
	}
	return Expected{}, false
}

// forLease reports whether a phase has rules for lines with a lease.
func forLease(ph *policy.Phase) bool { return slices.ContainsFunc(ph.Rules, policy.PhaseRule.Leased) }
