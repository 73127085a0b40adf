package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
)

// TestRecordWriter verifies that records that are put at once are written, that a conflict concerns only its own record, and that a caller that gives
// up does not stop the others.
func TestRecordWriter(t *testing.T) {
	records := JSON[activation](embeddedStore(t), "test")
	w := records.Writer()
	const n = 300
	if _, err := records.PutIf(within(t), "line-7", 0, activation{}); err != nil {
		t.Fatal(err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	var work sync.WaitGroup
	errs := make([]error, n)
	for i := range n {
		work.Go(func() {
			ctx := within(t)
			if i%10 == 3 {
				ctx = gone
			}
			_, errs[i] = w.PutIf(ctx, fmt.Sprint("line-", i), 0, activation{Ring: i})
		})
	}
	work.Wait()
	for i, err := range errs {
		var conflict *ConflictError
		switch {
		case i == 7 && errors.As(err, &conflict) && conflict.Name == "line-7":
		case i%10 == 3 && (err == nil || errors.Is(err, context.Canceled)):
		case i != 7 && err == nil:
		default:
			t.Errorf("%d: %v", i, err)
		}
		if got, getErr := records.Get(within(t), fmt.Sprint("line-", i)); err == nil && (getErr != nil || got.Value.Ring != i) {
			t.Errorf("%d: %v, %v", i, got, getErr)
		}
	}
	if w.running != 0 || len(w.pending) != 0 {
		t.Errorf("%d running, %d pending", w.running, len(w.pending))
	}
}
