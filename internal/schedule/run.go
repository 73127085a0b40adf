package schedule

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"op25b/internal/intent"
	"op25b/internal/policy"
	"op25b/internal/store"
)

const (
	// look is the longest pause before the clock is looked at again, because a timer does not notice that it was set.
	look = 10 * time.Second
	// again is the pause after a failure of the store.
	again = time.Second
)

// Run carries out the activations whose time has come, until ctx ends. Several controllers may run at once.
func (s *Scheduler) Run(ctx context.Context) {
	watched, cancel := context.WithCancel(ctx)
	changes := s.records().Watch(watched)
	defer func() {
		cancel()
		for range changes { // wait until the watch has ended
		}
	}()
	due := time.NewTimer(0)
	defer due.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case _, ok := <-changes:
			if !ok {
				return
			}
		case <-due.C:
		}
		wait, err := s.pass(ctx)
		if err != nil && ctx.Err() == nil {
			s.Logger.Warn("scheduled activations cannot be carried out now", zap.Error(err))
			wait = again
		}
		due.Reset(wait)
	}
}

// pass carries out what is due, and returns the time until something may be due.
func (s *Scheduler) pass(ctx context.Context) (time.Duration, error) {
	all, err := s.records().List(ctx)
	if err != nil {
		return 0, err
	}
	slices.SortFunc(all, func(a, b store.Record[Entry]) int { return a.Value.At.Compare(b.Value.At) })
	wait, pending := look, 0
	for _, r := range all {
		if r.Value.State.Ended() {
			continue
		}
		if left := r.Value.At.Sub(s.Dates()); r.Value.State == Pending && left > 0 {
			wait = min(wait, left)
			pending++
			continue
		}
		if err := s.carryOut(ctx, r); err != nil {
			return 0, err
		}
	}
	s.Metrics.pending(pending)
	return wait, nil
}

// carryOut makes an activation, or skips it.
func (s *Scheduler) carryOut(ctx context.Context, r store.Record[Entry]) error {
	e := r.Value
	if e.State == Pending {
		in, why, err := s.mayBegin(ctx, &e)
		switch {
		case err != nil:
			return err
		case why != "":
			return s.skip(ctx, r, why)
		}
		e.State, e.On = Acting, in.Number
		if r.Version, err = s.records().PutIf(ctx, r.Name, r.Version, e); err != nil {
			return known(err)
		}
		r.Value = e
	} else if why := s.late(&e); why != "" { // the controller that began it was killed
		made, err := s.made(ctx, &e)
		switch {
		case err != nil:
			return err
		case made:
			return s.done(ctx, r, e.On+1)
		}
		return s.skip(ctx, r, why)
	}
	made, err := s.Book.ActivateUntil(ctx, e.On, e.activation(), intent.By{Who: e.Who, Role: e.Role, Reason: e.Why})
	stale := (*store.StaleError)(nil)
	switch {
	case err == nil:
		return s.done(ctx, r, made.Number)
	case !errors.As(err, &stale):
		if errors.Is(err, policy.ErrInvalid) || errors.Is(err, intent.ErrBroken) {
			return s.skip(ctx, r, err.Error())
		}
		return err
	}
	// Something was stored on that revision. It may be this very activation, by this controller before it was killed, or by another one.
	switch is, err := s.made(ctx, &e); {
	case err != nil:
		return err
	case is:
		return s.done(ctx, r, e.On+1)
	}
	e.State, e.On = Pending, 0 // decide again, on what there is now
	if _, err = s.records().PutIf(ctx, r.Name, r.Version, e); err != nil {
		return known(err)
	}
	return nil
}

// made reports whether an entry that is Acting has made its activation.
func (s *Scheduler) made(ctx context.Context, e *Entry) (bool, error) {
	next, err := s.Book.At(ctx, e.On+1)
	switch {
	case errors.Is(err, store.ErrNotFound), errors.Is(err, intent.ErrBroken): // nothing was stored, or other documents
		return false, nil
	case err != nil:
		return false, err
	}
	return slices.ContainsFunc(next.Activations, func(a policy.Activation) bool { return a.Scheduled == e.ID && a.ID == next.Number }), nil
}

// late returns why an entry is too late to be carried out, or "".
func (s *Scheduler) late(e *Entry) string {
	if late := s.Dates().Sub(e.At); late > MaxLate {
		return fmt.Sprintf("no controller carried it out in time: it is %v late, and may be %v", late.Round(time.Second), MaxLate)
	}
	return ""
}

// mayBegin returns the current intent, or why the activation must be skipped.
func (s *Scheduler) mayBegin(ctx context.Context, e *Entry) (in *intent.Intent, why string, err error) {
	if why := s.late(e); why != "" {
		return nil, why, nil
	}
	if in, err = s.Book.Current(ctx); err != nil {
		return nil, "", err
	}
	if why, err = s.Busy(ctx); err != nil || why != "" {
		return nil, why, err
	}
	base, err := s.Book.At(ctx, e.Base)
	switch {
	case errors.Is(err, store.ErrNotFound), errors.Is(err, intent.ErrBroken):
		return nil, fmt.Sprintf("revision %d, on which it was scheduled, cannot be read any more", e.Base), nil
	case err != nil:
		return nil, "", err
	case !in.SameButExemptions(base):
		return nil, fmt.Sprintf("the policy, the inventory or the phases have changed since revision %d, on which it was scheduled; the current one is %d", e.Base, in.Number), nil
	}
	return in, "", nil
}

func (s *Scheduler) done(ctx context.Context, r store.Record[Entry], revision uint64) error {
	e := r.Value
	e.State, e.Revision, e.Ended = Done, revision, s.Dates().UTC()
	_, err := s.records().PutIf(ctx, r.Name, r.Version, e)
	if err == nil {
		s.Logger.Info("a scheduled activation was made", zap.Stringer("activation", &e), zap.Uint64("revision", revision))
		s.Metrics.ended(e.State, nil)
	}
	return known(err)
}

func (s *Scheduler) skip(ctx context.Context, r store.Record[Entry], why string) error {
	e := r.Value
	e.State, e.Note, e.Ended = Skipped, why, s.Dates().UTC()
	err := s.records().PutRecorded(ctx, r.Name, r.Version, e, store.AuditRecord{Who: intent.Calendar, Verb: "skip", Object: e.String(), Reason: why})
	if err == nil {
		s.Logger.Warn("a scheduled activation was skipped", zap.Stringer("activation", &e), zap.String("why", why))
		s.Metrics.ended(e.State, nil)
	}
	return known(err)
}

// known returns nil for an error that means that another controller was faster: the watch reports what it did.
func known(err error) error {
	if errors.Is(err, store.ErrConflict) {
		return nil
	}
	return err
}
