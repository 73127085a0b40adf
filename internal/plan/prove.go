package plan

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"op25b/internal/compile"
	"op25b/internal/intent"
	"op25b/internal/policy"
	"op25b/internal/prove"
)

// ProofTime is the longest time of a proof, including the wait for other proofs. One switch with 80,000 exempt prefixes takes
// a few seconds.
const ProofTime = 3 * time.Minute

// A Prover tries changes of switches on a twin. *prove.Prover implements it.
type Prover interface {
	Prove(ctx context.Context, changes ...*prove.Change) (*prove.Result, error)
}

var _ Prover = (*prove.Prover)(nil)

// errProofTime is the reason for which a proof ends after ProofTime.
var errProofTime = fmt.Errorf("it was not finished within %v; try again when the controller has less to do, or change fewer switches at once", ProofTime)

// WithProofTime returns a context that ends after ProofTime. A call that needs several proofs gives it to all of them.
func WithProofTime(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, ProofTime, errProofTime)
}

// Prove proves on the twin what a change of intent would do to switches: see package prove. An empty list of names means all switches. A base of nil,
// or one without the switch, means an empty switch. The phases that have not begun are proved too, each as a change from the phases in force,
// because they begin without another call.
//
// Prove returns prove.ErrUnproved if the proof cannot be finished. The result of a change that is disproved has counterexamples.
func (p *Planner) Prove(ctx context.Context, base, proposed *intent.Intent, names []string) (*prove.Result, error) {
	ctx, cancel := WithProofTime(ctx)
	defer cancel()
	now := p.cfg.Now()
	digests := make(map[[2]*intent.Intent]string) // while a rollout brings documents, switches have different ones
	var changes []*prove.Change
	for _, sw := range proposed.Switches() {
		name := sw.Name
		if len(names) > 0 && !slices.Contains(names, name) {
			continue
		}
		if ctx.Err() != nil {
			return nil, fmt.Errorf("%w: %w", prove.ErrUnproved, context.Cause(ctx))
		}
		proposed, base := proposed.For(name), base
		if base != nil {
			base = base.For(name)
		}
		of := [2]*intent.Intent{base, proposed}
		policies, known := digests[of]
		if !known {
			policies = policyDigest(base, proposed)
			digests[of] = policies
		}
		will, err := p.willBe(proposed, name, now)
		if err != nil {
			continue // the plan shows the error, and Fits refuses it
		}
		ch := &prove.Change{Switch: name, New: will, Bundle: proposed.Bundle, Now: now, PolicyDigest: policies}
		if base != nil {
			if was, err := base.Compile(name, now); err == nil && p.program.Room(was.Sharing()) == nil { // no switch has documents that do not fit
				ch.Old, ch.OldBundle = was, base.Bundle
			}
		}
		changes = append(changes, ch)
		if ch.Old == nil || !samePhases(base, proposed) {
			changes = append(changes, p.later(proposed, will, now, policies)...)
		}
	}
	return p.cfg.Prover.Prove(ctx, changes...)
}

// Proved returns prove.ErrDisproved or prove.ErrUnproved, with ErrRefused, unless Prove proves the change.
func (p *Planner) Proved(ctx context.Context, base, proposed *intent.Intent) error {
	r, err := p.Prove(ctx, base, proposed, nil)
	if err == nil {
		err = r.Err()
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return nil
}

// willBe compiles the proposed state of a switch. If no phase has begun, it is the state of the first phase.
func (p *Planner) willBe(in *intent.Intent, name string, now time.Time) (*compile.Compiled, error) {
	c, err := in.Compile(name, now)
	if errors.Is(err, intent.ErrNoPhase) {
		return in.CompileAs(name, policy.Everywhere(in.Bundle.Policy.Phases[0].Name), now)
	}
	return c, err
}

// later returns the changes from the phases in force to the phases that have not begun.
func (p *Planner) later(in *intent.Intent, will *compile.Compiled, now time.Time, policies string) (all []*prove.Change) {
	pol := in.Bundle.Policy
	for i := range pol.Phases {
		ph := &pol.Phases[i]
		later := pol.Begins(ph).After(now)
		for _, d := range ph.EffectiveFor {
			later = later || d.Effective.Start(pol.UTCOffset).After(now)
		}
		if ph.Name == will.InForce.Default || !later {
			continue
		}
		if next, err := in.CompileAs(will.Switch, policy.Everywhere(ph.Name), now); err == nil {
			all = append(all, &prove.Change{
				Switch: will.Switch, Old: will, OldBundle: in.Bundle, New: next, Bundle: in.Bundle, Now: now, PolicyDigest: policies,
			})
		}
	}
	return all
}

// samePhases reports whether two intents have the same rules, so that their later phases need no other proof.
func samePhases(base, proposed *intent.Intent) bool {
	if base == nil || base.Broken() != nil {
		return false
	}
	a, b := base.Bundle.Policy, proposed.Bundle.Policy
	return a == b || reflect.DeepEqual(a.Phases, b.Phases) && reflect.DeepEqual(a.Services, b.Services) && reflect.DeepEqual(a.Remotes, b.Remotes) && reflect.DeepEqual(a.LineGroups, b.LineGroups) &&
		reflect.DeepEqual(a.Leases, b.Leases) && reflect.DeepEqual(a.NAT64, b.NAT64)
}

// policyDigest identifies the documents of two intents. base may be nil.
func policyDigest(base, proposed *intent.Intent) string {
	if base == nil {
		return intent.Digest(proposed.Documents(), 0)
	}
	return intent.Digest(base.Documents(), 0) + intent.Digest(proposed.Documents(), 0)
}
