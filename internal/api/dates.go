package api

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"op25b/internal/intent"
	"op25b/internal/policy"
	op25bv1 "op25b/proto/op25b/v1"
)

// Limits of ListDates.
const (
	// maxTurns is the maximum number of changes of phase in an answer. Each lists the names of its switches.
	maxTurns = 10
	// endsWithin is the time within which exemptions end if a request does not specify one. maxEndsWithin is the longest such time.
	endsWithin    = 14 * 24 * time.Hour
	maxEndsWithin = 366 * 24 * time.Hour
)

// ListDates lists the changes that dates will make.
func (s phaseService) ListDates(ctx context.Context, req *connect.Request[op25bv1.ListDatesRequest]) (*connect.Response[op25bv1.ListDatesResponse], error) {
	limit, err := listLimit(req.Msg.Limit)
	if err != nil {
		return nil, err
	}
	within, err := withinOf(req.Msg.Within)
	if err != nil {
		return nil, err
	}
	in, err := s.current(ctx)
	if err != nil {
		return nil, err
	}
	now := s.dates()
	answer := &op25bv1.ListDatesResponse{
		Revision: in.Number, Time: timestamppb.New(now), UtcOffset: offsetOf(in), Turns: timeline{in, in.Activations}.turns(policy.Scope{}, now, maxTurns),
	}
	if next, ok := in.NextEvent(now); ok {
		answer.Next = timestamppb.New(next)
	}
	ending := endingExemptions(in, now, now.Add(within))
	answer.Ending = uint32(len(ending))
	for _, e := range ending[:min(len(ending), limit)] {
		answer.Exemptions = append(answer.Exemptions, endingMessage(in.Bundle.Policy, e))
	}
	return connect.NewResponse(answer), nil
}

// withinOf returns the time within which exemptions end.
func withinOf(d *durationpb.Duration) (time.Duration, error) {
	if d == nil {
		return endsWithin, nil
	}
	if err := d.CheckValid(); err != nil || d.AsDuration() < 0 || d.AsDuration() > maxEndsWithin {
		return 0, fault("within", fmt.Sprintf("%d s", d.Seconds), "must be from 0 to 366 days; 0 means 14 days")
	}
	return cmp.Or(d.AsDuration(), endsWithin), nil
}

// endingExemptions returns the exemptions that end after now and no later than by, in the order of their ends, and then of the policy.
func endingExemptions(in *intent.Intent, now, by time.Time) []*policy.Exemption {
	p := in.Bundle.Policy
	var all []*policy.Exemption
	for i := range p.Exemptions {
		e := &p.Exemptions[i]
		if end := p.Ends(e); end.After(now) && !end.After(by) {
			all = append(all, e)
		}
	}
	slices.SortStableFunc(all, func(a, b *policy.Exemption) int { return p.Ends(a).Compare(p.Ends(b)) })
	return all
}

func endingMessage(p *policy.Policy, e *policy.Exemption) *op25bv1.EndingExemption {
	m := &op25bv1.EndingExemption{Line: e.Line, Owner: e.Owner, Ticket: e.Ticket, Expires: e.Expires.String(), Ends: timestamppb.New(p.Ends(e)), Reason: e.Reason}
	if !e.Review.IsZero() {
		m.Review = e.Review.String()
	}
	if e.Prefix.IsValid() {
		m.Prefix = e.Prefix.String()
	}
	return m
}
