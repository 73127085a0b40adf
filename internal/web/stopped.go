package web

import (
	"context"
	"fmt"
	"html/template"
	"strings"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"op25b/internal/view/prose"
	op25bv1 "op25b/proto/op25b/v1"
)

// stoppedData has what the rules of the phases in force counted lately, on all switches of the controller.
type stoppedData struct {
	curvesData
	day *op25bv1.ListSeriesResponse // nil if there are no series
}

// A ruleCount has what a rule of a phase counted. The counts are "-" if they are not known.
type ruleCount struct {
	Day, Begun string
	Image      template.HTML // empty if the rule counted nothing
}

// stopped asks for what the rules counted in the last day.
func (v *visit) stopped(ctx context.Context) *stoppedData {
	d := &stoppedData{curvesData: curvesData{base: v.base, ID: "stopped"}}
	r, err := v.telemetry.ListSeries(ctx, connect.NewRequest(&op25bv1.ListSeriesRequest{From: timestamppb.New(v.Now.Add(-24 * time.Hour)), MaxPoints: curvePoints}))
	if d.Missing = v.missing(err); d.Missing != nil {
		return d
	}
	s := r.Msg
	d.Notes = v.elsewhere(s)
	if s.Switches == 0 || len(s.Steps) == 0 {
		d.Missing = new(v.said(strings.Join(d.Notes, " "), ""))
		return d
	}
	d.day = s
	d.Notes = append([]string{v.T("counted what", prose.Number(s.Switches)), v.among(v.T("last day"), v.records(ctx, s, v.Now.Add(-24*time.Hour)), s, 0)}, d.Notes...)
	if s.SeriesLeftOut > 0 {
		d.Notes = append(d.Notes, v.T("more curves", prose.Number(s.SeriesLeftOut)))
	}
	d.Head = []string{v.T("from"), v.T("recorded")}
	var values []map[int]float64
	for _, rule := range rulesOf(s) {
		if len(values) < maxCurves {
			d.Head, values = append(d.Head, rule), append(values, ofRule(s, rule).rates)
		}
	}
	if recorded, _ := recordedFrom(s, 0); len(values) > 0 && recorded >= leastRecorded {
		d.Rows = v.numbers(s, values)
	}
	return d
}

// rulesOf returns the names of the rules that have series, in order.
func rulesOf(s *op25bv1.ListSeriesResponse) (all []string) {
	for _, one := range s.Series {
		if len(all) == 0 || all[len(all)-1] != one.Rule { // the series are ordered by rule
			all = append(all, one.Rule)
		}
	}
	return all
}

// A ruleSeries is the sum of the series of a rule over its legs. A packet matches a rule on one leg only.
type ruleSeries struct {
	there   bool
	packets map[int]uint64 // by step
	rates   map[int]float64
}

func ofRule(s *op25bv1.ListSeriesResponse, rule string) ruleSeries {
	sum := ruleSeries{packets: make(map[int]uint64), rates: make(map[int]float64)}
	for _, one := range s.Series {
		if one.Rule != rule {
			continue
		}
		sum.there = true
		for _, p := range one.Points {
			sum.packets[int(p.Step)] += p.Packets
			if p.PacketsPerSecond != nil {
				sum.rates[int(p.Step)] += *p.PacketsPerSecond
			}
		}
	}
	return sum
}

// total returns the packets from a step on, or "-" if there are none and hardly any of that time was recorded.
func (r ruleSeries) total(s *op25bv1.ListSeriesResponse, from int) string {
	n := uint64(0)
	for i := from; i < len(s.Steps); i++ {
		n += r.packets[i]
	}
	if recorded, _ := recordedFrom(s, from); n == 0 && recorded < leastRecorded {
		return "-"
	}
	return prose.Number(n)
}

// firstRecord returns the time of the first record, which is in the given step of the series. A step of a long time lasts for hours, so firstRecord
// asks for the finest steps within it.
func (v *visit) firstRecord(ctx context.Context, s *op25bv1.ListSeriesResponse, at int) string {
	from, to := s.Steps[at].Start, s.To
	if at+1 < len(s.Steps) {
		to = s.Steps[at+1].Start
	}
	r, err := v.telemetry.ListSeries(ctx, connect.NewRequest(&op25bv1.ListSeriesRequest{From: from, To: to}))
	if err != nil {
		return v.minute(from)
	}
	if _, first := recordedFrom(r.Msg, 0); first >= 0 {
		return v.minute(r.Msg.Steps[first].Start)
	}
	return v.minute(from)
}

// countedIn adds to the rules of a phase in force what they counted. begins is the time since which the phase is in force, or zero if that time is
// not known. note says from when on the rules were counted, and how much of that time was recorded; it is empty if that is not known.
func (v *visit) countedIn(ctx context.Context, d *stoppedData, phase string, rules []ruleData, begins time.Time) (note string) {
	var begun *op25bv1.ListSeriesResponse
	first := 0
	if !begins.IsZero() && begins.Before(v.Now.Add(-time.Minute)) {
		from := begins
		if oldest := v.Now.AddDate(-5, 0, 0); from.Before(oldest) { // the history keeps no more
			from = oldest
		}
		r, err := v.telemetry.ListSeries(ctx, connect.NewRequest(&op25bv1.ListSeriesRequest{From: timestamppb.New(from)}))
		if err == nil && len(r.Msg.Steps) > 0 {
			begun = r.Msg
			for first < len(begun.Steps)-1 && begun.Steps[first].Start.AsTime().Before(from) { // the first step may begin before the phase
				first++
			}
			start := begun.Steps[first].Start
			note = v.among(v.T("counted from", v.minute(start)), v.records(ctx, begun, start.AsTime()), begun, first)
			if _, at := recordedFrom(begun, first); at > first {
				note = v.sentences(note, v.T("record begins", v.firstRecord(ctx, begun, at)))
			}
		}
	}
	for i := range rules {
		c := &ruleCount{Begun: "-"}
		day := ofRule(d.day, rules[i].Name)
		c.Day = day.total(d.day, 0)
		if begun != nil {
			c.Begun = ofRule(begun, rules[i].Name).total(begun, first)
		}
		if recorded, _ := recordedFrom(d.day, 0); day.there && recorded >= leastRecorded {
			c.Image = v.image(fmt.Sprint("stopped-", phase, "-", i), rules[i].Name, d.day, day.rates)
		}
		rules[i].Counted = c
	}
	return note
}
