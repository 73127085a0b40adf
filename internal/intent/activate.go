package intent

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"op25b/internal/policy"
	"op25b/internal/store"
)

// Activate puts a phase in force for a scope from now on. It returns a *store.StaleError if base is not the current revision.
func (b *Book) Activate(ctx context.Context, base uint64, phase string, scope policy.Scope, by By) (*Intent, error) {
	return b.ActivateUntil(ctx, base, policy.Activation{Phase: phase, Groups: scope.Groups, Switches: scope.Switches}, by)
}

// ActivateUntil is like Activate, but takes the phase, the scope and UntilNextDate from the activation a.
func (b *Book) ActivateUntil(ctx context.Context, base uint64, a policy.Activation, by By) (*Intent, error) {
	return b.activate(ctx, base, "activate", by, func(*Intent, time.Time) (policy.Activation, error) { return a, nil })
}

// Rollback undoes the last activation in a scope. It returns the errors of policy.Bundle.Undo, and a *store.StaleError if base is not the
// current revision.
func (b *Book) Rollback(ctx context.Context, base uint64, scope policy.Scope, by By) (*Intent, error) {
	return b.activate(ctx, base, "rollback", by, func(current *Intent, now time.Time) (policy.Activation, error) {
		return current.Bundle.Undo(current.Activations, scope, now)
	})
}

// Place stores the activation a of a rollout: either one that puts a phase in force, or one that undoes such an activation for the same scope. It
// returns a *store.StaleError if base is not the current revision.
func (b *Book) Place(ctx context.Context, base uint64, a policy.Activation, by By) (*Intent, error) {
	verb := "activate"
	if a.Undoes != 0 {
		verb = "rollback"
	}
	return b.activate(ctx, base, verb, by, func(*Intent, time.Time) (policy.Activation, error) { return a, nil })
}

func (b *Book) activate(ctx context.Context, base uint64, verb string, by By, made func(*Intent, time.Time) (policy.Activation, error)) (*Intent, error) {
	defer b.store.Precede()() // because the current revision is read first
	current, err := b.Current(ctx)
	if err != nil {
		return nil, err
	}
	now := b.now()
	if now.Before(current.Time) { // another controller's clock was fast; an activation must not be earlier than its base revision
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
	next := current.Activated(a)
	all, err := json.Marshal(next.Activations)
	if err != nil {
		return nil, err
	}
	detail, err := json.Marshal(a)
	if err != nil {
		return nil, err
	}
	c := store.Change{Base: base, Documents: map[string][]byte{activationsPath: all}, KeepOthers: true, Reserved: true}
	return b.change(ctx, next, c, by, store.AuditRecord{Verb: verb, Object: object(current.Activations, a), Detail: string(detail)})
}

// Activated returns the intent with one more activation, which is not stored.
func (in *Intent) Activated(a policy.Activation) *Intent {
	next := *in
	next.Activations = append(slices.Clone(in.Activations), a)
	if n := in.next; n != nil {
		next.setNext(n.Split, n.with)
	}
	return &next
}

// object returns the field Object of an activation's audit record.
func object(list []policy.Activation, a policy.Activation) string {
	if a.Undoes == 0 {
		return "phase " + a.Phase
	}
	i := slices.IndexFunc(list, func(x policy.Activation) bool { return x.ID == a.Undoes })
	if i < 0 { // the undone activation was dropped, because the documents no longer define what it named
		return fmt.Sprintf("revision %d", a.Undoes)
	}
	return fmt.Sprintf("revision %d, phase %s", a.Undoes, list[i].Phase)
}
