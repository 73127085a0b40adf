package compile

import (
	"slices"

	"op25b/internal/policy"
)

// A mix records the phase of each line group. It combines the rules of all these phases into a short list in which a group's segments match
// only the rules of the group's own phase.
//
// One phase is the base. The rules of the other phases come first, and their entries name line groups. A segment that matches one of these
// rules never reaches a rule of the base. The entries of a base rule match any group, unless the rule would then match segments of groups
// in other phases. Rules that another phase shares with the base at the end of its list are not repeated.
type mix struct {
	policy *policy.Policy
	groups []string                 // "" for unnamed lines, followed by all groups in the policy's order
	of     map[string]*policy.Phase // the phase of each group
	phases []*policy.Phase          // the phases in force: the default, followed by the others in the policy's order
}

func newMix(p *policy.Policy, in policy.InForce) *mix {
	m := &mix{policy: p, groups: append([]string{""}, policy.Names(p.LineGroups)...), of: make(map[string]*policy.Phase)}
	used := make(map[*policy.Phase]bool)
	for _, g := range m.groups {
		m.of[g], _ = p.Phase(in.Phase(g))
		used[m.of[g]] = true
	}
	m.phases = append(m.phases, m.of[""])
	for i := range p.Phases {
		if ph := &p.Phases[i]; used[ph] && ph != m.of[""] {
			m.phases = append(m.phases, ph)
		}
	}
	return m
}

// split returns the mix of the phases' rules for own servers, and the mix of all other rules. The standing rules are evaluated between the two.
func (m *mix) split() (own, rest *mix) {
	return m.only(m.policy.ForOwn), m.only(func(r policy.PhaseRule) bool { return !m.policy.ForOwn(r) })
}

// only returns a mix with those rules of the phases for which keep returns true.
func (m *mix) only(keep func(policy.PhaseRule) bool) *mix {
	part := &mix{policy: m.policy, groups: m.groups, of: make(map[string]*policy.Phase, len(m.of))}
	parts := make(map[*policy.Phase]*policy.Phase, len(m.phases))
	for _, ph := range m.phases {
		kept := *ph
		kept.Rules = slices.DeleteFunc(slices.Clone(ph.Rules), func(r policy.PhaseRule) bool { return !keep(r) })
		parts[ph] = &kept
		part.phases = append(part.phases, &kept)
	}
	for g, ph := range m.of {
		part.of[g] = parts[ph]
	}
	return part
}

// A placed is a rule with the entries that it needs.
type placed struct {
	policy.PhaseRule
	targets []target
}

// A target is one entry of a rule.
type target struct {
	leg   policy.Leg
	group string
	any   bool // whether the entry matches any group
	// lease is the lease that a subscriber needs to match a rule for leased subscribers. It is empty if the subscriber needs an exemption.
	lease string
}

// rules returns the rules in order of evaluation, for the base that needs the fewest entries.
func (m *mix) rules() []placed {
	var best []placed
	fewest := 0
	for _, base := range m.phases {
		list := m.around(base)
		n := 0
		for _, r := range list {
			n += len(r.targets)
		}
		if best == nil || n < fewest {
			best, fewest = list, n
		}
	}
	return best
}

// around returns the rules in order of evaluation, with the given phase as the base.
func (m *mix) around(base *policy.Phase) []placed {
	var list []placed
	own := make(map[*policy.Phase][]policy.PhaseRule, len(m.phases)) // the rules of each phase without those that it shares with the base at the end
	for _, ph := range m.phases {
		if ph == base {
			continue
		}
		own[ph] = ph.Rules[:len(ph.Rules)-commonEnd(m.policy, ph, base)]
		for i, r := range own[ph] {
			if targets := m.apart(ph, own[ph][:i], r); len(targets) > 0 {
				list = append(list, placed{r, targets})
			}
		}
	}
	for i, r := range base.Rules {
		toEnd := len(base.Rules) - i
		meets := func(g string) bool {
			ph := m.of[g]
			return ph == base || toEnd <= len(ph.Rules)-len(own[ph])
		}
		if targets := m.ofBase(r, own, meets); len(targets) > 0 {
			list = append(list, placed{r, targets})
		}
	}
	return list
}

// apart returns the entries of a rule of a phase other than the base. There is one entry for each leg and each group of the phase, unless
// the earlier rules match all that the rule would match there.
func (m *mix) apart(ph *policy.Phase, earlier []policy.PhaseRule, r policy.PhaseRule) []target {
	var targets []target
	for _, leg := range m.policy.LegsOf(r) {
		for _, g := range m.groups {
			if m.of[g] == ph && r.ForGroup(g) && !m.decides(earlier, g, r, leg) {
				targets = append(targets, target{leg: leg, group: g})
			}
		}
	}
	return m.held(r, targets)
}

// ofBase returns the entries of a rule of the base. The rule applies to the groups for which meets returns true; its entries must not match
// segments of other groups.
func (m *mix) ofBase(r policy.PhaseRule, own map[*policy.Phase][]policy.PhaseRule, meets func(group string) bool) []target {
	var targets []target
	for _, leg := range m.policy.LegsOf(r) {
		reaches := slices.ContainsFunc(m.groups, func(g string) bool {
			return !meets(g) && !m.decides(own[m.of[g]], g, r, leg)
		})
		if len(r.Groups) == 0 && !reaches {
			targets = append(targets, target{leg: leg, any: true})
			continue
		}
		for _, g := range m.groups {
			if meets(g) && r.ForGroup(g) {
				targets = append(targets, target{leg: leg, group: g})
			}
		}
	}
	return m.held(r, targets)
}

// held returns the targets of a rule with one of them for each holder (see policy.Policy.Holders), if the rule is for leased subscribers.
func (m *mix) held(r policy.PhaseRule, targets []target) []target {
	if !r.Leased() {
		return targets
	}
	var held []target
	for _, l := range m.policy.Holders(r) {
		for _, t := range targets {
			t.lease = l.Name
			var of []string
			if !t.any {
				of = []string{t.group}
			}
			groups, every := l.Among(of)
			if every {
				held = append(held, t)
			}
			for _, g := range groups {
				held = append(held, target{leg: t.leg, group: g, lease: l.Name})
			}
		}
	}
	return held
}

// decides reports whether one of the rules matches everything that r matches on a leg for the lines of a group.
func (m *mix) decides(rules []policy.PhaseRule, group string, r policy.PhaseRule, leg policy.Leg) bool {
	r.Groups = nil
	if group != "" {
		r.Groups = []string{group}
	}
	return slices.ContainsFunc(rules, func(e policy.PhaseRule) bool { return m.policy.Covers(e, r, leg) })
}

// same reports whether two rules have the same name and meaning.
func same(p *policy.Policy, a, b policy.PhaseRule) bool {
	return a.Name == b.Name && a.Service == b.Service && a.Action == b.Action && a.Subscriber == b.Subscriber &&
		(a.Remote == b.Remote || a.ForAnyRemote() && b.ForAnyRemote()) &&
		slices.Equal(a.Groups, b.Groups) && slices.Equal(p.LegsOf(a), p.LegsOf(b))
}

// commonEnd returns the number of rules at the end of two phases' lists that are the same in both.
func commonEnd(p *policy.Policy, a, b *policy.Phase) int {
	n := 0
	for n < len(a.Rules) && n < len(b.Rules) && same(p, a.Rules[len(a.Rules)-1-n], b.Rules[len(b.Rules)-1-n]) {
		n++
	}
	return n
}
