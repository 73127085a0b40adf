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

// errNothingToHold is a switch that is not known to have been brought to other documents than those wanted.
var errNothingToHold = errors.New("it is not known to have been brought to other documents")

// isOfDocuments says whether an error means that a switch cannot take the documents wanted: trying again helps only once others are wanted.
func isOfDocuments(err error) bool {
	return errors.Is(err, reconcile.ErrNoRoom) || errors.Is(err, errCompile) || errors.Is(err, pipeline.ErrInvalid)
}

// base is the documents that the switch was last brought to, as a view.
func (t *term) base(ctx context.Context) (*view, error) {
	if t.bases.is != nil {
		return t.bases.is.view, nil
	}
	if t.bases.prior.Revision == 0 {
		return nil, errNothingToHold
	}
	in, err := t.c.Book.At(ctx, t.bases.prior.Revision)
	if err != nil {
		return nil, fmt.Errorf("revision %d, which it was last brought to: %w", t.bases.prior.Revision, err)
	}
	if id := t.bases.prior.RevisionID; id != "" && id != in.ID { // of a store that was replaced
		return nil, errNothingToHold
	}
	return nextView(nil, in), nil
}

// hold keeps a switch that cannot take the documents wanted at those that it was last brought to, in the phases wanted: so a phase can be
// changed and changed back whatever the newest documents are (I13). Where nothing else differs, that is one MODIFY. What an attempt to bring
// the newest documents left in the switch is taken back on the way, in the order in which no packet is misjudged.
//
// The status then says that the switch has failed, and the phase that is in force.
func (t *term) hold(ctx context.Context, s *p4rt.Session, want desired) (err error) {
	v, err := t.base(ctx)
	switch {
	case errors.Is(err, intent.ErrBroken), err == nil && v.SameDocuments(want.Intent):
		return t.flipAlone(ctx, s, want)
	case err != nil:
		return err
	}
	held := desired{bring.Desired{Intent: v.Intent, Switch: t.name, Phases: want.Phases, At: want.At}, v}
	compiled, err := held.Compile()
	if err != nil {
		return fmt.Errorf("%w: revision %d: %w", errCompile, v.Number, err)
	}
	select {
	case t.c.converging <- struct{}{}:
		defer func() { <-t.c.converging }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	others := t.bases.foreign(ctx, t, held)
	result, _, err := t.c.program.Converge(ctx, s, compiled.Sharing(), reconcile.Options{Keep: others.Keep})
	if result.Plan != nil {
		t.c.Metrics.wrote(result.Plan)
	}
	if err != nil {
		return fmt.Errorf("revision %d: %w", v.Number, err)
	}
	t.holds(held.Phases.String(), result.Plan.Running, func(st *Status) { st.Revision, st.RevisionID = v.Number, v.ID }, zap.Int("updates", result.Plan.Updates()))
	return nil
}

// holds tells which phases are in force on a switch that cannot be brought to the documents wanted.
func (t *term) holds(phases string, running pipeline.Epoch, change func(*Status), fields ...zap.Field) {
	t.tell(func(st *Status) error {
		t.phaseOnly = t.phaseOnly || st.InForce != phases || st.Failure != nil && st.Failure.Reason == ReasonPhaseOnly
		st.InForce, st.Running = phases, uint8(running)
		change(st)
		return nil
	}, fields...)
}

// flipAlone puts the phases wanted in force by one MODIFY, if the switch has their rules, and does nothing else. It is for a switch that was
// last brought to the documents wanted, and cannot be brought to them again: another hand has filled a table meanwhile, or an earlier release
// brought it to them and this one does not take them for valid.
func (t *term) flipAlone(ctx context.Context, s *p4rt.Session, want desired) error {
	if slices.ContainsFunc(t.bases.since, func(tried desired) bool { return !tried.sameButRules(want) }) { // it may hold half of something else
		return errNothingToHold
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
		t.c.Metrics.flipped()
	}
	t.holds(want.Phases.String(), memory.Running(), func(*Status) {})
	return nil
}

// holdOn is hold for a switch that could not be brought to what is wanted because of err. It returns that error, with why the phase could
// not be changed either, or an error of the session.
func (t *term) holdOn(ctx context.Context, s *p4rt.Session, err error) error {
	if !isOfDocuments(err) || t.trying == nil {
		t.held = false
		return err
	}
	failed := t.hold(ctx, s, *t.trying)
	t.held = failed == nil
	switch {
	case failed == nil, errors.Is(failed, errNothingToHold):
		return err
	case isOfSession(failed):
		return failed
	}
	return fmt.Errorf("%w; and the phases %s cannot be put in force alone: %v", err, t.trying.Phases, failed)
}

// holdFirst puts other phases in force on a switch that could not be brought to documents that are still wanted, before that is tried
// again.
func (t *term) holdFirst(ctx context.Context, s *p4rt.Session, want desired) error {
	if !t.held || t.failed == nil || !t.failed.sameButRules(want) || t.failed.same(want) {
		return nil
	}
	if err := t.hold(ctx, s, want); isOfSession(err) {
		return err
	}
	return nil // what else is wrong shows again
}
