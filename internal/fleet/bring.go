package fleet

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"go.uber.org/zap"

	"op25b/internal/bring"
	"op25b/internal/intent"
	"op25b/internal/p4rt"
	"op25b/internal/pipeline"
	"op25b/internal/reconcile"
)

// errCompile is an intent that does not compile for a switch.
var errCompile = errors.New("compile")

// bring brings the switch to what is wanted now, and returns in what time all of it is to be read again; 0 leaves that as it was. Unless
// full is set, nothing is read that need not be.
func (t *term) bring(ctx context.Context, s *p4rt.Session, full bool) (next time.Duration, err error) {
	v := t.c.view.Load()
	if _, ok := v.device(t.name); !ok { // removed: the controller is about to end this
		return 0, nil
	}
	want, err := v.desired(t.name, t.c.Clock.Dates())
	switch {
	case errors.Is(err, intent.ErrNoPhase):
		t.is, t.memory = nil, nil
		t.bases.waiting = v
		t.tell(func(st *Status) error {
			st.Wanted, st.Failure = v.Number, nil
			return st.become(eventNoPhase, ReasonNoPhase, err.Error())
		})
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("%w: %w", errCompile, err)
	}
	t.trying = &want
	if !full && t.is != nil && t.is.sameButRules(want) {
		if t.is.same(want) {
			if t.is.Number != want.Number {
				t.reached(want, ReasonAsWanted, func(*Status) {})
			}
			t.tellHeld(v)
			return 0, nil
		}
		if done, err := t.flip(ctx, s, want); done || err != nil {
			// Spread out: as many switches change their phase at once as there are.
			return 1 + rand.N(min(verifyWithin, t.c.AuditEvery)), err
		}
	}
	if err := t.holdFirst(ctx, s, want); err != nil {
		return 0, err
	}
	if err := t.converge(ctx, s, want); err != nil {
		return 0, err
	}
	return t.c.AuditEvery - t.c.AuditEvery/4 + rand.N(t.c.AuditEvery/2+1), nil
}

// tellHeld tells that a date has come which is held, and when it is held no more.
func (t *term) tellHeld(v *view) {
	held := t.c.held(v)
	t.mu.Lock()
	st := t.status
	t.mu.Unlock()
	switch {
	case st.State != StateConverged:
	case held != "" && (st.Reason != ReasonDateHeld || st.Detail != held):
		t.tell(func(st *Status) error { return st.become(eventReach, ReasonDateHeld, held) })
	case held == "" && st.Reason == ReasonDateHeld:
		t.tell(func(st *Status) error { return st.become(eventReach, ReasonAsWanted, "") })
	}
}

// beginLook tells that the switch is being read or written to. What could not be done before, and is only tried again, is no news.
func (t *term) beginLook(want desired, cause Reason) {
	t.tell(func(st *Status) error {
		st.Wanted = want.Number
		switch st.State {
		case StateConnecting, StateDisconnected, StateBackup:
			cause = ReasonElected
		case StateFailed:
			if t.failed != nil && t.failed.same(want) {
				return nil
			}
		}
		return st.become(eventLook, cause, t.c.why(cause))
	})
}

// reached notes that the switch holds what is wanted.
func (t *term) reached(want desired, reason Reason, change func(*Status), fields ...zap.Field) {
	t.is = &want
	t.bases.reached(want)
	t.tell(func(st *Status) error {
		if reason == ReasonAsWanted && st.State == StateConverged && st.Revision == want.Number && st.InForce == want.Phases.String() {
			reason = st.Reason // it was found as it was
		}
		st.Revision, st.Wanted, st.InForce, st.Failure = want.Number, want.Number, want.Phases.String(), nil
		st.RevisionID, st.Attempted = want.ID, nil
		change(st)
		return st.become(eventReach, reason, t.c.why(reason))
	}, fields...)
}

// flip puts the rules that are wanted in force by one MODIFY, if the switch is known to hold them. After an error nothing is known of it.
func (t *term) flip(ctx context.Context, s *p4rt.Session, want desired) (done bool, err error) {
	if t.memory == nil {
		return false, nil
	}
	began := time.Now()
	is, err := t.is.ruling()
	if err != nil {
		return false, fmt.Errorf("%w: %w", errCompile, err)
	}
	next, err := want.ruling()
	if err != nil {
		return false, fmt.Errorf("%w: %w", errCompile, err)
	}
	if is != next {
		if done, err = t.memory.PutInForce(ctx, s, next.print, next.synOnly); !done || err != nil {
			return false, err
		}
		t.c.Metrics.flipped()
	}
	t.alive()
	running := uint8(t.memory.Running())
	reason := t.bases.cause(t.name, want)
	t.reached(want, reason, func(st *Status) { st.Running = running }, zap.Uint8("epoch", running), zap.Duration("duration", time.Since(began)))
	return true, nil
}

// converge reads all of the switch and writes what differs. Only so many switches do at once.
func (t *term) converge(ctx context.Context, s *p4rt.Session, want desired) error {
	select {
	case t.c.converging <- struct{}{}:
		defer func() { <-t.c.converging }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	began := time.Now()
	expected, cause := t.bases.expected(want), t.bases.cause(t.name, want)
	audit := t.is != nil && expected
	switch {
	case audit: // as far as anybody knows it is converged
		t.c.Metrics.audited()
	default:
		t.beginLook(want, cause)
	}
	compiled, err := t.compile(want)
	if err != nil {
		return err
	}
	others := t.bases.foreign(ctx, t, want)
	t.attempts(t.bases.tried(want))
	result, memory, err := t.c.program.Converge(ctx, s, compiled.Sharing(), reconcile.Options{
		Keep: others.Keep,
		Planned: func(plan *reconcile.Plan) {
			if audit && len(driftOf(bring.Result{Plan: plan}, began)) > 0 {
				t.beginLook(want, ReasonDrift)
			}
		},
		Progress: func(p reconcile.Progress) {
			t.tell(func(st *Status) error {
				st.Progress = &Progress{p.Step, p.Done, p.Total}
				return nil
			})
		},
	})
	if result.Plan != nil {
		t.c.Metrics.wrote(result.Plan)
	}
	if err != nil {
		return err
	}
	t.alive()
	now := t.c.Now().UTC()
	var drift []string
	if expected {
		drift = driftOf(result, now)
		t.c.Metrics.drifted(len(drift))
	}
	plan := result.Plan
	reason := foundTo(drift, len(plan.Steps) > 0 || result.Pushed, cause)
	fields := []zap.Field{
		zap.Uint8("epoch", uint8(plan.Running)), zap.Int("added", len(plan.Added)), zap.Int("changed", len(plan.Changed)),
		zap.Int("removed", len(plan.Removed)), zap.Bool("pushed", result.Pushed), zap.Duration("duration", time.Since(began)),
	}
	switch {
	case reason == ReasonDrift:
		t.log.Warn("the switch was not as it was left", zap.Strings("drift", drift))
	case audit && len(plan.Steps) == 0:
		fields = nil // as it was
	}
	t.logForeign(others)
	t.c.Metrics.converged(time.Since(began))
	t.memory = memory
	t.reached(want, reason, func(st *Status) {
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

// foundTo is why a switch holds what is wanted, once it was read and written to.
func foundTo(drift []string, wrote bool, cause Reason) Reason {
	switch {
	case len(drift) > 0:
		return ReasonDrift
	case !wrote, cause == ReasonDrift: // rule sets for later were written, if anything
		return ReasonAsWanted
	}
	return cause
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
func driftOf(r bring.Result, now time.Time) []string {
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
