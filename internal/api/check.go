package api

import (
	"context"
	"errors"

	"connectrpc.com/connect"

	"op25b/internal/check"
	"op25b/internal/check/desk"
	"op25b/internal/intent"
	"op25b/internal/view"
	op25bv1 "op25b/proto/op25b/v1"
	"op25b/proto/op25b/v1/op25bv1connect"
)

type checkService struct{ *server }

var _ op25bv1connect.CheckServiceHandler = checkService{}

// asked returns the intent that a question refers to.
func (s checkService) asked(ctx context.Context, from *op25bv1.CheckFrom) (*intent.Intent, error) {
	switch {
	case s.Deps.Check == nil:
		return nil, connect.NewError(connect.CodeUnimplemented, errors.New("this controller does not serve CheckService"))
	case len(from.GetFiles()) > 0 && from.GetRevision() != 0:
		return nil, fault("from.files", "the request has files and a revision", "give only one of them")
	case len(from.GetFiles()) > 0 && from.GetTicket() != "":
		return nil, fault("from.ticket", "the request has files and a ticket", "give only one of them: a question with files is not recorded")
	case len(from.GetFiles()) > 0:
		proposal, err := s.propose(ctx, from.Files)
		if err != nil {
			return nil, err
		}
		return proposal.Intent, nil
	}
	in, err := s.at(ctx, from.GetRevision())
	if err != nil {
		return nil, err
	}
	return s.documentsFor(in, from), in.Broken()
}

// documentsFor returns the intent with the documents of the switch that a question is about.
func (s checkService) documentsFor(in *intent.Intent, from *op25bv1.CheckFrom) *intent.Intent {
	if in.Split() == nil {
		return in
	}
	for _, of := range in.Contents() {
		q, err := question(from, of.Bundle.Policy)
		if err != nil {
			continue
		}
		if _, sw, err := s.Deps.Check.Subject(sourceOf(of), q); err == nil && in.For(sw) == of {
			return of
		}
	}
	return in
}

// Check returns the verdict on a connection.
func (s checkService) Check(ctx context.Context, req *connect.Request[op25bv1.CheckRequest]) (*connect.Response[op25bv1.CheckResponse], error) {
	return answered(ctx, s, "connection", req.Msg.From, func(in *intent.Intent) (*op25bv1.CheckResponse, error) {
		answer, err := AnswerCheck(ctx, s.Deps.Check, sourceOf(in), req.Msg)
		if err != nil {
			return nil, err
		}
		if answer.Seen, err = s.seenOn(ctx, in, req.Msg.From); err != nil {
			return nil, err
		}
		if note := view.Unconfirmed(answer.Seen); note != "" {
			answer.Notes = append(answer.Notes, note)
		}
		answer.Text, err = textOf("", func(v view.View) error { return v.Check(answer) })
		return answer, err
	})
}

// sourceOf converts an intent to the source for a desk's answers. The revision number of a proposal is 0.
func sourceOf(in *intent.Intent) desk.Source {
	return desk.Source{Source: check.Source{Bundle: in.Bundle, Numbers: in.Numbers, Activations: in.Activations}, Revision: in.Number}
}

// seenOn returns what was seen of the switch in a question. It returns nil if the question is about another time, phase or revision, because
// nothing can be seen of those.
func (s checkService) seenOn(ctx context.Context, in *intent.Intent, from *op25bv1.CheckFrom) (*op25bv1.CheckSeen, error) {
	if from.GetAt() != nil || from.GetLocalAt() != "" || from.GetPhase() != "" || from.GetRevision() != 0 || len(from.GetFiles()) > 0 {
		return nil, nil
	}
	q, err := question(from, in.Bundle.Policy)
	if err != nil {
		return nil, err
	}
	_, sw, err := s.Deps.Check.Subject(sourceOf(in), q)
	if err != nil {
		return nil, err
	}
	statuses, err := s.Switches.List(ctx)
	if err != nil {
		return nil, err
	}
	seen := &op25bv1.CheckSeen{Switch: sw}
	wanted, err := in.InForce(sw, s.Now())
	if err != nil {
		return nil, err
	}
	for _, st := range statuses {
		if st.Switch == sw {
			seen.Revision, seen.InForce, seen.Seen = st.Revision, st.InForce, st.Seen
			seen.Confirmed = confirmed(in, st) && st.InForce == wanted.String()
		}
	}
	return seen, nil
}

// CheckMail returns the effect of blocking port 25 on a mailbox.
func (s checkService) CheckMail(ctx context.Context, req *connect.Request[op25bv1.CheckMailRequest]) (*connect.Response[op25bv1.CheckMailResponse], error) {
	return answered(ctx, s, "mailbox", req.Msg.From, func(in *intent.Intent) (*op25bv1.CheckMailResponse, error) {
		answer, err := answerMail(ctx, s.Deps.Check, sourceOf(in), req.Msg)
		if err != nil {
			return nil, err
		}
		if answer.Seen, err = s.seenOn(ctx, in, req.Msg.From); err != nil {
			return nil, err
		}
		return answer, setMailText(answer, req.Msg)
	})
}
