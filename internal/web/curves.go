package web

import (
	"context"
	"fmt"
	"html/template"
	"math"
	"strings"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"op25b/internal/page/chart"
	"op25b/internal/view/prose"
	op25bv1 "op25b/proto/op25b/v1"
)

const (
	// maxCurves is the largest number of curves in a part of a page. Each takes about 4 kB, and as much again in the table of the numbers.
	maxCurves = 24
	// curvePoints is the largest number of points of a curve, which is less than what the API allows, because the image is 300 pixels wide.
	curvePoints = 96
	// leastRecorded is the recorded time below which counts and curves say nothing.
	leastRecorded = 30 * time.Second
)

// curvesData has the curves of a part of a page.
type curvesData struct {
	base
	ID      string
	Missing *said // why there are no curves; nil if there are
	Curves  []curve
	Head    []string   // the columns of the table of the same numbers
	Rows    [][]string // the time of a step, what was recorded of it, and the values
	Notes   []string   // sentences
	begins  time.Time  // of the first step of which a part was recorded; zero if there is none
}

// A curve is a rate over time, with its image.
type curve struct {
	ID        string // begins the ids of elements
	Name, Leg string
	Sum       string // the packets, and those of them that were counted in gaps
	Image     template.HTML
}

// A wantedRange is a range of time that a reader can choose.
type wantedRange struct {
	Key, Name string
	Chosen    bool
	length    time.Duration
}

// ranges returns the ranges that a reader can choose. An unknown or absent choice means a day.
func (b base) ranges(choice string) (all []wantedRange, chosen wantedRange) {
	const day = 24 * time.Hour
	all = []wantedRange{
		{Key: "1h", Name: b.T("last hour"), length: time.Hour},
		{Key: "1d", Name: b.T("last day"), length: day},
		{Key: "7d", Name: b.T("last week"), length: 7 * day},
		{Key: "30d", Name: b.T("last month"), length: 30 * day},
		{Key: "90d", Name: b.T("last quarter"), length: 90 * day},
	}
	at := 1
	for i := range all {
		if all[i].Key == choice {
			at = i
		}
	}
	all[at].Chosen = true
	return all, all[at]
}

// ruleCurves draws the curves of a switch's rules over the range that a reader chose. Without a choice, it draws those of the last hour if nothing of
// the day before was recorded, because the curves of a day would then be a few points at its end.
func (v *visit) ruleCurves(ctx context.Context, name, choice string) (all []wantedRange, over wantedRange, d *curvesData) {
	all, over = v.ranges(choice)
	d = v.curves(ctx, "rules", over, &op25bv1.ListSeriesRequest{Switch: name})
	if choice == "" && !d.begins.IsZero() && v.Now.Sub(d.begins) < time.Hour {
		all, over = v.ranges("1h")
		d = v.curves(ctx, "rules", over, &op25bv1.ListSeriesRequest{Switch: name})
	}
	return all, over, d
}

// curves asks for series, and draws them. id begins the ids of elements on the page.
func (v *visit) curves(ctx context.Context, id string, over wantedRange, q *op25bv1.ListSeriesRequest) *curvesData {
	d := &curvesData{base: v.base, ID: id}
	q.MaxPoints, q.From = curvePoints, timestamppb.New(v.Now.Add(-over.length))
	r, err := v.telemetry.ListSeries(ctx, connect.NewRequest(q))
	if d.Missing = v.missing(err); d.Missing != nil {
		return d
	}
	s := r.Msg
	if s.Switches == 0 || len(s.Steps) == 0 {
		d.Missing = new(v.said(strings.Join(v.elsewhere(s), " "), ""))
		return d
	}
	d.Notes = append(d.Notes, v.recordedOf(over.Name, s, 0))
	recorded, first := recordedFrom(s, 0)
	if first >= 0 {
		d.begins = s.Steps[first].Start.AsTime()
	}
	if recorded < leastRecorded { // empty images would say no more
		return d
	}
	d.Head = []string{v.T("from"), v.T("recorded")}
	shown := s.Series[:min(len(s.Series), maxCurves)]
	if more := len(s.Series) - len(shown) + int(s.SeriesLeftOut); more > 0 {
		d.Notes = append(d.Notes, v.T("more curves", prose.Number(more)))
	}
	values, gaps := make([]map[int]float64, len(shown)), false
	for i, one := range shown {
		name, leg := one.Rule, one.Leg
		if one.Interface != "" {
			name, leg = one.Interface, v.way(one.Direction)
		}
		c := curve{ID: fmt.Sprint(id, "-", i), Name: name, Leg: leg, Sum: v.sum(one.Packets, one.GapPackets)}
		gaps = gaps || one.GapPackets > 0
		values[i] = ratesOf(one)
		c.Image = v.image(c.ID, name+" "+leg, s, values[i])
		d.Curves, d.Head = append(d.Curves, c), append(d.Head, name+" "+leg)
	}
	if len(shown) > 0 {
		d.Rows = v.numbers(s, values)
	}
	if gaps {
		d.Notes = append(d.Notes, v.T("gaps"))
	}
	return d
}

// sum says how many packets were counted, and how many of them in gaps.
func (b base) sum(packets, inGaps uint64) string {
	switch {
	case packets == 1 && inGaps == 0:
		return b.T("packet of curve")
	case packets == 1:
		return b.T("packet of gaps")
	case inGaps == 0:
		return b.T("packets of curve", prose.Number(packets))
	}
	return b.T("packets of gaps", prose.Number(packets), prose.Number(inGaps))
}

// missing says why there are no series, or returns nil if there are.
func (b base) missing(err error) *said {
	switch {
	case err == nil:
		return nil
	case connect.CodeOf(err) == connect.CodeFailedPrecondition, connect.CodeOf(err) == connect.CodeUnimplemented:
		return new(b.said(b.T("no history"), ""))
	}
	return new(b.said(b.T("no curves"), messageOf(err)))
}

func (b base) way(direction string) string {
	if direction == "out" {
		return "← " + b.T("out")
	}
	return "→ " + b.T("in")
}

// ratesOf returns the rates of a series by step.
func ratesOf(s *op25bv1.Series) map[int]float64 {
	rates := make(map[int]float64, len(s.Points))
	for _, p := range s.Points {
		if p.PacketsPerSecond != nil {
			rates[int(p.Step)] = *p.PacketsPerSecond
		}
	}
	return rates
}

// image draws a curve. Its description has what a reader sees in the image.
func (b base) image(id, title string, s *op25bv1.ListSeriesResponse, rates map[int]float64) template.HTML {
	c := chart.Chart{ID: id, Title: title, Unit: b.T("rate"), From: s.From.AsTime(), Step: s.Step.AsDuration(), Zone: b.Zone}
	most, last := -1, -1
	for i, step := range s.Steps {
		c.Recorded = append(c.Recorded, step.Recorded)
		if v, known := rates[i]; known {
			c.Points = append(c.Points, chart.Point{Step: i, Value: v})
			if last = i; most < 0 || v > rates[most] {
				most = i
			}
		}
	}
	c.Desc = b.T("curve unknown")
	if last >= 0 {
		c.Desc = b.T("curve", chart.Number(rates[most]), b.minute(s.Steps[most].Start), chart.Number(rates[last]), b.minute(s.Steps[last].Start))
	}
	return c.SVG()
}

// numbers returns the rows of the table with the same numbers as the curves, newest first.
func (b base) numbers(s *op25bv1.ListSeriesResponse, values []map[int]float64) (rows [][]string) {
	for i := len(s.Steps) - 1; i >= 0; i-- {
		row := []string{b.minute(s.Steps[i].Start), share(s.Steps[i].Recorded)}
		for _, rates := range values {
			text := "-"
			if v, known := rates[i]; known {
				text = chart.Number(v)
			}
			row = append(row, text)
		}
		rows = append(rows, row)
	}
	return rows
}

// minute formats a time of a step.
func (b base) minute(t *timestamppb.Timestamp) string {
	return t.AsTime().In(b.Zone).Format("2006-01-02 15:04")
}

// share formats a share as a percentage. Only 1 is 100%, and only 0 is 0%.
func share(v float64) string {
	n := int(math.Round(100 * v))
	if n == 100 && v < 1 {
		n = 99
	}
	if n == 0 && v > 0 {
		n = 1
	}
	return fmt.Sprintf("%d%%", n)
}

// recordedFrom returns how much was recorded from a step on, and the first step of which a part was recorded, or -1 if there is none.
func recordedFrom(s *op25bv1.ListSeriesResponse, from int) (recorded time.Duration, first int) {
	first = -1
	for i := from; i < len(s.Steps); i++ {
		end := s.To.AsTime()
		if i+1 < len(s.Steps) {
			end = s.Steps[i+1].Start.AsTime()
		}
		recorded += time.Duration(s.Steps[i].Recorded * float64(end.Sub(s.Steps[i].Start.AsTime())))
		if first < 0 && s.Steps[i].Recorded > 0 {
			first = i
		}
	}
	return recorded, first
}

// recordedOf says how much of the time of series was recorded from a step on.
func (b base) recordedOf(when string, s *op25bv1.ListSeriesResponse, from int) string {
	recorded, _ := recordedFrom(s, from)
	return b.recorded(when, &op25bv1.CountedSince{From: s.Steps[from].Start, To: s.To, Recorded: durationpb.New(recorded)})
}

// elsewhere says which switches series do not include.
func (b base) elsewhere(s *op25bv1.ListSeriesResponse) (all []string) {
	if len(s.Elsewhere) == 0 {
		return nil
	}
	var names, nobody []string
	of := make(map[string][]string)
	var owners []string
	for _, e := range s.Elsewhere {
		names = append(names, e.Switch)
		if e.Owner == "" {
			nobody = append(nobody, e.Switch)
			continue
		}
		if of[e.Owner] == nil {
			owners = append(owners, e.Owner)
		}
		of[e.Owner] = append(of[e.Owner], e.Switch)
	}
	all = append(all, b.T("not included", b.T("names of count", b.names(names), prose.Number(len(names)+int(s.ElsewhereLeftOut)))))
	for _, o := range owners {
		all = append(all, b.T("forecast owner", b.names(of[o]), o))
	}
	if len(nobody) > 0 {
		all = append(all, b.T("owner none", b.names(nobody)))
	}
	return all
}
