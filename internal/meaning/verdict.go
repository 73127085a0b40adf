package meaning

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"op25b/internal/policy"
	"op25b/internal/view/prose"
)

// A server is a set of servers that a change affects alike: either the servers of one class, or servers that move from one class to
// another.
type server struct {
	from, to string
	text     string
}

// servers returns all such sets; the set of servers in no class is last.
func (w *words) servers() []server {
	var all []server
	for _, name := range slices.Sorted(maps.Keys(w.new.remotes)) {
		_, both := w.old.remotes[name]
		stay := w.stay[name]
		switch {
		case !both || w.stay != nil && stay == nil: // no address stays in the class
		case w.comeTo(name):
			all = append(all, server{name, name, fmt.Sprintf("%s, still in %s", some(stay), name)})
		default:
			all = append(all, server{name, name, w.wholly(name)})
		}
	}
	for _, m := range w.moves {
		text := fmt.Sprintf("%s, from %s to %s", some(m.prefixes), m.from, m.to)
		switch {
		case m.from == "" && w.onlyBy(m):
			text = w.wholly(m.to)
		case m.from == "":
			text = fmt.Sprintf("%s, new in %s", some(m.prefixes), m.to)
		case m.to == "":
			text = fmt.Sprintf("%s, no longer in %s", some(m.prefixes), m.from)
		}
		all = append(all, server{m.from, m.to, text})
	}
	return append(all, server{"", "", "other servers"})
}

func some(prefixes []netip.Prefix) string {
	return prose.List(texts(prefixes, netip.Prefix.String), maxNamed)
}

// wholly describes a class of the new policy with the number of its prefixes.
func (w *words) wholly(class string) string {
	return fmt.Sprintf("%s (%s)", class, prose.Count(len(w.is.Remotes[w.new.remotes[class]].Prefixes), "prefix"))
}

// A change is a change of outcome for all segments of the given ports, on the given legs, between lines of the given groups and the
// given servers.
type change struct {
	ports    []policy.TCPPort
	legs     []policy.Leg
	groups   []string
	servers  []server
	old, new outcome // if the actions are equal, the rules differ
	lease    string  // the lease that the lines have; "" for lines without a lease
	apart    bool    // whether some of the lines have another change if they have a lease
	everyone bool    // whether groups lists every group
	anywhere bool    // whether servers lists every server
}

// way returns the outcomes that a sentence states: the two actions if they differ, and otherwise the actions with their rules.
func (c change) way() [2]outcome {
	if c.old.action != c.new.action {
		return [2]outcome{{action: c.old.action}, {action: c.new.action}}
	}
	return [2]outcome{c.old, c.new}
}

// alike reports whether two changes of the same ports differ only in their groups or servers.
func (c change) alike(x change) bool {
	return c.way() == x.way() && slices.Equal(c.legs, x.legs) && c.apart == x.apart
}

// leaseNames returns the names of the leases in either state, in order.
func (w *words) leaseNames() []string {
	all := maps.Clone(w.new.leases)
	maps.Copy(all, w.old.leases)
	return slices.Sorted(maps.Keys(all))
}

// verdictChanges returns all changes of outcomes for lines without a lease, and for lines with each lease those that differ. It joins changes that
// differ only in their groups, servers or ports.
func (w *words) verdictChanges() []change {
	var all []change
	for _, lease := range append([]string{""}, w.leaseNames()...) {
		all = append(all, w.changesWith(lease)...)
	}
	return all
}

// changesWith returns the changes for lines with a lease.
func (w *words) changesWith(lease string) []change {
	groups, servers := w.sharedGroups(), w.servers()
	var all []change
	for _, ports := range w.portsAlike() {
		var here []change // one change per set of servers
		for _, s := range servers {
			here = append(here, w.changesTo(lease, ports, groups, s)...)
		}
		var joined []change
		for _, c := range here {
			i := slices.IndexFunc(joined, func(x change) bool { return x.alike(c) && slices.Equal(x.groups, c.groups) })
			if i < 0 {
				joined = append(joined, c)
			} else {
				joined[i].servers = append(joined[i].servers, c.servers...)
			}
		}
		for i := range joined {
			joined[i].everyone = len(joined[i].groups) == len(groups)
			joined[i].anywhere = len(joined[i].servers) == len(servers)
		}
		all = w.joinPorts(all, joined)
	}
	return all
}

// joinPorts adds changes to a list. If a change differs from a change in the list only in its ports, joinPorts adds the ports to
// that change.
func (w *words) joinPorts(list, more []change) []change {
	for _, c := range more {
		i := slices.IndexFunc(list, func(x change) bool {
			return x.alike(c) && slices.Equal(x.groups, c.groups) && slices.Equal(x.servers, c.servers) &&
				slices.Equal(w.usualLegs(x.ports[0]), w.usualLegs(c.ports[0]))
		})
		if i < 0 {
			list = append(list, c)
		} else {
			list[i].ports = slices.Concat(list[i].ports, c.ports)
		}
	}
	return list
}

// portsAlike returns the ports, grouped by their old and new services.
func (w *words) portsAlike() [][]policy.TCPPort {
	var lists [][]policy.TCPPort
	at := make(map[[2]string]int)
	for _, port := range w.ports() {
		way := [2]string{w.old.service(port), w.new.service(port)}
		i, known := at[way]
		if !known || port.IsSMTP() || lists[i][0].IsSMTP() { // port 25 is kept apart because an empty switch treats it specially
			i, at[way] = len(lists), len(lists)
			lists = append(lists, nil)
		}
		lists[i] = append(lists[i], port)
	}
	return lists
}

// changesTo returns the changes for lines with a lease and one set of servers, on ports that have the same services. If the change is the same for
// lines without a lease, it is reported only for those.
func (w *words) changesTo(lease string, ports []policy.TCPPort, groups []string, s server) []change {
	outcomes := func(lease, group string, leg policy.Leg) [2]outcome {
		return [2]outcome{w.old.holding(lease).port(ports[0], leg, group, s.from), w.new.holding(lease).port(ports[0], leg, group, s.to)}
	}
	var list []change
	for _, group := range groups {
		var own []change
		for _, leg := range policy.Legs() {
			way, without := outcomes(lease, group, leg), outcomes("", group, leg)
			if way[0] == way[1] || lease != "" && way == without {
				continue
			}
			c := change{ports: ports, legs: []policy.Leg{leg}, groups: []string{group}, servers: []server{s}, old: way[0], new: way[1], lease: lease}
			c.apart = lease == "" && slices.ContainsFunc(w.leaseNames(), func(l string) bool { return outcomes(l, group, leg) != without })
			if i := slices.IndexFunc(own, func(x change) bool { return x.way() == c.way() && x.apart == c.apart }); i >= 0 {
				own[i].legs = append(own[i].legs, leg)
			} else {
				own = append(own, c)
			}
		}
		for _, c := range own {
			if i := slices.IndexFunc(list, c.alike); i >= 0 {
				list[i].groups = append(list[i].groups, group)
			} else {
				list = append(list, c)
			}
		}
	}
	return list
}

func (w *words) verdicts() {
	for _, c := range w.verdictChanges() {
		who := "every line"
		if !c.everyone {
			who = linesOf(c.groups)
		}
		switch {
		case c.lease != "":
			who += " with lease " + c.lease
		case c.apart:
			who += " without a lease"
		}
		to := "any server"
		if !c.anywhere {
			to = prose.List(texts(c.servers, func(s server) string { return s.text }), maxNamed)
		}
		on := ""
		if usual := w.usualLegs(c.ports[0]); !slices.Equal(c.legs, usual) {
			on = " on " + strings.Join(policy.Names(c.legs), ", ")
		}
		what := fmt.Sprintf("%s -> %s", actionWord(c.old.action), actionWord(c.new.action))
		if c.old.action == c.new.action {
			what = fmt.Sprintf("%s, counted under %s -> %s", actionWord(c.new.action), c.old.rule, c.new.rule)
		}
		var e effect
		e.add(c.old.action, c.new.action)
		w.say(OfVerdict, e.severity(), "%s: TCP/%s to %s%s %s", who, prose.List(texts(c.ports, func(p policy.TCPPort) string { return fmt.Sprint(p) }), maxNamed), to, on, what)
	}
}

// usualLegs returns the legs of connections that lines open, as far as the old or the new state filters them.
func (w *words) usualLegs(port policy.TCPPort) []policy.Leg {
	var legs []policy.Leg
	for _, leg := range []policy.Leg{policy.UpDst, policy.DownSrc} {
		code, _ := leg.Code()
		if port.IsSMTP() || w.old.asked[asking{code, w.old.services[port]}] || w.new.asked[asking{code, w.new.services[port]}] {
			legs = append(legs, leg)
		}
	}
	return legs
}

// actionWord returns the word for an action.
func actionWord(a policy.Action) string {
	if a == "" {
		return "not looked at"
	}
	return string(a)
}
