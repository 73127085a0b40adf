package rollout

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A Place says whether a switch was seen with the change.
type Place uint8

// The places. The zero value means that the switch has not confirmed what it was last told.
const (
	Unconfirmed Place = iota
	Without
	With
)

// An Observation is what a driver has seen of the switches and gates of a rollout. It must be newer than the Record to which it is applied: a Place is
// With or Without only if the switch has confirmed it since the driver last told the switch something.
type Observation struct {
	Time   time.Time
	Places map[string]Place // by switch; a switch that is absent is Unconfirmed
	// Held says of each switch that an operator holds, by whom and why. Such a switch confirms nothing until it is released.
	Held map[string]string
	// Unmeasured are the switches of which no current counts are known.
	Unmeasured []string
	// Foreseen is what is known of the change before a switch has it. What says Hold holds the rollout before the first ring.
	Foreseen []Finding
	// Findings are the gates of the rings that have the change. A gate that passes has a Finding too: a gate without one has no data.
	Findings []Finding
}

// MaxAdvance is how long a ring may take until all of its switches have confirmed the change, or that it was taken back, and how long the measurement
// before the change may wait for a switch. Afterwards the rollout is held.
const MaxAdvance = 5 * time.Minute

// Next returns the Record that follows r after an observation. It returns r itself if nothing changes. The rules, in order:
//
//   - A gate that says GoBack takes the change back from all rings, whatever the state is.
//   - A paused rollout stays as it is.
//   - A change that is foreseen to do what an operator may not mean is given to no ring before an operator resumes the rollout.
//   - A ring is given the change after the ring before it has soaked: all of its switches were seen with the change, and every gate passed at every
//     observation of the whole soak time.
//   - A gate that says Hold holds the rollout until an operator resumes it. A gate without data holds it until there are data, and then the soak time
//     begins anew.
//   - The first ring is given the change, loses it, and is given it again, so that the way back is known before it is needed.
func Next(r Record, o Observation) Record {
	if r.State.Ended() {
		return r
	}
	if r.State != GoingBack {
		if back := r.against(o, GoBack); len(back) > 0 {
			return r.goBack(back, o.Time)
		}
	}
	if r.State == Paused {
		return r
	}
	if r.State == Held {
		return r.held(o)
	}
	return r.step(o)
}

// step is Next for a rollout that is not held.
func (r Record) step(o Observation) Record {
	switch r.State {
	case Measuring:
		return r.measured(o)
	case Rehearsing:
		return r.confirmed(o, With, r.Stage().Switches, TakingBack)
	case TakingBack:
		return r.confirmed(o, Without, r.Stage().Switches, Advancing)
	case Advancing:
		return r.advance(o)
	case GoingBack:
		if missing := o.missing(Without, r.Switches()); len(missing) == 0 {
			return r.enter(WentBack, o.Time, r.Findings)
		}
	case Soaking:
		return r.soak(o)
	}
	return r
}

// measured begins with the first ring as soon as the traffic of every switch was measured for the whole time.
func (r Record) measured(o Observation) Record {
	switch elapsed := o.Time.Sub(r.Since); {
	case len(o.Unmeasured) == 0 && elapsed >= r.Baseline:
		if foreseen := r.foreseen(o); len(foreseen) > 0 {
			return r.hold(foreseen, o.Time)
		}
		return r.enter(Rehearsing, o.Time, nil)
	case len(o.Unmeasured) > 0 && elapsed >= MaxAdvance:
		return r.hold(r.unmeasured(o), o.Time)
	}
	return r
}

// foreseen returns the findings before the change that hold the rollout and are not accepted.
func (r Record) foreseen(o Observation) (found []Finding) {
	for _, f := range o.Foreseen {
		if f.Verdict == Hold && !slices.Contains(r.Accepted, f.Gate) {
			found = append(found, f)
		}
	}
	return found
}

func (r Record) unmeasured(o Observation) []Finding {
	if len(o.Unmeasured) == 0 {
		return nil
	}
	return []Finding{{Gate: Counting, Verdict: NoData, Switches: o.Unmeasured, Text: "there are no current counts"}}
}

// confirmed moves to the next state if all switches were seen at a place, and holds the rollout if that takes too long.
func (r Record) confirmed(o Observation, place Place, switches []string, next State) Record {
	missing := o.missing(place, switches)
	switch {
	case len(missing) == 0:
		return r.enter(next, o.Time, nil)
	case len(o.held(missing)) > 0: // waiting does not help
		return r.hold(unconfirmed(o, place, r), o.Time)
	case o.Time.Sub(r.Since) >= MaxAdvance:
		return r.hold([]Finding{{Gate: Confirmation, Verdict: NoData, Ring: r.Stage().Name, Switches: missing, Text: fmt.Sprintf("not confirmed for %v", MaxAdvance)}}, o.Time)
	}
	return r
}

// advance begins the soak time when all switches of the ring at hand were seen with the change, and every gate has data.
func (r Record) advance(o Observation) Record {
	if len(o.missing(With, r.Stage().Switches)) > 0 {
		return r.confirmed(o, With, r.Stage().Switches, Soaking)
	}
	missing := slices.DeleteFunc(r.stops(o), func(f Finding) bool { return f.Verdict != NoData })
	switch {
	case len(missing) == 0:
		return r.enter(Soaking, o.Time, nil)
	case o.Time.Sub(r.Since) >= MaxAdvance:
		return r.hold(missing, o.Time)
	}
	return r
}

// soak advances to the next ring after the soak time, and holds the rollout if a gate does.
func (r Record) soak(o Observation) Record {
	if stops := r.stops(o); len(stops) > 0 {
		return r.hold(stops, o.Time)
	}
	if o.Time.Sub(r.Since) < r.Stage().Soak {
		return r
	}
	if r.Ring == len(r.Stages)-1 {
		return r.enter(Done, o.Time, nil)
	}
	next := r.enter(Advancing, o.Time, nil)
	next.Ring++
	next.Accepted = nil
	return next
}

// held returns to the state before if only data were missing and they are there now.
func (r Record) held(o Observation) Record {
	if slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Verdict == Hold }) {
		return r
	}
	before := r
	before.State, before.Resumes, before.Findings = r.Resumes, "", nil
	var stops []Finding
	switch before.State {
	case Measuring:
		stops = before.unmeasured(o)
	case Soaking:
		stops = before.stops(o)
	case TakingBack:
		stops = unconfirmed(o, Without, before)
	case Advancing:
		stops = slices.DeleteFunc(before.stops(o), func(f Finding) bool { return f.Verdict != NoData })
	default:
		stops = unconfirmed(o, With, before)
	}
	if len(stops) > 0 {
		if slices.EqualFunc(stops, r.Findings, sameReason) {
			return r
		}
		r.Findings = stops // if one of them says Hold, a person is asked now
		return r
	}
	return before.enter(before.State, o.Time, nil)
}

// sameReason reports whether two findings are of the same gate and ring. They may differ in their texts, such as the age of a sample, and in their
// switches: each change of the findings is an audit record.
func sameReason(a, b Finding) bool {
	return a.Gate == b.Gate && a.Verdict == b.Verdict && a.Ring == b.Ring
}

func unconfirmed(o Observation, place Place, r Record) []Finding {
	if missing := o.missing(place, r.Stage().Switches); len(missing) > 0 {
		return []Finding{{Gate: Confirmation, Verdict: NoData, Ring: r.Stage().Name, Switches: missing, Text: cmp.Or(strings.Join(o.held(missing), ", "), "not confirmed")}}
	}
	return nil
}

// held returns why switches are held, in order.
func (o Observation) held(switches []string) (all []string) {
	for _, name := range switches {
		if why, is := o.Held[name]; is {
			all = append(all, name+" is "+why)
		}
	}
	return all
}

// stops returns why the ring at hand may not go on: gates that hold it and are not accepted, gates without data, and switches that are no longer
// confirmed.
func (r Record) stops(o Observation) []Finding {
	stops := slices.DeleteFunc(r.against(o, Hold), r.Accepts)
	stops = append(stops, unconfirmed(o, With, r)...)
	for _, g := range gateNames() {
		i := slices.IndexFunc(o.Findings, func(f Finding) bool { return f.Gate == g && f.Ring == r.Stage().Name && f.Verdict != NoData })
		if i >= 0 || slices.Contains(r.Accepted, g) {
			continue
		}
		missing := Finding{Gate: g, Verdict: NoData, Ring: r.Stage().Name, Text: "there are no data"}
		if i := slices.IndexFunc(o.Findings, func(f Finding) bool { return f.Gate == g && f.Ring == r.Stage().Name }); i >= 0 {
			missing = o.Findings[i]
		}
		stops = append(stops, missing)
	}
	return stops
}

// against returns the findings of rings that have the change, with a verdict.
func (r Record) against(o Observation, v Verdict) (found []Finding) {
	for _, f := range o.Findings {
		has := slices.ContainsFunc(r.Stages[:r.Rings()], func(s Stage) bool { return s.Name == f.Ring })
		if f.Verdict == v && has {
			found = append(found, f)
		}
	}
	return found
}

// missing returns the switches that were not seen at a place.
func (o Observation) missing(place Place, switches []string) (missing []string) {
	for _, s := range switches {
		if o.Places[s] != place {
			missing = append(missing, s)
		}
	}
	return missing
}

func (r Record) enter(s State, now time.Time, why []Finding) Record {
	r.State, r.Since, r.Findings, r.Resumes = s, now.UTC(), why, ""
	return r
}

func (r Record) hold(why []Finding, now time.Time) Record {
	resumes := r.State
	r = r.enter(Held, now, why)
	r.Resumes = resumes
	return r
}

func (r Record) goBack(why []Finding, now time.Time) Record {
	return r.enter(GoingBack, now, why)
}

// ErrState means that an operator's command does not fit the state of the rollout.
var ErrState = errors.New("the rollout is in another state")

// Pause stops a rollout where it is. Gates can still take it back.
func (r Record) Pause(by, note string, now time.Time) (Record, error) {
	switch {
	case r.State.Ended() || r.State == GoingBack || r.State == Paused:
		return r, r.refuse("paused", Measuring, Rehearsing, TakingBack, Advancing, Soaking, Held)
	case r.State == Held: // the findings return at the next observation
		r.State = r.Resumes
	}
	resumes := r.State
	r = r.enter(Paused, now, nil)
	r.Resumes, r.By, r.Note = resumes, by, note
	return r, nil
}

// Resume continues a paused rollout, or one that a gate holds. The soft gates that hold it are accepted: they hold the ring at hand no more, and what
// they say of this ring holds no later ring. The soak time begins anew. Missing data cannot be accepted: the rollout is held again until there are data.
func (r Record) Resume(by, note string, now time.Time) (Record, error) {
	if r.State != Held && r.State != Paused {
		return r, r.refuse("resumed", Held, Paused)
	}
	accepted, settled := slices.Clone(r.Accepted), slices.Clone(r.Settled)
	for _, f := range r.Findings {
		if f.Verdict == Hold && !slices.Contains(accepted, f.Gate) {
			accepted = append(accepted, f.Gate)
		}
		if a := (Acceptance{f.Gate, f.Ring}); f.Verdict == Hold && !slices.Contains(settled, a) {
			settled = append(settled, a)
		}
	}
	r = r.enter(r.Resumes, now, nil)
	r.Accepted, r.Settled, r.By, r.Note = accepted, settled, by, note
	return r, nil
}

// Abort takes the change back from all rings.
func (r Record) Abort(by, note string, now time.Time) (Record, error) {
	if r.State.Ended() || r.State == GoingBack {
		return r, r.refuse("aborted", Measuring, Rehearsing, TakingBack, Advancing, Soaking, Held, Paused)
	}
	r = r.goBack([]Finding{{Gate: Operator, Verdict: GoBack, Ring: r.Stage().Name, Text: note}}, now)
	r.By, r.Note = by, note
	return r, nil
}

func (r Record) refuse(verb string, states ...State) error {
	names := make([]string, len(states))
	for i, s := range states {
		names[i] = string(s)
	}
	return fmt.Errorf("%w: rollout %s is %s, and can be %s only while it is %s", ErrState, r.ID, r.State, verb, strings.Join(names, " or "))
}
