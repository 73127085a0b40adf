package fleet

import (
	"fmt"
	"sync"
	"time"

	"op25b/internal/intent"
	"op25b/internal/policy"
	"op25b/internal/reconcile"
)

// A view is the newest intent, as all workers see it.
type view struct {
	*intent.Intent
	docs *documents
}

// documents is what intents with the same documents have in common: rule sets and their fingerprints are made once for all switches.
type documents struct {
	mu      sync.Mutex // guards everything that follows
	prints  map[string]reconcile.Fingerprint
	devices map[string]*policy.Switch
	refused map[string]refusal // by switch, the last
}

// A refusal is why a content is nothing for a switch, whatever the switch has.
type refusal struct {
	want wanted
	err  error
}

// nextView is the view of an intent that follows on another; before may be nil.
func nextView(before *view, in *intent.Intent) *view {
	if before != nil && before.SameDocuments(in) {
		return &view{in, before.docs}
	}
	d := &documents{prints: make(map[string]reconcile.Fingerprint), devices: make(map[string]*policy.Switch), refused: make(map[string]refusal)}
	for i := range in.Bundle.Inventory.Switches {
		sw := &in.Bundle.Inventory.Switches[i]
		d.devices[sw.Name] = sw
	}
	return &view{in, d}
}

// device is what the inventory says of a switch.
func (v *view) device(name string) (*policy.Switch, bool) {
	sw, ok := v.docs.devices[name]
	return sw, ok
}

// A wanted is what a switch should hold, by its origin: the intent, the phases and the moment.
type wanted struct {
	*view
	phases policy.InForce
	at     time.Time
}

// wanted returns what a switch should hold at a moment, or intent.ErrNoPhase.
func (v *view) wanted(name string, at time.Time) (wanted, error) {
	phases, err := v.InForce(name, at)
	return wanted{v, phases, at}, err
}

// onlyRules reports whether two states of one switch differ in nothing but the rules in force, and in what is staged.
func (w wanted) onlyRules(other wanted) bool {
	return w.SameDocuments(other.Intent) && w.SameExemptions(w.at, other.at)
}

// same reports whether two states of one switch are the same, as far as is known without compiling them.
func (w wanted) same(other wanted) bool {
	return w.onlyRules(other) && w.phases.String() == other.phases.String()
}

// refusal returns why the switch cannot have this, if that is known already.
func (w wanted) refusal(name string) error {
	w.docs.mu.Lock()
	defer w.docs.mu.Unlock()
	if r, known := w.docs.refused[name]; known && r.want.same(w) {
		return r.err
	}
	return nil
}

// compile returns what the switch should hold, or why it cannot hold that. What is refused is compiled once: trying again helps nobody.
func (t *term) compile(want wanted) (*policy.Compiled, error) {
	if err := want.refusal(t.name); err != nil {
		return nil, err
	}
	compiled, err := want.CompileAs(t.name, want.phases, want.at)
	if err != nil {
		err = fmt.Errorf("%w: %w", errCompile, err)
	} else {
		err = reconcile.Room(compiled.Sharing(), t.c.program.contract)
	}
	if err != nil {
		t.c.Metrics.refusal()
		want.docs.mu.Lock()
		defer want.docs.mu.Unlock()
		want.docs.refused[t.name] = refusal{want, err}
		return nil, err
	}
	return compiled, nil
}

// A ruling is a rule set as one MODIFY puts it in force.
type ruling struct {
	print   reconcile.Fingerprint
	synOnly bool
}

// ruling returns the rules of a switch.
func (w wanted) ruling(name string) (ruling, error) {
	rules, err := w.Rules(name, w.phases)
	if err != nil {
		return ruling{}, err
	}
	key := w.phases.String()
	w.docs.mu.Lock()
	defer w.docs.mu.Unlock()
	print, known := w.docs.prints[key]
	if !known {
		if print, err = reconcile.FingerprintOf(rules.Verdicts); err != nil {
			return ruling{}, err
		}
		w.docs.prints[key] = print
	}
	return ruling{print, rules.SynOnly}, nil
}
