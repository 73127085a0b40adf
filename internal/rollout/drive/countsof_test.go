package drive

import (
	"context"
	"sync"
	"testing"

	"op25b/internal/store"
)

// TestCountsOfARollout verifies that counts of an earlier rollout are not taken for those of the next. Its publisher may write once more after the next
// has begun, and what it forecasts is no longer known.
func TestCountsOfARollout(t *testing.T) {
	s, err := store.Open(t.Context(), store.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = s.Run(ctx) })
	defer func() {
		cancel()
		running.Wait()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	d := &Driver{Store: s}
	for _, c := range []struct {
		rollout string
		is      bool
	}{{"1", false}, {"2", true}, {"", true}} { // "": of a controller of an earlier release
		if err := store.JSON[Counts](s, countsKind).PutFor(t.Context(), "edge-east", Counts{Owner: "noc-1", Rollout: c.rollout}, countsFor); err != nil {
			t.Fatal(err)
		}
		all, err := d.counts(t.Context(), "2")
		if err != nil {
			t.Fatal(err)
		}
		if _, is := all["edge-east"]; is != c.is {
			t.Errorf("counts of rollout %q are taken for those of rollout 2: %v, want %v", c.rollout, is, c.is)
		}
	}
}
