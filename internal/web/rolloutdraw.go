package web

import (
	"slices"
	"strings"
	"time"

	"op25b/internal/view/prose"
	op25bv1 "op25b/proto/op25b/v1"
)

// Limits of the lists on the page of the rollout.
const (
	maxRingSwitches    = 20 // switches of a ring with their names
	maxFindingSwitches = 5  // switches of a finding
	maxRollouts        = 20 // earlier rollouts
	// wentBackFor is the time for which the overview shows that a rollout went back. It may have done so by itself, at night.
	wentBackFor = 24 * time.Hour
)

// rolloutData is the content of the page of the rollout, and of its box on the overview.
type rolloutData struct {
	base
	Exists, Running     bool
	Box                 bool // the overview shows the rollout
	ID, Change          string
	State, Class        string
	Means               string // what the state means
	Since               time.Time
	Author, Reason      string
	SteeredBy, Note     string
	Leader              string // empty if no controller carries the rollout out
	Seen                time.Time
	Revision            uint64
	Harm                string // the lines of which mail was newly stopped
	Harmed              bool   // there are more of them than forecast
	Having              bool   // a ring has the change, or is being given it
	Tickets             bool   // a ring has a bound for support tickets
	Soak                string // until when the ring at hand soaks; empty if it does not
	Findings            []findingRow
	Rings               []ringRow
	Gates               []findingRow
	Counted             string // how old the counts of lines are
	Passing             string // the gates that pass and have no row
	CanPause, CanResume bool   // whether the rollout can be paused, and whether it can be resumed
	CanAbort            bool
	Past                []rolloutRow
	MorePast            bool
}

// A findingRow is what a gate says of a ring.
type findingRow struct {
	Gate, About    string // the name, and what the gate looks at; About is empty for a gate that this page does not know
	Ring           string
	Verdict, Class string
	Switches, Text string
	Accepted       bool
}

// A ringRow is a ring with what is seen of it.
type ringRow struct {
	Name, Class, Mark, State string
	Current                  bool // the ring at hand
	Count, Confirmed, Lines  string
	Affected, Forecast       string
	Tickets                  string // "-" if they are not watched
	Soak                     string
	Switches                 []ringSwitch
	More                     int // the number of switches without a name
	Counted                  time.Time
}

// A ringSwitch is a switch of a ring.
type ringSwitch struct{ Name, Class, Mark, State string }

// A rolloutRow is a rollout of the list.
type rolloutRow struct {
	ID, Change, State, Class, Author, Reason string
	Rings                                    int
	Since                                    time.Time
}

// rolloutOf returns the content of the page of the rollout.
func (b base) rolloutOf(p *picture) rolloutData {
	d := rolloutData{base: b, Revision: p.revision}
	if p.rollout == nil || p.rollout.current == nil {
		return d
	}
	r, seen := p.rollout.current, p.rollout.seen
	d.Exists, d.Running = true, p.rollout.running()
	d.ID, d.Change, d.State, d.Class, d.Means = r.Id, b.changeOf(r), b.RolloutState(r.State), rolloutClass(r.State), b.means(r)
	d.Since, d.Author, d.Reason, d.SteeredBy, d.Note = r.Since.AsTime(), r.Author, r.Reason, r.SteeredBy, r.Note
	d.Box = d.Running || r.State == op25bv1.RolloutState_ROLLOUT_STATE_WENT_BACK && b.Now.Sub(d.Since) < wentBackFor
	d.Leader, d.Seen = seen.GetLeader(), seen.GetTime().AsTime()
	d.Having = len(has(r)) > 0
	d.harm(r, seen)
	d.Soak = b.soak(r, d.Seen)
	for _, f := range r.Findings {
		d.Findings = append(d.Findings, b.finding(f))
	}
	of := make(map[string]*op25bv1.SwitchStatus, len(p.switches))
	for _, s := range p.switches {
		of[s.Switch] = s
	}
	for i := range r.Rings {
		d.Rings = append(d.Rings, b.ring(r, seen, i, of))
	}
	d.Tickets = slices.ContainsFunc(r.Rings, func(ring *op25bv1.Ring) bool { return ring.TicketBound > 0 })
	d.gates(r, seen.GetGates())
	d.Counted = d.counted(len(has(r)))
	d.CanPause, d.CanResume, d.CanAbort = allows(r.State, verbPause), allows(r.State, verbResume), allows(r.State, verbAbort)
	for _, x := range p.rollout.all[:min(len(p.rollout.all), maxRollouts)] {
		d.Past = append(d.Past, rolloutRow{x.Id, b.changeOf(x), b.RolloutState(x.State), rolloutClass(x.State), x.Author, x.Reason, len(x.Rings), x.Since.AsTime()})
	}
	d.MorePast = len(p.rollout.all) > maxRollouts
	return d
}

// harm says how many lines newly have mail stopped, and how many were expected to. It counts the rings that have the change now.
func (d *rolloutData) harm(r *op25bv1.Rollout, seen *op25bv1.RolloutSeen) {
	var lines, affected, forecast uint64
	known := true
	n := min(len(has(r)), len(seen.GetRings()))
	for _, ring := range seen.GetRings()[:n] {
		lines, affected, forecast, known = lines+ring.Lines, affected+ring.Affected, forecast+ring.Forecast, known && ring.ForecastKnown
	}
	switch {
	case ended(r.State): // nothing is counted any more
	case n == 0:
		if d.Harm = d.T("harm none"); unconfirmed(r, seen) > 0 {
			d.Harm += d.T("harm none yet", d.switches(unconfirmed(r, seen)))
		}
	case known:
		d.Harm, d.Harmed = d.T("harm", prose.Number(affected), prose.Number(forecast), prose.Number(lines)), affected > forecast
	default:
		d.Harm, d.Harmed = d.T("harm unforeseen", prose.Number(affected), prose.Number(lines)), affected > 0
	}
}

// unconfirmed returns the number of switches that have not confirmed what the rollout wants of them now.
func unconfirmed(r *op25bv1.Rollout, seen *op25bv1.RolloutSeen) (n int) {
	for i, ring := range seen.GetRings()[:min(len(r.Rings), len(seen.GetRings()))] {
		n += max(0, len(r.Rings[i].Switches)-int(ring.Confirmed))
	}
	return n
}

// soak says until when the ring at hand soaks, and how long that is from the time at which the rollout was seen.
func (b base) soak(r *op25bv1.Rollout, seen time.Time) string {
	if r.State != op25bv1.RolloutState_ROLLOUT_STATE_SOAKING || int(r.Ring) >= len(r.Rings) {
		return ""
	}
	ring := r.Rings[r.Ring]
	end := r.Since.AsTime().Add(ring.Soak.AsDuration())
	if left := end.Sub(seen); left > 0 {
		return b.T("soaks until", b.At(end), b.lasting(left), b.lasting(ring.Soak.AsDuration()))
	}
	return b.T("soaked", b.lasting(ring.Soak.AsDuration()))
}

// counted says how old the counts of lines in the first n rings are. It returns "" if a switch has none.
func (d *rolloutData) counted(n int) string {
	var oldest time.Time
	for i, ring := range d.Rings[:n] {
		if i == 0 || ring.Counted.Before(oldest) {
			oldest = ring.Counted
		}
	}
	if oldest.Unix() <= 0 {
		return ""
	}
	return d.T("counted at", d.At(oldest))
}

// ring describes a ring.
func (b base) ring(r *op25bv1.Rollout, seen *op25bv1.RolloutSeen, i int, of map[string]*op25bv1.SwitchStatus) ringRow {
	ring, wanted := r.Rings[i], i < int(r.Wanted)
	row := ringRow{
		Name: ring.Name, State: b.ringState(r, i), Current: i == int(r.Ring) && !ended(r.State), Count: prose.Number(len(ring.Switches)), Confirmed: "-", Lines: "-",
		Affected: "-", Forecast: "-", Tickets: b.tickets(ring), Soak: b.lasting(ring.Soak.AsDuration()),
	}
	switch row.Class, row.Mark = "waits", "○"; {
	case row.Current && r.State != op25bv1.RolloutState_ROLLOUT_STATE_MEASURING:
		row.Class, row.Mark = rolloutClass(r.State), "▶"
	case wanted:
		row.Class, row.Mark = "good", "✓"
	}
	if i < len(seen.GetRings()) {
		x := seen.Rings[i]
		if r.State == op25bv1.RolloutState_ROLLOUT_STATE_GOING_BACK && int(x.Confirmed) >= len(ring.Switches) {
			row.State = b.T("ring without")
		}
		row.Lines, row.Counted = prose.Number(x.Lines), x.Counted.AsTime()
		if !ended(r.State) {
			row.Confirmed = b.T("of", prose.Number(x.Confirmed), prose.Number(len(ring.Switches)))
		}
		if wanted && !ended(r.State) {
			if row.Affected = prose.Number(x.Affected); x.ForecastKnown {
				row.Forecast = prose.Number(x.Forecast)
			}
		}
	}
	for _, name := range ring.Switches[:min(len(ring.Switches), maxRingSwitches)] {
		s := of[name]
		if s == nil {
			s = &op25bv1.SwitchStatus{Switch: name, State: op25bv1.SwitchState_SWITCH_STATE_UNKNOWN}
		}
		level := severity(s)
		row.Switches = append(row.Switches, ringSwitch{name, severityClass[level], severityMark[level], b.State(s.State)})
	}
	row.More = len(ring.Switches) - len(row.Switches)
	return row
}

// tickets says how many lines of a ring have support tickets, and how many may have.
func (b base) tickets(ring *op25bv1.Ring) string {
	switch {
	case ring.TicketBound == 0:
		return "-"
	case ring.UnplacedTickets > 0:
		return b.T("tickets unplaced", prose.Number(ring.TicketLines), prose.Number(ring.TicketBound), prose.Number(ring.UnplacedTickets))
	}
	return b.T("tickets of", prose.Number(ring.TicketLines), prose.Number(ring.TicketBound))
}

// gates lists what the gates say: everything of the ring at hand, and of other rings what does not pass.
func (d *rolloutData) gates(r *op25bv1.Rollout, all []*op25bv1.Finding) {
	hand := ""
	if int(r.Ring) < len(r.Rings) {
		hand = r.Rings[r.Ring].Name
	}
	passing := 0
	var of []string
	for _, f := range all {
		if f.Ring != hand && f.Verdict == op25bv1.FindingVerdict_FINDING_VERDICT_PASS {
			if passing++; !slices.Contains(of, f.Ring) {
				of = append(of, f.Ring)
			}
			continue
		}
		d.Gates = append(d.Gates, d.finding(f))
	}
	slices.SortStableFunc(d.Gates, func(a, b findingRow) int { return gravity(a.Class) - gravity(b.Class) })
	if passing > 0 {
		d.Passing = d.T("gates pass", strings.Join(of, d.T("comma")), passing)
	}
}

func gravity(class string) int {
	return slices.Index([]string{"bad", "unknown", "busy", "good"}, class)
}

// finding describes what a gate says.
func (b base) finding(f *op25bv1.Finding) findingRow {
	row := findingRow{Gate: f.Gate, About: b.gate(f.Gate), Ring: f.Ring, Text: f.Text, Accepted: f.Accepted}
	row.Verdict, row.Class = b.verdict(f.Verdict)
	row.Switches = strings.Join(f.Switches[:min(len(f.Switches), maxFindingSwitches)], b.T("comma"))
	if more := len(f.Switches) - maxFindingSwitches; more > 0 {
		row.Switches = b.T("names and more", row.Switches, prose.Number(more))
	}
	return row
}
