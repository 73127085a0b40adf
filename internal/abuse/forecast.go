package abuse

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"op25b/internal/compile"
	"op25b/internal/intent"
	"op25b/internal/pipeline"
	"op25b/internal/policy"
)

// MaxForecastLines is the largest number of pseudonyms in a forecast. The counts of a forecast are complete even if it has more lines.
const MaxForecastLines = 10_000

// A Forecast shows which lines a phase would newly stop.
type Forecast struct {
	Phase string
	// Rows has a row for each switch and line group with newly affected lines.
	Rows []ForecastRow
	// Since is the latest time at which this controller began to watch a switch of the forecast; zero if there is none.
	Since time.Time
	// Lines has the newly affected lines that used port 25, at most MaxForecastLines. More is the number of lines that were left out.
	Lines []ForecastLine
	More  int
	// Missing lists the switches of the scope that this controller does not own, or on which no phase is in force.
	Missing []string
	// Incomplete is true if some active lines were not recorded because there were too many.
	Incomplete bool
}

// A ForecastRow counts the lines of one switch and line group.
type ForecastRow struct {
	Switch, Group string
	// Since is the time at which this controller began to watch the switch. Used is too low until UseDays days have passed.
	Since time.Time
	// Affected is the number of lines that can now reach servers that the phase would stop, on port 25 or on the port of another service that its
	// rules stop. Used is the number of these lines that tried it in the last UseDays days. It is the sum of OneServer, the lines with one
	// server, as a mail program has, and Several. BotLike lines are also counted in OneServer or Several; only watched groups have them.
	Affected, Used, OneServer, Several, BotLike int
	// AffectedByLease is the number of lines among Affected that can still reach all these servers while they have a lease. UsedByLease is the
	// number of lines among Used of which this is true for the servers that they tried to reach.
	AffectedByLease, UsedByLease int
}

// A ForecastLine is a newly affected line that used port 25.
type ForecastLine struct {
	ID            ID
	Switch, Group string
	Several       bool
	ByLease       bool // the line can still reach the servers that it used while it has a lease
	Class         Class
}

// Forecast returns the lines that a phase would newly stop if it were activated for a scope now. It returns policy.ErrInvalid for an
// unknown phase, line group or switch, and intent.ErrBroken if the documents are broken.
func (l *Ledger) Forecast(in *intent.Intent, phase string, scope policy.Scope, now time.Time) (*Forecast, error) {
	if err := in.Broken(); err != nil {
		return nil, err
	}
	a := policy.Activation{ID: in.Number + 1, At: now, Phase: phase, Groups: scope.Groups, Switches: scope.Switches}
	if err := in.Bundle.CheckActivation(a); err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.drainLocked()
	f := &Forecast{Phase: phase, Incomplete: l.leftOut}
	after := append(slices.Clone(in.Activations), a)
	for i := range in.Bundle.Inventory.Switches {
		sw := &in.Bundle.Inventory.Switches[i]
		if len(scope.Switches) > 0 && !slices.Contains(scope.Switches, sw.Name) {
			continue
		}
		began, owned := l.began[sw.Name]
		was, begun := in.Bundle.Policy.InForceAt(in.Activations, sw.Name, now)
		if !owned || !begun {
			f.Missing = append(f.Missing, sw.Name)
			continue
		}
		is, _ := in.Bundle.Policy.InForceAt(after, sw.Name, now)
		if began.After(f.Since) {
			f.Since = began
		}
		turn, err := newTurn(in, sw.Name, was, is, now)
		if err != nil {
			return nil, err
		}
		l.switchLocked(f, in, sw, turn, began, now)
	}
	return f, nil
}

// switchLocked adds the lines of one switch to a forecast.
func (l *Ledger) switchLocked(f *Forecast, in *intent.Intent, sw *policy.Switch, t *turn, began, now time.Time) {
	number, _ := dayOf(now, in.Bundle.Policy.UTCOffset.Location())
	rows := make(map[string]*ForecastRow)
	for i := range sw.Lines {
		line := &sw.Lines[i]
		stops := t.stops(line)
		if len(stops) == 0 {
			continue
		}
		row := rows[line.Group]
		if row == nil {
			row = &ForecastRow{Switch: sw.Name, Group: line.Group, Since: began}
			rows[line.Group] = row
		}
		row.Affected++
		if !stops.closes() {
			row.AffectedByLease++
		}
		id := l.key.line(sw.Name, line.Name)
		r := l.lines[id]
		if r == nil {
			continue
		}
		used, several, byLease := ofKinds(r.recent(number), stops)
		if !used {
			continue
		}
		row.Used++
		if byLease {
			row.UsedByLease++
		}
		if several {
			row.Several++
		} else {
			row.OneServer++
		}
		if r.class == BotLike {
			row.BotLike++
		}
		if len(f.Lines) < MaxForecastLines {
			f.Lines = append(f.Lines, ForecastLine{id, sw.Name, line.Group, several, byLease, r.class})
		} else {
			f.More++
		}
	}
	for _, g := range in.Bundle.Policy.LineGroups { // rows are in the order of the policy
		if row := rows[g.Name]; row != nil {
			f.Rows = append(f.Rows, *row)
		}
	}
}

// ofKinds reports whether any of the uses belongs to one of the kinds, whether these uses had several servers, and whether a lease opens all of
// them.
func ofKinds(uses []Use, kinds stopped) (used, several, byLease bool) {
	type class struct {
		service pipeline.Service
		remote  pipeline.Class
	}
	classes := make(map[class]bool) // Each server is in one class, and both legs of a connection have the same server.
	byLease = true
	for _, u := range uses {
		if closed, is := kinds[kind{u.Service, u.Remote, u.Leg}]; is {
			classes[class{u.Service, u.Remote}] = true
			several, byLease = several || u.Several, byLease && !closed
		}
	}
	used = len(classes) > 0
	return used, several || len(classes) > 1, used && byLease
}

// stopped contains the kinds of traffic that a turn stops. The value is false if a lease still opens the kind.
type stopped map[kind]bool

// closes reports whether the turn stops a kind that no lease opens.
func (s stopped) closes() bool {
	for _, closed := range s {
		if closed {
			return true
		}
	}
	return false
}

// A turn is a change of the phases in force on a switch.
type turn struct {
	in      *intent.Intent
	was, is []ruling
	kinds   []kind                    // the kinds of traffic to port 25, and those that the phase's rules stop
	smtp    map[pipeline.Service]bool // the services that fail closed
	exempt  map[string]bool
	all     []netip.Prefix // the prefixes that are exempt on every switch
	made    map[turnKey]stopped
}

type turnKey struct {
	group  string
	exempt bool
}

// A ruling is an entry of the table verdict.
type ruling struct {
	pipeline.VerdictKey
	pipeline.Verdict
}

func newTurn(in *intent.Intent, switchName string, was, is policy.InForce, now time.Time) (*turn, error) {
	t := &turn{in: in, exempt: make(map[string]bool), made: make(map[turnKey]stopped), smtp: make(map[pipeline.Service]bool)}
	var err error
	if t.was, err = rulings(in, switchName, was); err != nil {
		return nil, err
	}
	if t.is, err = rulings(in, switchName, is); err != nil {
		return nil, err
	}
	p := in.Bundle.Policy
	for i := range p.Exemptions {
		e := &p.Exemptions[i]
		switch {
		case p.Ended(e, now):
		case e.Line != "":
			t.exempt[e.Line] = true
		default:
			t.all = append(t.all, e.Prefix)
		}
	}
	remotes := []pipeline.Class{0} // class 0 contains the servers that are in no class
	for i := range p.Remotes {
		remotes = append(remotes, pipeline.Class(in.Numbers.Remotes[p.Remotes[i].Name].Number))
	}
	for _, s := range p.ServicesWith(policy.TCPPort.IsSMTP) {
		number := pipeline.Service(in.Numbers.Services[s.Name].Number)
		t.smtp[number] = true
		for _, remote := range remotes {
			for _, leg := range []pipeline.Leg{pipeline.UpDst, pipeline.DownSrc, pipeline.DownDst, pipeline.UpSrc} {
				t.kinds = append(t.kinds, kind{number, remote, leg})
			}
		}
	}
	t.addStopped(remotes)
	return t, nil
}

// addStopped adds the kinds of other services that an entry of the phase stops, such as plain POP to own servers. No other kind can be stopped,
// because only port 25 fails closed. Frames without ports have no kind.
func (t *turn) addStopped(remotes []pipeline.Class) {
	for _, e := range t.is {
		service := e.Service.Value
		if !e.Service.Set || service > pipeline.LastService || t.smtp[service] || e.Action != pipeline.Drop && e.Action != pipeline.Reject {
			continue
		}
		for _, remote := range remotes {
			k := kind{service, remote, pipeline.UpDst}
			if fits(e.RemoteClass, remote) && fits(e.Leg, pipeline.UpDst) && !slices.Contains(t.kinds, k) {
				t.kinds = append(t.kinds, k)
			}
		}
	}
}

// rulings returns the entries of the table verdict for the phases in force, in the order in which they decide.
func rulings(in *intent.Intent, switchName string, phases policy.InForce) ([]ruling, error) {
	rules, err := in.Rules(switchName, phases)
	if err != nil {
		return nil, fmt.Errorf("switch %q: %w", switchName, err)
	}
	all := make([]ruling, 0, len(rules.Verdicts))
	for k, v := range rules.Verdicts {
		all = append(all, ruling{k, v})
	}
	slices.SortFunc(all, func(a, b ruling) int { return int(b.Priority) - int(a.Priority) })
	return all, nil
}

// stops returns the kinds of a line's traffic that pass now and are stopped after the turn. What passes now only for a line with a lease, and still
// does after the turn, is not stopped.
func (t *turn) stops(l *policy.Line) stopped {
	key := turnKey{l.Group, t.isExempt(l)}
	if made, there := t.made[key]; there {
		return made
	}
	of := subscriber{group: pipeline.LineGroup(t.in.Numbers.LineGroups[l.Group].Number)}
	var leased []subscriber // an exempt line has no lease
	if key.exempt {
		of.class = compile.SubscriberExempt
	} else {
		for _, lease := range t.in.Bundle.Policy.Leases {
			if lease.ForGroup(l.Group) {
				leased = append(leased, subscriber{of.group, pipeline.Class(t.in.Numbers.Leases[lease.Name].Number)})
			}
		}
	}
	stops := make(stopped)
	for _, k := range t.kinds {
		withLease := func(entries []ruling) bool {
			return slices.ContainsFunc(leased, func(s subscriber) bool { return !t.stopped(entries, s, k) })
		}
		without, then := !t.stopped(t.was, of, k), withLease(t.is)
		if (without || !then && withLease(t.was)) && t.stopped(t.is, of, k) {
			stops[k] = !then
		}
	}
	t.made[key] = stops
	return stops
}

// isExempt reports whether an exemption covers the line, or all of its addresses.
func (t *turn) isExempt(l *policy.Line) bool {
	return t.exempt[l.Name] || len(l.Prefixes) > 0 && !slices.ContainsFunc(l.Prefixes, func(own netip.Prefix) bool {
		return !slices.ContainsFunc(t.all, func(x netip.Prefix) bool { return x.Bits() <= own.Bits() && x.Contains(own.Addr()) })
	})
}

// A subscriber is what the entries know about a line.
type subscriber struct {
	group pipeline.LineGroup
	class pipeline.Class // 0, exempt, or the class of a lease
}

// stopped reports whether the entries stop a kind of traffic. Traffic is stopped if the first matching entry drops or rejects it. Mail to port
// 25 is also stopped if no entry matches, because the pipeline fails closed on the legs of the usual block.
func (t *turn) stopped(entries []ruling, of subscriber, k kind) bool {
	for i := range entries {
		e := &entries[i]
		if fits(e.Group, of.group) && fits(e.Leg, k.leg) && fits(e.Service, k.service) && fits(e.RemoteClass, k.remote) && fits(e.SubscriberClass, of.class) {
			return e.Action == pipeline.Drop || e.Action == pipeline.Reject
		}
	}
	return t.smtp[k.service] && (k.leg == pipeline.UpDst || k.leg == pipeline.DownSrc)
}

func fits[T ~uint8](m pipeline.Match[T], v T) bool { return !m.Set || m.Value == v }
