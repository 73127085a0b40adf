package api

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"op25b/internal/check"
	"op25b/internal/policy"
	op25bv1 "op25b/proto/op25b/v1"
	"op25b/proto/op25b/v1/op25bv1connect"
)

type portalService struct {
	*server
	publisher *publisher
}

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

// mailPorts are the ports of AskOwnLineResponse.ports.
var mailPorts = []policy.TCPPort{policy.PortSMTP, policy.PortSubmissions, policy.PortSubmission}

// AskOwnLine answers a question about the line that has an address.
func (s portalService) AskOwnLine(ctx context.Context, req *connect.Request[op25bv1.AskOwnLineRequest]) (*connect.Response[op25bv1.AskOwnLineResponse], error) {
	if s.Deps.Check == nil {
		return nil, connect.NewError(connect.CodeUnimplemented, errors.New("this controller does not serve PortalService.AskOwnLine"))
	}
	addr, err := netip.ParseAddr(strings.TrimSpace(req.Msg.Address))
	if err != nil {
		return nil, fmt.Errorf("%w: address %q: must be an IPv4 or IPv6 address, such as 192.0.2.11", check.ErrQuestion, req.Msg.Address)
	}
	addr = addr.Unmap()
	e, err := s.publisher.now(ctx)
	if err != nil {
		return nil, err
	}
	answer := &op25bv1.AskOwnLineResponse{}
	own, _, ok := s.lineOf(e.in, addr)
	if !ok {
		return connect.NewResponse(answer), nil
	}
	answer.Known, answer.Revision, answer.Time = true, e.in.Number, timestamppb.New(s.Now())
	if g := e.in.Bundle.Policy.LineGroup(own.line.Group); g != nil {
		answer.LineGroup = &op25bv1.Named{Name: g.Name, Title: g.Title}
	}
	if e.docs != nil {
		answer.Area, answer.Line, _ = e.docs.Line(own.line.Name)
	}
	wanted, err := e.in.InForce(own.sw.Name, s.dates())
	if err != nil {
		return nil, err
	}
	answer.Confirmed = e.seen[own.sw.Name] == wanted.String()
	from := &op25bv1.CheckFrom{Line: own.line.Name, From: addr.String()}
	source := sourceOf(e.in)
	switch q := req.Msg.Question.(type) {
	case *op25bv1.AskOwnLineRequest_Server:
		for _, port := range mailPorts {
			a, err := AnswerCheck(ctx, s.Deps.Check, source, &op25bv1.CheckRequest{From: from, To: q.Server, Port: uint32(port)})
			if err != nil {
				return nil, err
			}
			answer.Phase = a.Phase
			answer.Ports = append(answer.Ports, ownLinePort(a))
		}
	case *op25bv1.AskOwnLineRequest_Mailbox:
		m := &op25bv1.CheckMailRequest{From: from, Address: q.Mailbox, Language: req.Msg.Language}
		if answer.Mailbox, err = AnswerCheckMail(ctx, s.Deps.Check, source, m); err != nil {
			return nil, err
		}
	}
	return connect.NewResponse(answer), nil
}

// ownLinePort returns the part of an answer that a customer may know, for the worst result.
func ownLinePort(a *op25bv1.CheckResponse) *op25bv1.OwnLinePort {
	m := &op25bv1.OwnLinePort{Port: a.Port, Outcome: a.Outcome, Passes: a.Passes}
	for _, r := range a.Results {
		if r.Outcome == a.Outcome {
			m.Rule, m.Since, m.Next = r.Rule, r.Since, r.Next
			break
		}
	}
	return m
}
