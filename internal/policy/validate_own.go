package policy

import (
	"fmt"
	"slices"
	"strings"

	"op25b/internal/strict"
)

// ownServices checks the services that reach own servers in a phase.
func (v *validator) ownServices(ph *Phase, path string) {
	p := v.p
	if ph.OwnServices == nil {
		return
	}
	if !slices.ContainsFunc(p.Remotes, func(r Remote) bool { return r.Own }) {
		v.inPolicy(path, fmt.Sprintf("phase %q has ownServices, and no remote class has own servers", ph.Name), "mark the class of your own mail servers with own: true")
	}
	for j, name := range ph.OwnServices {
		if p.Service(name) == nil {
			v.inPolicy(at(path, j, ""), fmt.Sprintf("unknown service %q", name), strict.Nearest(name, Names(p.Services), "services"))
		}
		if slices.Contains(ph.OwnServices[:j], name) {
			v.inPolicy(at(path, j, ""), fmt.Sprintf("service %q is in ownServices twice", name), "keep one")
		}
	}
	for _, s := range p.Services {
		if slices.Contains(s.Ports, PortSubmissions) && ph.LeavesOut(s.Name) {
			v.inPolicy(path, fmt.Sprintf("phase %q leaves service %q, TCP port %d, out of ownServices", ph.Name, s.Name, PortSubmissions),
				"it is encrypted from the first byte, and what customers change to: add it")
		}
	}
}

// ownRule checks rule i of a phase, which names an own class. It reports whether the rule can match.
func (v *validator) ownRule(ph *Phase, i int, path string) bool {
	r := ph.Rules[i]
	switch {
	case ph.OwnServices == nil:
		v.inPolicy(path, fmt.Sprintf("rule %q is for own class %q, and phase %q has no ownServices", r.Name, r.Remote, ph.Name),
			fmt.Sprintf("every service then reaches own servers: name the services that do with ownServices, and leave %s out of it", r.Service))
	case !ph.LeavesOut(r.Service):
		v.inPolicy(path, fmt.Sprintf("rule %q never matches", r.Name),
			fmt.Sprintf("service %q reaches own class %q, for it is in the phase's ownServices: take it out there, or leave the rule out", r.Service, r.Remote))
	default:
		earlier := slices.IndexFunc(ph.Rules[:i], func(e PhaseRule) bool { return !v.p.ForOwn(e) && !e.Leased() })
		if earlier < 0 {
			return true
		}
		v.inPolicy(path, fmt.Sprintf("rule %q for own class %q stands after rule %q", r.Name, r.Remote, ph.Rules[earlier].Name),
			"rules for own servers are asked first, even before the standing rules: put them at the head of the phase")
	}
	return false
}

// stopsOwnService refuses a rule for every server that would stop a service that OwnServices lets reach own servers. The standing rules
// permit only mail ports.
func (v *validator) stopsOwnService(ph *Phase, r PhaseRule, service *Service, path string) {
	if ph.OwnServices != nil && !ph.LeavesOut(r.Service) && r.ForAnyRemote() && r.Action.stops() && !service.has(TCPPort.IsMail) {
		v.inPolicy(path, fmt.Sprintf("rule %q stops service %q to every server, and ownServices lets it reach own servers", r.Name, r.Service),
			"take the service out of ownServices and give it a rule for own servers, or give the rule another remote class")
	}
}

// ownDecided refuses a phase that leaves a service out of OwnServices without a rule that decides it for some line group.
func (v *validator) ownDecided(ph *Phase, path string) {
	for _, class := range v.p.Remotes {
		if !class.Own {
			continue
		}
		for _, s := range v.p.Services {
			if !ph.LeavesOut(s.Name) || slices.Contains(s.Ports, PortSubmissions) {
				continue
			}
			var silent []string
			for _, g := range v.p.LineGroups {
				mail := PhaseRule{Groups: []string{g.Name}, Service: s.Name, Remote: class.Name}
				if !slices.ContainsFunc(ph.Rules, func(r PhaseRule) bool { return v.p.ForOwn(r) && v.p.Covers(r, mail, UpDst) }) {
					silent = append(silent, g.Name)
				}
			}
			if len(silent) > 0 {
				v.inPolicy(path, fmt.Sprintf("phase %q does not say what happens to %s of line groups %s to own class %q", ph.Name, s.Name, strings.Join(silent, ", "), class.Name),
					fmt.Sprintf("ownServices leaves it out: add it there, or begin the phase with a rule for it with remote: %s and these groups; monitor lets it pass and counts it", class.Name))
			}
		}
	}
}
