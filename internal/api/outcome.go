package api

import (
	"context"
	"errors"

	"connectrpc.com/connect"

	"op25b/internal/intent"
	"op25b/internal/store"
	op25bv1 "op25b/proto/op25b/v1"
)

// once makes a change, unless the store already has a revision with the given request id. A caller whose answer was lost can therefore
// repeat the request with the same id. If the id is empty, once always makes the change.
func (s *server) once(ctx context.Context, request string, base uint64, change func() (*intent.Intent, error)) (*intent.Intent, error) {
	if request == "" {
		return change()
	}
	if in, made, err := s.Book.Made(ctx, request, base); made || err != nil {
		return in, err
	}
	in, err := change()
	if errors.Is(err, store.ErrStale) { // the same request may have been stored over another connection
		if made, is, again := s.Book.Made(ctx, request, base); is && again == nil {
			return made, nil
		}
	}
	return in, err
}

// Outcome reports whether the change with a given request id was stored.
func (s intentService) Outcome(ctx context.Context, req *connect.Request[op25bv1.OutcomeRequest]) (*connect.Response[op25bv1.OutcomeResponse], error) {
	outcome, r, err := s.Book.Settle(ctx, req.Msg.RequestId, req.Msg.Base)
	if err != nil {
		return nil, err
	}
	answer := &op25bv1.OutcomeResponse{Outcome: op25bv1.OutcomeResponse_UNKNOWN}
	switch outcome {
	case store.OutcomeStored:
		answer.Outcome, answer.Revision = op25bv1.OutcomeResponse_STORED, storedRevision(r)
	case store.OutcomeNotStored:
		answer.Outcome = op25bv1.OutcomeResponse_NOT_STORED
	}
	return connect.NewResponse(answer), nil
}
