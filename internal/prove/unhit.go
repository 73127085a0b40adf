package prove

import (
	"fmt"
	"slices"

	"op25b/internal/compile"
	"op25b/internal/pipeline"
)

// reasons finds out why no packet has hit an entry.
type reasons struct {
	c       *compile.Compiled
	running pipeline.Epoch
	rules   map[pipeline.Key]pipeline.VerdictKey // of the rules in force
	groups  map[pipeline.LineGroup]bool          // of the lines, and 0 for unnamed lines
	exempt  map[pipeline.LineGroup]bool          // groups with an exempt subscriber; all groups if it has 0
	classes []pipeline.Class                     // of servers
	checked map[pipeline.LineGroup]pipeline.Key  // the entry of the source check of a group
	legs    map[pipeline.Service]map[pipeline.Leg]bool
}

func newReasons(c *compile.Compiled, running pipeline.Epoch) *reasons {
	return &reasons{c: c, running: running}
}

// read reads the state. It is done for the first entry that was not hit.
func (r *reasons) read() {
	if r.rules != nil {
		return
	}
	state := &r.c.State
	r.rules, r.groups, r.exempt = map[pipeline.Key]pipeline.VerdictKey{}, map[pipeline.LineGroup]bool{0: true}, map[pipeline.LineGroup]bool{}
	for k, v := range state.Verdicts {
		if e, err := pipeline.RuleEntries(map[pipeline.VerdictKey]pipeline.Verdict{k: v}, r.running); err == nil && len(e) == 1 {
			r.rules[e[0].Key] = k
		}
	}
	groupOf := make(map[pipeline.LineIndex]pipeline.LineGroup)
	for _, l := range state.Lines {
		r.groups[l.Group] = true
		groupOf[l.Index] = l.Group
	}
	for _, s := range state.Subscribers {
		if s.Class == compile.SubscriberExempt {
			r.exempt[groupOf[s.Line]] = true // group 0 if it is for any line
			r.exempt[0] = r.exempt[0] || s.Line == 0
		}
	}
	seen := map[pipeline.Class]bool{0: true}
	for _, class := range state.Remotes {
		seen[class] = true
	}
	for class := range seen {
		r.classes = append(r.classes, class)
	}
	r.legs = make(map[pipeline.Service]map[pipeline.Leg]bool)
	for _, v := range state.Services {
		if r.legs[v.Service] == nil {
			r.legs[v.Service] = make(map[pipeline.Leg]bool)
		}
		r.legs[v.Service][v.Leg] = true
	}
	r.checked = make(map[pipeline.LineGroup]pipeline.Key)
	for g, check := range state.SourceChecks {
		one := pipeline.State{SourceChecks: map[pipeline.LineGroup]pipeline.SourceCheck{g: check}}
		entries, err := one.Entries()
		for i := range entries {
			if is, _ := entries[i].IsSourceCheck(); is && err == nil {
				r.checked[g] = entries[i].Key
			}
		}
	}
}

// of returns the reason why no packet has hit an entry, and whether no packet can hit it. limit is the number of packets to which the proof was limited,
// or 0.
func (r *reasons) of(e *pipeline.Entry, limit int) (why string, never bool) {
	r.read()
	if key, rule := r.rules[e.Key]; rule {
		if why, never = r.rule(key); never {
			return why, never
		}
	}
	if is, _ := e.IsSourceCheck(); is {
		for g, key := range r.checked {
			if key == e.Key && !r.groups[g] {
				return r.noLine(g), true
			}
		}
	}
	class, subscriber := e.IsSubscriber()
	_, prefixed := e.Prefix()
	switch {
	case e.IsSource() && !r.checks(e.SourceLine()):
		return "the sources of the line's group are not checked", true
	case limit > 0:
		return fmt.Sprintf("not tried: the proof tries at most %d packets", limit), false
	case e.IsLimit():
		return "no rule with a limit in force decides segments of the line in this direction", false
	case subscriber && class != compile.SubscriberExempt:
		return "no rule in force is for the lease", false
	case e.IsSource(), prefixed:
		return "longer prefixes contain the addresses of it that are tried", false
	}
	return "no frame that the proof makes meets it", false
}

// checks reports whether the sources of a line are checked.
func (r *reasons) checks(index pipeline.LineIndex) bool {
	for _, l := range r.c.State.Lines {
		if l.Index == index {
			_, checked := r.c.State.SourceChecks[l.Group]
			return checked
		}
	}
	return false
}

func (r *reasons) noLine(g pipeline.LineGroup) string {
	return fmt.Sprintf("no line of the switch is in group %q", r.c.LineGroups[g].Name)
}

// rule returns the reason why a rule cannot decide any segment: for each combination that it matches, either the switch has no such line, subscriber,
// server or service, or a rule with a higher priority matches it too.
func (r *reasons) rule(k pipeline.VerdictKey) (why string, never bool) {
	if k.Group.Set && !r.groups[k.Group.Value] {
		return r.noLine(k.Group.Value), true
	}
	shadowed := false
	for g := range r.groups {
		for _, leg := range []pipeline.Leg{pipeline.UpDst, pipeline.UpSrc, pipeline.DownSrc, pipeline.DownDst} {
			for _, remote := range r.classes {
				for _, subscriber := range r.subscribers(g) {
					for _, service := range r.services(k, leg) {
						if !matches(k, g, leg, service, remote, subscriber) {
							continue
						}
						if !r.decidedBefore(k, g, leg, service, remote, subscriber) {
							return "", false
						}
						shadowed = true
					}
				}
			}
		}
	}
	switch {
	case shadowed:
		return "rules with a higher priority decide everything that it matches", true
	case k.SubscriberClass.Set && k.SubscriberClass.Value == compile.SubscriberExempt:
		return "the switch has no exempt address for it", true
	case k.RemoteClass.Set && !slices.Contains(r.classes, k.RemoteClass.Value):
		return fmt.Sprintf("no prefix of servers is in class %q", r.c.Remotes[k.RemoteClass.Value].Name), true
	}
	return "no service is looked up on its leg", true
}

// subscribers returns the classes that a subscriber on a line of a group can have: none, exempt, and each lease, because any address can get one.
func (r *reasons) subscribers(g pipeline.LineGroup) []pipeline.Class {
	all := []pipeline.Class{0}
	sessions := slices.ContainsFunc(r.c.Exempt, func(x compile.Exempt) bool { return len(x.Prefixes) == 0 }) // a line whose sessions have the addresses
	if r.exempt[g] || r.exempt[0] || g == 0 && len(r.exempt) > 0 || sessions {
		all = append(all, compile.SubscriberExempt)
	}
	for class := range r.c.Leases {
		all = append(all, class)
	}
	return all
}

// services returns the services that a segment on a leg can have. A number that is in no entry of the table of services is one of frames without ports.
func (r *reasons) services(k pipeline.VerdictKey, leg pipeline.Leg) []pipeline.Service {
	var all []pipeline.Service
	for s, legs := range r.legs {
		if legs[leg] {
			all = append(all, s)
		}
	}
	if _, known := r.legs[k.Service.Value]; k.Service.Set && !known {
		all = append(all, k.Service.Value)
	}
	return all
}

func matches(k pipeline.VerdictKey, g pipeline.LineGroup, leg pipeline.Leg, s pipeline.Service, remote, subscriber pipeline.Class) bool {
	return (!k.Group.Set || k.Group.Value == g) && (!k.Leg.Set || k.Leg.Value == leg) && (!k.Service.Set || k.Service.Value == s) &&
		(!k.RemoteClass.Set || k.RemoteClass.Value == remote) && (!k.SubscriberClass.Set || k.SubscriberClass.Value == subscriber)
}

// decidedBefore reports whether a rule with a higher priority than k matches a combination.
func (r *reasons) decidedBefore(k pipeline.VerdictKey, g pipeline.LineGroup, leg pipeline.Leg, s pipeline.Service, remote, subscriber pipeline.Class) bool {
	for other := range r.c.State.Verdicts {
		if other.Priority > k.Priority && matches(other, g, leg, s, remote, subscriber) {
			return true
		}
	}
	return false
}
