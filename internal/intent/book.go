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
// A Book is the only cache of the intent: see MaxCached. Revisions with equal documents share the parsed documents, so an activation
// requires no parsing.
type Book struct {
	store   *store.Store
	now     func() time.Time    // clock for revisions and activations
	dates   func() time.Time    // returns the moment up to which dates are in force
	reading *semaphore.Weighted // one unit for each node of the documents being parsed; limits them to one intent of the largest size
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

// manyNodes is the number of nodes above which a garbage collection after parsing is worth its cost.
const manyNodes = 250_000

func (b *Book) loadBy(ctx context.Context, files []strict.File, load func(context.Context, []strict.File) (*policy.Bundle, error)) (*policy.Bundle, error) {
	nodes := int64(min(strict.Nodes(files), strict.MaxNodes))
	if err := b.reading.Acquire(ctx, nodes); err != nil {
		return nil, context.Cause(ctx)
	}
	defer b.reading.Release(nodes)
	if nodes > manyNodes {
		// After loading, the nodes are garbage and make up most of the heap. Without this collection, the heap would grow to twice its size
		// before they are collected.
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

// By is the author of a change and the reason for it. Who, Role, Reason and Detail are stored in the audit record.
type By struct {
	Who    string
	Role   string
	Reason string
	// Detail is the detail of the audit record of Put and Restore, such as the differences of the documents, of at most store.MaxDetail
	// bytes. Activations ignore Detail and store the activation instead.
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

// Kept reports whether the store still has the revision of in. It returns false if, for example, the store was replaced by an older backup.
func (b *Book) Kept(ctx context.Context, in *Intent) (bool, error) {
	r, err := b.store.Revisions().Revision(ctx, in.Number)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return in.is(r), err
}

// usable returns an intent, or an error that wraps ErrBroken if the content of its revision cannot be used.
func usable(in *Intent, err error) (*Intent, error) {
	switch {
	case err == nil:
		return in, nil
	case isOfContent(err) && !errors.Is(err, ErrBroken):
		err = fmt.Errorf("%w: %w", ErrBroken, err)
	}
	return nil, err
}

// of returns the intent of the newest revision. If its documents cannot be used, the result is a broken Intent: see salvage.
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

// is reports whether in, which may be nil, is the intent of revision r. It also compares the ids, because a store that was replaced can
// have another revision with the same number.
func (in *Intent) is(r store.Revision) bool {
	return in != nil && in.Number == r.Number && in.ID == r.ID
}

// History returns up to limit revisions before a revision, the newest first. If before is 0, it begins with the current revision.
func (b *Book) History(ctx context.Context, before uint64, limit int) ([]store.Revision, error) {
	return b.store.Revisions().History(ctx, before, limit)
}

// Diff compares the documents of two revisions.
func (b *Book) Diff(ctx context.Context, from, to uint64) ([]store.DocumentDiff, error) {
	return b.store.Revisions().Diff(ctx, from, to)
}

// An Update is an intent that Watch sends, or an error.
type Update struct {
	*Intent
	// Err is set if the newest revision cannot be read; the previous revision then stays in force. Err is ErrNone if the store was replaced
	// by a store without intent.
	Err error
}

// Watch sends the revisions after a given one. A slow receiver gets only the newest. If after is 0, Watch first sends the current revision.
// The channel is closed when ctx ends.
func (b *Book) Watch(ctx context.Context, after uint64) <-chan Update {
	updates := make(chan Update)
	go func() {
		defer close(updates)
		for r := range b.store.Revisions().Watch(ctx, after) {
			in, err := b.of(ctx, r)
			for errors.Is(err, store.ErrNoQuorum) && ctx.Err() == nil { // each attempt lasts as long as the store's timeout
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
