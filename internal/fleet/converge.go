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

// errCompile is returned if the intent does not compile for a switch.
var errCompile = errors.New("compile")

// converge brings the switch to the desired state. next is the time until the whole switch must be read again; 0 means that the time of
// the next read does not change. If full is set, converge reads the whole switch; otherwise it reads only if necessary.
func (w *worker) converge(ctx context.Context, s *p4rt.Session, full bool) (next time.Duration, err error) {
	v := w.c.view.Load()
	if _, ok := v.device(w.name); !ok { // the switch was removed from the inventory, and the controller is about to end this worker
		return 0, nil
	}
	if w.held(v.Number) {
		return 0, nil
	}
	want, err := v.desired(w.name, w.c.Clock.Dates())
	switch {
	case errors.Is(err, intent.ErrNoPhase):
		w.current, w.memory = nil, nil
		w.origins.waiting = v
		w.report(func(st *Status) error {
			st.Wanted, st.Failure = v.Number, nil
			return st.become(eventNoPhase, ReasonNoPhase, err.Error())
		})
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("%w: %w", errCompile, err)
	}
	w.trying = &want
	if !full && w.current != nil && w.current.sameButRules(want) && !w.endsDue() {
		if w.current.same(want) {
			if w.current.Number != want.Number {
				w.reached(want, ReasonAsWanted, func(*Status) {})
			}
			w.reportHeld(v)
			return 0, nil
		}
		if done, err := w.flip(ctx, s, want); done || err != nil {
			// The next audits are spread over time, because all switches change their phase at once.
			return 1 + rand.N(min(verifyWithin, w.c.AuditEvery)), err
		}
	}
	if !full {
		if done, err := w.exempt(ctx, s, want); done || err != nil {
			return 0, err
		}
	}
	if err := w.fallBackFirst(ctx, s, want); err != nil {
		return 0, err
	}
	if err := w.reconcile(ctx, s, want); err != nil {
		return 0, err
	}
	return w.c.AuditEvery - w.c.AuditEvery/4 + rand.N(w.c.AuditEvery/2+1), nil
}

// reportHeld reports that a date has come but is held, or that exemptions end only with a controller, and later that this is no longer so.
func (w *worker) reportHeld(v *view) {
	reason, held := ReasonDateHeld, w.c.heldDate(v)
	if held == "" && w.ends.noClock != "" {
		reason, held = ReasonNoClock, w.ends.noClock
	}
	w.mu.Lock()
	st := w.status
	w.mu.Unlock()
	switch {
	case st.State != StateConverged:
	case held != "" && (st.Reason != reason || st.Detail != held):
		w.report(func(st *Status) error { return st.become(eventConverged, reason, held) })
	case held == "" && (st.Reason == ReasonDateHeld || st.Reason == ReasonNoClock):
		w.report(func(st *Status) error { return st.become(eventConverged, ReasonAsWanted, "") })
	}
}

// reportConverging reports that the switch is being read or written. The repetition of a failed attempt is not reported.
func (w *worker) reportConverging(want desired, cause Reason) {
	w.report(func(st *Status) error {
		st.Wanted = want.Number
		switch st.State {
		case StateConnecting, StateDisconnected, StateBackup:
			cause = ReasonElected
		case StateConverging:
			if st.Reason == ReasonHoldReleased {
				cause = st.Reason
			}
		case StateFailed:
			if w.failed != nil && w.failed.same(want) {
				return nil
			}
		}
		return st.become(eventConverge, cause, w.c.why(cause))
	})
}

// reached reports that the switch is in the desired state.
func (w *worker) reached(want desired, reason Reason, change func(*Status), fields ...zap.Field) {
	w.current = &want
	w.origins.reached(want)
	w.report(func(st *Status) error {
		if reason == ReasonAsWanted && st.State == StateConverged && st.Revision == want.Number && st.InForce == want.Phases.String() {
			reason = st.Reason // the switch was already in the desired state
		}
		detail := w.c.why(reason)
		if reason == ReasonNoClock {
			if detail = w.ends.noClock; detail == "" {
				reason = ReasonAsWanted
			}
		}
		st.Revision, st.Wanted, st.InForce, st.Failure = want.Number, want.Number, want.Phases.String(), nil
		st.RevisionID, st.Attempted = want.ID, nil
		if !w.asker.has(want, w.writes) {
			st.Probes = nil // a round follows
		}
		change(st)
		return st.become(eventConverged, reason, detail)
	}, fields...)
}

// flip puts the wanted rules in force with one MODIFY, if the switch is known to have them. If flip returns an error, the worker no
// longer knows which rules the switch has.
func (w *worker) flip(ctx context.Context, s *p4rt.Session, want desired) (done bool, err error) {
	if w.memory == nil {
		return false, nil
	}
	began := time.Now()
	is, err := w.current.ruling()
	if err != nil {
		return false, fmt.Errorf("%w: %w", errCompile, err)
	}
	next, err := want.ruling()
	if err != nil {
		return false, fmt.Errorf("%w: %w", errCompile, err)
	}
	if is != next {
		if done, err = w.memory.PutInForce(ctx, s, next.print, next.synOnly); !done || err != nil {
			return false, err
		}
		w.c.Metrics.flipped()
		w.writes++
	}
	w.alive()
	running := uint8(w.memory.Running())
	reason := w.origins.cause(w.name, want)
	w.reached(want, reason, func(st *Status) { st.Running = running }, zap.Uint8("epoch", running), zap.Duration("duration", time.Since(began)))
	return true, nil
}

// reconcile reads the whole switch and writes the differences. It limits the number of switches that are reconciled at once.
func (w *worker) reconcile(ctx context.Context, s *p4rt.Session, want desired) error {
	select {
	case w.c.converging <- struct{}{}:
		defer func() { <-w.c.converging }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if w.onHold() { // since this switch waited for its turn; the worker was woken, and reports it
		return nil
	}
	began := time.Now()
	expected, cause := w.origins.expected(want), w.origins.cause(w.name, want)
	audit := w.current != nil && expected
	switch {
	case audit: // the switch is assumed to be converged
		w.c.Metrics.audited()
	default:
		w.reportConverging(want, cause)
	}
	compiled, err := w.compile(want)
	if err != nil {
		return err
	}
	others := w.origins.foreign(ctx, w, want)
	w.attempts(w.origins.tried(want))
	layer := &layering{lines: compiled.Sessions}
	if expected {
		layer.before = w.layer
	}
	explained := w.endsOnly(compiled)
	result, memory, err := w.bring(ctx, s, compiled, expected, reconcile.Options{
		Keep: others.Keep, Layer: layer.held, Name: layer.lines.Text,
		Planned: func(plan *reconcile.Plan) {
			if audit && len(driftOf(bring.Result{Plan: plan}, layer, explained, began)) > 0 {
				w.reportConverging(want, ReasonDrift)
			}
		},
		Progress: func(p reconcile.Progress) {
			w.report(func(st *Status) error {
				st.Progress = &Progress{p.Step, p.Done, p.Total}
				return nil
			})
		},
	})
	if result.Plan != nil {
		w.c.Metrics.wrote(result.Plan)
	}
	if err != nil {
		return err
	}
	w.alive()
	now := w.c.Now().UTC()
	var drift []string
	if expected {
		drift = driftOf(result, layer, explained, now)
		w.c.Metrics.drifted(len(drift))
	}
	plan := result.Plan
	reason := foundTo(drift, len(plan.Steps) > 0 || result.Pushed, cause)
	fields := []zap.Field{
		zap.Uint8("epoch", uint8(plan.Running)), zap.Int("added", len(plan.Added)), zap.Int("changed", len(plan.Changed)),
		zap.Int("removed", len(plan.Removed)), zap.Bool("pushed", result.Pushed), zap.Duration("duration", time.Since(began)),
	}
	switch {
	case reason == ReasonDrift:
		w.log.Warn("drift was found and repaired", zap.Strings("drift", drift))
	case audit && len(plan.Steps) == 0:
		fields = nil // nothing changed
	}
	w.logForeign(others, layer.lines.Text)
	w.c.Metrics.converged(time.Since(began))
	w.memory, w.layer = memory, layer.adopted()
	if len(plan.Steps) > 0 || result.Pushed {
		w.writes++
	}
	if err := w.lookAgain(ctx, s, want); err != nil {
		return err
	}
	w.reached(want, reason, func(st *Status) {
		st.Running, st.Audited, st.Foreign = uint8(plan.Running), now, len(plan.Kept)
		if result.Pushed {
			st.Pushed = now
		}
		st.Drift = append(drift, st.Drift...)
		st.Drift = slices.Clip(st.Drift[:min(len(st.Drift), MaxDrift)])
		st.Entries, st.Tables = fill(plan)
	}, fields...)
	w.reportHeld(want.view)
	return nil
}

// foundTo returns the reason for StateConverged after the switch was read and written.
func foundTo(drift []string, wrote bool, cause Reason) Reason {
	switch {
	case len(drift) > 0:
		return ReasonDrift
	case !wrote, cause == ReasonDrift: // nothing was written, or only staged rule sets
		return ReasonAsWanted
	}
	return cause
}

// fill returns the total number of entries and the fill of each table.
func fill(plan *reconcile.Plan) (entries int, tables []TableFill) {
	tables = make([]TableFill, len(plan.Tables))
	for i, f := range plan.Tables {
		tables[i] = TableFill(f)
		entries += int(f.Entries)
	}
	return entries, tables
}

// driftOf lists the changes that other clients made after the switch was left in the wanted state. Staged rule sets are not drift,
// because a change of phase leaves them to the next audit. Nor are changes for which explained returns true. Entries of sessions are listed without
// their addresses.
func driftOf(r bring.Result, l *layering, explained func(reconcile.Change) bool, now time.Time) []string {
	at := now.Format(time.RFC3339) + " "
	if r.Pushed {
		return []string{at + "another pipeline, or none"}
	}
	var all []string
	note := func(what string, e pipeline.Entry) {
		if _, rule := e.Epoch(); !rule && !l.lines.Owns(e) {
			all = append(all, at+what+" "+e.String())
		}
	}
	for _, e := range r.Plan.Added {
		note("missing", e)
	}
	for _, c := range r.Plan.Changed {
		if !explained(c) {
			note("changed", c.Old)
		}
	}
	for _, e := range r.Plan.Removed {
		note("foreign", e)
	}
	for _, text := range l.drift {
		all = append(all, at+text)
	}
	if len(all) > MaxDrift {
		all = append(all[:MaxDrift-1], fmt.Sprintf("%sand %d more", at, len(all)-MaxDrift+1))
	}
	return all
}
