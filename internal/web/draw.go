package web

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"op25b/internal/view"
	"op25b/internal/view/prose"
	op25bv1 "op25b/proto/op25b/v1"
)

// A picture is what the overview shows, as the API has reported it. It is not modified after it was drawn.
type picture struct {
	switches []*op25bv1.SwitchStatus
	revision uint64 // of the intent; 0 if there is none
	notices  []string
	dates    dates
	rollout  *rolloutPicture
}

// dates has the changes that dates will make.
type dates struct {
	soon  *op25bv1.ListDatesResponse // nil if there is no intent
	later *op25bv1.EndingExemption   // the first exemption that ends within a year; nil if there is none, or if soon has one
}

// zone returns the policy's time zone.
func (p *picture) zone() *time.Location { return zone(p.dates.soon.GetUtcOffset()) }

// views are the parts of the overview that are updated while the page is open, apart from the cells. Each part is a template of the same name,
// and its id is that name. A screen on a wall shows the parts of one view at a time, and the grid as the last view.
var views = [][]string{{"notices", "headline", "rollout", "attention"}, {"dates", "exemptions"}}

var parts = slices.Concat(views...)

// A drawing is the HTML of a picture in one language.
type drawing struct {
	parts map[string]string
	cells []cell
	grid  func() []byte // all cells
	// states and owners are those of the switches. The owners are sorted, and noOwner stands for none.
	states map[op25bv1.SwitchState]bool
	owners []string
}

// draw renders a picture. It takes the cells that have not changed from an earlier drawing in the same language, which may be nil.
func (s *Site) draw(b base, p *picture, before *drawing) *drawing {
	b.Zone = p.zone()
	d := overviewData{base: b}
	d.fill(p)
	drawn := &drawing{parts: make(map[string]string, len(parts)+len(rolloutParts)), cells: make([]cell, len(p.switches))}
	rollout := b.rolloutOf(p)
	for _, id := range parts {
		if id == "rollout" {
			drawn.parts[id] = s.fragment(id, rollout)
		} else {
			drawn.parts[id] = s.fragment(id, d)
		}
	}
	for _, id := range rolloutParts {
		drawn.parts[id] = s.fragment(id, rollout)
	}
	was := make(map[string]cell)
	if before != nil {
		for _, c := range before.cells {
			was[c.status.Switch] = c
		}
	}
	drawn.states = make(map[op25bv1.SwitchState]bool)
	owners := make(map[string]bool)
	for i, st := range p.switches {
		drawn.states[st.State] = true
		owners[cmp.Or(st.Owner, noOwner)] = true
		c, known := was[st.Switch]
		if !known || c.status != st {
			c = b.cellOf(st)
		}
		drawn.cells[i] = c
	}
	drawn.owners = slices.Sorted(maps.Keys(owners))
	drawn.grid = sync.OnceValue(func() []byte { return gridOf(drawn.cells) })
	return drawn
}

func gridOf(cells []cell) []byte {
	size := 0
	for i := range cells {
		size += len(cells[i].html)
	}
	grid := make([]byte, 0, size)
	for i := range cells {
		grid = append(grid, cells[i].html...)
	}
	return grid
}

// fragment renders a named template of the overview.
func (s *Site) fragment(name string, data any) string {
	var b bytes.Buffer
	if err := s.templates.ExecuteTemplate(&b, name, data); err != nil {
		s.cfg.Logger.Error("fragment not rendered; this is a defect in op25b", zap.String("fragment", name), zap.Error(err))
		return ""
	}
	return string(visible(b.Bytes()))
}

// Limits of the lists on the overview.
const (
	maxAttention  = 50 // switches that need attention
	maxWallRows   = 10 // the same on a screen on a wall, which nobody scrolls; the style sheet has this number too
	maxExemptions = 10 // exemptions that end soon
	maxChanges    = 6  // changes of line groups at a date
	maxNamed      = 3  // names of switches
)

// An overviewData has the content of the parts of the overview.
type overviewData struct {
	base
	Notices  []string
	Revision uint64
	// Good is the number of switches that are as the intent specifies, of All switches.
	Good, All     int
	Percent       string
	Headline      string
	LinesPercent  string // the share of lines that are confirmed to be under the phase that should be in force
	LinesHeadline string // empty if no line should be under a phase
	Worst         []attention
	Todo          []todoRow // what to do about the listed ones
	More          int       // the number of switches that need attention and are not listed
	Cut           int       // the number of listed ones that a screen on a wall leaves out
	Dates         []date
	Exemptions    []exemption
	Ending        int // the number of exemptions that end soon
	EndingText    string
	AnyEnding     bool // some exemption ends within a year
	MoreEnding    int  // the number of these that are not listed
}

// An attention is a switch that needs attention.
type attention struct {
	Name, Class, State, Revision, Owner string
	Reason                              said
	Since                               time.Time
}

// A date is a time at which phases change by themselves.
type date struct {
	At      time.Time
	Phase   string
	Changes []string // the lines that get the phase, and the phase that they have before
}

// fill computes the content of the overview.
func (d *overviewData) fill(p *picture) {
	d.Revision, d.All, d.Notices = p.revision, len(p.switches), p.notices
	var worst []*op25bv1.SwitchStatus
	lines, confirmed := 0, 0
	for _, s := range p.switches {
		lines, confirmed = lines+int(s.Lines), confirmed+int(s.LinesConfirmed)
		if s.Converged && s.Revision == p.revision {
			d.Good++
		} else {
			worst = append(worst, s)
		}
	}
	d.Percent, d.LinesPercent = percent(d.Good, d.All), percent(confirmed, lines)
	d.Headline = d.headline(d.Good, d.All, d.Revision)
	if lines > 0 {
		d.LinesHeadline = d.headlineOfLines(confirmed, lines)
	}
	slices.SortStableFunc(worst, func(a, b *op25bv1.SwitchStatus) int { return cmp.Compare(severity(a), severity(b)) })
	d.More, d.Cut = max(0, len(worst)-maxAttention), max(0, min(len(worst), maxAttention)-maxWallRows)
	d.Todo = d.todos(worst[:min(len(worst), maxAttention)])
	for _, s := range worst[:min(len(worst), maxAttention)] {
		revision := fmt.Sprint(s.Revision)
		if s.Revision != s.Wanted {
			revision += " → " + fmt.Sprint(s.Wanted)
		}
		d.Worst = append(d.Worst, attention{
			Name: s.Switch, Class: severityClass[severity(s)], State: d.State(s.State), Reason: said{d.base, view.Because(d.Lang, s)},
			Revision: revision, Owner: s.Owner, Since: s.Since.AsTime(),
		})
	}
	for _, t := range p.dates.soon.GetTurns() {
		d.Dates = append(d.Dates, date{t.Time.AsTime(), t.Phase, d.changes(t.Changes, d.All)})
	}
	d.Exemptions = exemptionsOf(p.dates.soon)
	switch d.Ending = int(p.dates.soon.GetEnding()); {
	case d.Ending == 1:
		d.EndingText = d.T("one ending")
	case d.Ending > 1:
		d.EndingText = d.T("ending", d.Ending)
	case p.dates.later != nil:
		d.EndingText = d.T("none ending") + d.T("next ending", cmp.Or(p.dates.later.Line, p.dates.later.Prefix), p.dates.later.Expires)
	default:
		d.EndingText = d.T("none in a year")
	}
	d.AnyEnding = d.Ending > 0 || p.dates.later != nil
	d.MoreEnding = d.Ending - len(d.Exemptions)
}

// changes describes the lines whose phase changes, and the phase that they have before. all is the number of switches.
func (b base) changes(changes []*op25bv1.PhaseChange, all int) []string {
	var texts []string
	for _, c := range changes[:min(len(changes), maxChanges)] {
		lines := slices.Clone(c.Groups)
		if c.ByDefault {
			lines = append(lines, b.T("other lines"))
		}
		text := strings.Join(lines, b.T("comma"))
		if c.EveryLine {
			text = b.T("everywhere")
		}
		switch n := len(c.Switches); {
		case n >= all:
		case n <= maxNamed:
			text = b.T("lines on", text, strings.Join(c.Switches, b.T("comma")))
		default:
			text = b.T("lines on some", text, prose.Number(n))
		}
		if c.From != "" {
			text = b.T("lines before", text, c.From)
		}
		texts = append(texts, text)
	}
	if more := len(changes) - maxChanges; more > 0 {
		texts = append(texts, b.T("more changes", prose.Number(more)))
	}
	return texts
}

// percent returns a percentage, rounded to the nearest tenth. It is 100 % only if nothing is missing, and 0 % only if there is nothing.
func percent(part, all int) string {
	if all == 0 {
		return "-"
	}
	tenths := (2*part*1000 + all) / (2 * all)
	switch {
	case part <= 0 || part >= all:
	case tenths == 0:
		tenths = 1
	case tenths == 1000:
		tenths = 999
	}
	return fmt.Sprintf("%d.%d %%", tenths/10, tenths%10)
}

// headline says how many switches are as the intent specifies.
func (b base) headline(good, all int, revision uint64) string {
	switch {
	case all == 1:
		return b.T("headline of one", good, revision)
	case good == 1:
		return b.T("headline one", all, revision)
	}
	return b.T("headline", good, all, revision)
}

// headlineOfLines says for how many lines the phase that should be in force is confirmed.
func (b base) headlineOfLines(good, all int) string {
	switch {
	case all == 1:
		return b.T("headline of line", good)
	case good < all:
		return b.T("headline lines", prose.Number(good), prose.Number(all)) + b.T("semicolon") + b.T("headline open", prose.Number(all-good))
	}
	return b.T("headline lines", prose.Number(good), prose.Number(all))
}
