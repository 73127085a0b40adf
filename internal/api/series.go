package api

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"op25b/internal/intent"
	"op25b/internal/telemetry/history"
	op25bv1 "op25b/proto/op25b/v1"
)

// These are the limits of ListSeries.
const (
	// maxSeriesPoints is the limit for the points of a series, which is more than a curve on a page can show.
	maxSeriesPoints = 200
	// maxSeries is the limit for the series of an answer. 256 series of 200 points take 3 MB.
	maxSeries = 256
	// maxSeriesNames is the limit for the names of rules or interfaces in a request.
	maxSeriesNames = 256
	// maxElsewhere is the limit for the switches of other controllers that an answer names.
	maxElsewhere = 1024
)

// ListSeries lists the counts of rules or interfaces over time.
func (s telemetryService) ListSeries(ctx context.Context, req *connect.Request[op25bv1.ListSeriesRequest]) (*connect.Response[op25bv1.ListSeriesResponse], error) {
	switch {
	case s.Counters == nil:
		return nil, errNoCounters
	case s.History == nil:
		return nil, errNoHistory
	}
	now := time.Now() // the clock by which the history was recorded
	q, err := seriesQuery(req.Msg, now)
	if err != nil {
		return nil, err
	}
	in, err := s.currentOrNone(ctx)
	if err != nil {
		return nil, err
	}
	statuses, err := s.Switches.List(ctx)
	if err != nil {
		return nil, err
	}
	members, err := s.Store.Members(ctx)
	if err != nil {
		return nil, err
	}
	var names []string
	if req.Msg.Switch != "" {
		names = []string{req.Msg.Switch}
	}
	if err := unknownSwitches(in, names); err != nil {
		return nil, err
	}
	answer := &op25bv1.ListSeriesResponse{Controller: s.Name, UtcOffset: offsetOf(in)}
	owned := setOf(s.Counters.Owned())
	for _, sw := range s.withOwners(in, statuses, members, names, func(name string) bool { return owned[name] }) {
		switch {
		case owned[sw.Name]:
			q.Switches = append(q.Switches, sw.Name)
		case len(answer.Elsewhere) == maxElsewhere:
			answer.ElsewhereLeftOut++
		default:
			answer.Elsewhere = append(answer.Elsewhere, &op25bv1.SwitchElsewhere{Switch: sw.Name, Owner: sw.owner, OwnerAddress: sw.addr})
		}
	}
	if answer.Switches = uint32(len(q.Switches)); answer.Switches == 0 {
		answer.From, answer.To = timestamppb.New(q.From), timestamppb.New(q.To)
		return connect.NewResponse(answer), nil
	}
	sums, err := s.History.Sum(ctx, q)
	if err != nil {
		return nil, err
	}
	addSums(answer, sums, in, now)
	return connect.NewResponse(answer), nil
}

// seriesQuery returns the query for a request, without its switches.
func seriesQuery(m *op25bv1.ListSeriesRequest, now time.Time) (history.SumQuery, error) {
	q := history.SumQuery{Names: m.Names, From: m.From.AsTime(), To: now, Points: cmp.Or(int(m.MaxPoints), maxSeriesPoints)}
	switch m.Kind {
	case op25bv1.SeriesKind_SERIES_KIND_UNSPECIFIED, op25bv1.SeriesKind_SERIES_KIND_RULES:
	case op25bv1.SeriesKind_SERIES_KIND_INTERFACES:
		q.Kind = history.Interfaces
	default:
		return q, fault("kind", fmt.Sprintf("unknown kind %d", m.Kind), "must be RULES or INTERFACES")
	}
	if m.To != nil && m.To.AsTime().Before(now) {
		q.To = m.To.AsTime()
	}
	switch n := len(m.Names); {
	case m.From.CheckValid() != nil:
		return q, fault("from", "there is no time, or it is invalid", "give the time at which the series begin")
	case m.To != nil && m.To.CheckValid() != nil:
		return q, fault("to", "the time is invalid", "must be a time between the years 1 and 9999; none means now")
	case q.To.Sub(q.From) < minSince || q.To.Sub(q.From) > maxSince:
		return q, fault("from", fmt.Sprintf("the range is %v", q.To.Sub(q.From)), fmt.Sprintf("must be from %v to %v", minSince, maxSince))
	case m.MaxPoints > maxSeriesPoints:
		return q, fault("maxPoints", fmt.Sprint(m.MaxPoints), fmt.Sprintf("must be from 1 to %d; 0 means %d", maxSeriesPoints, maxSeriesPoints))
	case n > maxSeriesNames:
		return q, fault("names", fmt.Sprintf("%d names", n), fmt.Sprintf("must be at most %d; none means all", maxSeriesNames))
	case q.Kind == history.Interfaces && m.Switch == "":
		return q, fault("switch", "series of interfaces are those of one switch", "name the switch")
	}
	return q, nil
}

// addSums adds the sums of a history to an answer.
func addSums(answer *op25bv1.ListSeriesResponse, sums *history.Sums, in *intent.Intent, now time.Time) {
	to := sums.To
	if now.Before(to) { // the last step has not ended
		to = now
	}
	answer.From, answer.To, answer.Step = timestamppb.New(sums.From), timestamppb.New(to), durationpb.New(sums.Step)
	for i, covered := range sums.Covered {
		start := sums.From.Add(time.Duration(i) * sums.Step)
		step := &op25bv1.SeriesStep{Start: timestamppb.New(start)}
		if past := min(sums.Step, now.Sub(start)); past > 0 {
			step.Recorded = min(1, covered.Seconds()/(past.Seconds()*float64(answer.Switches)))
		}
		answer.Steps = append(answer.Steps, step)
	}
	numbers := in.Numbers.RuleIDs() // there are switches, and so there is an intent
	const last = 1 << 16            // the place of a rule that has no number any more
	slices.SortStableFunc(sums.Rows, func(a, b history.Row) int {
		return cmp.Compare(cmp.Or(int(numbers[a.Key.Rule]), last), cmp.Or(int(numbers[b.Key.Rule]), last))
	})
	answer.SeriesLeftOut = uint32(max(0, len(sums.Rows)-maxSeries))
	for i := range sums.Rows[:min(len(sums.Rows), maxSeries)] {
		answer.Series = append(answer.Series, seriesMessage(&sums.Rows[i]))
	}
}

func seriesMessage(r *history.Row) *op25bv1.Series {
	m := &op25bv1.Series{Rule: r.Key.Rule, Leg: strings.ToLower(r.Key.Leg), Interface: r.Key.Interface, Direction: r.Key.Direction}
	for i := range r.Points {
		p := &r.Points[i]
		point := &op25bv1.SeriesPoint{Step: uint32(p.At), Packets: p.Packets, Octets: p.Octets, GapPackets: p.GapPackets, GapOctets: p.GapOctets}
		if p.Rated {
			point.PacketsPerSecond, point.OctetsPerSecond = &p.PacketRate, &p.OctetRate
		}
		m.Packets, m.Octets = m.Packets+p.Packets, m.Octets+p.Octets
		m.GapPackets, m.GapOctets = m.GapPackets+p.GapPackets, m.GapOctets+p.GapOctets
		m.Points = append(m.Points, point)
	}
	return m
}
