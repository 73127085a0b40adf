package reconcile

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc/codes"

	"op25b/internal/p4rt"
	"op25b/internal/pipeline"
)

// write sends the updates of one step. If another controller changed an entry first, write corrects the refused update. It modifies an
// entry that already exists, inserts an entry that is missing, and accepts that an entry to delete is missing. It sends refused
// updates only once more. text returns the text for an entry in errors.
func write(ctx context.Context, sw Switch, updates []pipeline.Update, text func(pipeline.Entry) string) error {
	err := send(ctx, sw, updates, text)
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
			return fmt.Errorf("table %q: %w: the switch refused %s after %d of %d updates: %w", e.Table(), ErrNoRoom, text(*e), refused.Applied, refused.Total, refused)
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
	if err = send(ctx, sw, again, text); errors.As(err, &refused) && len(refused.Failed) > 0 {
		// Some switches do not report a full table with RESOURCE_EXHAUSTED; bmv2, for example, returns UNKNOWN. The message therefore
		// names the table.
		e := again[refused.Failed[0].Index].Entry
		return fmt.Errorf("table %q: the switch refused %s: %w", e.Table(), text(*e), err)
	}
	return err
}

// send sends updates. If the text for an entry differs from the entry's own text, the error does not contain the switch's message for the entry
// either, because the message can contain the entry.
func send(ctx context.Context, sw Switch, updates []pipeline.Update, text func(pipeline.Entry) string) error {
	err := sw.WriteEntries(ctx, updates)
	var refused *p4rt.WriteError
	if !errors.As(err, &refused) {
		return err
	}
	for i := range refused.Failed {
		f := &refused.Failed[i]
		if e := updates[f.Index].Entry; text(*e) != e.String() {
			f.Message = ""
		}
	}
	return err
}
