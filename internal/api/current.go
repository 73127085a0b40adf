package api

import (
	"context"
	"errors"
	"sync"

	"op25b/internal/intent"
)

// A cache keeps the intent that was read last: a large one takes seconds to read, and every question wants it.
type cache struct {
	mu   sync.Mutex // guards what follows
	last *intent.Intent
}

func (c *cache) get(revision uint64) *intent.Intent {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.last != nil && c.last.Number == revision {
		return c.last
	}
	return nil
}

func (c *cache) put(in *intent.Intent) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.last == nil || c.last.Number < in.Number {
		c.last = in
	}
}

// current returns the current intent, or intent.ErrNone.
func (s *server) current(ctx context.Context) (*intent.Intent, error) {
	head, err := s.Store.Intent().Head(ctx)
	if err != nil {
		return nil, err
	}
	if head.Number == 0 {
		return nil, intent.ErrNone
	}
	return s.at(ctx, head.Number)
}

// currentOrNone is current, and nil if there is none yet.
func (s *server) currentOrNone(ctx context.Context) (*intent.Intent, error) {
	in, err := s.current(ctx)
	if errors.Is(err, intent.ErrNone) {
		return nil, nil
	}
	return in, err
}

// at returns a revision, the current one for 0.
func (s *server) at(ctx context.Context, revision uint64) (*intent.Intent, error) {
	if revision == 0 {
		return s.current(ctx)
	}
	if in := s.intents.get(revision); in != nil {
		return in, nil
	}
	in, err := s.Book.At(ctx, revision)
	if err != nil {
		return nil, err
	}
	s.intents.put(in)
	return in, nil
}
