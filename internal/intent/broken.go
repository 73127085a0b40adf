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

// The newest revision may have documents that cannot be used, because an earlier release accepted them or another program wrote them into
// the store. A rollback or a restore must be possible nevertheless (I13). The Intent of such a revision contains the files unchanged, and
// its Compile method returns ErrBroken. Its phases and switches come from the documents if these can be parsed, and otherwise from the
// newest earlier revision that can be used.

// broken contains the reason why documents cannot be used, and a function that compiles their rules as far as possible.
type broken struct {
	err   error
	rules func(switchName string, phases policy.InForce) (compile.Rules, error)
	bare  bool // whether the phases and switches are unknown too
}

// Broken returns nil if the documents can be used. Otherwise it returns an error that wraps ErrBroken and the reason.
func (in *Intent) Broken() error {
	if in.broken == nil {
		return nil
	}
	return in.broken.err
}

// isOfContent reports whether an error of reading a revision is due to the revision's content rather than to the store.
func isOfContent(err error) bool {
	return err != nil && !slices.ContainsFunc([]error{
		store.ErrNotFound, store.ErrNoQuorum, store.ErrClosed, store.ErrCorrupt, context.Canceled, context.DeadlineExceeded,
	}, func(kind error) bool { return errors.Is(err, kind) })
}

// salvage returns a broken Intent for a snapshot that cannot be used. cause is the error that reading the snapshot returned.
func (b *Book) salvage(ctx context.Context, g *store.Generation, s store.Snapshot, cause error) (*Intent, error) {
	in := &Intent{Revision: s.Revision, Files: filesOf(s), Numbers: &compile.Numbers{}, encoded: s.Documents[numbersPath], exempt: exemptionsIn(s.Documents, "")}
	in.broken = &broken{err: fmt.Errorf("%w: %w", ErrBroken, cause)}
	numbersOK := json.Unmarshal(s.Documents[numbersPath], in.Numbers) == nil
	activationsOK := in.decode(s, activationsPath, &in.Activations) == nil
	numbered(in.Activations)
	kept, formErr := decodeExemptions(in.exempt)
	var bundle *policy.Bundle
	if formErr == nil {
		bundle, formErr = b.loadBy(ctx, in.Files, kept, policy.Salvage)
	}
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

// earlier returns the newest earlier revision that can be used, or nil if the store has none. It skips revisions with the same documents as
// s unless mayBeGood is set.
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
		if !mayBeGood && sameFiles(files, filesOf(old)) && bytes.Equal(s.Documents[numbersPath], old.Documents[numbersPath]) &&
			sameExemptions(exemptionsIn(s.Documents, ""), exemptionsIn(old.Documents, "")) {
			continue
		}
		in, err := b.read(ctx, old, b.cache.all(g))
		if !isOfContent(err) {
			return in, err
		}
	}
	return nil, nil
}
