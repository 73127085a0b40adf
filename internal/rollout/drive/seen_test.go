package drive

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"op25b/internal/rollout"
)

// TestSeen verifies that a watcher sees what every gate says, how many switches have confirmed the change, the lines of each ring, and which controller
// carries the rollout out, also that none does after it has ended.
func TestSeen(t *testing.T) {
	w := newWorld(t)
	d, end := w.run("noc-1")
	if _, err := d.See(t.Context()); !errors.Is(err, ErrNone) {
		t.Errorf("before the first rollout: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	seen := d.WatchSeen(ctx)
	defer func() {
		cancel()
		for range seen {
		}
	}()
	await := func(what string, is func(*Seen) bool) *Seen {
		t.Helper()
		var last *Seen
		for s := range seen {
			if last = s; is(s) {
				return s
			}
		}
		t.Fatalf("never %s: %+v", what, last)
		return nil
	}
	w.start(d)
	s := await("measuring", func(s *Seen) bool { return s.Rings[0].Confirmed == 1 })
	if r := s.Rings[0]; s.State != rollout.Measuring || len(s.Gates) != 0 || r.ForecastKnown || len(s.Rings) != 3 {
		t.Errorf("while nothing has the change: %+v, %v", r, s.Gates)
	}
	s = await("soaking", func(s *Seen) bool { return s.State == rollout.Soaking })
	var gates []rollout.GateName
	for _, f := range s.Gates {
		if f.Ring != "ring-0" || f.Verdict != rollout.Pass {
			t.Errorf("the ring soaks, and %v", f)
		}
		gates = append(gates, f.Gate)
	}
	for _, want := range []rollout.GateName{rollout.Submission, rollout.Affected, rollout.Rejects, rollout.Probes} {
		if !slices.Contains(gates, want) {
			t.Errorf("the gates are %v, without %s", gates, want)
		}
	}
	if r := s.Rings[0]; r.Confirmed != 1 || r.Lines == 0 || r.Affected != 0 || !r.ForecastKnown || time.Since(r.Counted) > time.Minute || s.Leader != "noc-1" {
		t.Errorf("the ring that soaks is seen as %+v, led by %q", r, s.Leader)
	}
	if r := s.Rings[1]; r.Confirmed != 1 || r.Lines == 0 || r.ForecastKnown || r.Counted.IsZero() {
		t.Errorf("a ring that waits is seen as %+v", r)
	}
	if s, err := d.Change(t.Context(), By{Who: "noc", Reason: "stop"}, func(r rollout.Record) (rollout.Record, error) { return r.Pause("noc", "stop", time.Now()) }); err != nil || s.State != rollout.Paused {
		t.Fatal(err)
	}
	end()
	if s := await("without a leader", func(s *Seen) bool { return s.Leader == "" }); s.State != rollout.Paused || len(s.Gates) == 0 {
		t.Errorf("without a controller that carries it out, the rollout is %s with %v", s.State, s.Gates)
	}
}
