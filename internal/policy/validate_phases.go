package policy

import (
	"fmt"
	"slices"
	"strings"

	"op25b/internal/strict"
)

// phases checks the phases and their rules.
func (v *validator) phases() {
	p := v.p
	if len(p.Phases) == 0 {
		v.inPolicy("phases", "there are no phases", "give at least one, with the rules in force from its date")
	}
	v.named(p.src, Names(p.Phases), pathTo("phases", "name"), "phase")
	for i := range p.Phases {
		ph := &p.Phases[i]
		path := at("phases", i, "")
		switch {
		case ph.Effective.IsZero():
			v.inPolicy(path+".effective", fmt.Sprintf("phase %q has no effective date", ph.Name), "it must be "+ph.Effective.Accepts())
		case i > 0 && !p.Phases[i-1].Effective.Before(ph.Effective):
			v.inPolicy(path+".effective", fmt.Sprintf("phase %q is effective %v, which is not after phase %q, %v", ph.Name, ph.Effective, p.Phases[i-1].Name, p.Phases[i-1].Effective),
				"phases stand in the order of their dates")
		}
		v.groupDates(i, path+".effectiveFor")
		rulesPath := path + ".rules"
		v.named(p.src, Names(ph.Rules), pathTo(rulesPath, "name"), "rule")
		v.ownServices(ph, path+".ownServices")
		before := v.Len()
		for j := range ph.Rules {
			v.rule(ph, j, at(rulesPath, j, ""))
		}
		if v.Len() == before { // a faulty rule may be the rule that decides port 25
			v.smtpDecided(ph, rulesPath)
			v.ownDecided(ph, rulesPath)
			v.verdictsFit(ph, rulesPath)
		}
	}
	v.ruleMeanings()
}

// groupDates checks the dates of a phase for some line groups. For each group, the phases must begin in the order in which they stand.
func (v *validator) groupDates(i int, path string) {
	p, ph := v.p, &v.p.Phases[i]
	named := make(map[string]bool)
	for j, d := range ph.EffectiveFor {
		one := at(path, j, "")
		if d.Effective.IsZero() {
			v.inPolicy(one+".effective", fmt.Sprintf("phase %q has no effective date for these line groups", ph.Name), "it must be "+d.Effective.Accepts())
		}
		if len(d.Groups) == 0 {
			v.inPolicy(one+".groups", "the date is for no line group", "name groups, or leave the date out")
		}
		if i == 0 {
			v.inPolicy(one, fmt.Sprintf("phase %q, the first, has another date for some line groups", ph.Name), "a phase must be in force for every line: begin the first phase for all at once")
			continue
		}
		for k, g := range d.Groups {
			groupPath := at(one+".groups", k, "")
			switch {
			case p.LineGroup(g) == nil:
				v.inPolicy(groupPath, fmt.Sprintf("unknown line group %q", g), strict.Nearest(g, Names(p.LineGroups), "line groups"))
			case named[g]:
				v.inPolicy(groupPath, fmt.Sprintf("line group %q has two dates in phase %q", g, ph.Name), "keep one")
			}
			named[g] = true
		}
	}
	if i == 0 {
		return
	}
	for _, g := range p.LineGroups {
		before, is := p.Phases[i-1].effective(g.Name), ph.effective(g.Name)
		own := named[g.Name] || before != p.Phases[i-1].Effective // otherwise the order of the phases' own dates says it
		if own && !before.Before(is) {
			v.inPolicy(path, fmt.Sprintf("phase %q is effective %v for line group %q, which is not after phase %q, %v", ph.Name, is, g.Name, p.Phases[i-1].Name, before),
				"for each line group, phases begin in the order in which they stand")
		}
	}
}

// rule checks one rule of a phase.
func (v *validator) rule(ph *Phase, i int, path string) {
	p, r := v.p, ph.Rules[i]
	if slices.Contains(BuiltInRules(), r.Name) {
		v.inPolicy(path+".name", fmt.Sprintf("rule %q cannot be defined", r.Name), "it stands in every phase, and its counter would be mixed with this one's: choose another name")
	}
	if _, ok := r.Action.Code(); !ok {
		v.inPolicy(path+".action", fmt.Sprintf("unknown action %q", r.Action), "it must be "+r.Action.Accepts())
	}
	v.ruleGroups(r, path)
	service := p.Service(r.Service)
	if service == nil {
		v.inPolicy(path+".service", fmt.Sprintf("unknown service %q", r.Service), strict.Nearest(r.Service, Names(p.Services), "services"))
	}
	v.ruleLegs(r, service, path)
	remote := p.Remote(r.Remote)
	if remote == nil && !r.ForAnyRemote() {
		v.inPolicy(path+".remote", fmt.Sprintf("unknown remote class %q", r.Remote), strict.Nearest(r.Remote, append([]string{AnyRemote}, Names(p.Remotes)...), "remote classes"))
	}
	if r.Subscriber != "" && !v.leasedRule(r, path) || service == nil {
		return
	}
	if p.ForOwn(r) {
		if v.ownRule(ph, i, path) {
			v.ruleMatches(ph.Rules[:i], r, path)
		}
		return
	}
	v.stopsOwnService(ph, r, service, path)
	if v.blocksSubmission(r, service, path) {
		return
	}
	if remote != nil && remote.Relay && service.has(TCPPort.IsMail) {
		v.inPolicy(path, fmt.Sprintf("rule %q never matches", r.Name), fmt.Sprintf("mail to own relays such as %q passes in every phase, before any rule: leave the rule out", r.Remote))
		return
	}
	v.ruleMatches(ph.Rules[:i], r, path)
}

// ruleMatches refuses a rule that never matches because earlier rules match everything that it matches.
func (v *validator) ruleMatches(earlier []PhaseRule, r PhaseRule, path string) {
	var by []string
	for _, leg := range v.p.LegsOf(r) {
		i := slices.IndexFunc(earlier, func(e PhaseRule) bool { return v.p.Covers(e, r, leg) })
		if i < 0 {
			return
		}
		if !slices.Contains(by, earlier[i].Name) {
			by = append(by, earlier[i].Name)
		}
	}
	switch {
	case len(by) == 1:
		v.inPolicy(path, fmt.Sprintf("rule %q never matches", r.Name), fmt.Sprintf("rule %q stands before it and takes all that it would: put the narrower rule first", by[0]))
	case len(by) > 1:
		v.inPolicy(path, fmt.Sprintf("rule %q never matches", r.Name), fmt.Sprintf("rules %s stand before it and take all that it would, each on its legs: leave the rule out", strings.Join(by, ", ")))
	}
}

// ruleGroups checks that the line groups of a rule exist, and that they have a rate if the rule's action is Limit.
func (v *validator) ruleGroups(r PhaseRule, path string) {
	p := v.p
	if r.Groups != nil && len(r.Groups) == 0 {
		v.inPolicy(path+".groups", fmt.Sprintf("rule %q is for no line group", r.Name), "name groups, or leave the key out for every line")
	}
	for j, g := range r.Groups {
		groupPath := at(path+".groups", j, "")
		if p.LineGroup(g) == nil {
			v.inPolicy(groupPath, fmt.Sprintf("unknown line group %q", g), strict.Nearest(g, Names(p.LineGroups), "line groups"))
		}
		if slices.Contains(r.Groups[:j], g) {
			v.inPolicy(groupPath, fmt.Sprintf("line group %q is in rule %q twice", g, r.Name), "keep one")
		}
	}
	if r.Action != Limit {
		return
	}
	var without []string
	for _, g := range p.LineGroups {
		if g.Limit == (Rate{}) && (len(r.Groups) == 0 || slices.Contains(r.Groups, g.Name)) {
			without = append(without, g.Name)
		}
	}
	if len(without) > 0 {
		v.inPolicy(path+".action", fmt.Sprintf("rule %q limits lines of %s, which have no limit", r.Name, strings.Join(without, ", ")),
			"without a rate no new connection would pass: give each of these line groups limit: {perSecond: ..., burst: ...}, or name other groups")
	}
}

// ruleLegs checks the legs of a rule against its service. service is nil if the policy does not define it.
func (v *validator) ruleLegs(r PhaseRule, service *Service, path string) {
	if r.Legs != nil && len(r.Legs) == 0 {
		v.inPolicy(path+".legs", fmt.Sprintf("rule %q is for no leg", r.Name), "name legs, or leave the key out for the connections that lines open, both ways")
	}
	for i, leg := range r.Legs {
		legPath := at(path+".legs", i, "")
		if _, ok := leg.Code(); !ok {
			v.inPolicy(legPath, fmt.Sprintf("unknown leg %q", leg), strict.Nearest(string(leg), Names(Legs()), "legs"))
		}
		if slices.Contains(r.Legs[:i], leg) {
			v.inPolicy(legPath, fmt.Sprintf("leg %q is in rule %q twice", leg, r.Name), "keep one")
		}
		if leg != UpDst && service != nil && !service.has(TCPPort.IsSMTP) {
			v.inPolicy(legPath, fmt.Sprintf("rule %q is for leg %s of service %q, which has no port 25", r.Name, leg, r.Service),
				"only port 25 is told apart on that leg: keep up_dst")
		}
	}
}

// blocksSubmission refuses a rule that stops a service that must pass in every phase. It reports whether it refused the rule.
func (v *validator) blocksSubmission(r PhaseRule, service *Service, path string) bool {
	verb := map[Action]string{Drop: "drops", Reject: "rejects", Limit: "limits"}[r.Action]
	switch i := slices.IndexFunc(service.Ports, func(port TCPPort) bool { return port.IsSubmission() || isAlternatePort(port) }); {
	case i < 0:
		return false
	case r.Action.stops() && service.Ports[i].IsSubmission():
		v.inPolicy(path, fmt.Sprintf("rule %q %s service %q, TCP port %d", r.Name, verb, r.Service, service.Ports[i]),
			"submission to servers outside must pass in every phase, for RFC 5068 forbids an access provider to block it and it is the customers' way out of port 25: take the rule out")
	case service.Ports[i].IsSubmission():
		v.inPolicy(path, fmt.Sprintf("rule %q never matches", r.Name), fmt.Sprintf("submission, here service %q, passes in every phase before any rule: leave the rule out", r.Service))
	case r.Action.stops():
		v.inPolicy(path, fmt.Sprintf("rule %q %s service %q, TCP port %d", r.Name, verb, r.Service, service.Ports[i]),
			"providers offer it to customers whose port 25 is blocked, and no mail is relayed on it: take the rule out")
	default:
		return false
	}
	return true
}

// isAlternatePort reports whether a port is one of the non-standard ports that mail providers offer to customers whose port 25 is blocked.
func isAlternatePort(port TCPPort) bool { return port == 26 || port == 2525 }

// Covers reports whether r matches everything that other matches on the given leg. A rule for leased subscribers covers only such rules.
func (p *Policy) Covers(r, other PhaseRule, leg Leg) bool {
	if r.Service != other.Service || r.Leased() && !other.Leased() || !(r.ForAnyRemote() || r.Remote == other.Remote) || !slices.Contains(p.LegsOf(r), leg) {
		return false
	}
	if len(r.Groups) == 0 {
		return true
	}
	if len(other.Groups) == 0 {
		return false // other applies to unnamed lines, and r does not
	}
	for _, g := range other.Groups {
		if !slices.Contains(r.Groups, g) {
			return false
		}
	}
	return true
}

// smtpDecided refuses a phase that has no rule for traffic to port 25, or none for replies from port 25, for some line group. The switch
// drops segments that no rule matches, and a policy must state this explicitly. Unnamed lines need no such rule; without one, the switch
// drops their segments.
func (v *validator) smtpDecided(ph *Phase, path string) {
	i := slices.IndexFunc(v.p.Services, func(s Service) bool { return s.has(TCPPort.IsSMTP) })
	if i < 0 {
		return
	}
	smtp := v.p.Services[i].Name
	undecided := func(g LineGroup, leg Leg) bool {
		mail := PhaseRule{Groups: []string{g.Name}, Service: smtp, Remote: AnyRemote}
		return !slices.ContainsFunc(ph.Rules, func(r PhaseRule) bool { return v.p.Covers(r, mail, leg) })
	}
	var both, up, down []string
	for _, g := range v.p.LineGroups {
		switch onUp, onDown := undecided(g, UpDst), undecided(g, DownSrc); {
		case onUp && onDown:
			both = append(both, g.Name)
		case onUp:
			up = append(up, g.Name)
		case onDown:
			down = append(down, g.Name)
		}
	}
	for _, silent := range []struct {
		groups  []string
		on, way string
	}{{both, "", ""}, {up, " on leg up_dst", ", which has that leg"}, {down, " on leg down_src", ", which has that leg"}} {
		if len(silent.groups) > 0 {
			v.inPolicy(path, fmt.Sprintf("phase %q does not say what happens to %s of line groups %s%s", ph.Name, smtp, strings.Join(silent.groups, ", "), silent.on),
				"unsaid, it would be dropped: end the phase with a rule for remote: any and these groups"+silent.way)
		}
	}
}

// verdictsFit refuses a phase that needs more than MaxVerdicts entries.
func (v *validator) verdictsFit(ph *Phase, path string) {
	if n := v.p.VerdictEntries(ph); n > MaxVerdicts {
		v.inPolicy(path, fmt.Sprintf("phase %q needs %d verdict entries, and a switch has room for %d of a phase", ph.Name, n, MaxVerdicts),
			"a rule takes one for each of its legs and named line groups"+v.leasedNeed(ph)+": leave groups out where a rule is for every line, or put line groups and classes together")
	}
}

// ruleMeanings checks that rules with the same name have the same service and remote class in all phases, and that there are enough ids for
// the names.
func (v *validator) ruleMeanings() {
	p := v.p
	type use struct {
		rule PhaseRule
		path string
	}
	first := make(map[string]use)
	for i, ph := range p.Phases {
		for j, r := range ph.Rules {
			path := at(at("phases", i, "rules"), j, "")
			was, again := first[r.Name]
			if !again {
				first[r.Name] = use{r, path}
				if len(first) == maxRules+1 {
					v.inPolicy(path, fmt.Sprintf("rule %q is one too many", r.Name), fmt.Sprintf("the phases of a policy can have %d rule names between them: use names again, or split the policy", maxRules))
				}
				continue
			}
			same := was.rule.Service == r.Service && (was.rule.Remote == r.Remote || was.rule.ForAnyRemote() && r.ForAnyRemote())
			if !same {
				v.inPolicy(path, fmt.Sprintf("rule %q has another service or remote class than in an earlier phase", r.Name),
					"a name is one counter over all phases: keep "+r.Name+" as at "+p.src.Place(was.path)+", or choose another name")
			}
			if was.rule.Leased() != r.Leased() {
				v.inPolicy(path, fmt.Sprintf("rule %q is for leased subscribers in one phase and for all in another", r.Name),
					"a name is one counter over all phases: keep "+r.Name+" as at "+p.src.Place(was.path)+", or choose another name")
			}
		}
	}
}

// VerdictEntries returns the number of verdict entries that a switch needs if phase ph is in force for every line. VerdictEntries counts
// the entries without creating them.
func (p *Policy) VerdictEntries(ph *Phase) int {
	relays, own := 0, 0
	for _, r := range p.Remotes {
		if r.Ours() {
			relays++
		}
		if r.Own {
			own++
		}
	}
	n := own + relays*len(p.ServicesWith(TCPPort.IsMail)) + len(p.ServicesWith(TCPPort.IsSubmission)) + len(p.ServicesWith(TCPPort.IsSMTP))
	for _, r := range ph.Rules {
		perLeg := max(1, len(r.Groups))
		if r.Leased() {
			perLeg = p.leasedEntries(r)
		}
		n += len(p.LegsOf(r)) * perLeg
	}
	for _, g := range p.LineGroups {
		if g.UndeterminedAction() != DefaultUndetermined {
			n++
		}
		if g.LaterFragmentsAction() != DefaultLaterFragments {
			n++
		}
	}
	return n
}
