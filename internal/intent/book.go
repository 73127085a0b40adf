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

// A Book provides the revisions of the intent in a store. It is safe for concurrent use.
//
// The Book is the only cache of the intent; see MaxCached. Revisions with equal documents share the parsed documents, so an activation
// requires no parsing.
type Book struct {
	store   *store.Store
	now     func() time.Time    // the clock for revisions and activations
	dates   func() time.Time    // returns the time up to which dates have come into force
	reading *semaphore.Weighted // a semaphore with one unit per node; it has enough units to parse one intent of the largest size
	cache   cache
}

// NewBook returns the Book of a store. now is the clock for revisions and activations.
func NewBook(s *store.Store, now func() time.Time) *Book {
	return &Book{store: s, now: now, dates: now, reading: semaphore.NewWeighted(strict.MaxNodes)}
}

// load parses documents; see policy.LoadContext. It first waits until the nodes that are being parsed leave room for theirs.
func (b *Book) load(ctx context.Context, files []strict.File, kept []policy.Exemption) (*policy.Bundle, error) {
	return b.loadBy(ctx, files, kept, policy.LoadContext)
}

// manyNodes is the number of nodes above which a garbage collection after parsing is worth its cost.
const manyNodes = 250_000

// A loader is policy.LoadContext or policy.Salvage.
type loader func(context.Context, []strict.File, []policy.Exemption) (*policy.Bundle, error)

func (b *Book) loadBy(ctx context.Context, files []strict.File, kept []policy.Exemption, load loader) (*policy.Bundle, error) {
	nodes := int64(min(strict.Nodes(files), strict.MaxNodes))
	if err := b.reading.Acquire(ctx, nodes); err != nil {
		return nil, context.Cause(ctx)
	}
	defer b.reading.Release(nodes)
	if nodes > manyNodes {
		// After parsing, the nodes are garbage and make up most of the heap. Without this call, the heap would double in size before the
		// next collection.
		defer runtime.GC()
	}
	return load(ctx, files, kept)
}

// NewBookOf returns the Book of a store with a controller's clock.
func NewBookOf(s *store.Store, c *clock.Clock) *Book {
	b := NewBook(s, c.Now)
	b.dates = c.Dates
	return b
}

// By describes who makes a change and why. Who, Role, Reason and Detail are stored in the audit record.
type By struct {
	Who    string
	Role   string
	Reason string
	// Detail is the detail in the audit record of Put and Restore, such as the difference of the documents. It has at most store.MaxDetail
	// bytes. Activate and Rollback ignore Detail, and record the activation instead.
	Detail string
	// Request is the caller's id of the request, or empty. See Made and Settle.
	Request string
	// Unproved is the reason why the change is made although it is not proved, or empty. The revision and the audit record have it.
	Unproved string
}

// Current returns the newest revision. It returns ErrNone if there is no revision.
func (b *Book) Current(ctx context.Context) (*Intent, error) {
	head, err := b.store.Revisions().Head(ctx)
	if err != nil {
		return nil, err
	}
	return b.of(ctx, head)
}

// At returns the revision with the given number. It returns store.ErrNotFound if the store does not have the revision.
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

// Kept reports whether the revision from which the Intent was read is still in the store. The result is false if, for example, an older backup
// replaced the store.
func (b *Book) Kept(ctx context.Context, in *Intent) (bool, error) {
	r, err := b.store.Revisions().Revision(ctx, in.Number)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return in.is(r), err
}

// usable returns in, or err if it is not nil. If err is about the revision's content, the result also wraps ErrBroken.
func usable(in *Intent, err error) (*Intent, error) {
	switch {
	case err == nil:
		return in, nil
	case isOfContent(err) && !errors.Is(err, ErrBroken):
		err = fmt.Errorf("%w: %w", ErrBroken, err)
	}
	return nil, err
}

// of returns the intent of the newest revision. If the documents of the revision cannot be used, the result is a broken Intent; see salvage.
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

// is reports whether in is the intent of revision r. in may be nil. The ids must match too, because after the store was replaced, another
// revision can have the same number.
func (in *Intent) is(r store.Revision) bool {
	return in != nil && in.Number == r.Number && in.ID == r.ID
}

// History returns up to limit revisions that precede the revision before, the newest first. If before is 0, History begins with the current
// revision.
func (b *Book) History(ctx context.Context, before uint64, limit int) ([]store.Revision, error) {
	return b.store.Revisions().History(ctx, before, limit)
}

// Diff compares the documents of two revisions. The exemptions are one document, with the path exemptions.
func (b *Book) Diff(ctx context.Context, from, to uint64) ([]store.DocumentDiff, error) {
	diffs, err := b.store.Revisions().Diff(ctx, from, to)
	return joined(diffs), err
}

// An Update is an intent or an error that Watch sends.
type Update struct {
	*Intent
	// Err is set if the newest revision cannot be read; the previous revision then stays in force. Err is ErrNone if the store was replaced
	// by one that has no intent.
	Err error
}

// Watch sends the revisions that follow the revision after. If the receiver is slow, Watch sends only the newest. If after is 0, Watch
// first sends the current revision. It closes the channel when ctx ends.
func (b *Book) Watch(ctx context.Context, after uint64) <-chan Update {
	updates := make(chan Update)
	go func() {
		defer close(updates)
		for r := range b.store.Revisions().Watch(ctx, after) {
			in, err := b.of(ctx, r)
			for errors.Is(err, store.ErrNoQuorum) && ctx.Err() == nil { // each attempt waits for the store's timeout
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
