package register

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"op25b/internal/store"
)

// TestWriter verifies that records that are put at once are written, that a conflict concerns only its own record, and that a caller that gives up
// does not stop the others.
func TestWriter(t *testing.T) {
	records := store.JSON[sealed](open(t, t.TempDir(), 1), "test")
	w := &writer{records: records}
	const n = 300
	if _, err := records.PutIf(within(t), "line-7", 0, sealed{}); err != nil {
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
			errs[i] = w.put(ctx, fmt.Sprint("line-", i), 0, sealed{Box: []byte{byte(i)}})
		})
	}
	work.Wait()
	for i, err := range errs {
		var conflict *store.ConflictError
		switch {
		case i == 7 && errors.As(err, &conflict) && conflict.Name == "line-7":
		case i%10 == 3 && (err == nil || errors.Is(err, context.Canceled)):
		case i != 7 && err == nil:
		default:
			t.Errorf("%d: %v", i, err)
		}
		if got, getErr := records.Get(within(t), fmt.Sprint("line-", i)); err == nil && (getErr != nil || len(got.Value.Box) != 1 || got.Value.Box[0] != byte(i)) {
			t.Errorf("%d: %v, %v", i, got, getErr)
		}
	}
	if w.running != 0 || len(w.pending) != 0 {
		t.Errorf("%d running, %d pending", w.running, len(w.pending))
	}
}
