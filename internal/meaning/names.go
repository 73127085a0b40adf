package meaning

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"op25b/internal/compile"
	"op25b/internal/pipeline"
	"op25b/internal/policy"
	"op25b/internal/view/prose"
)

// classes reports classes whose prefixes change. The effect on mail is also reported by sentences of kind OfVerdict.
func (w *words) classes() {
	was, is := remotesByName(w.was), remotesByName(w.is)
	all := maps.Clone(was)
	maps.Copy(all, is)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		old, before := was[name]
		now, after := is[name]
		kind := "class"
		switch {
		case all[name].Relay:
			kind = "relay"
		case all[name].Own:
			kind = "class of own servers"
		}
		added, removed := missing(now.Prefixes, old.Prefixes), missing(old.Prefixes, now.Prefixes)
		severity := w.classEffect(name).severity()
		switch {
		case !before:
			w.say(OfClass, severity, "%s %s added (%s)", kind, name, prose.Count(len(added), "prefix"))
		case !after:
			w.say(OfClass, severity, "%s %s removed (%s)%s", kind, name, prose.Count(len(removed), "prefix"), w.thenStopped(name))
		case len(added)+len(removed) > 0:
			w.say(OfClass, severity, "%s %s: %s", kind, name, plusMinus(len(added), len(removed), "prefix"))
		}
		switch {
		case !before || !after:
		case now.Own && !old.Own:
			w.say(OfClass, Neutral, "class %s has our own servers now, and phases can close services to it", name)
		case now.Relay && !old.Relay:
			w.say(OfClass, Neutral, "class %s is a relay of our own now", name)
		case old.Own && !now.Own:
			w.say(OfClass, Neutral, "class %s no longer has our own servers", name)
		case old.Relay && !now.Relay:
			w.say(OfClass, Neutral, "class %s is no longer a relay of our own", name)
		}
	}
}

func remotesByName(c *compile.Compiled) map[string]policy.Remote {
	all := make(map[string]policy.Remote, len(c.Remotes))
	for _, r := range c.Remotes {
		all[r.Name] = r
	}
	return all
}

// classEffect returns the effect on mail of the addresses that move into or out of a class.
func (w *words) classEffect(name string) effect {
	var e effect
	for _, m := range w.moves {
		if m.from == name || m.to == name {
			for _, group := range w.sharedGroups() {
				w.effectOn(&e, group, group, m.from, m.to)
			}
		}
	}
	return e
}

// thenStopped describes the lines whose mail to the servers of a removed class passed before and is stopped now. It returns
// "" if there are none.
func (w *words) thenStopped(class string) string {
	groups := w.sharedGroups()
	all := len(groups)
	had := false // whether the class had an address outside all longer prefixes of other classes
	for _, m := range w.moves {
		if m.from == class {
			had = true
			groups = slices.DeleteFunc(groups, func(g string) bool {
				old, now := w.old.port(policy.PortSMTP, policy.UpDst, g, m.from), w.new.port(policy.PortSMTP, policy.UpDst, g, m.to)
				return stoppage(old.action) > 0 || stoppage(now.action) < 2
			})
		}
	}
	switch {
	case !had || len(groups) == 0:
		return ""
	case len(groups) == all:
		return ": mail of every line to it is then stopped"
	}
	return fmt.Sprintf(": mail of %s to it is then stopped", linesOf(groups))
}

// services reports services whose ports change. The effect on mail is reported by sentences of kind OfVerdict.
func (w *words) services() {
	was, is := servicesByName(w.was), servicesByName(w.is)
	all := maps.Clone(was)
	maps.Copy(all, is)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		old, before := was[name]
		now, after := is[name]
		added, removed := missing(now.Ports, old.Ports), missing(old.Ports, now.Ports)
		switch {
		case !before:
			w.say(OfService, Neutral, "service %v added", now)
		case !after:
			w.say(OfService, Neutral, "service %v removed", old)
		case len(added)+len(removed) > 0:
			var ports []string
			for _, port := range added {
				ports = append(ports, fmt.Sprintf("+%d", port))
			}
			for _, port := range removed {
				ports = append(ports, fmt.Sprintf("-%d", port))
			}
			w.say(OfService, Neutral, "service %s: TCP %s", name, strings.Join(ports, " "))
		}
	}
}

func servicesByName(c *compile.Compiled) map[string]policy.Service {
	all := make(map[string]policy.Service, len(c.Services))
	for _, s := range c.Services {
		all[s.Name] = s
	}
	return all
}

// groups reports added and removed line groups, and changes of their knobs, source checks and rates.
func (w *words) groups() {
	was, is := groupsByName(w.was), groupsByName(w.is)
	all := maps.Clone(was)
	maps.Copy(all, is)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		_, before := was[name]
		_, after := is[name]
		switch {
		case w.empty(): // for an empty switch, the sentences about lines suffice
		case !before:
			w.say(OfGroup, Neutral, "line group %s added", name)
		case !after:
			w.say(OfGroup, Neutral, "line group %s removed", name)
		}
	}
	for _, k := range knobs() {
		w.groupwise(k.what, func(group string) (string, string, effect) {
			old, now := w.old.knob(k.service, k.byDefault, group), w.new.knob(k.service, k.byDefault, group)
			var e effect
			e.add(old, now)
			return string(old), string(now), e
		})
	}
	w.groupwise("source check", func(group string) (string, string, effect) {
		var e effect
		e.add(was[group].SourceCheck.Action(), is[group].SourceCheck.Action())
		return checkWord(was[group].SourceCheck), checkWord(is[group].SourceCheck), e
	})
	w.groupwise("new connections under a limit", func(group string) (string, string, effect) {
		old, now := was[group].Limit, is[group].Limit
		var e effect
		if w.limited(group) {
			e.stops = now.PerSecond < old.PerSecond || now.Burst < old.Burst
			e.opens = now.PerSecond > old.PerSecond || now.Burst > old.Burst
		}
		return rateWord(old), rateWord(now), e
	})
}

// A groupKnob is a line group's verdict on frames that rules cannot match.
type groupKnob struct {
	service   pipeline.Service
	byDefault policy.Action
	what      string
}

func knobs() []groupKnob {
	return []groupKnob{
		{pipeline.ServiceUndetermined, policy.DefaultUndetermined, "what cannot be read to its TCP ports"},
		{pipeline.ServiceLaterFragment, policy.DefaultLaterFragments, "fragments without ports"},
	}
}

// effectBeside adds to e the effect of the knobs and the source check on lines that move from one group to another.
func (w *words) effectBeside(e *effect, from, to string) {
	for _, k := range knobs() {
		e.add(w.old.knob(k.service, k.byDefault, from), w.new.knob(k.service, k.byDefault, to))
	}
	e.add(w.was.LineGroups[w.old.groups[from]].SourceCheck.Action(), w.is.LineGroups[w.new.groups[to]].SourceCheck.Action())
}

// checkWord returns the word for a source check.
func checkWord(c policy.SourceCheck) string {
	if c == "" {
		return string(policy.SourceOff)
	}
	return string(c)
}

// groupwise reports line groups with the same change of a setting in one sentence. The function of returns a group's old
// and new setting and the effect of the change.
func (w *words) groupwise(what string, of func(group string) (old, now string, e effect)) {
	type way struct{ old, now string }
	groups := make(map[way][]string)
	effects := make(map[way]effect)
	var order []way
	for _, group := range w.sharedGroups() {
		old, now, e := of(group)
		if old == now {
			continue
		}
		x := way{old, now}
		if groups[x] == nil {
			order = append(order, x)
		}
		groups[x] = append(groups[x], group)
		sum := effects[x]
		effects[x] = effect{sum.stops || e.stops, sum.opens || e.opens}
	}
	for _, x := range order {
		w.say(OfGroup, effects[x].severity(), "%s: %s %s -> %s", linesOf(groups[x]), what, x.old, x.now)
	}
}

// limited reports whether a rule with the action Limit applies to the lines of a group both before and after the change.
func (w *words) limited(group string) bool {
	limits := func(j *judge, class func(server) string) bool {
		return slices.ContainsFunc(w.servers(), func(s server) bool {
			return slices.ContainsFunc(w.ports(), func(port policy.TCPPort) bool {
				return slices.ContainsFunc(policy.Legs(), func(leg policy.Leg) bool { return j.port(port, leg, group, class(s)).action == policy.Limit })
			})
		})
	}
	return limits(w.old, func(s server) string { return s.from }) && limits(w.new, func(s server) string { return s.to })
}

// rateWord describes a rate in words.
func rateWord(r policy.Rate) string {
	if r == (policy.Rate{}) {
		return "none"
	}
	return fmt.Sprintf("%d/s with a burst of %d", r.PerSecond, r.Burst)
}

func groupsByName(c *compile.Compiled) map[string]policy.LineGroup {
	all := make(map[string]policy.LineGroup, len(c.LineGroups))
	for _, g := range c.LineGroups {
		all[g.Name] = g
	}
	return all
}

// missing returns the items of list that are not in from.
func missing[T comparable](list, from []T) []T {
	if slices.Equal(list, from) {
		return nil
	}
	there := make(map[T]bool, len(from))
	for _, x := range from {
		there[x] = true
	}
	var left []T
	for _, x := range list {
		if !there[x] {
			left = append(left, x)
		}
	}
	return left
}

// plusMinus returns a text such as "+2 -1 prefixes".
func plusMinus(added, removed int, noun string) string {
	var parts []string
	if added > 0 {
		parts = append(parts, fmt.Sprintf("+%d", added))
	}
	if removed > 0 {
		parts = append(parts, fmt.Sprintf("-%d", removed))
	}
	return strings.Join(parts, " ") + " " + prose.Plural(max(added, removed), noun)
}
