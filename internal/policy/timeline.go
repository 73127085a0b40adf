package policy

import (
	"iter"
	"maps"
	"slices"
	"time"
)

// The timeline says which phase is in force for the lines of a group on a switch. Its law:
//
//   - The activation that decides is the last one in the list that covers the lines and was not undone. The list is in the order in which
//     the store took the activations; their moments order nothing, so that a clock that is behind takes no force from an activation.
//   - The date of a phase replaces that activation if the date lies after the activation's moment and the phase stands later in the
//     policy's order. With UntilNextDate the first date after the moment replaces it, whatever phase begins then.
//   - Where no activation decides, the last phase that has begun is in force.

// covers reports whether an activation is for the lines of a group; "" is the lines that no inventory names.
func (a *Activation) covers(group string) bool {
	return len(a.Groups) == 0 || group != "" && slices.Contains(a.Groups, group)
}

// on are the activations that cover a switch. A moment that lies before an earlier activation's, by a clock that was behind, is taken to be
// that one's: the activations were made in the order of the list.
func on(acts []Activation, switchName string) []Activation {
	var all []Activation
	for _, a := range acts {
		if len(a.Switches) > 0 && !slices.Contains(a.Switches, switchName) {
			continue
		}
		if n := len(all); n > 0 && a.At.Before(all[n-1].At) {
			a.At = all[n-1].At
		}
		all = append(all, a)
	}
	return all
}

// live are the activations, of those that cover a switch, that cover the lines of a group and were not undone, the last first. The first
// decides.
func live(here []Activation, group string) iter.Seq[*Activation] {
	return func(yield func(*Activation) bool) {
		const none = ^uint64(0)
		undone := none // activations from this one on are undone
		for i := range slices.Backward(here) {
			switch a := &here[i]; {
			case !a.covers(group):
			case a.Undoes != 0:
				undone = min(undone, a.Undoes)
			case undone == none || a.ID < undone:
				if !yield(a) {
					return
				}
			}
		}
	}
}

// begun is the index of the last phase that has begun at a moment, or -1.
func (p *Policy) begun(now time.Time) int {
	last := -1
	for i := range p.Phases {
		if p.Begins(&p.Phases[i]).After(now) {
			break
		}
		last = i
	}
	return last
}

// order is where a phase stands in the policy, or -1.
func (p *Policy) order(phase string) int {
	return slices.IndexFunc(p.Phases, func(ph Phase) bool { return ph.Name == phase })
}

// phaseOf is the phase in force for the lines of a group, by the activations that cover their switch and the index of the last phase that
// has begun; "" if there is none.
func (p *Policy) phaseOf(here []Activation, group string, begun int) string {
	for a := range live(here, group) {
		return p.phaseBy(a, begun)
	}
	return p.phaseBy(nil, begun)
}

// phaseBy is the phase in force where an activation decides, or where none does.
func (p *Policy) phaseBy(a *Activation, begun int) string {
	switch {
	case a == nil && begun < 0:
		return ""
	case a == nil:
		return p.Phases[begun].Name
	case begun >= 0 && p.Begins(&p.Phases[begun]).After(a.At) && (a.UntilNextDate || begun > p.order(a.Phase)):
		return p.Phases[begun].Name
	}
	return a.Phase
}

// InForceAt returns which phases are in force on a switch at a moment that is not past: all of the activations have been made. Turns says what
// was in force in the past. ok is false while nothing is in force by default, that is for lines that no inventory names: before the first
// date, unless an activation of all groups came earlier.
//
// It passes on the names that activations have; Compile refuses one that the policy does not know.
func (p *Policy) InForceAt(acts []Activation, switchName string, now time.Time) (in InForce, ok bool) {
	return p.inForce(on(acts, switchName), now)
}

func (p *Policy) inForce(here []Activation, now time.Time) (in InForce, ok bool) {
	begun := p.begun(now)
	if in.Default = p.phaseOf(here, "", begun); in.Default == "" {
		return InForce{}, false
	}
	for _, g := range p.LineGroups {
		if phase := p.phaseOf(here, g.Name, begun); phase != in.Default && phase != "" {
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

// Turns returns what has been and will be in force on a switch, in order: each from its moment until the next one's. From now on InForceAt
// says the same of one moment. It begins with the first phase by default, and leaves out dates and activations that change nothing.
//
// All of the activations were made by now; the moment of one that lies later, by a clock that was ahead, is taken to be now. A turn never
// ends without another: Undo leaves something in force.
func (p *Policy) Turns(acts []Activation, switchName string, now time.Time) []Turn {
	here := on(acts, switchName)
	moments := p.Dates()
	for i := range here {
		moments = append(moments, made(&here[i], now))
	}
	slices.SortFunc(moments, time.Time.Compare)
	moments = slices.CompactFunc(moments, time.Time.Equal)
	var turns []Turn
	done := 0 // activations that were made by the moment
	for _, at := range moments {
		for done < len(here) && !made(&here[done], now).After(at) {
			done++
		}
		in, ok := p.inForce(here[:done], at)
		if n := len(turns); ok && (n == 0 || !turns[n-1].In.equal(in)) {
			turns = append(turns, Turn{at.In(p.UTCOffset.Location()), in})
		}
	}
	return turns
}

// made is when an activation was made, as far as now can tell.
func made(a *Activation, now time.Time) time.Time {
	if a.At.After(now) {
		return now
	}
	return a.At
}

// equal reports whether the same phases are in force by both, which have no group whose phase is the default.
func (in InForce) equal(other InForce) bool {
	return in.Default == other.Default && maps.Equal(in.Groups, other.Groups)
}

// Dates are the moments at which the policy's phases begin, in order.
func (p *Policy) Dates() []time.Time {
	all := make([]time.Time, len(p.Phases))
	for i := range p.Phases {
		all[i] = p.Begins(&p.Phases[i])
	}
	return all
}

// NextEvent returns the first moment after now at which what a switch should hold may change by itself: a phase begins, or an exemption
// ends. ok is false if there is none.
func (p *Policy) NextEvent(now time.Time) (next time.Time, ok bool) {
	consider := func(t time.Time) {
		if t.After(now) && (!ok || t.Before(next)) {
			next, ok = t, true
		}
	}
	for _, t := range p.Dates() {
		consider(t)
	}
	for i := range p.Exemptions {
		consider(p.Ends(&p.Exemptions[i]))
	}
	return next, ok
}

// SameFrom reports whether two lists of activations put the same phases in force on a switch now and at every later date.
func (p *Policy) SameFrom(a, b []Activation, switchName string, now time.Time) bool {
	a, b = on(a, switchName), on(b, switchName)
	for _, at := range p.datesFrom(now) {
		x, xok := p.inForce(a, at)
		y, yok := p.inForce(b, at)
		if xok != yok || !x.equal(y) {
			return false
		}
	}
	return true
}

// datesFrom are now and the later dates.
func (p *Policy) datesFrom(now time.Time) []time.Time {
	dates := p.Dates()
	return append([]time.Time{now}, dates[p.begun(now)+1:]...)
}
