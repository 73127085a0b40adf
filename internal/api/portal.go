package api

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"op25b/internal/check"
	"op25b/internal/check/desk"
	"op25b/internal/policy"
	"op25b/internal/view"
	op25bv1 "op25b/proto/op25b/v1"
	"op25b/proto/op25b/v1/op25bv1connect"
)

// OwnLine answers the questions of the portal's visitors about servers and mailboxes. It is implemented by *desk.Desk. Its look-ups of names
// must have bounds, because strangers ask.
type OwnLine interface {
	Questions
	Ports(ctx context.Context, s desk.Source, q check.Question, ports ...uint16) ([]desk.PortAnswer, error)
}

var _ OwnLine = (*desk.Desk)(nil)

type portalService struct{ *server }

var _ op25bv1connect.PortalServiceHandler = portalService{}

// WatchPublication sends the publication, and then each change of it.
func (s portalService) WatchPublication(ctx context.Context, req *connect.Request[op25bv1.WatchPublicationRequest], out *connect.ServerStream[op25bv1.WatchPublicationResponse]) error {
	ctx, cancel := s.stream(ctx)
	defer cancel(nil)
	in, err := s.current(ctx)
	if err != nil {
		return err
	}
	first, known := true, req.Msg.Known
	for e := range s.publisher.editions.Watch(ctx) {
		if old := first && number(e.in) < in.Number; old { // a newer edition follows
			continue
		}
		first = false
		if e.err != nil {
			return e.err
		}
		answer := &op25bv1.WatchPublicationResponse{Time: timestamppb.New(e.at), Id: e.publication.Id}
		if answer.Id != known {
			known, answer.Publication = answer.Id, e.publication
		}
		if err := out.Send(answer); err != nil {
			return err
		}
	}
	return s.ended(ctx, errors.New("call again"))
}

// Limits on questions of the portal.
const (
	// maxQuestionText is the limit on the length of a server's name or of a mail address, in bytes. A mail address has at most 254 (RFC 5321
	// section 4.5.3.1.3), and may be surrounded by blanks.
	maxQuestionText = 512
	// lookWithin is the limit on the time of a question for which names are looked up. A question about a mailbox may need several look-ups.
	lookWithin = 2500 * time.Millisecond
)

// mailPorts are the ports of AskOwnLineResponse.ports.
var mailPorts = []uint16{uint16(policy.PortSMTP), uint16(policy.PortSubmissions), uint16(policy.PortSubmission)}

// AskOwnLine answers a question about the line that has an address.
func (s portalService) AskOwnLine(ctx context.Context, req *connect.Request[op25bv1.AskOwnLineRequest]) (*connect.Response[op25bv1.AskOwnLineResponse], error) {
	if s.Deps.OwnLine == nil {
		return nil, connect.NewError(connect.CodeUnimplemented, errors.New("this controller does not serve PortalService.AskOwnLine"))
	}
	addr, err := visitorOf(req.Msg)
	if err != nil {
		return nil, err
	}
	e, err := s.publisher.now(ctx)
	if err != nil {
		return nil, err
	}
	own, _, ok := s.lineOf(e, addr)
	if !ok {
		return connect.NewResponse(&op25bv1.AskOwnLineResponse{}), nil
	}
	a := s.ownLine(e, own, addr)
	ctx, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	source, q := e.sourceFor(own, addr)
	switch x := req.Msg.Question.(type) {
	case *op25bv1.AskOwnLineRequest_Server:
		q.To = x.Server
		a.Ports, err = s.ownPorts(ctx, source, q, req.Msg.Language, s.loginLease(e, own))
	case *op25bv1.AskOwnLineRequest_Mailbox:
		m := &op25bv1.CheckMailRequest{From: &op25bv1.CheckFrom{Line: q.Line}, Address: x.Mailbox, Language: req.Msg.Language}
		if q.From.IsValid() {
			m.From.From = q.From.String()
		}
		a.Mailbox, err = AnswerCheckMail(ctx, s.Deps.OwnLine, source, m)
	}
	switch {
	case errors.Is(err, check.ErrNoPhase): // the error names the switch
		return nil, connect.NewError(connect.CodeFailedPrecondition, errors.New("no phase of the policy has begun"))
	case err != nil:
		return nil, err
	}
	return connect.NewResponse(a), nil
}

// visitorOf checks the texts of a question, and returns the visitor's address.
func visitorOf(m *op25bv1.AskOwnLineRequest) (netip.Addr, error) {
	if n := max(len(m.GetServer()), len(m.GetMailbox())); n > maxQuestionText {
		return netip.Addr{}, fmt.Errorf("%w: the server or mailbox has %d bytes: must be at most %d", check.ErrQuestion, n, maxQuestionText)
	}
	addr, err := netip.ParseAddr(strings.TrimSpace(m.Address))
	if err != nil || addr.Zone() != "" {
		return netip.Addr{}, fmt.Errorf("%w: address %q: must be an IPv4 or IPv6 address, such as 192.0.2.11", check.ErrQuestion, brief(m.Address))
	}
	return addr.Unmap(), nil
}

// ownLine returns the answer about a line without a question.
func (s portalService) ownLine(e *edition, own ownLine, addr netip.Addr) *op25bv1.AskOwnLineResponse {
	now := s.dates()
	p := e.in.For(own.sw.Name).Bundle.Policy
	a := &op25bv1.AskOwnLineResponse{
		Known: true, LineGroup: &op25bv1.Named{Name: own.line.Group}, Revision: e.in.Number, Time: timestamppb.New(s.Now()),
	}
	if g := p.LineGroup(own.line.Group); g != nil {
		a.LineGroup.Title = g.Title
	}
	if wanted, err := e.in.InForce(own.sw.Name, now); err == nil { // otherwise no phase has begun
		a.Confirmed = e.seen[own.sw.Name] == wanted.String()
	}
	if e.docs == nil {
		return a
	}
	a.Area, a.Line, _ = e.docs.Line(own.line.Name)
	if phase, since, ok := e.docs.Phase(own.line.Name, now); ok {
		a.Phase = &op25bv1.PhaseSince{Name: phase, Since: timestamppb.New(since)}
		if ph, ok := p.Phase(phase); ok {
			a.Phase.Title = ph.Title
		}
	}
	if until, ok := e.docs.ExemptUntil(own.line.Name, addr, now); ok {
		a.ExemptUntil = timestamppb.New(until)
	}
	return a
}

// loginLease returns a function that returns the lease with which a stopped connection of a line passes after a login.
func (s portalService) loginLease(e *edition, own ownLine) func(*check.Result) (policy.Lease, bool) {
	return func(r *check.Result) (policy.Lease, bool) {
		if s.Leases == nil {
			return policy.Lease{}, false
		}
		return r.ByLogin(e.in.For(own.sw.Name).Bundle.Policy, own.line.Group)
	}
}

// ownPorts answers a question about a server for each mail port.
func (s portalService) ownPorts(
	ctx context.Context, source desk.Source, q check.Question, language string, byLogin func(*check.Result) (policy.Lease, bool),
) ([]*op25bv1.OwnLinePort, error) {
	answers, err := s.Deps.OwnLine.Ports(ctx, source, q, mailPorts...)
	if errors.Is(err, check.ErrNoPhase) {
		answers = nil
		for _, port := range mailPorts {
			answers = append(answers, desk.PortAnswer{Port: port, Err: err})
		}
	} else if err != nil {
		return nil, err
	}
	all := make([]*op25bv1.OwnLinePort, len(answers))
	for i, a := range answers {
		all[i] = ownLinePort(a)
		if l, opens := byLogin(a.Result); opens {
			all[i].AfterLogin = &op25bv1.AfterLogin{Lasts: durationpb.New(time.Duration(l.For)), Tls: l.TLS == policy.TLSRequired}
		}
		if a.Err != nil {
			all[i].Problem = view.OwnLineProblem(language, problemOf(a.Err))
		}
	}
	return all, nil
}

func problemOf(err error) view.OwnLineFault {
	switch {
	case errors.Is(err, check.ErrFamily):
		return view.NoFamily
	case errors.Is(err, check.ErrNoPhase):
		return view.NoPhaseYet
	}
	return view.NoLookUp
}

// ownLinePort returns the part of an answer that a customer may know.
func ownLinePort(a desk.PortAnswer) *op25bv1.OwnLinePort {
	m := &op25bv1.OwnLinePort{Port: uint32(a.Port)}
	if a.Result == nil {
		return m
	}
	r := resultMessage(a.Result)
	m.Outcome, m.Passes, m.Rule, m.Since, m.Next = r.Outcome, a.Result.Outcome.Passes(), r.Rule, r.Since, r.Next
	return m
}
