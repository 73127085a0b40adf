package reconcile

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc/codes"

	"op25b/internal/p4rt"
	"op25b/internal/pipeline"
)

// write sends the updates of one step. Where another hand was quicker it goes by what the updates are for: an entry that is there already
// is changed, one that is not there any more is added, and one that was to be removed and is gone is as it should be. Only what was refused
// is sent again, once.
func write(ctx context.Context, sw Switch, updates []pipeline.Update) error {
	err := sw.WriteEntries(ctx, updates)
	var refused *p4rt.WriteError
	if !errors.As(err, &refused) || !refused.Answered() {
		return err
	}
	again := make([]pipeline.Update, 0, len(refused.Failed))
	for _, f := range refused.Failed {
		u := updates[f.Index]
		switch {
		case f.Code == codes.ResourceExhausted:
			e := u.Entry
			return fmt.Errorf("table %q: %w: the switch refused %s after %d of %d updates: %w", e.Table(), ErrNoRoom, e, refused.Applied, refused.Total, refused)
		case u.Kind == pipeline.Delete && f.Code == codes.NotFound:
			continue
		case u.Kind == pipeline.Insert && f.Code == codes.AlreadyExists:
			u.Kind = pipeline.Modify
		case u.Kind == pipeline.Modify && f.Code == codes.NotFound:
			u.Kind = pipeline.Insert
		}
		again = append(again, u)
	}
	if len(again) == 0 {
		return nil
	}
	if err = sw.WriteEntries(ctx, again); errors.As(err, &refused) && len(refused.Failed) > 0 {
		// Not every switch says that it is full: of bmv2 the table is all that tells.
		e := again[refused.Failed[0].Index].Entry
		return fmt.Errorf("table %q: the switch refused %s: %w", e.Table(), e, err)
	}
	return err
}
