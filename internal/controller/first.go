package controller

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"op25b/internal/intent"
	"op25b/internal/store"
)

// fullPause is the pause between two attempts to store the first documents while the store is full.
const fullPause = 10 * time.Second

// applyIfEmpty calls applyFirst repeatedly until the store has a quorum and enough room.
func (c *Controller) applyIfEmpty(ctx context.Context) error {
	for {
		err := c.applyFirst(ctx)
		if ctx.Err() != nil {
			return nil
		}
		switch {
		case errors.Is(err, store.ErrNoQuorum): // no pause, because each request waits several seconds before it fails
		case errors.Is(err, store.ErrFull):
			c.log.Warn("the files of -f are not stored yet", zap.Error(err))
			store.Pause(ctx, fullPause)
		default:
			return err
		}
	}
}

// applyFirst stores the first documents as the first revision, unless the store already has a revision.
func (c *Controller) applyFirst(ctx context.Context) error {
	switch in, err := c.book.Current(ctx); {
	case err == nil:
		c.log.Info("the files of -f are left alone: something is in force already", zap.Uint64("revision", in.Number))
		return nil
	case !errors.Is(err, intent.ErrNone):
		return err
	}
	proposal, err := c.book.Propose(ctx, c.cfg.First)
	if err != nil {
		return err
	}
	in, err := c.book.Put(ctx, proposal, intent.By{Who: "serve " + c.cfg.Name, Reason: "first start"})
	switch {
	case errors.Is(err, store.ErrStale): // another controller has already stored its documents
		return nil
	case err != nil:
		return err
	}
	c.log.Info("the files of -f are the first revision", zap.Uint64("revision", in.Number))
	return nil
}
