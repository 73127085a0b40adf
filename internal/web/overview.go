package web

import (
	"cmp"
	"context"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect"

	"op25b/internal/view"
	op25bv1 "op25b/proto/op25b/v1"
)

// maxAttention is the largest number of switches that the overview lists as needing attention.
const maxAttention = 50

// A cell is one switch in the grid of the overview.
type cell struct {
	ID, Name string
	Mark     string // a letter for the state
	Class    string // the state's colour class: good, busy, bad or unknown
	State    string
	Reason   string
}

// An overviewData has the content of the first page.
type overviewData struct {
	base
	Query    string
	Filter   string
	Revision uint64
	Good     int // the number of switches that are as the intent specifies
	All      int
	Percent  string
	Cells    []cell
	Hidden   int // the number of switches that the filter hides
	Worst    []attention
	More     int
	Dates    []date
	Notices  []string
	Snapshot string // the id of the last change that the page contains; see live
	// Grid and Attention are the HTML of Cells and Worst.
	Grid, Attention template.HTML
}

// An attention is a switch that needs attention.
type attention struct {
	Name, Class, State, Reason, Revision, Owner string
	Since                                       time.Time
}

// A date is the next change that takes effect by itself.
type date struct {
	At    time.Time
	Phase string
	Text  string
}

// severity returns the rank of a switch's state; the worst state comes first.
func severity(s *op25bv1.SwitchStatus) int {
	switch {
	case s.State == op25bv1.SwitchState_SWITCH_STATE_FAILED:
		return 0
	case s.State == op25bv1.SwitchState_SWITCH_STATE_UNKNOWN, s.State == op25bv1.SwitchState_SWITCH_STATE_UNSPECIFIED:
		return 1
	case s.State == op25bv1.SwitchState_SWITCH_STATE_DISCONNECTED, s.State == op25bv1.SwitchState_SWITCH_STATE_BACKUP:
		return 2
	case !s.Converged:
		return 3
	}
	return 4
}

var severityClass = [...]string{"bad", "unknown", "bad", "busy", "good"}

// severityMark has the letters of the grid by severity, so that colour is never the only sign (WCAG 2.2,
// 1.4.1).
var severityMark = [...]string{"!", "?", "×", "…", "✓"}

func (b base) cellOf(s *op25bv1.SwitchStatus) cell {
	level := severity(s)
	return cell{
		ID: "cell-" + s.Switch, Name: s.Switch, Mark: severityMark[level], Class: severityClass[level],
		State: b.State(s.State), Reason: view.Why(b.Lang, s),
	}
}

// fill computes the overview from the switches.
func (d *overviewData) fill(all []*op25bv1.SwitchStatus, revision uint64) {
	d.Revision, d.All = revision, len(all)
	var worst []*op25bv1.SwitchStatus
	for _, s := range all {
		if s.Converged && s.Revision == revision {
			d.Good++
		} else {
			worst = append(worst, s)
		}
		if d.hides(s) {
			d.Hidden++
			continue
		}
		d.Cells = append(d.Cells, d.cellOf(s))
	}
	d.Percent = percent(d.Good, d.All)
	slices.SortStableFunc(worst, func(a, b *op25bv1.SwitchStatus) int { return cmp.Compare(severity(a), severity(b)) })
	d.More = max(0, len(worst)-maxAttention)
	for _, s := range worst[:min(len(worst), maxAttention)] {
		revision := fmt.Sprint(s.Revision)
		if s.Revision != s.Wanted {
			revision += " → " + fmt.Sprint(s.Wanted)
		}
		d.Worst = append(d.Worst, attention{
			Name: s.Switch, Class: severityClass[severity(s)], State: d.State(s.State), Reason: view.Why(d.Lang, s), Revision: revision, Owner: s.Owner,
			Since: s.Since.AsTime(),
		})
	}
}

// hides reports whether the filter hides a switch.
func (d *overviewData) hides(s *op25bv1.SwitchStatus) bool {
	if d.Query != "" && !strings.Contains(strings.ToLower(s.Switch), strings.ToLower(d.Query)) {
		return true
	}
	return d.Filter == "attention" && s.Converged
}

// percent returns a percentage, rounded down, so that it reaches 100 % only if no switch is missing.
func percent(part, all int) string {
	if all == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f %%", float64(part*1000/all)/10)
}

// overview shows the first page.
func (s *Site) overview(v *visit) error {
	ctx, cancel := context.WithTimeout(v.r.Context(), pageWithin)
	defer cancel()
	snapshot := s.live.snapshot() // before the switches are read, so that no change is missed
	fleet, err := v.fleet.ListSwitches(ctx, connect.NewRequest(&op25bv1.ListSwitchesRequest{}))
	if err != nil {
		return err
	}
	v.Section, v.Title, v.Live = "overview", v.T("overview"), true
	d := overviewData{base: v.base, Query: v.r.URL.Query().Get("q"), Filter: v.r.URL.Query().Get("show"), Notices: fleet.Msg.Notices, Snapshot: snapshot}
	if fleet.Msg.Revision > 0 {
		phases, err := v.phase.ListPhases(ctx, connect.NewRequest(&op25bv1.ListPhasesRequest{}))
		if err != nil {
			return err
		}
		d.Zone = zone(phases.Msg.UtcOffset)
		for _, p := range phases.Msg.Phases {
			if at := p.Begins.AsTime(); p.Begins != nil && at.After(v.Now) {
				d.Dates = append(d.Dates, date{At: at, Phase: p.Name, Text: p.Title})
			}
		}
	}
	d.fill(fleet.Msg.Switches, fleet.Msg.Revision)
	s.live.draw(&d)
	v.render(http.StatusOK, "overview.html", d)
	return nil
}

// pageWithin is the time limit for the API responses that a page needs.
const pageWithin = 10 * time.Second

// zone returns the time zone for a policy's UTC offset, such as +09:00.
func zone(offset string) *time.Location {
	t, err := time.Parse("-07:00", offset)
	if err != nil {
		return time.UTC
	}
	_, seconds := t.Zone()
	return time.FixedZone(offset, seconds)
}
