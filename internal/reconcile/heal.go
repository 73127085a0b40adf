package reconcile

import (
	"context"
	"errors"
	"fmt"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/grpc/codes"

	"op25b/internal/p4rt"
	"op25b/internal/pipeline"
)

// write sends the updates of one step. Where another hand was quicker it goes by what the updates are for: an entry that is there already
// is changed, one that is not there any more is added, and one that was to be removed and is gone is as it should be. Only what was refused
// is sent again, once.
func write(ctx context.Context, sw Switch, updates []*p4v1.Update) error {
	err := sw.Write(ctx, updates)
	var refused *p4rt.WriteError
	if !errors.As(err, &refused) || !refused.Answered() {
		return err
	}
	again := make([]*p4v1.Update, 0, len(refused.Failed))
	for _, f := range refused.Failed {
		u := f.Update
		switch {
		case f.Code == codes.ResourceExhausted:
			e, _ := pipeline.FromEntity(u.GetEntity())
			return fmt.Errorf("table %q: %w: the switch refused %s after %d of %d updates: %w", e.Table(), ErrNoRoom, e, refused.Applied, refused.Total, refused)
		case u.GetType() == p4v1.Update_DELETE && f.Code == codes.NotFound:
			continue
		case u.GetType() == p4v1.Update_INSERT && f.Code == codes.AlreadyExists:
			u = &p4v1.Update{Type: p4v1.Update_MODIFY, Entity: u.GetEntity()}
		case u.GetType() == p4v1.Update_MODIFY && f.Code == codes.NotFound:
			u = &p4v1.Update{Type: p4v1.Update_INSERT, Entity: u.GetEntity()}
		}
		again = append(again, u)
	}
	if len(again) == 0 {
		return nil
	}
	if err = sw.Write(ctx, again); errors.As(err, &refused) && len(refused.Failed) > 0 {
		// Not every switch says that it is full: of bmv2 the table is all that tells.
		e, _ := pipeline.FromEntity(refused.Failed[0].Update.GetEntity())
		return fmt.Errorf("table %q: the switch refused %s: %w", e.Table(), e, err)
	}
	return err
}
