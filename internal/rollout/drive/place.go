package drive

import (
	"context"
	"fmt"
	"slices"

	"op25b/internal/intent"
	"op25b/internal/policy"
	"op25b/internal/rollout"
)

// place makes the intent put the phase in force on the rings that are to have it, and returns the intent. It changes one ring at a time.
func (d *Driver) place(ctx context.Context, s *Stored) (*intent.Intent, error) {
	in, err := d.Book.Current(ctx)
	if err != nil {
		return nil, err
	}
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

// Placed reports whether the activations put the rollout's phase in force on any of its rings.
func (s *Stored) Placed(all []policy.Activation) bool {
	return slices.ContainsFunc(s.Stages, func(stage rollout.Stage) bool {
		_, has := placed(all, s.ID, stage)
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
