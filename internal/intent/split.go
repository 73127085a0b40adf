package intent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"op25b/internal/compile"
	"op25b/internal/policy"
	"op25b/internal/store"
)

// A rollout brings new documents to some switches first. Such a revision has two contents: the documents in force, as in every revision, and under
// nextFolder the next documents, with the switches that have them. An advance of the rollout is a new revision with a longer list of switches. At the
// end, the next documents become the documents of the revision (Adopt), or they are removed from it (Drop).

// The paths of the next documents in the store.
const (
	nextFolder   = "next/"
	switchesPath = nextFolder + "switches.json"
)

// ErrNoNext means that the intent has no next documents, or others than the caller expects.
var ErrNoNext = errors.New("the intent does not have these next documents")

// A Split says which switches have the next documents of an intent.
type Split struct {
	// Base is the revision on which the next documents were proposed. It identifies them.
	Base uint64 `json:"base"`
	// Switches are the switches that are to have the next documents, sorted.
	Switches []string `json:"switches"`
}

// next is the second content of an intent.
type next struct {
	Split
	with    *Intent // the next documents
	without *Intent // the documents in force
}

// Split returns which switches have the next documents, or nil if the intent has no next documents.
func (in *Intent) Split() *Split {
	if in.next == nil {
		return nil
	}
	return &in.next.Split
}

// For returns the intent as it applies to one switch: the same revision and activations, with the documents that the switch is to have. The result
// has no next documents.
func (in *Intent) For(switchName string) *Intent {
	switch {
	case in.next == nil:
		return in
	case slices.Contains(in.next.Switches, switchName):
		return in.next.with
	}
	return in.next.without
}

// Next returns the intent with the next documents for all switches, or nil if it has no next documents.
func (in *Intent) Next() *Intent {
	if in.next == nil {
		return nil
	}
	return in.next.with
}

// Contents returns the contents that some switch of the intent may have: the documents in force, and the next documents if there are any.
func (in *Intent) Contents() []*Intent {
	if in.next == nil {
		return []*Intent{in}
	}
	return []*Intent{in.next.without, in.next.with}
}

// Switches returns the switches of the intent, in the order of the inventory. Each is described by the documents that it is to have. Switches that
// only the next documents have come last, and only once they are to have these documents.
func (in *Intent) Switches() []*policy.Switch {
	var all []*policy.Switch
	add := func(from *Intent, wanted func(name string) bool) {
		for i := range from.Bundle.Inventory.Switches {
			if sw := &from.Bundle.Inventory.Switches[i]; wanted(sw.Name) {
				all = append(all, sw)
			}
		}
	}
	if in.next == nil {
		add(in, func(string) bool { return true })
		return all
	}
	for i := range in.Bundle.Inventory.Switches {
		name := in.Bundle.Inventory.Switches[i].Name
		if sw, there := in.For(name).Bundle.Inventory.Switch(name); there {
			all = append(all, sw)
		}
	}
	add(in.next.with, func(name string) bool {
		_, old := in.Bundle.Inventory.Switch(name)
		return !old && slices.Contains(in.next.Switches, name)
	})
	return all
}

// Merged returns the policy in force with the inventory of Switches. It is for readers that need the lines as the switches have them, and of the
// policy only what they decide themselves.
func (in *Intent) Merged() *policy.Bundle {
	if in.next == nil {
		return in.Bundle
	}
	merged := *in.Bundle.Inventory
	merged.Switches = nil
	for _, sw := range in.Switches() {
		merged.Switches = append(merged.Switches, *sw)
	}
	return &policy.Bundle{Policy: in.Bundle.Policy, Inventory: &merged}
}

// Switch returns a switch of Switches.
func (in *Intent) Switch(name string) (*policy.Switch, bool) {
	of := in.For(name)
	return of.Bundle.Inventory.Switch(name)
}

// split sets the second content of an intent from a snapshot, if it has one. like is as for read.
func (b *Book) split(ctx context.Context, in *Intent, s store.Snapshot, like []*Intent) error {
	if _, there := s.Documents[switchesPath]; !there {
		return nil
	}
	var to Split
	if err := in.decode(s, switchesPath, &to); err != nil {
		return err
	}
	with := &Intent{
		Revision: in.Revision, Files: filesIn(s, nextFolder+filesFolder), Numbers: &compile.Numbers{}, encoded: s.Documents[nextFolder+numbersPath],
		exempt: exemptionsIn(s.Documents, nextFolder),
	}
	if !with.share(like) && !with.shareBut(like, b.dates()) {
		if err := in.decode(s, nextFolder+numbersPath, with.Numbers); err != nil {
			return err
		}
		if err := with.load(ctx, b); err != nil {
			return fmt.Errorf("revision %d: next documents: %w", s.Number, err)
		}
	}
	if err := with.Broken(); err != nil {
		return err
	}
	in.setNext(to, with)
	return nil
}

// setNext sets the second content. Only the documents of with are used.
func (in *Intent) setNext(to Split, with *Intent) {
	without := *in
	without.next = nil
	then := *with
	then.Revision, then.next = in.Revision, nil
	then.Activations = slices.DeleteFunc(slices.Clone(in.Activations), func(a policy.Activation) bool { return then.Bundle.CheckActivation(a) != nil })
	in.next = &next{to, &then, &without}
}

// Stage stores a proposal as the next documents of the intent. No switch has them yet. It returns a *store.StaleError if another revision was stored
// after the proposal.
func (b *Book) Stage(ctx context.Context, p *Proposal, by By) (*Intent, error) {
	current, err := b.current(ctx, p.Base)
	if err != nil {
		return nil, err
	}
	docs, err := p.documents()
	if err != nil {
		return nil, err
	}
	delete(docs, activationsPath) // both contents have the same
	all, err := current.documents()
	if err != nil {
		return nil, err
	}
	for path, text := range docs {
		all[nextFolder+path] = text
	}
	to := Split{Base: p.Base, Switches: []string{}}
	if all[switchesPath], err = json.Marshal(to); err != nil {
		return nil, err
	}
	staged, with := *current, *p.Intent
	with.encoded, with.exempt = docs[numbersPath], exemptionsIn(docs, "")
	staged.setNext(to, &with)
	record := store.AuditRecord{Verb: "stage", Object: fmt.Sprintf("policy %s for a rollout", p.Bundle.Policy.Name), Detail: by.Detail}
	return b.change(ctx, &staged, store.Change{Base: p.Base, Documents: all}, by, record)
}

// Advance makes the next documents those of exactly the given switches. staged is the revision on which the documents were proposed. It returns
// ErrNoNext if the intent does not have the documents, and a *store.StaleError if base is not the current revision.
func (b *Book) Advance(ctx context.Context, base, staged uint64, switches []string, by By) (*Intent, error) {
	current, err := b.staged(ctx, base, staged)
	if err != nil {
		return nil, err
	}
	to := Split{Base: staged, Switches: slices.Sorted(slices.Values(switches))}
	if to.Switches == nil {
		to.Switches = []string{}
	}
	for _, name := range to.Switches {
		if _, there := current.next.with.Bundle.Inventory.Switch(name); !there {
			return nil, fmt.Errorf("%w: there is no switch %q in them", ErrNoNext, name)
		}
	}
	list, err := json.Marshal(to)
	if err != nil {
		return nil, err
	}
	advanced := *current
	advanced.setNext(to, current.next.with)
	c := store.Change{Base: base, Documents: map[string][]byte{switchesPath: list}, KeepOthers: true, Reserved: true}
	record := store.AuditRecord{Verb: "advance", Object: fmt.Sprintf("next documents on %d switches", len(to.Switches))}
	return b.change(ctx, &advanced, c, by, record)
}

// Adopt makes the next documents those of all switches. It returns the errors of Advance.
func (b *Book) Adopt(ctx context.Context, base, staged uint64, by By) (*Intent, error) {
	current, err := b.staged(ctx, base, staged)
	if err != nil {
		return nil, err
	}
	p := &Proposal{Base: base, Intent: current.next.with}
	return b.put(ctx, p, by, 0, store.AuditRecord{Verb: "apply", Object: fmt.Sprintf("policy %s on all switches", p.Bundle.Policy.Name)})
}

// Drop removes the next documents, so that all switches have the documents in force. It returns the errors of Advance.
func (b *Book) Drop(ctx context.Context, base, staged uint64, by By) (*Intent, error) {
	current, err := b.staged(ctx, base, staged)
	if err != nil {
		return nil, err
	}
	docs, err := current.documents()
	if err != nil {
		return nil, err
	}
	dropped := *current.next.without
	record := store.AuditRecord{Verb: "rollback", Object: "next documents on all switches"}
	return b.change(ctx, &dropped, store.Change{Base: base, Documents: docs, Reserved: true}, by, record)
}

// current returns the current revision. It returns a *store.StaleError if base is not its number.
func (b *Book) current(ctx context.Context, base uint64) (*Intent, error) {
	current, err := b.Current(ctx)
	if err != nil {
		return nil, err
	}
	if current.Number != base {
		return nil, &store.StaleError{Base: base, Current: current.Number}
	}
	return current, nil
}

// staged is like current, and returns ErrNoNext if the revision does not have the next documents that were proposed on the revision staged.
func (b *Book) staged(ctx context.Context, base, staged uint64) (*Intent, error) {
	current, err := b.current(ctx, base)
	if err == nil && (current.next == nil || current.next.Base != staged) {
		err = fmt.Errorf("%w: revision %d", ErrNoNext, base)
	}
	if err != nil {
		return nil, err
	}
	return current, nil
}

// NextEvent returns the first time after now at which a date may change the desired state of a switch. It returns false if there is no such
// date.
func (in *Intent) NextEvent(now time.Time) (next time.Time, ok bool) {
	for _, of := range in.Contents() {
		if at, some := of.Bundle.Policy.NextEvent(now); some && (!ok || at.Before(next)) {
			next, ok = at, true
		}
	}
	return next, ok
}
