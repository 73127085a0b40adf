package subscriber

import (
	"net/netip"
	"slices"

	"github.com/gaissmai/bart"

	"op25b/internal/policy"
)

// A Line is the place of a line in the inventory. A line has sessions if its addresses are dynamic and its switch identifies lines.
type Line struct{ Switch, Name, Group string }

// Lines finds the lines of one intent that have sessions. It is read-only.
type Lines struct {
	by    map[identity][]Line
	all   map[string]Line    // by name
	taken bart.Table[string] // the prefixes that sessions of other lines must not have, with the name of the line that has them
}

type identity struct {
	by    policy.Identify
	value string
}

// NewLines returns the lines of valid documents.
func NewLines(b *policy.Bundle) *Lines {
	l := &Lines{by: make(map[identity][]Line), all: make(map[string]Line)}
	groups := make(map[string]*policy.LineGroup, len(b.Policy.LineGroups))
	for i := range b.Policy.LineGroups {
		groups[b.Policy.LineGroups[i].Name] = &b.Policy.LineGroups[i]
	}
	for _, r := range b.Policy.RemotesWithNAT64() {
		for _, p := range r.Prefixes {
			if r.Ours() {
				l.taken.Insert(p, "")
			}
		}
	}
	for i := range b.Inventory.Switches {
		sw := &b.Inventory.Switches[i]
		for _, a := range sw.RejectFrom {
			l.taken.Insert(netip.PrefixFrom(a, a.BitLen()), "")
		}
		for j := range sw.Lines {
			line := &sw.Lines[j]
			for _, p := range line.Prefixes {
				l.taken.Insert(p, line.Name)
			}
			value, ok := line.SessionIdentity(sw, groups[line.Group])
			if !ok {
				continue
			}
			at := Line{sw.Name, line.Name, line.Group}
			key := identity{sw.Identify, value}
			l.by[key] = append(l.by[key], at)
			l.all[line.Name] = at
		}
	}
	return l
}

// Find returns the line that the attributes of an event name, among the lines of the given switches; no switches means all. outcome is NoLine
// or Ambiguous if there is not exactly one such line, and otherwise empty.
func (l *Lines) Find(attributes map[policy.Identify]string, switches []string) (line Line, outcome Outcome) {
	found := 0
	for by, value := range attributes {
		for _, at := range l.by[identity{by, value}] {
			if len(switches) > 0 && !slices.Contains(switches, at.Switch) || found > 0 && at == line {
				continue
			}
			line = at
			found++
		}
	}
	switch found {
	case 0:
		return Line{}, NoLine
	case 1:
		return line, ""
	}
	return Line{}, Ambiguous
}

// Of returns the line of an event, by its name or by its attributes; see Find.
func (l *Lines) Of(e Event, switches []string) (Line, Outcome) {
	if e.Line == "" {
		return l.Find(e.Identities, switches)
	}
	at, ok := l.all[e.Line]
	if !ok || len(switches) > 0 && !slices.Contains(switches, at.Switch) {
		return Line{}, NoLine
	}
	return at, ""
}

// Line returns the line with a name, and false if there is no such line with sessions.
func (l *Lines) Line(name string) (Line, bool) {
	at, ok := l.all[name]
	return at, ok
}

// PerSwitch returns the number of lines with sessions of each switch that has such lines.
func (l *Lines) PerSwitch() map[string]int {
	n := make(map[string]int)
	for _, at := range l.all {
		n[at.Switch]++
	}
	return n
}

// Own returns the prefixes that the session of a line may have. refused is the number of the others, which overlap prefixes of another line in
// the inventory, of a relay, or of a switch. An access server that assigned them could move another line's exemption.
func (l *Lines) Own(line string, all []netip.Prefix) (own []netip.Prefix, refused int) {
	for _, p := range all {
		if l.takenFrom(line, p) {
			refused++
			continue
		}
		own = append(own, p)
	}
	return own, refused
}

func (l *Lines) takenFrom(line string, p netip.Prefix) bool {
	for _, other := range l.taken.Supernets(p) {
		if other != line {
			return true
		}
	}
	for _, other := range l.taken.Subnets(p) {
		if other != line {
			return true
		}
	}
	return false
}
