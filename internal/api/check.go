package api

import (
	"context"
	"errors"
	"fmt"

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
	return in, in.Broken()
}

// Check returns the verdict on a connection.
func (s checkService) Check(ctx context.Context, req *connect.Request[op25bv1.CheckRequest]) (*connect.Response[op25bv1.CheckResponse], error) {
	return answered(ctx, s, "connection", req.Msg.From, func(in *intent.Intent) (*op25bv1.CheckResponse, error) {
		answer, err := AnswerCheck(ctx, s.Deps.Check, sourceOf(in), req.Msg)
		if err != nil {
			return nil, err
		}
		if from := req.Msg.From; from.GetAt() == nil && from.GetLocalAt() == "" && from.GetPhase() == "" && from.GetRevision() == 0 && len(from.GetFiles()) == 0 {
			if err := s.confirm(ctx, in, answer); err != nil {
				return nil, err
			}
		}
		answer.Text, err = textOf("", func(v view.View) error { return v.Check(answer) })
		return answer, err
	})
}

// sourceOf converts an intent to the source for a desk's answers. The revision number of a proposal is 0.
func sourceOf(in *intent.Intent) desk.Source {
	return desk.Source{Source: check.Source{Bundle: in.Bundle, Numbers: in.Numbers, Activations: in.Activations}, Revision: in.Number}
}

// confirm adds a note to an answer about the present time if the switch has not confirmed that the desired phases are in force. The answer
// itself is computed from the documents.
func (s checkService) confirm(ctx context.Context, in *intent.Intent, answer *op25bv1.CheckResponse) error {
	seen, err := s.seenIn(ctx, in)
	if err != nil {
		return err
	}
	wanted, err := in.InForce(answer.Switch, s.Now())
	if err == nil && seen[answer.Switch] != wanted.String() {
		note := fmt.Sprintf("switch %s has not confirmed this yet: the answer is what is wanted there, op25b status shows what is in force", answer.Switch)
		answer.Notes = append(answer.Notes, note)
	}
	return nil
}

// CheckMail returns the effect of blocking port 25 on a mailbox.
func (s checkService) CheckMail(ctx context.Context, req *connect.Request[op25bv1.CheckMailRequest]) (*connect.Response[op25bv1.CheckMailResponse], error) {
	return answered(ctx, s, "mailbox", req.Msg.From, func(in *intent.Intent) (*op25bv1.CheckMailResponse, error) {
		return AnswerCheckMail(ctx, s.Deps.Check, sourceOf(in), req.Msg)
	})
}
