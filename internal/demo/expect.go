package demo

import (
	"net/netip"
	"slices"

	"op25b/internal/policy"
)

// expect derives the outcome of one mail from the policy. expect shares no code with compile.Compile or the pipeline, because the demo
// checks them against it.
func expect(p *policy.Policy, ph *policy.Phase, line policy.Line, to netip.Addr, port uint16) Expected {
	within := func(prefixes []netip.Prefix) bool {
		return slices.ContainsFunc(prefixes, func(x netip.Prefix) bool { return x.Contains(to) })
	}
	for _, r := range p.Remotes {
		if r.Ours() && within(r.Prefixes) {
			return Expected{Delivered, policy.RuleRelay, string(policy.Permit)}
		}
	}
	if port != 25 {
		return Expected{Delivered, policy.RuleSubmission, string(policy.Permit)}
	}
	for _, e := range p.Exemptions {
		if e.Line == line.Name {
			return Expected{Delivered, policy.RuleExempt, string(policy.Permit)}
		}
	}
	for _, r := range ph.Rules {
		if r.Service != "smtp" || len(r.Groups) > 0 && !slices.Contains(r.Groups, line.Group) {
			continue
		}
		if len(r.Legs) > 0 && !slices.Contains(r.Legs, policy.UpDst) {
			continue // the rule does not match mail that a subscriber sends
		}
		class := slices.IndexFunc(p.Remotes, func(x policy.Remote) bool { return x.Name == r.Remote })
		if class >= 0 && !within(p.Remotes[class].Prefixes) {
			continue
		}
		result := Delivered
		if r.Action == policy.Drop || r.Action == policy.Reject {
			result = Blocked
		}
		return Expected{result, r.Name, string(r.Action)}
	}
	return Expected{Blocked, policy.RuleFailClosed, string(policy.Drop)}
}
