package intent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"op25b/internal/compile"
	"op25b/internal/policy"
	"op25b/internal/store"
	"op25b/internal/strict"
)

// A Proposal is a valid intent that would replace revision Base.
type Proposal struct {
	Base uint64
	*Intent
	Given []strict.File // the files that were proposed, ordered by name; nil if the proposal restores a revision
	// Kept is set if none of the files has the exemptions, so that the current ones stay.
	Kept bool
}

// Propose validates documents that would replace the current ones. If none of them is of kind Exemptions, the current exemptions are kept. Names keep
// their current numbers, and activations are kept. Propose returns strict.Faults if the documents are invalid, compile.ErrNoNumber if there is no
// number for a name, and ErrActivation if an activation in force names something that the documents do not define.
func (b *Book) Propose(ctx context.Context, files []strict.File) (*Proposal, error) {
	current, err := b.Current(ctx)
	switch {
	case errors.Is(err, ErrNone):
		current = &Intent{Bundle: &policy.Bundle{Policy: &policy.Policy{}}}
	case err != nil:
		return nil, err
	}
	kept, broken := current.Exemptions()
	next := &Intent{}
	if next.Bundle, err = b.load(ctx, files, kept); err != nil {
		return nil, err
	}
	if broken != nil && next.Bundle.ExemptionsFile == "" {
		return nil, fmt.Errorf("the stored exemptions cannot be kept: %w; give a document of kind %s", broken, policy.KindExemptions)
	}
	given := slices.SortedFunc(slices.Values(files), func(a, b strict.File) int { return strings.Compare(a.Name, b.Name) })
	next.Files = slices.DeleteFunc(slices.Clone(given), func(f strict.File) bool { return f.Name == next.Bundle.ExemptionsFile })
	if next.Numbers, err = compile.Number(current.Numbers, next.Bundle); err != nil {
		return nil, err
	}
	if next.Activations, err = stillValid(current, next.Bundle, b.dates()); err != nil {
		return nil, err
	}
	if next.compiler, err = compile.NewCompiler(next.Bundle, next.Numbers); err != nil {
		return nil, err
	}
	return &Proposal{Base: current.Number, Intent: next, Given: given, Kept: next.Bundle.ExemptionsFile == ""}, nil
}

// stillValid returns the current activations whose phases, groups and switches the next documents still define. It returns ErrActivation if
// dropping one of the other activations would change the phase in force, now or later.
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

// Put stores a proposal as the next revision. It returns a *store.StaleError if another revision was stored after Propose, and
// store.ErrUnchanged if the current revision has the same documents.
func (b *Book) Put(ctx context.Context, p *Proposal, by By) (*Intent, error) {
	object := fmt.Sprintf("policy %s on %d switches", p.Bundle.Policy.Name, len(p.Bundle.Inventory.Switches))
	if len(p.Bundle.Inventory.Switches) == 1 {
		object = fmt.Sprintf("policy %s on 1 switch", p.Bundle.Policy.Name)
	}
	return b.put(ctx, p, by, 0, store.AuditRecord{Verb: "apply", Object: object, Detail: by.Detail})
}

// put stores a proposal as the next revision. restores is the number of the revision that the proposal restores, or 0.
func (b *Book) put(ctx context.Context, p *Proposal, by By, restores uint64, record store.AuditRecord) (*Intent, error) {
	docs, err := p.documents()
	if err != nil {
		return nil, err
	}
	stored := *p.Intent
	stored.encoded, stored.exempt, stored.next = docs[numbersPath], exemptionsIn(docs, ""), nil
	return b.change(ctx, &stored, store.Change{Base: p.Base, Documents: docs, Reserved: restores != 0, Restores: restores}, by, record)
}

// change stores c as the next revision. The parameter to is the resulting intent.
func (b *Book) change(ctx context.Context, to *Intent, c store.Change, by By, record store.AuditRecord) (*Intent, error) {
	c.Author, c.Reason, c.Request, c.Time, c.Unproved = by.Who, by.Reason, by.Request, b.now(), by.Unproved
	if by.Unproved != "" {
		record.Object += ", unproved"
		record.Detail = strings.ToValidUTF8(fmt.Sprintf("unproved: %s\n%s", by.Unproved, record.Detail), "")
		record.Detail = strings.ToValidUTF8(record.Detail[:min(len(record.Detail), store.MaxDetail)], "")
	}
	record.Who, record.Role, record.Reason = by.Who, by.Role, by.Reason
	g := b.store.Generation()
	r, err := b.store.Revisions().Put(ctx, c, record)
	if err != nil {
		return nil, err
	}
	to.Revision = r
	if n := to.next; n != nil {
		to.setNext(n.Split, n.with)
	}
	b.cache.put(g, to)
	return to, nil
}

// Made returns the intent that a request with the given base has stored. It returns false if the request has stored nothing.
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

// Settle returns the outcome of a request. A request that has not stored anything yet is abandoned; see store.Revisions.Settle.
func (b *Book) Settle(ctx context.Context, request string, base uint64) (store.ChangeOutcome, store.Revision, error) {
	return b.store.Revisions().Settle(ctx, request, base)
}

// ProposeRestore returns a proposal with the documents and activations of an earlier revision. It returns store.ErrNotFound if the store
// does not have the revision.
func (b *Book) ProposeRestore(ctx context.Context, revision uint64) (*Proposal, error) {
	old, err := b.At(ctx, revision)
	if err != nil {
		return nil, err
	}
	current, err := b.Current(ctx)
	if err != nil {
		return nil, err
	}
	// Names that the old revision lacks keep their numbers, because counters and switches still use them.
	numbers, err := compile.Number(current.Numbers, old.Bundle)
	if err != nil {
		return nil, err
	}
	next := *old
	next.Numbers, next.next = numbers, nil
	if next.compiler, err = compile.NewCompiler(next.Bundle, numbers); err != nil {
		return nil, err
	}
	return &Proposal{Base: current.Number, Intent: &next}, nil
}

// Restore stores the documents and activations of an earlier revision as the next revision. It returns a *store.StaleError if base is not
// the current revision.
func (b *Book) Restore(ctx context.Context, revision, base uint64, by By) (*Intent, error) {
	p, err := b.ProposeRestore(ctx, revision)
	if err != nil {
		return nil, err
	}
	record := store.AuditRecord{Verb: "restore", Object: fmt.Sprintf("revision %d", revision), Detail: by.Detail}
	return b.put(ctx, &Proposal{Base: base, Intent: p.Intent}, by, revision, record)
}
