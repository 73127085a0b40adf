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

// errNoFallback is a switch that is not known to have been brought to other documents than those wanted.
var errNoFallback = errors.New("it is not known to have been brought to other documents")

// isOfDocuments says whether an error means that a switch cannot take the documents wanted: trying again helps only once others are wanted.
func isOfDocuments(err error) bool {
	return errors.Is(err, reconcile.ErrNoRoom) || errors.Is(err, errCompile) || errors.Is(err, pipeline.ErrInvalid)
}

// base is the documents that the switch was last brought to, as a view.
func (w *worker) base(ctx context.Context) (*view, error) {
	if w.origins.is != nil {
		return w.origins.is.view, nil
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

// hold keeps a switch that cannot take the documents wanted at those that it was last brought to, in the phases wanted: so a phase can be
// changed and changed back whatever the newest documents are (I13). Where nothing else differs, that is one MODIFY. What an attempt to bring
// the newest documents left in the switch is taken back on the way, in the order in which no packet is misjudged.
//
// The status then says that the switch has failed, and the phase that is in force.
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

// holds tells which phases are in force on a switch that cannot be brought to the documents wanted.
func (w *worker) reportFallBack(phases string, running pipeline.Epoch, change func(*Status), fields ...zap.Field) {
	w.report(func(st *Status) error {
		w.phaseOnly = w.phaseOnly || st.InForce != phases || st.Failure != nil && st.Failure.Reason == ReasonPhaseOnly
		st.InForce, st.Running = phases, uint8(running)
		change(st)
		return nil
	}, fields...)
}

// flipAlone puts the phases wanted in force by one MODIFY, if the switch has their rules, and does nothing else. It is for a switch that was
// last brought to the documents wanted, and cannot be brought to them again: another hand has filled a table meanwhile, or an earlier release
// brought it to them and this one does not take them for valid.
func (w *worker) flipAlone(ctx context.Context, s *p4rt.Session, want desired) error {
	if slices.ContainsFunc(w.origins.since, func(tried desired) bool { return !tried.sameButRules(want) }) { // it may hold half of something else
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

// holdOn is hold for a switch that could not be brought to what is wanted because of err. It returns that error, with why the phase could
// not be changed either, or an error of the session.
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

// holdFirst puts other phases in force on a switch that could not be brought to documents that are still wanted, before that is tried
// again.
func (w *worker) fallBackFirst(ctx context.Context, s *p4rt.Session, want desired) error {
	if !w.fellBack || w.failed == nil || !w.failed.sameButRules(want) || w.failed.same(want) {
		return nil
	}
	if err := w.fallBack(ctx, s, want); isOfSession(err) {
		return err
	}
	return nil // what else is wrong shows again
}
