package drive

import (
	"context"
	"slices"
	"time"

	"go.uber.org/zap"

	"op25b/internal/abuse"
	"op25b/internal/intent"
	"op25b/internal/pipeline"
	"op25b/internal/policy"
	"op25b/internal/store"
	"op25b/internal/tally"
	"op25b/internal/telemetry"
)

// countsKind is the kind of the records with the counts of switches. The name of a record is the name of its switch.
const countsKind = "rollout-counts"

// countsFor is how long counts stay in the store after their owner stops writing them, in seconds.
const countsFor = 600

// Counts are what the owner of a switch has counted. They only grow while the owner stays the same. They have no line's name and no address.
type Counts struct {
	Owner string `json:"owner"`
	// Rollout is the ID of the rollout for which they were counted. It is empty in the counts of a controller of an earlier release.
	Rollout string    `json:"rollout,omitempty"`
	At      time.Time `json:"at"` // the time of the sample, by the owner's clock
	// Submission, Relays, Link and Counted are packets: see rollout.Measure.
	Submission uint64 `json:"submission,omitempty"`
	Relays     uint64 `json:"relays,omitempty"`
	Link       uint64 `json:"link,omitempty"`
	Counted    uint64 `json:"counted,omitempty"`
	// Stopped are the packets that rules dropped or rejected.
	Stopped uint64 `json:"stopped,omitempty"`
	// Moved is the time of the sample in which Counted last changed, as far as this owner knows, and MovedLink is Link in that sample.
	Moved     time.Time `json:"moved,omitzero"`
	MovedLink uint64    `json:"movedLink,omitempty"`
	// Lines is the number of lines of the switch.
	Lines int `json:"lines,omitempty"`
	// Affected is the number of lines of which mail was stopped since Since and not in the time before it that this owner knows.
	Affected uint64    `json:"affected,omitempty"`
	Since    time.Time `json:"since,omitzero"`
	// With is set if the owner knew that the switch was to have the change.
	With bool `json:"with,omitempty"`
	// LinesCounted is set once the counters of lines were sampled for a whole interval since Since. The first samples after it may show what was stopped
	// before, and do not count.
	LinesCounted bool `json:"linesCounted,omitempty"`
	// Forecast is how many lines the change would newly stop and have sent such mail recently, as known before the first switch had the change.
	Forecast uint64 `json:"forecast,omitempty"`
	// Opened is how many lines documents would let send mail that is stopped now, of those that have tried recently.
	Opened        uint64 `json:"opened,omitempty"`
	ForecastKnown bool   `json:"forecastKnown,omitempty"`
	// Renewed means that the counts were noted after the switch had got another controller, and not when it was told.
	Renewed bool `json:"renewed,omitempty"`
}

// Counter has the counters of the switches of this controller. *tally.Tally is one.
type Counter interface {
	Read(only ...string) []tally.Switch
	Lines(name string) []telemetry.LineCount
	Interval() time.Duration
	LineInterval() time.Duration
	News() tally.News
}

// Forecaster forecasts the newly stopped lines. *abuse.Ledger is one.
type Forecaster interface {
	Forecast(in *intent.Intent, phase string, scope policy.Scope, now time.Time) (*abuse.Forecast, error)
	ForecastDocuments(in, next *intent.Intent, switches []string, now time.Time) (*abuse.Forecast, error)
}

var (
	_ Counter    = (*tally.Tally)(nil)
	_ Forecaster = (*abuse.Ledger)(nil)
)

// A publisher publishes the counts of the switches of one controller.
type publisher struct {
	*Driver
	known map[string]*knownLines // by switch, of the rollout with the ID
	moved map[string]Counts      // by switch, the counts with which the counters last moved
	id    string
	told  map[string]time.Time // the time of the sample that was last written, by switch
}

// knownLines is what a controller knows of the lines of a switch in a rollout. It stays in memory.
type knownLines struct {
	had   bool              // whether the switch was to have the change
	fresh bool              // whether base is from a sample of the lines that began after since
	since time.Time         // the time at which that last changed, or at which this controller began
	base  map[uint32]uint64 // the stopped packets of each line at since, or later if fresh is set
	// first has the time of the sample in which mail of a line was first seen to be stopped. This controller may learn that a switch has the change
	// after samples with the change have arrived, so the time decides which lines were stopped before.
	first map[uint32]time.Time
	// forecast is made while the switch does not have the change.
	forecast, opened uint64
	forecastKnown    bool
}

// publish writes the counts of this controller's switches whenever there are new samples, while a rollout runs.
func (d *Driver) publish(ctx context.Context) {
	p := &publisher{Driver: d}
	records := d.Watch(ctx)
	var current *Stored
	for {
		news := d.Counters.News()
		if current != nil && !current.State.Ended() {
			p.write(ctx, current)
		}
		select {
		case <-ctx.Done():
			return
		case s, ok := <-records:
			if !ok {
				return
			}
			current = s
		case <-news.Changed:
			if !store.Pause(ctx, publishPause) { // samples of many switches arrive together
				return
			}
		}
	}
}

// publishPause is the shortest time between two writes of a controller's counts.
const publishPause = time.Second

func (p *publisher) write(ctx context.Context, s *Stored) {
	if p.id != s.ID {
		p.id, p.known, p.moved, p.told = s.ID, make(map[string]*knownLines), make(map[string]Counts), make(map[string]time.Time)
	}
	in, err := p.Book.Current(ctx)
	if err != nil {
		return // the next sample tries again
	}
	names, wanted := s.Switches(), s.Wanted()
	records := store.JSON[Counts](p.Store, countsKind)
	for _, sw := range p.Counters.Read(names...) {
		if sw.Status.State != telemetry.Synced || sw.Status.Updated.Equal(p.told[sw.Status.Switch]) {
			continue // there is nothing new, and each write costs the store
		}
		c := count(in, sw)
		c.Owner, c.Rollout, c.At = p.Name, s.ID, sw.Status.Updated
		p.move(sw.Status.Switch, &c)
		p.lines(&c, in, s, sw.Status.Switch, slices.Contains(wanted, sw.Status.Switch))
		if err := records.PutFor(ctx, sw.Status.Switch, c, countsFor); err != nil {
			p.Logger.Warn("counts for the rollout were not stored", zap.String("switch", sw.Status.Switch), zap.Error(err))
			return
		}
		p.told[sw.Status.Switch] = c.At
	}
}

// move adds when the counters last moved.
func (p *publisher) move(name string, c *Counts) {
	last, known := p.moved[name]
	if !known || last.Counted != c.Counted {
		last = *c
		p.moved[name] = last
	}
	c.Moved, c.MovedLink = last.At, last.Link
}

// noted returns what the record of a rollout needs of the counts of a switch. The record of 1,000 switches has three of them for each.
func (c Counts) noted() Counts {
	c.Rollout, c.Moved, c.MovedLink, c.Lines, c.Affected, c.Since, c.With, c.LinesCounted = "", time.Time{}, 0, 0, 0, time.Time{}, false, false
	return c
}

// count adds up the counters of a switch.
func count(in *intent.Intent, sw tally.Switch) (c Counts) {
	actions := make(map[string]policy.Action, len(sw.Actions))
	for _, a := range sw.Actions {
		actions[a.Rule] = a.Action
	}
	in = in.For(sw.Status.Switch)
	kinds := kindsOf(in.Bundle.Policy)
	for _, t := range sw.Totals {
		c.Counted += t.Packets
		stops := actions[t.Rule] == policy.Drop || actions[t.Rule] == policy.Reject
		if stops {
			c.Stopped += t.Packets
		}
		k, a := kinds[t.Rule], actions[t.Rule]
		if k.submission && stops {
			c.Submission += t.Packets
		}
		if k.ours && a == policy.Permit {
			c.Relays += t.Packets
		}
	}
	if in, there := in.Bundle.Inventory.Switch(sw.Status.Switch); there {
		c.Lines = len(in.Lines)
		for _, port := range in.Ports {
			if i := sw.Reading.Interface(port.Name); i != nil && port.Role == pipeline.Access {
				c.Link += i.Counters[telemetry.InPkts]
			}
		}
	}
	return c
}

// A kind says which traffic a rule is for.
type kind struct {
	submission bool // to port 587 or 465 of other providers
	ours       bool // to the ISP's own servers
}

func kindsOf(p *policy.Policy) map[string]kind {
	ours, ports := make(map[string]bool), make(map[string]bool)
	for _, r := range p.Remotes {
		ours[r.Name] = r.Ours()
	}
	for _, s := range p.Services {
		for _, port := range s.Ports {
			ports[s.Name] = ports[s.Name] || port == policy.PortSubmission || port == policy.PortSubmissions
		}
	}
	kinds := map[string]kind{policy.RuleRelay: {ours: true}}
	for _, ph := range p.Phases {
		for _, r := range ph.Rules {
			k := kinds[r.Name]
			k.ours = k.ours || ours[r.Remote]
			k.submission = k.submission || ports[r.Service] && !ours[r.Remote]
			kinds[r.Name] = k
		}
	}
	return kinds
}

// lines adds the lines of which mail was newly stopped, and the forecast.
func (p *publisher) lines(c *Counts, in *intent.Intent, s *Stored, name string, has bool) {
	known := p.known[name]
	stopped := make(map[uint32]uint64)
	for _, l := range p.Counters.Lines(name) {
		stopped[l.Line] = l.Outcomes[telemetry.Stopped].Packets
	}
	now := p.Now()
	if known == nil || known.had != has {
		next := &knownLines{had: has, since: now, base: stopped, first: make(map[uint32]time.Time)}
		if known != nil {
			next.forecast, next.opened, next.forecastKnown, next.first = known.forecast, known.opened, known.forecastKnown, known.first
		}
		if !has {
			next.forecast, next.opened, next.forecastKnown = p.forecast(in, s, name, now)
		}
		known, p.known[name] = next, next
	}
	for line, n := range stopped {
		if _, is := known.first[line]; !is && n > known.base[line] {
			known.first[line] = c.At
		}
	}
	round := p.Counters.LineInterval() + 2*p.Counters.Interval() // in which every line's counter arrives
	if !known.fresh && now.Sub(known.since) >= round {
		known.fresh = true
		if known.had {
			known.base = stopped
		}
	}
	c.With, c.LinesCounted = known.had, now.Sub(known.since) >= 2*round
	begun, changed := s.First[name] // what was stopped only after it was stopped by the change, if only in the rehearsal
	for line, n := range stopped {
		switch {
		case n <= known.base[line], known.had && !known.fresh:
		case known.had && changed && !known.first[line].After(begun): // stopped before the change
		default:
			c.Affected++
		}
	}
	c.Since, c.Forecast, c.Opened, c.ForecastKnown = known.since, known.forecast, known.opened, known.forecastKnown
}

// forecast returns how many lines of a switch the change newly stops and have sent such mail recently, and how many documents open.
func (p *publisher) forecast(in *intent.Intent, s *Stored, name string, now time.Time) (stops, opens uint64, known bool) {
	c, only := s.Change, []string{name}
	if c.Documents == 0 {
		stops, known = used(p.Forecasts.Forecast(in, c.Phase, policy.Scope{Groups: c.Groups, Switches: only}, now))
		return stops, 0, known
	}
	if !s.staged(in) {
		return 0, 0, false
	}
	stops, known = lines(func(r abuse.ForecastRow) int { return r.Used + r.Unseen })(p.Forecasts.ForecastDocuments(in, in.Next(), only, now))
	opens, backKnown := used(p.Forecasts.ForecastDocuments(in.Next(), in.For(name), only, now))
	return stops, opens, known && backKnown
}

// used returns the number of lines of a forecast that have sent mail recently.
func used(f *abuse.Forecast, err error) (n uint64, known bool) {
	return lines(func(r abuse.ForecastRow) int { return r.Used })(f, err)
}

// lines returns a function that adds up lines of a forecast.
func lines(of func(abuse.ForecastRow) int) func(*abuse.Forecast, error) (n uint64, known bool) {
	return func(f *abuse.Forecast, err error) (n uint64, known bool) {
		if err != nil || len(f.Missing) > 0 {
			return 0, false
		}
		for _, row := range f.Rows {
			n += uint64(of(row))
		}
		return n, true
	}
}
