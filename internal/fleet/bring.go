package fleet

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"go.uber.org/zap"

	"op25b/internal/intent"
	"op25b/internal/p4rt"
	"op25b/internal/pipeline"
	"op25b/internal/reconcile"
)

// errCompile is an intent that does not compile for a switch.
var errCompile = errors.New("compile")

// bring brings the switch to what is wanted now, and returns in what time all of it is to be read again; 0 leaves that as it was. Unless
// full is set, nothing is read that need not be.
func (t *term) bring(ctx context.Context, s *p4rt.Session, full bool, why string) (next time.Duration, err error) {
	v := t.c.view.Load()
	if _, ok := v.device(t.name); !ok { // removed: the controller is about to end this
		return 0, nil
	}
	want, err := v.wanted(t.name, t.c.Now())
	switch {
	case errors.Is(err, intent.ErrNoPhase):
		t.is, t.memory = nil, nil
		t.tell(func(st *Status) {
			st.State, st.Reason, st.Detail, st.Wanted = StateNoPhase, ReasonNoPhase, err.Error(), v.Number
		})
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("%w: %w", errCompile, err)
	}
	if !full && t.is != nil && t.is.onlyRules(want) {
		if t.is.Number != want.Number && t.is.phases.String() == want.phases.String() {
			t.reached(want, func(st *Status) { st.Reason = ReasonAsWanted })
			return 0, nil
		}
		if t.is.phases.String() == want.phases.String() {
			return 0, nil
		}
		if done, err := t.flip(ctx, s, want, why); done || err != nil {
			// Spread out: as many switches change their phase at once as there are.
			return 1 + rand.N(min(verifyWithin, t.c.AuditEvery)), err
		}
	}
	if err := t.converge(ctx, s, want, why); err != nil {
		return 0, err
	}
	return t.c.AuditEvery - t.c.AuditEvery/4 + rand.N(t.c.AuditEvery/2+1), nil
}

// reached notes that the switch holds what is wanted.
func (t *term) reached(want wanted, change func(*Status), fields ...zap.Field) {
	t.is = &want
	t.bases.reached(want)
	t.tell(func(st *Status) {
		st.State, st.Detail, st.Progress = StateConverged, "", nil
		st.Revision, st.Wanted, st.InForce = want.Number, want.Number, want.phases.String()
		change(st)
	}, fields...)
}

// flip puts the rules that are wanted in force by one MODIFY, if the switch is known to hold them. After an error nothing is known of it.
func (t *term) flip(ctx context.Context, s *p4rt.Session, want wanted, why string) (done bool, err error) {
	if t.memory == nil {
		return false, nil
	}
	began := time.Now()
	is, err := t.is.ruling(t.name)
	if err != nil {
		return false, fmt.Errorf("%w: %w", errCompile, err)
	}
	next, err := want.ruling(t.name)
	if err != nil {
		return false, fmt.Errorf("%w: %w", errCompile, err)
	}
	if is != next {
		if done, err = t.memory.PutInForce(ctx, s, next.print, next.synOnly); !done || err != nil {
			return false, err
		}
		t.c.Metrics.flipped()
	}
	running := uint8(t.memory.Running())
	t.reached(want, func(st *Status) { st.Reason, st.Running = why, running }, zap.Uint8("epoch", running), zap.Duration("duration", time.Since(began)))
	return true, nil
}

// converge reads all of the switch and writes what differs. Only so many switches do at once.
func (t *term) converge(ctx context.Context, s *p4rt.Session, want wanted, why string) error {
	select {
	case t.c.converging <- struct{}{}:
		defer func() { <-t.c.converging }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	began := time.Now()
	audit := t.is != nil && t.bases.expected(want)
	if audit {
		t.c.Metrics.audited()
	} else {
		t.tell(func(st *Status) { st.State, st.Reason, st.Detail, st.Wanted = StateConverging, why, "", want.Number })
	}
	compiled, err := want.CompileAs(t.name, want.phases, want.at)
	if err != nil {
		return fmt.Errorf("%w: %w", errCompile, err)
	}
	expected := t.bases.expected(want)
	others := t.bases.foreign(ctx, t, want)
	t.bases.tried(want)
	result, memory, err := t.c.program.converge(ctx, s, compiled.Sharing(), reconcile.Options{
		Keep: others.keep,
		Progress: func(p reconcile.Progress) {
			t.tell(func(st *Status) {
				if audit {
					st.State, st.Reason = StateConverging, why
				}
				st.Progress = &Progress{p.Step, p.Done, p.Total}
			})
		},
	})
	if result.Plan != nil {
		t.c.Metrics.wrote(result.Plan)
	}
	if err != nil {
		return err
	}
	now := t.c.Now().UTC()
	var drift []string
	if expected {
		drift = driftOf(result, now)
		t.c.Metrics.drifted(len(drift))
	}
	reason := ReasonAsWanted
	plan := result.Plan
	fields := []zap.Field{
		zap.Uint8("epoch", uint8(plan.Running)), zap.Int("added", len(plan.Added)), zap.Int("changed", len(plan.Changed)),
		zap.Int("removed", len(plan.Removed)), zap.Bool("pushed", result.Pushed), zap.Duration("duration", time.Since(began)),
	}
	switch {
	case len(drift) > 0:
		reason = ReasonDrift
		t.log.Warn("the switch was not as it was left", zap.Strings("drift", drift))
	case len(plan.Steps) > 0 || result.Pushed:
		reason = ReasonWritten
	case audit:
		fields = nil // as it was
	}
	others.tellOf(t.log)
	t.c.Metrics.converged(time.Since(began))
	t.memory = memory
	t.reached(want, func(st *Status) {
		if !audit || reason != ReasonAsWanted {
			st.Reason = reason
		}
		st.Running, st.Audited, st.Foreign = uint8(plan.Running), now, len(plan.Kept)
		if result.Pushed {
			st.Pushed = now
		}
		st.Drift = append(drift, st.Drift...)
		st.Drift = slices.Clip(st.Drift[:min(len(st.Drift), MaxDrift)])
		st.Entries, st.Tables = fill(plan)
	}, fields...)
	return nil
}

// fill is how full the tables are.
func fill(plan *reconcile.Plan) (entries int, tables []TableFill) {
	tables = make([]TableFill, len(plan.Tables))
	for i, f := range plan.Tables {
		tables[i] = TableFill(f)
		entries += int(f.Entries)
	}
	return entries, tables
}

// driftOf is what another hand had done to a switch that was left as it is wanted. That rule sets for later are added and removed is no
// drift: a change of phase leaves that to the next audit.
func driftOf(r Result, now time.Time) []string {
	at := now.Format(time.RFC3339) + " "
	if r.Pushed {
		return []string{at + "another pipeline, or none"}
	}
	var all []string
	note := func(what string, e pipeline.Entry) {
		if _, rule := e.Epoch(); !rule {
			all = append(all, at+what+" "+e.String())
		}
	}
	for _, e := range r.Plan.Added {
		note("missing", e)
	}
	for _, c := range r.Plan.Changed {
		note("changed", c.Old)
	}
	for _, e := range r.Plan.Removed {
		note("foreign", e)
	}
	if len(all) > MaxDrift {
		all = append(all[:MaxDrift-1], fmt.Sprintf("%sand %d more", at, len(all)-MaxDrift+1))
	}
	return all
}
