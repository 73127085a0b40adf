package fleet

import (
	"fmt"
	"sync"
	"time"

	"op25b/internal/bring"
	"op25b/internal/compile"
	"op25b/internal/intent"
	"op25b/internal/policy"
	"op25b/internal/reconcile"
)

// A view is the newest intent as all workers see it.
type view struct {
	*intent.Intent
	docs *documents
}

// documents contains the data that is shared by all intents with the same documents. Rule sets and their fingerprints are computed once
// for all switches.
type documents struct {
	mu      sync.Mutex // guards all following fields
	prints  map[printKey]reconcile.Fingerprint
	devices map[string]*policy.Switch
	refused map[string]refusal // the last refusal of each switch
}

// A printKey identifies a rule set: the phases in force, by the documents in force or by the next documents of a rollout.
type printKey struct {
	next   bool
	phases string
}

// A refusal is a state to which a switch cannot be brought, with the reason.
type refusal struct {
	want desired
	err  error
}

// nextView returns the view of an intent. If before has the same documents, both views share their data. before may be nil.
func nextView(before *view, in *intent.Intent) *view {
	if before != nil && before.SameDocuments(in) {
		return &view{in, before.docs}
	}
	d := &documents{prints: make(map[printKey]reconcile.Fingerprint), devices: make(map[string]*policy.Switch), refused: make(map[string]refusal)}
	for _, sw := range in.Switches() {
		d.devices[sw.Name] = sw
	}
	return &view{in, d}
}

// device returns the inventory's entry for a switch.
func (v *view) device(name string) (*policy.Switch, bool) {
	sw, ok := v.docs.devices[name]
	return sw, ok
}

// A desired is the desired state of a switch, with the view from which it was derived.
type desired struct {
	bring.Desired
	view *view
}

// desired returns the desired state of a switch at the given time. It returns intent.ErrNoPhase if no phase has begun.
func (v *view) desired(name string, at time.Time) (desired, error) {
	d, err := bring.At(v.Intent, name, at)
	return desired{d, v}, err
}

// sameButRules and same call the methods of bring.Desired.
func (d desired) sameButRules(other desired) bool { return d.SameButRules(other.Desired) }
func (d desired) same(other desired) bool         { return d.Same(other.Desired) }

// refusal returns the known reason why the switch cannot be brought to this state, or nil.
func (d desired) refusal() error {
	docs := d.view.docs
	docs.mu.Lock()
	defer docs.mu.Unlock()
	if r, known := docs.refused[d.Switch]; known && r.want.same(d) {
		return r.err
	}
	return nil
}

// compile compiles the desired state. If the switch cannot be brought to a state, that state is compiled only once, because another
// attempt would fail in the same way.
func (w *worker) compile(want desired) (*compile.Compiled, error) {
	if err := want.refusal(); err != nil {
		return nil, err
	}
	compiled, err := want.Compile()
	if err != nil {
		err = fmt.Errorf("%w: %w", errCompile, err)
	} else {
		err = w.c.program.Room(compiled.Sharing())
	}
	if err != nil {
		w.c.Metrics.refusal()
		docs := want.view.docs
		docs.mu.Lock()
		defer docs.mu.Unlock()
		docs.refused[w.name] = refusal{want, err}
		return nil, err
	}
	return compiled, nil
}

// A ruling identifies a rule set and its synOnly setting, which one MODIFY can put in force.
type ruling struct {
	print   reconcile.Fingerprint
	synOnly bool
}

// ruling returns the ruling of the rules that the switch should have in force.
func (d desired) ruling() (ruling, error) {
	rules, err := d.Rules(d.Switch, d.Phases)
	if err != nil {
		return ruling{}, err
	}
	key, docs := printKey{d.view.Next() != nil && d.Intent.SameDocuments(d.view.Next()), d.Phases.String()}, d.view.docs
	docs.mu.Lock()
	defer docs.mu.Unlock()
	print, known := docs.prints[key]
	if !known {
		if print, err = reconcile.FingerprintOf(rules.Verdicts); err != nil {
			return ruling{}, err
		}
		docs.prints[key] = print
	}
	return ruling{print, rules.SynOnly}, nil
}
