package policy

import (
	"maps"
	"slices"
	"time"
)

// An event puts a phase in force for lines of some groups, from a moment until the next event that covers them.
type event struct {
	at     time.Time
	phase  string
	groups []string // empty: all
}

// covers reports whether an event is for the lines of a group; "" is those that no inventory names.
func (e event) covers(group string) bool {
	return len(e.groups) == 0 || group != "" && slices.Contains(e.groups, group)
}

// events are what changes the phases on one switch, in order: the policy's dates, which are for every line, and the activations that cover
// the switch. At one moment an activation comes after a date, and a later one of the list after an earlier.
func (p *Policy) events(acts []Activation, switchName string) []event {
	all := make([]event, 0, len(p.Phases)+len(acts))
	for i := range p.Phases {
		all = append(all, event{at: p.Begins(&p.Phases[i]), phase: p.Phases[i].Name})
	}
	for _, a := range acts {
		if len(a.Switches) == 0 || slices.Contains(a.Switches, switchName) {
			all = append(all, event{at: a.At, phase: a.Phase, groups: a.Groups})
		}
	}
	slices.SortStableFunc(all, func(a, b event) int { return a.at.Compare(b.at) })
	return all
}

// until are the events up to a moment.
func until(events []event, now time.Time) []event {
	for i, e := range events {
		if e.at.After(now) {
			return events[:i]
		}
	}
	return events
}

// lastPhase is the phase that the latest of the events which cover a group put in force, and the events before it.
func lastPhase(events []event, group string) (phase string, before []event, ok bool) {
	for i, e := range slices.Backward(events) {
		if e.covers(group) {
			return e.phase, events[:i], true
		}
	}
	return "", nil, false
}

// InForceAt returns which phases are in force on a switch: for each line group the one of the latest event that covers it, an effective date
// or an activation, in whatever order the activations stand. ok is false while nothing is in force by default, that is for lines that no
// inventory names: before the first date, unless an activation of all groups came earlier.
//
// It passes on the names that activations have; Compile refuses one that the policy does not know.
func (p *Policy) InForceAt(acts []Activation, switchName string, now time.Time) (in InForce, ok bool) {
	return p.inForce(until(p.events(acts, switchName), now))
}

// inForce is what events have put in force.
func (p *Policy) inForce(events []event) (in InForce, ok bool) {
	if in.Default, _, ok = lastPhase(events, ""); !ok {
		return InForce{}, false
	}
	for _, g := range p.LineGroups {
		if phase, _, _ := lastPhase(events, g.Name); phase != in.Default {
			if in.Groups == nil {
				in.Groups = make(map[string]string)
			}
			in.Groups[g.Name] = phase
		}
	}
	return in, true
}

// A Turn is a moment from which other phases are in force on a switch than before.
type Turn struct {
	At time.Time // at the policy's UTC offset
	In InForce
}

// Turns returns what has been and will be in force on a switch, in order: each from its moment until the next one's. InForceAt says the same
// of one moment. It begins with the first phase by default, and leaves out dates and activations that change nothing.
func (p *Policy) Turns(acts []Activation, switchName string) []Turn {
	var turns []Turn
	events := p.events(acts, switchName)
	for i, e := range events {
		if i+1 < len(events) && events[i+1].at.Equal(e.at) {
			continue
		}
		in, ok := p.inForce(events[:i+1])
		if n := len(turns); ok && (n == 0 || turns[n-1].In.Default != in.Default || !maps.Equal(turns[n-1].In.Groups, in.Groups)) {
			turns = append(turns, Turn{e.at.In(p.UTCOffset.zone()), in})
		}
	}
	return turns
}

// NextEvent returns the first moment after now at which what a switch should hold may change by itself: a phase begins, an activation does,
// or an exemption ends. ok is false if there is none.
func (p *Policy) NextEvent(acts []Activation, now time.Time) (next time.Time, ok bool) {
	consider := func(t time.Time) {
		if t.After(now) && (!ok || t.Before(next)) {
			next, ok = t, true
		}
	}
	for i := range p.Phases {
		consider(p.Begins(&p.Phases[i]))
	}
	for i := range p.Exemptions {
		consider(p.Ends(&p.Exemptions[i]))
	}
	for _, a := range acts {
		consider(a.At)
	}
	return next, ok
}
