package api

import (
	"context"
	"errors"

	"op25b/internal/intent"
)

// current returns the current intent, or intent.ErrNone if there is none yet.
func (s *server) current(ctx context.Context) (*intent.Intent, error) { return s.Book.Current(ctx) }

// currentOrNone returns the current intent, or nil if there is none yet.
func (s *server) currentOrNone(ctx context.Context) (*intent.Intent, error) {
	in, err := s.current(ctx)
	if errors.Is(err, intent.ErrNone) {
		return nil, nil
	}
	return in, err
}

// offsetOf returns the UTC offset of an intent's policy, in which the policy's dates are defined. It returns an empty string if in is
// nil.
func offsetOf(in *intent.Intent) string {
	if in == nil || in.Bundle == nil {
		return ""
	}
	return in.Bundle.Policy.UTCOffset.String()
}

// at returns the intent at a revision; revision 0 means the current revision.
func (s *server) at(ctx context.Context, revision uint64) (*intent.Intent, error) {
	if revision == 0 {
		return s.current(ctx)
	}
	return s.Book.At(ctx, revision)
}
