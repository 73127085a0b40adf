package intent

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sync/semaphore"

	"op25b/internal/clock"
	"op25b/internal/policy"
	"op25b/internal/store"
	"op25b/internal/strict"
)

// A Book holds the revisions of the intent in a store. It is safe for concurrent use.
//
// It is the only cache of the intent: see MaxCached. Revisions with the same documents share the parsed documents, so that an activation
// costs no parsing.
type Book struct {
	store   *store.Store
	now     func() time.Time    // for records
	dates   func() time.Time    // the moment up to which dates are in force
	reading *semaphore.Weighted // one unit for each node of the documents being read: at most one intent of the largest size
	cache   cache
}

// NewBook returns the book of a store. now is the clock for revisions and activations.
func NewBook(s *store.Store, now func() time.Time) *Book {
	return &Book{store: s, now: now, dates: now, reading: semaphore.NewWeighted(strict.MaxNodes)}
}

// load parses documents once there is room for their nodes.
func (b *Book) load(ctx context.Context, files []strict.File) (*policy.Bundle, error) {
	return b.loadBy(ctx, files, policy.LoadContext)
}

// manyNodes is the number of nodes after which a garbage collection pays off.
const manyNodes = 250_000

func (b *Book) loadBy(ctx context.Context, files []strict.File, load func(context.Context, []strict.File) (*policy.Bundle, error)) (*policy.Bundle, error) {
	nodes := int64(min(strict.Nodes(files), strict.MaxNodes))
	if err := b.reading.Acquire(ctx, nodes); err != nil {
		return nil, context.Cause(ctx)
	}
	defer b.reading.Release(nodes)
	if nodes > manyNodes {
		// The nodes are then garbage, and most of the heap. Without this the heap grows to twice the size of both before they are
		// collected.
		defer runtime.GC()
	}
	return load(ctx, files)
}

// NewBookOf returns the book of a store, using a controller's clock.
func NewBookOf(s *store.Store, c *clock.Clock) *Book {
	b := NewBook(s, c.Now)
	b.dates = c.Dates
	return b
}

// By is the author of a change and the reason for it. All of it goes into the audit record.
type By struct {
	Who    string
	Role   string
	Reason string
	// Detail is the detail of the audit record of Put and Restore, such as the differences of the documents, of at most store.MaxDetail
	// bytes. The records of activations have a detail of their own.
	Detail string
	// Request is the caller's id of the request, or empty: see Made and Settle.
	Request string
}

// Current returns the newest revision, or ErrNone.
func (b *Book) Current(ctx context.Context) (*Intent, error) {
	head, err := b.store.Revisions().Head(ctx)
	if err != nil {
		return nil, err
	}
	return b.of(ctx, head)
}

// At returns a revision, or store.ErrNotFound.
func (b *Book) At(ctx context.Context, revision uint64) (*Intent, error) {
	g := b.store.Generation()
	r, err := b.store.Revisions().Revision(ctx, revision)
	if err != nil {
		return nil, err
	}
	in, err := b.cache.read(ctx, g, r, func() (*Intent, error) {
		s, err := b.store.Revisions().At(ctx, revision)
		if err != nil {
			return nil, err
		}
		return b.read(ctx, s, b.cache.all(g))
	})
	if err == nil {
		err = in.Broken()
	}
	return usable(in, err)
}

// Kept reports whether the store still has a revision. It does not if the store was replaced by an older one since.
func (b *Book) Kept(ctx context.Context, in *Intent) (bool, error) {
	r, err := b.store.Revisions().Revision(ctx, in.Number)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return in.is(r), err
}

// usable returns a broken intent as an error.
func usable(in *Intent, err error) (*Intent, error) {
	switch {
	case err == nil:
		return in, nil
	case isOfContent(err) && !errors.Is(err, ErrBroken):
		err = fmt.Errorf("%w: %w", ErrBroken, err)
	}
	return nil, err
}

// of returns the intent of a revision that the store has just reported as the newest.
func (b *Book) of(ctx context.Context, r store.Revision) (*Intent, error) {
	if r.Number == 0 {
		return nil, ErrNone
	}
	g := b.store.Generation()
	return b.cache.read(ctx, g, r, func() (*Intent, error) {
		s, err := b.store.Revisions().At(ctx, r.Number)
		if err != nil {
			return nil, err
		}
		in, err := b.read(ctx, s, b.cache.all(g))
		if in == nil && isOfContent(err) {
			in, err = b.salvage(ctx, g, s, err)
		}
		if in == nil {
			return nil, err
		}
		return in, nil
	})
}

// is reports whether an intent, which may be nil, is of a revision. Equal numbers do not suffice: a store that was replaced can have
// another revision of the same number.
func (in *Intent) is(r store.Revision) bool {
	return in != nil && in.Number == r.Number && in.ID == r.ID
}

// History returns revisions before a revision, the newest first; 0 begins with the current one.
func (b *Book) History(ctx context.Context, before uint64, limit int) ([]store.Revision, error) {
	return b.store.Revisions().History(ctx, before, limit)
}

// Diff compares the documents of two revisions.
func (b *Book) Diff(ctx context.Context, from, to uint64) ([]store.DocumentDiff, error) {
	return b.store.Revisions().Diff(ctx, from, to)
}

// An Update is what Watch sends.
type Update struct {
	*Intent
	// Err is set if the newest revision cannot be read; the one before it then stays in force. It is ErrNone if the store was replaced by
	// one without intent.
	Err error
}

// Watch sends every revision after a given one, or only the newest where several come at once. To receive the current one too, pass 0. The
// channel is closed when ctx ends.
func (b *Book) Watch(ctx context.Context, after uint64) <-chan Update {
	updates := make(chan Update)
	go func() {
		defer close(updates)
		for r := range b.store.Revisions().Watch(ctx, after) {
			in, err := b.of(ctx, r)
			for errors.Is(err, store.ErrNoQuorum) && ctx.Err() == nil { // each attempt takes as long as the store's timeout
				in, err = b.of(ctx, r)
			}
			if err == nil && in.broken != nil && in.broken.bare {
				in, err = nil, in.broken.err
			}
			select {
			case updates <- Update{in, err}:
			case <-ctx.Done():
			}
		}
	}()
	return updates
}
