package api

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/types/known/timestamppb"

	"op25b/internal/check"
	"op25b/internal/intent"
	"op25b/internal/policy"
	"op25b/internal/store"
	"op25b/internal/view/prose"
	op25bv1 "op25b/proto/op25b/v1"
	"op25b/proto/op25b/v1/op25bv1connect"
)

type exemptionService struct{ *server }

var _ op25bv1connect.ExemptionServiceHandler = exemptionService{}

// exemptTries is how often a change of one exemption is proposed again because another revision was stored meanwhile.
const exemptTries = 10

// Add adds an exemption.
func (s exemptionService) Add(ctx context.Context, req *connect.Request[op25bv1.AddExemptionRequest], out *connect.ServerStream[op25bv1.Progress]) error {
	m := req.Msg.GetExemption()
	e, err := subjectOf(m.GetLine(), m.GetPrefix())
	if err != nil {
		return err
	}
	e.Owner, e.Reason, e.Ticket = m.GetOwner(), m.GetReason(), m.GetTicket()
	if err := faults(checkReason(e.Reason), checkOwner(e.Owner), checkLastDay(m.GetExpires())); err != nil {
		return err
	}
	if err := faults(dateOf("expires", m.GetExpires(), &e.Expires), dateOf("review", m.GetReview(), &e.Review)); err != nil {
		return err
	}
	return s.change(ctx, intent.Exempting{Verb: intent.ExemptionAdd, Exemption: e}, request{e.Reason, req.Msg.GetRequestId()}, req.Msg.NoWait, out)
}

func checkOwner(owner string) error {
	if strings.TrimSpace(owner) == "" {
		return fault("owner", "no owner", "give who answers for the exemption")
	}
	return nil
}

func checkLastDay(expires string) error {
	if expires == "" {
		return fault("expires", "no last day", "give the last day, such as 2027-03-31")
	}
	return nil
}

// Renew moves the last day of an exemption.
func (s exemptionService) Renew(ctx context.Context, req *connect.Request[op25bv1.RenewExemptionRequest], out *connect.ServerStream[op25bv1.Progress]) error {
	m := req.Msg
	e, err := subjectOf(m.Line, m.Prefix)
	if err != nil {
		return err
	}
	e.Ticket = m.Ticket
	if err := checkLastDay(m.Expires); err != nil {
		return err
	}
	if err := faults(dateOf("expires", m.Expires, &e.Expires), dateOf("review", m.Review, &e.Review), checkExempting(e, m.Reason)); err != nil {
		return err
	}
	return s.change(ctx, intent.Exempting{Verb: intent.ExemptionRenew, Exemption: e}, m, m.NoWait, out)
}

// End removes an exemption.
func (s exemptionService) End(ctx context.Context, req *connect.Request[op25bv1.EndExemptionRequest], out *connect.ServerStream[op25bv1.Progress]) error {
	m := req.Msg
	e, err := subjectOf(m.Line, m.Prefix)
	if err != nil {
		return err
	}
	e.Ticket = m.Ticket
	if err := checkExempting(e, m.Reason); err != nil {
		return err
	}
	return s.change(ctx, intent.Exempting{Verb: intent.ExemptionEnd, Exemption: e}, m, m.NoWait, out)
}

// A request has the reason and the id of a request whose message has them elsewhere.
type request struct{ reason, id string }

func (r request) GetReason() string    { return r.reason }
func (r request) GetRequestId() string { return r.id }

// change stores a change of one exemption on the current revision, whatever it is, and follows the switches that it concerns.
func (s exemptionService) change(ctx context.Context, x intent.Exempting, m reasoned, noWait bool, out *connect.ServerStream[op25bv1.Progress]) error {
	in, made, err := s.exempt(ctx, x, m)
	if err != nil {
		return err
	}
	f := newFollower(in)
	f.on = make(map[string]bool)
	for _, name := range in.Concerns(x.Exemption) {
		f.on[name] = true
	}
	return s.followOn(ctx, f, &op25bv1.Progress{Unchanged: !made}, noWait, out.Send)
}

// exempt stores a change of one exemption. made is false if the exemption was as wanted already. The change is proved, and must fit, as one of the
// documents.
func (s exemptionService) exempt(ctx context.Context, x intent.Exempting, m reasoned) (in *intent.Intent, made bool, err error) {
	for range exemptTries {
		was, err := s.current(ctx)
		if err != nil {
			return nil, false, err
		}
		if id := m.GetRequestId(); id != "" && was.Request == id { // the answer to the first attempt was lost
			return was, true, nil
		}
		proposal, err := s.Book.ProposeExemption(ctx, x)
		switch {
		case errors.Is(err, store.ErrUnchanged):
			return proposal.Intent, false, nil
		case err != nil:
			return nil, false, err
		case proposal.Base != was.Number:
			continue
		}
		if err := s.Deps.Plan.Exempting(ctx, was, proposal.Intent, x.Exemption); err != nil { // I10 and I16
			return nil, false, err
		}
		in, err = s.Book.PutExemption(ctx, proposal, x, by(ctx, m, ""))
		if !errors.Is(err, store.ErrStale) {
			return in, true, err
		}
	}
	return nil, false, connect.NewError(connect.CodeAborted, fmt.Errorf("other changes of the intent were stored %d times meanwhile; try again", exemptTries))
}

// subjectOf returns an exemption of the line or prefix in a request.
func subjectOf(line, prefix string) (policy.Exemption, error) {
	switch {
	case line != "" && prefix != "":
		return policy.Exemption{}, fault("prefix", fmt.Sprintf("the request names both line %q and prefix %q", line, prefix), "give one of them")
	case line != "":
		return policy.Exemption{Line: line}, nil
	case prefix == "":
		return policy.Exemption{}, fault("line", "the request names neither a line nor a prefix", "give one of them")
	}
	p, err := prefixOf(prefix)
	return policy.Exemption{Prefix: p}, err
}

// prefixOf parses a prefix or an address.
func prefixOf(text string) (netip.Prefix, error) {
	if p, err := netip.ParsePrefix(text); err == nil {
		return p, nil
	}
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	return netip.Prefix{}, fault("prefix", fmt.Sprintf("%q is not a prefix", text), "must be a prefix such as 192.0.2.0/28 or 2001:db8::/48, or an address")
}

// dateOf sets a day from its text, unless the text is empty.
func dateOf(path, text string, to *policy.Date) error {
	if text == "" {
		return nil
	}
	d, err := policy.ParseDate(text)
	if err != nil {
		return fault(path, fmt.Sprintf("%q is not a date", text), "must be year-month-day, such as 2027-03-31")
	}
	*to = d
	return nil
}

// checkExempting checks the reason and the ticket of a change of an exemption.
func checkExempting(e policy.Exemption, reason string) error {
	if err := checkReason(reason); err != nil {
		return err
	}
	e.Reason = reason
	return policy.CheckExemptionTexts(e)
}

// List lists exemptions in the order of their ends.
func (s exemptionService) List(ctx context.Context, req *connect.Request[op25bv1.ListExemptionsRequest]) (*connect.Response[op25bv1.ListExemptionsResponse], error) {
	m := req.Msg
	limit, err := listLimit(m.Limit)
	if err != nil {
		return nil, err
	}
	var within netip.Prefix
	if m.Prefix != "" {
		if within, err = prefixOf(m.Prefix); err != nil {
			return nil, err
		}
	}
	if d := m.Expiring; d != nil && (d.CheckValid() != nil || d.AsDuration() < 0 || d.AsDuration() > maxEndsWithin) {
		return nil, fault("expiring", fmt.Sprintf("%d s", d.Seconds), "must be from 0 to 366 days")
	}
	in, err := s.current(ctx)
	if err != nil {
		return nil, err
	}
	list, err := in.Exemptions()
	if err != nil {
		return nil, err
	}
	if m.Line != "" {
		if _, _, known := s.publisher.documents(in).lines.Line(m.Line); !known {
			return nil, check.UnknownLine(in.Bundle.Inventory, m.Line)
		}
	}
	p, now := in.Bundle.Policy, s.dates()
	type ending struct {
		*policy.Exemption
		ends time.Time // compared often, and computed once
	}
	var all []ending
	for i := range list {
		e := &list[i]
		switch {
		case m.Line != "" && e.Line != m.Line:
		case within.IsValid() && !(e.Prefix.IsValid() && e.Prefix.Overlaps(within)):
		case m.Expiring != nil && (p.Ended(e, now) || p.Ends(e).After(now.Add(m.Expiring.AsDuration()))):
		default:
			all = append(all, ending{e, p.Ends(e)})
		}
	}
	slices.SortStableFunc(all, func(a, b ending) int { return a.ends.Compare(b.ends) })
	answer := &op25bv1.ListExemptionsResponse{Revision: in.Number, Time: timestamppb.New(now), UtcOffset: offsetOf(in), Total: uint32(len(all))}
	all = all[min(len(all), int(m.Skip)):]
	for _, e := range all[:min(len(all), limit)] {
		answer.Exemptions = append(answer.Exemptions, exemptionMessage(in, e.Exemption))
	}
	return connect.NewResponse(answer), nil
}

func exemptionMessage(in *intent.Intent, e *policy.Exemption) *op25bv1.Exemption {
	m := &op25bv1.Exemption{
		Line: e.Line, Owner: e.Owner, Reason: e.Reason, Ticket: e.Ticket, Expires: e.Expires.String(), Ends: timestamppb.New(in.Bundle.Policy.Ends(e)),
	}
	if !e.Review.IsZero() {
		m.Review = e.Review.String()
	}
	if e.Line == "" {
		m.Prefix = e.Prefix.String()
	} else if on := in.Concerns(*e); len(on) > 0 {
		m.Switch = on[0]
	}
	return m
}

// endingNotices returns a notice of the exemptions that end soon.
func (s *server) endingNotices(ctx context.Context) []string {
	in, err := s.currentOrNone(ctx)
	if err != nil || in == nil {
		return nil
	}
	now := s.dates()
	n := in.Ending(now, now.Add(endsWithin))
	if n == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%s within 14 days: op25b exempt list --expiring 14d", prose.Count(n, "exemption")+" "+ends(n))}
}

func ends(n int) string {
	if n == 1 {
		return "ends"
	}
	return "end"
}

// measureWithin is the longest time for which a metric waits for the store.
const measureWithin = 2 * time.Second

// measureExemptions registers the numbers of exemptions. If the intent cannot be read, they are not a number.
func (s *server) measureExemptions(r prometheus.Registerer) {
	gauge := func(name, help string, value func(in *intent.Intent, now time.Time) int) {
		r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 {
			ctx, cancel := context.WithTimeout(context.Background(), measureWithin)
			defer cancel()
			in, err := s.currentOrNone(ctx)
			switch {
			case err != nil:
				return math.NaN()
			case in == nil:
				return 0
			}
			return float64(value(in, s.dates()))
		}))
	}
	gauge("op25b_exemptions", "Exemptions of the intent that have not ended.", func(in *intent.Intent, now time.Time) int {
		return in.Ending(now, now.AddDate(10_000, 0, 0))
	})
	gauge("op25b_exemptions_ending", "Exemptions that end within 14 days.", func(in *intent.Intent, now time.Time) int {
		return in.Ending(now, now.Add(endsWithin))
	})
}
