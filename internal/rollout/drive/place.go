package drive

import (
	"context"
	"fmt"
	"slices"

	"op25b/internal/intent"
	"op25b/internal/policy"
	"op25b/internal/rollout"
)

// place makes the intent bring the change to the rings that are to have it, and returns the intent.
func (d *Driver) place(ctx context.Context, s *Stored) (*intent.Intent, error) {
	in, err := d.Book.Current(ctx)
	if err != nil {
		return nil, err
	}
	if s.Change.Documents != 0 {
		return d.placeDocuments(ctx, s, in)
	}
	return d.placePhase(ctx, s, in)
}

// placeDocuments makes the intent give the documents to the switches of the rings that are to have them.
func (d *Driver) placeDocuments(ctx context.Context, s *Stored, in *intent.Intent) (*intent.Intent, error) {
	by, base := intent.By{Who: "rollout " + s.ID, Reason: s.Reason}, s.Change.Documents
	has, wanted := s.staged(in), s.Wanted()
	switch {
	case s.State == rollout.GoingBack && has:
		return d.Book.Drop(ctx, in.Number, base, by)
	case s.State == rollout.GoingBack:
		return in, nil
	case !has:
		return nil, fmt.Errorf("revision %d: %w: abort the rollout", in.Number, intent.ErrNoNext)
	case slices.Equal(in.Split().Switches, wanted):
		return in, nil
	}
	return d.Book.Advance(ctx, in.Number, base, wanted, by)
}

// staged reports whether an intent has the documents of the rollout as its next documents.
func (s *Stored) staged(in *intent.Intent) bool {
	return s.Change.Documents != 0 && in.Split() != nil && in.Split().Base == s.Change.Documents
}

// finish makes the documents of a rollout that is done those of all switches. Until then, the intent has them as its next documents for each switch.
func (d *Driver) finish(ctx context.Context, s *Stored) error {
	if s.State != rollout.Done || s.Change.Documents == 0 {
		return nil
	}
	in, err := d.Book.Current(ctx)
	if err != nil || !s.staged(in) {
		return err
	}
	_, err = d.Book.Adopt(ctx, in.Number, s.Change.Documents, intent.By{Who: "rollout " + s.ID, Reason: s.Reason})
	return err
}

// placePhase makes the intent put the phase in force on the rings that are to have it. It changes one ring at a time.
func (d *Driver) placePhase(ctx context.Context, s *Stored, in *intent.Intent) (_ *intent.Intent, err error) {
	for i, stage := range s.Stages {
		forward, has := placed(in.Activations, s.ID, stage)
		if has == (i < s.Rings()) {
			continue
		}
		a := policy.Activation{Phase: s.Change.Phase, Groups: s.Change.Groups, Switches: stage.Switches, Rollout: s.ID}
		if has {
			a = policy.Activation{Undoes: forward, Groups: s.Change.Groups, Switches: stage.Switches, Rollout: s.ID}
		}
		by := intent.By{Who: "rollout " + s.ID, Reason: s.Reason}
		if in, err = d.Book.Place(ctx, in.Number, a, by); err != nil {
			return nil, fmt.Errorf("ring %q: %w", stage.Name, err)
		}
	}
	return in, nil
}

// Unfinished reports whether the driver still has to change the intent for a rollout that goes back or is done.
func (s *Stored) Unfinished(in *intent.Intent) bool {
	if s.State == rollout.Done {
		return s.staged(in)
	}
	return s.Placed(in)
}

// Placed reports whether the intent has something of the rollout: an activation of its phase on any of its rings, or its documents.
func (s *Stored) Placed(in *intent.Intent) bool {
	return s.staged(in) || slices.ContainsFunc(s.Stages, func(stage rollout.Stage) bool {
		_, has := placed(in.Activations, s.ID, stage)
		return has
	})
}

// placed returns whether a ring has the phase by an activation of the rollout, and the ID of that activation.
func placed(all []policy.Activation, id string, stage rollout.Stage) (forward uint64, has bool) {
	for _, a := range all {
		if a.Rollout != id || !slices.Equal(a.Switches, stage.Switches) {
			continue
		}
		if has = a.Undoes == 0; has {
			forward = a.ID
		}
	}
	return forward, has
}
