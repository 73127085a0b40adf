package intent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"op25b/internal/compile"
	"op25b/internal/policy"
	"op25b/internal/store"
)

// The newest revision may hold documents that cannot be used: an earlier release accepted them, or another hand wrote them into the store.
// The way back must stay open (I13). Such an Intent has the files as they are, and nothing compiles from it. Its phases and switches have
// the names and dates of these documents if their form is right, and otherwise those of the newest earlier revision that can be used.

// broken is the reason why documents cannot be used, and the rules that they would have.
type broken struct {
	err   error
	rules func(switchName string, phases policy.InForce) (compile.Rules, error)
	bare  bool // the names and dates are missing too
}

// Broken returns why the documents cannot be used, as an ErrBroken, or nil.
func (in *Intent) Broken() error {
	if in.broken == nil {
		return nil
	}
	return in.broken.err
}

// isOfContent reports whether an error of reading a revision is about its content, and not about the store.
func isOfContent(err error) bool {
	return err != nil && !slices.ContainsFunc([]error{
		store.ErrNotFound, store.ErrNoQuorum, store.ErrClosed, store.ErrCorrupt, context.Canceled, context.DeadlineExceeded,
	}, func(kind error) bool { return errors.Is(err, kind) })
}

// salvage makes an Intent of a snapshot that cannot be used because of cause.
func (b *Book) salvage(ctx context.Context, g *store.Generation, s store.Snapshot, cause error) (*Intent, error) {
	in := &Intent{Revision: s.Revision, Files: filesOf(s), Numbers: &compile.Numbers{}, encoded: s.Documents[numbersPath]}
	in.broken = &broken{err: fmt.Errorf("%w: %w", ErrBroken, cause)}
	numbersOK := json.Unmarshal(s.Documents[numbersPath], in.Numbers) == nil
	activationsOK := in.decode(s, activationsPath, &in.Activations) == nil
	numbered(in.Activations)
	bundle, formErr := b.loadBy(ctx, in.Files, policy.Salvage)
	if formErr == nil && numbersOK && activationsOK {
		in.Bundle = bundle
		in.broken.rules = salvagedRules(bundle, in.Numbers)
		return in, nil
	}
	earlier, err := b.earlier(ctx, g, s, formErr == nil && numbersOK)
	if err != nil {
		return nil, err
	}
	if earlier == nil {
		if !numbersOK {
			in.Numbers = nil
		}
		in.Bundle, in.broken.bare = &policy.Bundle{Policy: &policy.Policy{}, Inventory: &policy.Inventory{}}, true
		in.broken.rules = func(string, policy.InForce) (compile.Rules, error) { return compile.Rules{}, in.broken.err }
		return in, nil
	}
	in.Bundle, in.broken.rules = earlier.Bundle, earlier.Rules
	if !numbersOK {
		in.Numbers = earlier.Numbers
	}
	if !activationsOK {
		in.Activations = earlier.Activations
	}
	return in, nil
}

func salvagedRules(b *policy.Bundle, n *compile.Numbers) func(string, policy.InForce) (compile.Rules, error) {
	s, err := compile.NewSalvager(b, n)
	return func(switchName string, phases policy.InForce) (compile.Rules, error) {
		if err != nil {
			return compile.Rules{}, err
		}
		return s.Rules(switchName, phases)
	}
}

// earlier returns the newest earlier revision that can be used, or nil if none is kept. Revisions with the same documents are tried only if
// mayBeGood is set.
func (b *Book) earlier(ctx context.Context, g *store.Generation, s store.Snapshot, mayBeGood bool) (*Intent, error) {
	files := filesOf(s)
	for n := s.Number - 1; n > 0; n-- {
		old, err := b.store.Revisions().At(ctx, n)
		if errors.Is(err, store.ErrNotFound) {
			break
		}
		if err != nil {
			return nil, err
		}
		if !mayBeGood && sameFiles(files, filesOf(old)) && bytes.Equal(s.Documents[numbersPath], old.Documents[numbersPath]) {
			continue
		}
		in, err := b.read(ctx, old, b.cache.all(g))
		if !isOfContent(err) {
			return in, err
		}
	}
	return nil, nil
}
