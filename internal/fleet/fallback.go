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

// errNoFallback is returned if the switch was never brought to other documents than the wanted ones, as far as the controller knows.
var errNoFallback = errors.New("the switch is not known to have held other documents")

// isOfDocuments reports whether an error means that the wanted documents cannot be applied to a switch. In this case, a new attempt can
// succeed only with other documents.
func isOfDocuments(err error) bool {
	return errors.Is(err, reconcile.ErrNoRoom) || errors.Is(err, errCompile) || errors.Is(err, pipeline.ErrInvalid)
}

// base returns a view of the documents to which the switch was last brought.
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
	if id := w.origins.prior.RevisionID; id != "" && id != in.ID { // the revision belongs to a store that was replaced
		return nil, errNoFallback
	}
	return nextView(nil, in), nil
}

// fallBack is called if the wanted documents cannot be applied to the switch. It keeps the switch at the documents to which it was last
// brought, but puts the wanted phases in force. So a phase can be changed and changed back whatever the newest documents are (I13). If
// nothing else differs, the change is one MODIFY. Entries that an attempt to apply the newest documents has left in the switch are
// removed in the usual safe order.
//
// Afterwards, the status has StateFailed and the phases that are in force.
func (w *worker) fallBack(ctx context.Context, s *p4rt.Session, want desired) (err error) {
	v, err := w.base(ctx)
	switch {
	case errors.Is(err, intent.ErrBroken), err == nil && v.For(w.name).SameDocuments(want.Intent):
		return w.flipAlone(ctx, s, want)
	case err != nil:
		return err
	}
	held := desired{bring.Desired{Intent: v.For(w.name), Switch: w.name, Phases: want.Phases, At: want.At}, v}
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
	layer := &layering{lines: compiled.Sessions}
	result, _, err := w.bring(ctx, s, compiled, false, reconcile.Options{Keep: others.Keep, Layer: layer.held, Name: layer.lines.Text})
	if result.Plan != nil {
		w.c.Metrics.wrote(result.Plan)
	}
	if err != nil {
		return fmt.Errorf("revision %d: %w", v.Number, err)
	}
	w.layer = layer.adopted() // sessions still change
	w.reportFallBack(held.Phases.String(), result.Plan.Running, func(st *Status) { st.Revision, st.RevisionID = v.Number, v.ID }, zap.Int("updates", result.Plan.Updates()))
	return nil
}

// reportFallBack reports the phases that are in force on a switch to which the wanted documents cannot be applied.
func (w *worker) reportFallBack(phases string, running pipeline.Epoch, change func(*Status), fields ...zap.Field) {
	w.report(func(st *Status) error {
		w.phaseOnly = w.phaseOnly || st.InForce != phases || st.Failure != nil && st.Failure.Reason == ReasonPhaseOnly
		st.InForce, st.Running = phases, uint8(running)
		change(st)
		return nil
	}, fields...)
}

// flipAlone puts the wanted phases in force with one MODIFY, if the switch has their rules. It changes nothing else. It is used for a
// switch that was last brought to the wanted documents but cannot be brought to them again. This happens if another controller has filled
// a table in the meantime, or if an earlier release accepted documents that this release rejects.
func (w *worker) flipAlone(ctx context.Context, s *p4rt.Session, want desired) error {
	if slices.ContainsFunc(w.origins.begun, func(tried desired) bool { return !tried.sameButRules(want) }) { // the switch may have a part of another state
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

// fallBackAfter falls back if err means that the wanted documents cannot be applied to the switch. It normally returns err. If the phase
// could not be changed either, the returned error also contains the reason. If the session failed, fallBackAfter returns the session's
// error.
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

// fallBackFirst changes the phase of a switch that has fallen back, before the next attempt to apply the documents that could not be
// applied.
func (w *worker) fallBackFirst(ctx context.Context, s *p4rt.Session, want desired) error {
	if !w.fellBack || w.failed == nil || !w.failed.sameButRules(want) || w.failed.same(want) {
		return nil
	}
	if err := w.fallBack(ctx, s, want); isOfSession(err) {
		return err
	}
	return nil // any other error occurs again in the next attempt, which reports it
}
