package policy

import (
	"iter"
	"maps"
	"slices"
	"time"
)

// The timeline determines which phase is in force for the lines of a group on a switch, by these rules:
//
//   - The last activation in the list that covers the lines and is not undone decides. The list is in the order in which the store accepted
//     the activations. It is not ordered by their times, so that a slow clock cannot give precedence to an older activation.
//   - A phase may have another date for some line groups. For their lines, that date stands for the phase's own in all of these rules.
//   - The date of a phase replaces that activation if the date is after the activation's time and the phase comes later in the policy. If
//     UntilNextDate is set, the first date after the activation's time replaces it, whatever phase begins then.
//   - If no activation decides, the last phase that has begun is in force.

// covers reports whether an activation applies to the lines of a group; "" means unnamed lines.
func (a *Activation) covers(group string) bool {
	return len(a.Groups) == 0 || group != "" && slices.Contains(a.Groups, group)
}

// on returns the activations that cover a switch. If an activation's time is before its predecessor's, because a controller's clock was slow,
// on uses the predecessor's time.
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

// live returns, from last to first, the activations in here that cover the lines of a group and are not undone. The first of them decides.
func live(here []Activation, group string) iter.Seq[*Activation] {
	return func(yield func(*Activation) bool) {
		const none = ^uint64(0)
		undone := none // activations with this ID or a later one are undone
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

// begun returns the index of the last phase that has begun by its date at time now for the lines of a group, or -1 if none has.
func (p *Policy) begun(group string, now time.Time) int {
	last := -1
	for i := range p.Phases {
		if p.BeginsFor(&p.Phases[i], group).After(now) {
			break
		}
		last = i
	}
	return last
}

// order returns the index of a phase in the policy, or -1 if the policy does not have the phase.
func (p *Policy) order(phase string) int {
	return slices.IndexFunc(p.Phases, func(ph Phase) bool { return ph.Name == phase })
}

// phaseOf returns the phase in force for the lines of a group, or "" if there is none. here lists the activations that cover the switch, and
// begun is the index of the last phase that has begun for them by its date.
func (p *Policy) phaseOf(here []Activation, group string, begun int) string {
	for a := range live(here, group) {
		return p.phaseBy(a, group, begun)
	}
	return p.phaseBy(nil, group, begun)
}

// phaseBy returns the phase in force for the lines of a group if activation a decides, or by date alone if a is nil.
func (p *Policy) phaseBy(a *Activation, group string, begun int) string {
	switch {
	case a == nil && begun < 0:
		return ""
	case a == nil:
		return p.Phases[begun].Name
	case begun >= 0 && p.BeginsFor(&p.Phases[begun], group).After(a.At) && (a.UntilNextDate || begun > p.order(a.Phase)):
		return p.Phases[begun].Name
	}
	return a.Phase
}

// InForceAt returns the phases in force on a switch at time now. InForceAt applies every activation in acts, so now must not be in the past;
// use Turns for past moments. ok is false if unnamed lines have no phase, which is the case before the first date unless an activation covers
// all groups.
//
// InForceAt does not check the names in activations; compile.Compiler refuses unknown names.
func (p *Policy) InForceAt(acts []Activation, switchName string, now time.Time) (in InForce, ok bool) {
	return p.inForce(on(acts, switchName), now)
}

func (p *Policy) inForce(here []Activation, now time.Time) (in InForce, ok bool) {
	if in.Default = p.phaseOf(here, "", p.begun("", now)); in.Default == "" {
		return InForce{}, false
	}
	for _, g := range p.LineGroups {
		if phase := p.phaseOf(here, g.Name, p.begun(g.Name, now)); phase != in.Default && phase != "" {
			if in.Groups == nil {
				in.Groups = make(map[string]string)
			}
			in.Groups[g.Name] = phase
		}
	}
	return in, true
}

// A Turn is a moment at which the phases in force on a switch change.
type Turn struct {
	At time.Time // at the policy's UTC offset
	In InForce
}

// Turns returns a switch's past and future turns in order. The phases of a turn are in force until the next turn. The first turn is the first
// moment at which a default phase is in force. Dates and activations that change nothing are left out. From now on, the turns agree with
// InForceAt.
//
// If an activation's time is after now, because a controller's clock was fast, Turns uses now instead. Every turn has a phase, because Undo
// refuses to leave lines without a phase.
func (p *Policy) Turns(acts []Activation, switchName string, now time.Time) []Turn {
	here := on(acts, switchName)
	moments := p.Dates()
	for i := range here {
		moments = append(moments, made(&here[i], now))
	}
	slices.SortFunc(moments, time.Time.Compare)
	moments = slices.CompactFunc(moments, time.Time.Equal)
	var turns []Turn
	done := 0 // the number of activations made by the moment at
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

// made returns the time of an activation, or now if its time is later.
func made(a *Activation, now time.Time) time.Time {
	if a.At.After(now) {
		return now
	}
	return a.At
}

// equal reports whether two values have the same phases in force. Both values must be in the form that Plain returns.
func (in InForce) equal(other InForce) bool {
	return in.Default == other.Default && maps.Equal(in.Groups, other.Groups)
}

// Dates returns the moments at which the policy's phases begin, for all lines or some, in order.
func (p *Policy) Dates() []time.Time {
	beginnings := p.Beginnings()
	all := make([]time.Time, len(beginnings))
	for i, b := range beginnings {
		all[i] = b.At
	}
	return all
}

// NextEvent returns the first moment after now at which a switch's desired state may change without an operator, because a phase begins or an
// exemption ends. ok is false if there is no such moment.
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

// SameFrom reports whether two lists of activations put the same phases in force on a switch, now and at every later date of the policy.
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

// datesFrom returns now and the policy's later dates.
func (p *Policy) datesFrom(now time.Time) []time.Time {
	return append([]time.Time{now}, slices.DeleteFunc(p.Dates(), func(at time.Time) bool { return !at.After(now) })...)
}
