package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"op25b/internal/telemetry/history"
	op25bv1 "op25b/proto/op25b/v1"
)

// These are the limits of ListCountersRequest.since. A history counts by the minute, and keeps five years.
const (
	minSince = time.Minute
	maxSince = 5 * 366 * 24 * time.Hour
)

var errNoHistory = connect.NewError(connect.CodeFailedPrecondition, errors.New(
	"this controller keeps no history of counters; start it with --history or --prometheus"))

// addHistory adds to the messages of owned switches the packets that their rules have counted in the requested time.
func (s telemetryService) addHistory(ctx context.Context, f *foundCounters, all []*op25bv1.SwitchCounters, q *op25bv1.ListCountersRequest) error {
	since := q.Since.AsDuration()
	switch {
	case s.History == nil:
		return errNoHistory
	case q.Since.CheckValid() != nil || since < minSince || since > maxSince:
		return fault("since", fmt.Sprintf("%v", since), fmt.Sprintf("must be from %v to %v", minSince, maxSince))
	}
	var owned []string
	for i := range f.switches {
		if f.switches[i].sample != nil {
			owned = append(owned, f.switches[i].Name)
		}
	}
	if len(owned) == 0 {
		return nil
	}
	now := time.Now() // the clock by which the history was recorded
	r, err := s.History.Range(ctx, history.Query{Switches: owned, Rules: q.Rules, From: now.Add(-since), To: now})
	if err != nil {
		return err
	}
	to := r.To
	if now.Before(to) { // the last step has not ended
		to = now
	}
	of := make(map[string]*op25bv1.CountedSince)
	for i, sw := range f.switches {
		if sw.sample != nil {
			of[sw.Name] = &op25bv1.CountedSince{From: timestamppb.New(r.From), To: timestamppb.New(to), Recorded: durationpb.New(0)}
			all[i].Counted = of[sw.Name]
		}
	}
	for i := range r.Series {
		if c := of[r.Series[i].Key.Switch]; c != nil {
			addSeries(c, &r.Series[i])
		}
	}
	numbers := f.in.Numbers.RuleIDs()
	for _, c := range of {
		slices.SortFunc(c.Rules, func(a, b *op25bv1.RuleCounters) int {
			return cmp.Or(cmp.Compare(numbers[a.Rule], numbers[b.Rule]), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Leg, b.Leg), cmp.Compare(a.Phase, b.Phase))
		})
	}
	return nil
}

// addSeries adds the counts of a series. All counters of a switch are recorded together, so the counter with the longest recorded time
// shows for how long the switch was recorded.
func addSeries(c *op25bv1.CountedSince, s *history.Series) {
	n := &op25bv1.RuleCounters{Rule: s.Key.Rule, Leg: strings.ToLower(s.Key.Leg), Phase: s.Key.Phase}
	var recorded time.Duration
	for _, p := range s.Points {
		n.Packets, n.Octets = n.Packets+p.Packets, n.Octets+p.Octets
		recorded += p.Covered
	}
	if recorded > c.Recorded.AsDuration() {
		c.Recorded = durationpb.New(recorded)
	}
	if n.Packets > 0 || n.Octets > 0 {
		c.Rules = append(c.Rules, n)
	}
}
