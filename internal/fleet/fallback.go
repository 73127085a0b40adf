package fleet

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.uber.org/zap"

	"op25b/internal/bring"
	"op25b/internal/intent"
	"op25b/internal/p4rt"
	"op25b/internal/pipeline"
	"op25b/internal/reconcile"
)

// errNoFallback means that the switch is not known to have held documents other than the wanted documents.
var errNoFallback = errors.New("the switch is not known to have held other documents")

// isOfDocuments reports whether an error means that a switch cannot hold the wanted documents. A new attempt can succeed only with other
// documents.
func isOfDocuments(err error) bool {
	return errors.Is(err, reconcile.ErrNoRoom) || errors.Is(err, errCompile) || errors.Is(err, pipeline.ErrInvalid)
}

// base returns the documents that the switch was last brought to, as a view.
func (w *worker) base(ctx context.Context) (*view, error) {
	if w.origins.last != nil {
		return w.origins.last.view, nil
	}
	if w.origins.prior.Revision == 0 {
		return nil, errNoFallback
	}
	in, err := w.c.Book.At(ctx, w.origins.prior.Revision)
	if err != nil {
		return nil, fmt.Errorf("revision %d, which it was last brought to: %w", w.origins.prior.Revision, err)
	}
	if id := w.origins.prior.RevisionID; id != "" && id != in.ID { // of a store that was replaced
		return nil, errNoFallback
	}
	return nextView(nil, in), nil
}

// fallBack keeps a switch that cannot hold the wanted documents at the documents that it was last brought to, in the wanted phases. So a
// phase can be changed and changed back whatever the newest documents are (I13). If nothing else differs, the change is one MODIFY.
// Entries that an attempt at the newest documents left in the switch are removed in the same safe order.
//
// The status then has StateFailed and the phases that are in force.
func (w *worker) fallBack(ctx context.Context, s *p4rt.Session, want desired) (err error) {
	v, err := w.base(ctx)
	switch {
	case errors.Is(err, intent.ErrBroken), err == nil && v.SameDocuments(want.Intent):
		return w.flipAlone(ctx, s, want)
	case err != nil:
		return err
	}
	held := desired{bring.Desired{Intent: v.Intent, Switch: w.name, Phases: want.Phases, At: want.At}, v}
	compiled, err := held.Compile()
	if err != nil {
		return fmt.Errorf("%w: revision %d: %w", errCompile, v.Number, err)
	}
	select {
	case w.c.converging <- struct{}{}:
		defer func() { <-w.c.converging }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	others := w.origins.foreign(ctx, w, held)
	result, _, err := w.c.program.Converge(ctx, s, compiled.Sharing(), reconcile.Options{Keep: others.Keep})
	if result.Plan != nil {
		w.c.Metrics.wrote(result.Plan)
	}
	if err != nil {
		return fmt.Errorf("revision %d: %w", v.Number, err)
	}
	w.reportFallBack(held.Phases.String(), result.Plan.Running, func(st *Status) { st.Revision, st.RevisionID = v.Number, v.ID }, zap.Int("updates", result.Plan.Updates()))
	return nil
}

// reportFallBack reports the phases in force on a switch that cannot hold the wanted documents.
func (w *worker) reportFallBack(phases string, running pipeline.Epoch, change func(*Status), fields ...zap.Field) {
	w.report(func(st *Status) error {
		w.phaseOnly = w.phaseOnly || st.InForce != phases || st.Failure != nil && st.Failure.Reason == ReasonPhaseOnly
		st.InForce, st.Running = phases, uint8(running)
		change(st)
		return nil
	}, fields...)
}

// flipAlone puts the wanted phases in force with one MODIFY, if the switch has their rules, and does nothing else. It is for a switch
// that was last brought to the wanted documents and cannot be brought to them again. Another controller may have filled a table since, or
// an earlier release may have accepted documents that this release rejects.
func (w *worker) flipAlone(ctx context.Context, s *p4rt.Session, want desired) error {
	if slices.ContainsFunc(w.origins.begun, func(tried desired) bool { return !tried.sameButRules(want) }) { // the switch may hold half of another state
		return errNoFallback
	}
	next, err := want.ruling()
	if err != nil {
		return err
	}
	memory, err := reconcile.Recall(ctx, s)
	if err != nil {
		return err
	}
	if !memory.InForce(next.print, next.synOnly) {
		done, err := memory.PutInForce(ctx, s, next.print, next.synOnly)
		switch {
		case err != nil:
			return err
		case !done:
			return fmt.Errorf("the switch does not have the rules of %s", want.Phases)
		}
		w.c.Metrics.flipped()
	}
	w.reportFallBack(want.Phases.String(), memory.Running(), func(*Status) {})
	return nil
}

// fallBackAfter falls back if err means that the switch cannot hold the wanted documents. It returns err, with the reason if the phase
// could not be changed either, or an error of the session.
func (w *worker) fallBackAfter(ctx context.Context, s *p4rt.Session, err error) error {
	if !isOfDocuments(err) || w.trying == nil {
		w.fellBack = false
		return err
	}
	failed := w.fallBack(ctx, s, *w.trying)
	w.fellBack = failed == nil
	switch {
	case failed == nil, errors.Is(failed, errNoFallback):
		return err
	case isOfSession(failed):
		return failed
	}
	return fmt.Errorf("%w; and the phases %s cannot be put in force alone: %v", err, w.trying.Phases, failed)
}

// fallBackFirst changes the phase of a switch that fell back, before the documents that it could not hold are tried again.
func (w *worker) fallBackFirst(ctx context.Context, s *p4rt.Session, want desired) error {
	if !w.fellBack || w.failed == nil || !w.failed.sameButRules(want) || w.failed.same(want) {
		return nil
	}
	if err := w.fallBack(ctx, s, want); isOfSession(err) {
		return err
	}
	return nil // other errors occur again in the attempt that follows
}
