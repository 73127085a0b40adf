package policy

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"op25b/internal/pipeline"
)

// A classMove is addresses that go from one class of servers to another; "" is no class.
type classMove struct {
	from, to string
	prefixes []netip.Prefix
}

// classMoves are all addresses that change their class. The longest prefix has the say, so that a prefix which comes takes its addresses from
// the one around it, and one that goes leaves them to that.
func (w *words) classMoves() []classMove {
	if w.old.sameClasses(w.new) && maps.Equal(w.was.State.Remotes, w.is.State.Remotes) {
		return nil
	}
	was, is := indexOf(w.was.State.Remotes), indexOf(w.is.State.Remotes)
	class := func(c *Compiled, x *prefixIndex[pipeline.Class], p netip.Prefix) string {
		number, ok := x.entries[p]
		if !ok {
			_, number, _ = x.around(p)
		}
		return c.Remotes[number].Name
	}
	moved := make(map[[2]string][]netip.Prefix)
	move := func(p netip.Prefix) {
		if from, to := class(w.was, was, p), class(w.is, is, p); from != to {
			moved[[2]string{from, to}] = append(moved[[2]string{from, to}], p)
		}
	}
	for p := range was.entries {
		move(p)
	}
	for p := range is.entries {
		if _, done := was.entries[p]; !done {
			move(p)
		}
	}
	var moves []classMove
	for way, prefixes := range moved {
		slices.SortFunc(prefixes, netip.Prefix.Compare)
		moves = append(moves, classMove{way[0], way[1], prefixes})
	}
	slices.SortFunc(moves, func(a, b classMove) int { return strings.Compare(a.from+" "+a.to, b.from+" "+b.to) })
	return moves
}

// A server is servers that a change treats alike: those of one class, or those that go from one class to another.
type server struct {
	from, to string
	text     string
}

// servers are all servers there are, other servers last.
func (w *words) servers() []server {
	var all []server
	for _, name := range slices.Sorted(maps.Keys(w.new.remotes)) {
		if _, both := w.old.remotes[name]; both {
			r := w.is.Remotes[w.new.remotes[name]]
			all = append(all, server{name, name, fmt.Sprintf("%s (%s)", name, counted(len(r.Prefixes), "prefix"))})
		}
	}
	for _, m := range w.moves {
		some := few(names(m.prefixes, netip.Prefix.String), maxNamed)
		way := "from " + m.from + " to " + m.to
		switch {
		case m.from == "" && len(m.prefixes) == len(w.is.Remotes[w.new.remotes[m.to]].Prefixes):
			all = append(all, server{m.from, m.to, fmt.Sprintf("%s (%s)", m.to, counted(len(m.prefixes), "prefix"))})
			continue
		case m.from == "":
			way = "new in " + m.to
		case m.to == "":
			way = "no longer in " + m.from
		}
		all = append(all, server{m.from, m.to, fmt.Sprintf("%s, %s,", some, way)})
	}
	return append(all, server{"", "", "other servers"})
}

// A change is that the outcome is another for all segments of some ports, on some legs, between lines of some groups and some servers.
type change struct {
	ports    []TCPPort
	legs     []Leg
	groups   []string
	servers  []server
	old, new outcome // where the actions are the same, the rules are not
	everyone bool    // groups are all there are
	anywhere bool    // servers are all there are
}

// way is the old and the new outcome as they are said: where the action changes, the rules do not matter.
func (c change) way() [2]outcome {
	if c.old.action != c.new.action {
		return [2]outcome{{action: c.old.action}, {action: c.new.action}}
	}
	return [2]outcome{c.old, c.new}
}

// alike reports whether two changes of the same ports differ in their groups and servers at most.
func (c change) alike(x change) bool { return c.way() == x.way() && slices.Equal(c.legs, x.legs) }

// verdictChanges are all changes of outcomes, as few as put together groups and servers with the same.
func (w *words) verdictChanges() []change {
	groups, servers := w.sharedGroups(), w.servers()
	var all []change
	for _, ports := range w.portsAlike() {
		var here []change // one server each
		for _, s := range servers {
			here = append(here, w.changesTo(ports, groups, s)...)
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

// joinPorts adds changes to a list, those that differ from one there in their ports alone to that one.
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

// portsAlike are the ports in lists of those that go from one service to the same other.
func (w *words) portsAlike() [][]TCPPort {
	var lists [][]TCPPort
	at := make(map[[2]string]int)
	for _, port := range w.ports() {
		way := [2]string{w.old.service(port), w.new.service(port)}
		i, known := at[way]
		if !known || isSMTPPort(port) || isSMTPPort(lists[i][0]) { // an empty switch treats 25 apart
			i, at[way] = len(lists), len(lists)
			lists = append(lists, nil)
		}
		lists[i] = append(lists[i], port)
	}
	return lists
}

// changesTo are the changes for ports and one server.
func (w *words) changesTo(ports []TCPPort, groups []string, s server) []change {
	var list []change
	for _, group := range groups {
		var own []change
		for _, leg := range allLegs() {
			c := change{
				ports: ports, legs: []Leg{leg}, groups: []string{group}, servers: []server{s},
				old: w.old.port(ports[0], leg, group, s.from), new: w.new.port(ports[0], leg, group, s.to),
			}
			if c.old == c.new {
				continue
			}
			if i := slices.IndexFunc(own, func(x change) bool { return x.way() == c.way() }); i >= 0 {
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
		to := "any server"
		if !c.anywhere {
			to = strings.TrimSuffix(few(names(c.servers, func(s server) string { return s.text }), maxNamed), ",")
		}
		on := ""
		if usual := w.usualLegs(c.ports[0]); !slices.Equal(c.legs, usual) {
			on = " on " + strings.Join(names(c.legs, Leg.name), ", ")
		}
		what := fmt.Sprintf("%s -> %s", c.old.action.word(), c.new.action.word())
		if c.old.action == c.new.action {
			what = fmt.Sprintf("%s, counted under %s -> %s", c.new.action.word(), c.old.rule, c.new.rule)
		}
		var e effect
		e.add(c.old.action, c.new.action)
		w.say(OfVerdict, e.severity(), "%s: TCP/%s to %s%s %s", who, few(names(c.ports, func(p TCPPort) string { return fmt.Sprint(p) }), maxNamed), to, on, what)
	}
}

// usualLegs are the ways of connections that lines open, as far as the old or the new looks at them.
func (w *words) usualLegs(port TCPPort) []Leg {
	var legs []Leg
	for _, leg := range []Leg{UpDst, DownSrc} {
		code, _ := leg.code()
		if isSMTPPort(port) || w.old.asked[asking{code, w.old.services[port]}] || w.new.asked[asking{code, w.new.services[port]}] {
			legs = append(legs, leg)
		}
	}
	return legs
}

// word is an action in a sentence.
func (a Action) word() string {
	if a == "" {
		return "not looked at"
	}
	return string(a)
}
