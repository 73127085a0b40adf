package abuse

import (
	"fmt"
	"maps"
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
	// Unseen is the number of lines among Affected, and not among Used, of which a rule permits now what would be stopped. Whether they send such mail
	// is not known, because nothing is recorded of permitted mail.
	Unseen int
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
	f, err := l.forecast(in, in.Activated(a), scope.Switches, now)
	if f != nil {
		f.Phase = phase
	}
	return f, err
}

// ForecastDocuments returns the lines that other documents would newly stop on the given switches now; no switches means all. It returns
// intent.ErrBroken if documents are broken.
//
// The recorded use of a line names the classes of its servers and not their addresses. A server that the next documents put into another class is
// expected to be treated as before.
func (l *Ledger) ForecastDocuments(in, next *intent.Intent, switches []string, now time.Time) (*Forecast, error) {
	if err := in.Broken(); err != nil {
		return nil, err
	}
	return l.forecast(in, next, switches, now)
}

// forecast returns the lines that in passes and next stops.
func (l *Ledger) forecast(in, next *intent.Intent, switches []string, now time.Time) (*Forecast, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.drainLocked()
	f := &Forecast{Incomplete: l.leftOut}
	for _, sw := range in.Switches() {
		if len(switches) > 0 && !slices.Contains(switches, sw.Name) {
			continue
		}
		was, is := in.For(sw.Name), next.For(sw.Name)
		began, owned := l.began[sw.Name]
		before, begun := was.Bundle.Policy.InForceAt(was.Activations, sw.Name, now)
		then, begins := is.Bundle.Policy.InForceAt(is.Activations, sw.Name, now)
		if !owned || !begun || !begins {
			f.Missing = append(f.Missing, sw.Name)
			continue
		}
		if began.After(f.Since) {
			f.Since = began
		}
		turn, err := newTurn(was, is, sw.Name, before, then, now)
		if err != nil {
			return nil, err
		}
		l.switchLocked(f, was, sw, turn, began, now)
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
		var used, several, byLease bool
		r := l.lines[id]
		if r != nil {
			used, several, byLease = ofKinds(r.recent(number), stops)
		}
		if !used {
			if t.permits(line, stops) {
				row.Unseen++
			}
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

// A turn is a change of the phases in force on a switch, or of its documents.
type turn struct {
	was, is side
	kinds   []kind // the kinds of traffic to port 25, and those that the phase's rules stop
	made    map[turnKey]stopped
}

// A side is one of the two states of a turn.
type side struct {
	in      *intent.Intent
	entries []ruling
	smtp    map[pipeline.Service]bool // the services that fail closed
	lines   map[string]*policy.Line   // the lines of the switch by name; nil if they are those of the other side
	exempt  map[string]bool
	all     []netip.Prefix // the prefixes that are exempt on every switch
}

type turnKey struct {
	was, is       string // the groups
	exempt, still bool
}

// A ruling is an entry of the table verdict.
type ruling struct {
	pipeline.VerdictKey
	pipeline.Verdict
}

// newTurn returns the turn of a switch from the phases before of one intent to the phases after of another one. Both may be the same.
func newTurn(was, is *intent.Intent, switchName string, before, after policy.InForce, now time.Time) (*turn, error) {
	t := &turn{made: make(map[turnKey]stopped)}
	var err error
	if t.was, err = newSide(was, switchName, before, now); err != nil {
		return nil, err
	}
	if t.is, err = newSide(is, switchName, after, now); err != nil {
		return nil, err
	}
	if !was.SameDocuments(is) {
		t.is.lines = make(map[string]*policy.Line)
		if sw, there := is.Bundle.Inventory.Switch(switchName); there {
			for i := range sw.Lines {
				t.is.lines[sw.Lines[i].Name] = &sw.Lines[i]
			}
		}
	}
	remotes := []pipeline.Class{0} // class 0 contains the servers that are in no class
	services := make(map[pipeline.Service]bool)
	for _, s := range []side{t.was, t.is} {
		for _, r := range s.in.Bundle.Policy.Remotes {
			if class := pipeline.Class(s.in.Numbers.Remotes[r.Name].Number); !slices.Contains(remotes, class) {
				remotes = append(remotes, class)
			}
		}
		maps.Copy(services, s.smtp)
	}
	for number := range services {
		for _, remote := range remotes {
			for _, leg := range []pipeline.Leg{pipeline.UpDst, pipeline.DownSrc, pipeline.DownDst, pipeline.UpSrc} {
				t.kinds = append(t.kinds, kind{number, remote, leg})
			}
		}
	}
	t.addStopped(remotes)
	return t, nil
}

func newSide(in *intent.Intent, switchName string, phases policy.InForce, now time.Time) (side, error) {
	s := side{in: in, exempt: make(map[string]bool), smtp: make(map[pipeline.Service]bool)}
	var err error
	if s.entries, err = rulings(in, switchName, phases); err != nil {
		return side{}, err
	}
	p := in.Bundle.Policy
	for i := range p.Exemptions {
		e := &p.Exemptions[i]
		switch {
		case p.Ended(e, now):
		case e.Line != "":
			s.exempt[e.Line] = true
		default:
			s.all = append(s.all, e.Prefix)
		}
	}
	for _, service := range p.ServicesWith(policy.TCPPort.IsSMTP) {
		s.smtp[pipeline.Service(in.Numbers.Services[service.Name].Number)] = true
	}
	return s, nil
}

// addStopped adds the kinds of other services that an entry of the phase stops, such as plain POP to own servers. No other kind can be stopped,
// because only port 25 fails closed. Frames without ports have no kind.
func (t *turn) addStopped(remotes []pipeline.Class) {
	for _, e := range t.is.entries {
		service := e.Service.Value
		if !e.Service.Set || service > pipeline.LastService || t.is.smtp[service] || e.Action != pipeline.Drop && e.Action != pipeline.Reject {
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
	then := l
	if t.is.lines != nil {
		if then = t.is.lines[l.Name]; then == nil { // the line has no name any more
			then = &policy.Line{}
		}
	}
	key := turnKey{l.Group, then.Group, t.was.isExempt(l), t.is.isExempt(then)}
	if made, there := t.made[key]; there {
		return made
	}
	was, leasedWas := t.was.subscribers(l, key.exempt)
	is, leasedIs := t.is.subscribers(then, key.still)
	stops := make(stopped)
	for _, k := range t.kinds {
		without, leased := !t.was.stopped(was, k), t.is.passesOne(leasedIs, k)
		if (without || !leased && t.was.passesOne(leasedWas, k)) && t.is.stopped(is, k) {
			stops[k] = !leased
		}
	}
	t.made[key] = stops
	return stops
}

// permits reports whether a rule permits some of the kinds for a line before the turn.
func (t *turn) permits(l *policy.Line, kinds stopped) bool {
	of, _ := t.was.subscribers(l, t.was.isExempt(l))
	for k := range kinds {
		if e := t.was.decides(of, k); e != nil && e.Action == pipeline.Permit {
			return true
		}
	}
	return false
}

// subscribers returns what the entries know about a line, and what they know about it while it has each of the leases that it can have.
func (s *side) subscribers(l *policy.Line, exempt bool) (of subscriber, leased []subscriber) {
	of = subscriber{group: pipeline.LineGroup(s.in.Numbers.LineGroups[l.Group].Number)}
	if exempt { // an exempt line has no lease
		of.class = compile.SubscriberExempt
		return of, nil
	}
	for _, lease := range s.in.Bundle.Policy.Leases {
		if lease.ForGroup(l.Group) {
			leased = append(leased, subscriber{of.group, pipeline.Class(s.in.Numbers.Leases[lease.Name].Number)})
		}
	}
	return of, leased
}

// passesOne reports whether a kind of traffic passes for one of the subscribers.
func (s *side) passesOne(all []subscriber, k kind) bool {
	return slices.ContainsFunc(all, func(of subscriber) bool { return !s.stopped(of, k) })
}

// isExempt reports whether an exemption covers the line, or all of its addresses.
func (s *side) isExempt(l *policy.Line) bool {
	return s.exempt[l.Name] || len(l.Prefixes) > 0 && !slices.ContainsFunc(l.Prefixes, func(own netip.Prefix) bool {
		return !slices.ContainsFunc(s.all, func(x netip.Prefix) bool { return x.Bits() <= own.Bits() && x.Contains(own.Addr()) })
	})
}

// A subscriber is what the entries know about a line.
type subscriber struct {
	group pipeline.LineGroup
	class pipeline.Class // 0, exempt, or the class of a lease
}

// stopped reports whether the entries stop a kind of traffic. Traffic is stopped if the first matching entry drops or rejects it. Mail to port
// 25 is also stopped if no entry matches, because the pipeline fails closed on the legs of the usual block.
func (s *side) stopped(of subscriber, k kind) bool {
	if e := s.decides(of, k); e != nil {
		return e.Action == pipeline.Drop || e.Action == pipeline.Reject
	}
	return s.smtp[k.service] && (k.leg == pipeline.UpDst || k.leg == pipeline.DownSrc)
}

// decides returns the first entry that matches a kind of traffic of a subscriber, or nil.
func (s *side) decides(of subscriber, k kind) *ruling {
	for i := range s.entries {
		e := &s.entries[i]
		if fits(e.Group, of.group) && fits(e.Leg, k.leg) && fits(e.Service, k.service) && fits(e.RemoteClass, k.remote) && fits(e.SubscriberClass, of.class) {
			return e
		}
	}
	return nil
}

func fits[T ~uint8](m pipeline.Match[T], v T) bool { return !m.Set || m.Value == v }
