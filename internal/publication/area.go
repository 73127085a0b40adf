package publication

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"op25b/internal/compile"
	"op25b/internal/pipeline"
	"op25b/internal/policy"
	op25bv1 "op25b/proto/op25b/v1"
)

// An area is a set of switches that treat all lines of the same kind in the same way: the same phases were and will be in force on them,
// and they have the same means to reject.
type area struct {
	name     string
	first    *policy.Switch // stands for all switches of the area
	covered  []bool         // for each activation, whether it covers the switches
	rejects  rejects
	switches []string
	lines    []*line
	turns    []policy.Turn // in the times of the activations
	apart    bool          // the area has only lines that another area with the same switches cannot have; see withAbsent
}

// rejects tells for which families of addresses a switch can send ICMP errors.
type rejects struct{ v4, v6 bool }

// A line is a published line. It stands for the real lines of one kind in its area.
type line struct {
	kind
	area     *area
	name     string
	count    int   // the number of real lines
	switches []int // indices in area.switches of the switches that have such lines, in ascending order; empty for a line of withAbsent
}

// A kind is what the verdicts on a line depend on, apart from its switch.
type kind struct {
	group  string
	v4, v6 bool // the families of the addresses from which the line connects to servers
	// assigned is true if the switch can assign replies to the line. Otherwise, the rules for unnamed lines apply to them.
	assigned bool
}

// areasOf divides the switches of an inventory into areas, in the order of the inventory. It also returns the published line of each line.
func areasOf(b *policy.Bundle, acts []policy.Activation, now time.Time) ([]*area, map[string]*line) {
	var all []*area
	of := make(map[string]*area)
	lines := make(map[string]*line)
	c := covers(acts)
	turns := make(map[string][]policy.Turn) // by the activations that cover a switch
	for i := range b.Inventory.Switches {
		sw := &b.Inventory.Switches[i]
		covered := c.of(sw.Name)
		here := fmt.Sprint(covered)
		if _, known := turns[here]; !known {
			turns[here] = b.Policy.Turns(acts, sw.Name, latest(acts, now))
		}
		r := rejectsOf(sw)
		key := fmt.Sprint(r, pending(acts, covered, now), history(b.Policy, sw, turns[here]))
		a := of[key]
		if a == nil {
			a = &area{name: fmt.Sprintf("area-%d", len(all)+1), first: sw, covered: covered, rejects: r, turns: turns[here]}
			of[key], all = a, append(all, a)
		}
		a.add(sw, lines)
	}
	all = withAbsent(b.Policy, all)
	n := 0
	for _, a := range all {
		n = a.order(b.Policy, n)
	}
	return all, lines
}

// withAbsent adds to each area a line for each line group of which no switch has lines, because customers may have such lines that the
// inventory does not list. If such a line changed the meaning of rules for the others, it gets an area of its own. Nothing is added if the
// publication would be too large.
func withAbsent(p *policy.Policy, areas []*area) []*area {
	has, n := make(map[string]bool), 0
	for _, a := range areas {
		for _, l := range a.lines {
			has[l.group] = true
			n++
		}
	}
	absent := slices.DeleteFunc(policy.Names(p.LineGroups), func(g string) bool { return has[g] })
	if n+len(absent)*len(areas) > MaxLines {
		return areas
	}
	all := slices.Clone(areas)
	for _, a := range areas {
		for _, g := range absent {
			to := a
			if a.drainsOtherwise(p, g) {
				alone := *a
				alone.name, alone.lines, alone.apart = fmt.Sprintf("area-%d", len(all)+1), nil, true
				to, all = &alone, append(all, &alone)
			}
			to.lines = append(to.lines, &line{kind: kind{group: g, v4: true, v6: true, assigned: true}, area: to})
		}
	}
	return all
}

// drainsOtherwise reports whether a line of a group would change whether open connections are drained on the switches of the area.
func (a *area) drainsOtherwise(p *policy.Policy, group string) bool {
	with := *a.first
	with.Lines = append(slices.Clone(a.first.Lines), policy.Line{Group: group})
	return slices.ContainsFunc(a.turns, func(t policy.Turn) bool { return compile.Drains(p, a.first, t.In) != compile.Drains(p, &with, t.In) })
}

// A coverage finds the activations that cover a switch.
type coverage struct {
	switches []map[string]bool // for each activation, the names in its scope, or nil if it covers every switch
}

func covers(acts []policy.Activation) coverage {
	c := coverage{make([]map[string]bool, len(acts))}
	for i := range acts {
		if len(acts[i].Switches) == 0 {
			continue
		}
		c.switches[i] = make(map[string]bool, len(acts[i].Switches))
		for _, name := range acts[i].Switches {
			c.switches[i][name] = true
		}
	}
	return c
}

func (c coverage) of(name string) []bool {
	covered := make([]bool, len(c.switches))
	for i, in := range c.switches {
		covered[i] = in == nil || in[name]
	}
	return covered
}

// latest returns the latest of now and the times of the activations, so that policy.Turns takes all of these times as they are.
func latest(acts []policy.Activation, now time.Time) time.Time {
	for i := range acts {
		if acts[i].At.After(now) {
			now = acts[i].At
		}
	}
	return now
}

// pending returns the IDs of the activations of a switch whose time is still to come, because a controller's clock was fast. policy.Turns
// takes them as made now, so switches with different ones are kept apart.
func pending(acts []policy.Activation, covered []bool, now time.Time) (ids []uint64) {
	for i := range acts {
		if covered[i] && acts[i].At.After(now) {
			ids = append(ids, acts[i].ID)
		}
	}
	return ids
}

// history describes a switch's turns, and whether open connections are drained in each of them.
func history(p *policy.Policy, sw *policy.Switch, turns []policy.Turn) string {
	var b strings.Builder
	for _, t := range turns {
		fmt.Fprintf(&b, "%d %v %v\n", t.At.UnixNano(), t.In, compile.Drains(p, sw, t.In))
	}
	return b.String()
}

func rejectsOf(sw *policy.Switch) (r rejects) {
	for _, addr := range sw.RejectFrom {
		r.v4, r.v6 = r.v4 || addr.Is4(), r.v6 || addr.Is6()
	}
	return r
}

// add adds a switch and its lines to an area.
func (a *area) add(sw *policy.Switch, lines map[string]*line) {
	a.switches = append(a.switches, sw.Name)
	index := len(a.switches) - 1
	shared := sharedTags(sw)
	for i := range sw.Lines {
		k := kindOf(&sw.Lines[i], shared)
		at := slices.IndexFunc(a.lines, func(l *line) bool { return l.kind == k })
		if at < 0 {
			at, a.lines = len(a.lines), append(a.lines, &line{kind: k, area: a})
		}
		l := a.lines[at]
		l.count++
		if n := len(l.switches); n == 0 || l.switches[n-1] != index {
			l.switches = append(l.switches, index)
		}
		lines[sw.Lines[i].Name] = l
	}
}

// sharedTags returns the tags that lines of several ports have.
func sharedTags(sw *policy.Switch) map[pipeline.VLANKey]bool {
	ports := make(map[pipeline.VLANKey]string)
	shared := make(map[pipeline.VLANKey]bool)
	for i := range sw.Lines {
		l := &sw.Lines[i]
		tags := pipeline.VLANKey{OuterVID: l.VLAN, InnerVID: l.InnerVLAN}
		if other, again := ports[tags]; again && other != l.Port {
			shared[tags] = true
		}
		ports[tags] = l.Port
	}
	return shared
}

func kindOf(l *policy.Line, shared map[pipeline.VLANKey]bool) kind {
	k := kind{group: l.Group}
	for _, p := range l.Prefixes {
		k.v4, k.v6 = k.v4 || p.Addr().Is4(), k.v6 || p.Addr().Is6()
	}
	if len(l.Prefixes) == 0 { // the addresses are not known, so the line may have both
		k.v4, k.v6 = true, true
	}
	tags := pipeline.VLANKey{OuterVID: l.VLAN, InnerVID: l.InnerVLAN}
	k.assigned = len(l.MACs) > 0 || tags != pipeline.VLANKey{} && !shared[tags]
	return k
}

// order sorts the lines of an area by line group, and within a group so that the line that stands for most real lines comes first. It
// names the lines, beginning with the number after n, and returns the last number.
func (a *area) order(p *policy.Policy, n int) int {
	place := make(map[string]int, len(p.LineGroups))
	for i, g := range p.LineGroups {
		place[g.Name] = i
	}
	slices.SortStableFunc(a.lines, func(x, y *line) int {
		return cmp.Or(cmp.Compare(place[x.group], place[y.group]), cmp.Compare(y.count, x.count), cmp.Compare(x.kind.rank(), y.kind.rank()))
	})
	for _, l := range a.lines {
		n++
		l.name = fmt.Sprintf("line-%d", n)
	}
	return n
}

// rank orders the kinds of a group.
func (k kind) rank() (n int) {
	for i, missing := range []bool{!k.assigned, !k.v4, !k.v6} {
		if missing {
			n |= 4 >> i
		}
	}
	return n
}

// states returns the phases of an area's lines and of its unnamed lines at the time now, and how many switches confirmed them.
func (a *area) states(s Source, now time.Time, seen map[string]string) []*op25bv1.PublishedState {
	wanted, ok := s.Bundle.Policy.InForceAt(s.Activations, a.first.Name, now)
	text := wanted.String()
	confirmed := make([]bool, len(a.switches))
	all := 0 // the number of switches of the area that confirmed
	for i, name := range a.switches {
		if confirmed[i] = ok && seen[name] == text; confirmed[i] {
			all++
		}
	}
	state := func(l *line) *op25bv1.PublishedState {
		st := &op25bv1.PublishedState{Area: a.name, LineGroup: l.group, Line: l.name, Switches: uint32(len(l.switches))}
		if ok {
			st.Phase = wanted.Phase(l.group)
		}
		if len(l.switches) == 0 {
			st.Switches, st.Confirmed = uint32(len(a.switches)), uint32(all)
		}
		for _, sw := range l.switches {
			if confirmed[sw] {
				st.Confirmed++
			}
		}
		return st
	}
	var states []*op25bv1.PublishedState
	for _, l := range a.lines {
		states = append(states, state(l))
	}
	if !a.apart {
		states = append(states, state(&line{}))
	}
	return states
}

// Phase returns the phase that should be in force at the time now for a real line, and since when. ok is false if no phase has begun, or if the
// inventory does not have the line.
func (d *Documents) Phase(name string, now time.Time) (phase string, since time.Time, ok bool) {
	l, known := d.lines[name]
	if !known {
		return "", since, false
	}
	turns := l.area.turns
	if latest(d.source.Activations, now) != now { // the times of some activations are still to come, because a controller's clock was fast
		turns = d.source.Bundle.Policy.Turns(d.source.Activations, l.area.first.Name, now)
	}
	for _, t := range slices.Backward(turns) {
		switch {
		case t.At.After(now):
		case !ok:
			phase, since, ok = t.In.Phase(l.group), t.At, true
		case t.In.Phase(l.group) != phase:
			return phase, since, true
		default:
			since = t.At
		}
	}
	return phase, since, ok
}
