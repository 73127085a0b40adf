package intent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/semaphore"

	"op25b/internal/clock"
	"op25b/internal/compile"
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

// A Proposal is a valid change and the revision that it was made on.
type Proposal struct {
	Base uint64
	*Intent
}

// Propose validates documents that would replace the current ones. Names keep their current numbers, and activations stay. It returns
// strict.Faults, compile.ErrNoNumber, or ErrActivation if an activation in force names something that the documents no longer have.
func (b *Book) Propose(ctx context.Context, files []strict.File) (*Proposal, error) {
	current, err := b.Current(ctx)
	switch {
	case errors.Is(err, ErrNone):
		current = &Intent{}
	case err != nil:
		return nil, err
	}
	next := &Intent{Files: slices.SortedFunc(slices.Values(files), func(a, b strict.File) int { return strings.Compare(a.Name, b.Name) })}
	if next.Bundle, err = b.load(ctx, files); err != nil {
		return nil, err
	}
	if next.Numbers, err = compile.Number(current.Numbers, next.Bundle); err != nil {
		return nil, err
	}
	if next.Activations, err = stillValid(current, next.Bundle, b.dates()); err != nil {
		return nil, err
	}
	if next.compiler, err = compile.NewCompiler(next.Bundle, next.Numbers); err != nil {
		return nil, err
	}
	return &Proposal{current.Number, next}, nil
}

// stillValid returns the activations without those that name something that is gone, provided that leaving these out makes no difference
// now or at a later date.
func stillValid(current *Intent, next *policy.Bundle, now time.Time) ([]policy.Activation, error) {
	valid := slices.Clone(current.Activations)
	for _, a := range current.Activations {
		err := next.CheckActivation(a)
		if err == nil {
			continue
		}
		valid = slices.DeleteFunc(valid, func(x policy.Activation) bool { return x.ID == a.ID })
		for _, sw := range next.Inventory.Switches {
			if !current.Bundle.Policy.SameFrom(current.Activations, valid, sw.Name, now) {
				done := "activated"
				if a.Undoes != 0 {
					done = "rolled back"
				}
				return nil, fmt.Errorf("%w: %s, %s by %s at %s: %w; activate another phase there first",
					ErrActivation, object(current.Activations, a), done, a.Author, a.At.Format(time.RFC3339), err)
			}
		}
	}
	return valid, nil
}

// Put stores a proposal as the next revision. It returns a *store.StaleError if another revision was stored meanwhile, and
// store.ErrUnchanged if the current revision has the same documents.
func (b *Book) Put(ctx context.Context, p *Proposal, by By) (*Intent, error) {
	object := fmt.Sprintf("policy %s on %d switches", p.Bundle.Policy.Name, len(p.Bundle.Inventory.Switches))
	if len(p.Bundle.Inventory.Switches) == 1 {
		object = fmt.Sprintf("policy %s on 1 switch", p.Bundle.Policy.Name)
	}
	return b.put(ctx, p, by, 0, store.AuditRecord{Verb: "apply", Object: object, Detail: by.Detail})
}

// put stores a proposal as the next revision; restores is the revision whose documents it has, or 0.
func (b *Book) put(ctx context.Context, p *Proposal, by By, restores uint64, record store.AuditRecord) (*Intent, error) {
	docs, err := p.documents()
	if err != nil {
		return nil, err
	}
	stored := *p.Intent
	stored.encoded = docs[numbersPath]
	return b.change(ctx, &stored, store.Change{Base: p.Base, Documents: docs, Reserved: restores != 0, Restores: restores}, by, record)
}

// change stores a change that makes the intent to.
func (b *Book) change(ctx context.Context, to *Intent, c store.Change, by By, record store.AuditRecord) (*Intent, error) {
	c.Author, c.Reason, c.Request, c.Time = by.Who, by.Reason, by.Request, b.now()
	record.Who, record.Role, record.Reason = by.Who, by.Role, by.Reason
	g := b.store.Generation()
	r, err := b.store.Revisions().Put(ctx, c, record)
	if err != nil {
		return nil, err
	}
	to.Revision = r
	b.cache.put(g, to)
	return to, nil
}

// Made returns the intent that a request stored on base, and false if there is none.
func (b *Book) Made(ctx context.Context, request string, base uint64) (*Intent, bool, error) {
	r, made, err := b.store.Revisions().Made(ctx, request, base)
	if err != nil || !made {
		return nil, false, err
	}
	in, err := b.At(ctx, r.Number)
	if isOfContent(err) {
		in, err = b.of(ctx, r)
	}
	return in, err == nil, err
}

// Settle returns the outcome of a request, and abandons one that is not stored yet: see store.Revisions.Settle.
func (b *Book) Settle(ctx context.Context, request string, base uint64) (store.Outcome, store.Revision, error) {
	return b.store.Revisions().Settle(ctx, request, base)
}

// ProposeRestore proposes the documents and activations of an earlier revision. It returns store.ErrNotFound for a revision that is no
// longer kept.
func (b *Book) ProposeRestore(ctx context.Context, revision uint64) (*Proposal, error) {
	old, err := b.At(ctx, revision)
	if err != nil {
		return nil, err
	}
	current, err := b.Current(ctx)
	if err != nil {
		return nil, err
	}
	// Names that the old revision does not have keep their numbers, because counters and switches still use them.
	numbers, err := compile.Number(current.Numbers, old.Bundle)
	if err != nil {
		return nil, err
	}
	next := *old
	next.Numbers = numbers
	if next.compiler, err = compile.NewCompiler(next.Bundle, numbers); err != nil {
		return nil, err
	}
	return &Proposal{current.Number, &next}, nil
}

// Restore stores the documents, numbers and activations of an earlier revision as the next one, made on base.
func (b *Book) Restore(ctx context.Context, revision, base uint64, by By) (*Intent, error) {
	p, err := b.ProposeRestore(ctx, revision)
	if err != nil {
		return nil, err
	}
	record := store.AuditRecord{Verb: "restore", Object: fmt.Sprintf("revision %d", revision), Detail: by.Detail}
	return b.put(ctx, &Proposal{base, p.Intent}, by, revision, record)
}

// Activate puts a phase in force from now on within a scope, made on base.
func (b *Book) Activate(ctx context.Context, base uint64, phase string, scope policy.Scope, by By) (*Intent, error) {
	return b.ActivateUntil(ctx, base, policy.Activation{Phase: phase, Groups: scope.Groups, Switches: scope.Switches}, by)
}

// ActivateUntil is Activate with all the fields that an activation takes from its maker: phase, scope and UntilNextDate.
func (b *Book) ActivateUntil(ctx context.Context, base uint64, a policy.Activation, by By) (*Intent, error) {
	return b.activate(ctx, base, "activate", by, func(*Intent, time.Time) (policy.Activation, error) { return a, nil })
}

// Rollback undoes the last activation in a scope, made on base: see policy.Bundle.Undo, whose errors it returns.
func (b *Book) Rollback(ctx context.Context, base uint64, scope policy.Scope, by By) (*Intent, error) {
	return b.activate(ctx, base, "rollback", by, func(current *Intent, now time.Time) (policy.Activation, error) {
		return current.Bundle.Undo(current.Activations, scope, now)
	})
}

func (b *Book) activate(ctx context.Context, base uint64, verb string, by By, made func(*Intent, time.Time) (policy.Activation, error)) (*Intent, error) {
	current, err := b.Current(ctx)
	if err != nil {
		return nil, err
	}
	now := b.now()
	if now.Before(current.Time) { // another controller's clock was ahead; a date before that revision must not come after the activation
		now = current.Time
	}
	a, err := made(current, b.dates())
	if err != nil {
		return nil, err
	}
	a.ID, a.At, a.Author, a.Reason = current.Number+1, now, by.Who, by.Reason
	if err := current.Bundle.CheckActivation(a); err != nil {
		return nil, err
	}
	if current.Number != base {
		return nil, &store.StaleError{Base: base, Current: current.Number}
	}
	next := *current
	next.Activations = append(slices.Clone(current.Activations), a)
	all, err := json.Marshal(next.Activations)
	if err != nil {
		return nil, err
	}
	detail, err := json.Marshal(a)
	if err != nil {
		return nil, err
	}
	c := store.Change{Base: base, Documents: map[string][]byte{activationsPath: all}, KeepOthers: true, Reserved: true}
	return b.change(ctx, &next, c, by, store.AuditRecord{Verb: verb, Object: object(current.Activations, a), Detail: string(detail)})
}

// object describes the object of an activation.
func object(list []policy.Activation, a policy.Activation) string {
	if a.Undoes == 0 {
		return "phase " + a.Phase
	}
	i := slices.IndexFunc(list, func(x policy.Activation) bool { return x.ID == a.Undoes })
	if i < 0 { // what it undoes was left out because it named something that is gone
		return fmt.Sprintf("revision %d", a.Undoes)
	}
	return fmt.Sprintf("revision %d, phase %s", a.Undoes, list[i].Phase)
}
