package drive

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"op25b/internal/fleet"
	"op25b/internal/rollout"
	"op25b/internal/store"
)

// TestLargestRecord verifies that the record of a rollout over 1,000 switches, which is the limit, has room in the store when every switch has the change
// and large counts.
func TestLargestRecord(t *testing.T) {
	now := time.Date(2026, 11, 30, 19, 0, 0, 123456789, time.UTC)
	counts, places := make(map[string]Counts), make(map[string]rollout.Place)
	s := Stored{Record: rollout.Record{ID: "100", State: rollout.Measuring, Since: now.Add(-time.Hour), Stages: make([]rollout.Stage, 20)}, TicketKey: newTicketKey()}
	for i := range 1000 {
		name := fmt.Sprintf("edge-switch-%04d.pop.isp.example", i)
		ring := &s.Stages[i%20]
		ring.Name, ring.Switches, ring.Gates = fmt.Sprint("ring-", i%20), append(ring.Switches, name), rollout.DefaultGates()
		places[name] = rollout.With
		counts[name] = Counts{
			Owner: "noc-controller-1", Rollout: "100", At: now, Submission: 1e6, Relays: 1e12, Link: 1e15, Counted: 1e12, Stopped: 1e12, Moved: now, MovedLink: 1e15,
			Lines: 8192, Affected: 8192, Since: now, With: true, LinesCounted: true, Forecast: 8192, Opened: 8192, ForecastKnown: true, Renewed: true,
		}
	}
	s.measure(counts)
	s.State = rollout.Advancing
	for i := range s.Stages {
		s.Ring = i
		s.tell(counts)
	}
	s.steady(places, counts, now)
	for name, c := range counts {
		c.At = c.At.Add(time.Second)
		counts[name] = c
	}
	s.steady(places, counts, now.Add(time.Second))
	if len(s.Begun) != 1000 || len(s.Told) != 1000 || len(s.Steady) != 1000 || len(s.Seen) != 1000 || len(s.First) != 1000 {
		t.Fatalf("noted are %d, %d, %d, %d and %d switches", len(s.Begun), len(s.Told), len(s.Steady), len(s.Seen), len(s.First))
	}
	s.State, s.Resumes = rollout.Held, rollout.Advancing
	for _, gate := range []rollout.GateName{rollout.Submission, rollout.Relays, rollout.Counting, rollout.Switches} {
		s.Findings = append(s.Findings, rollout.Finding{Gate: gate, Ring: "ring-19", Switches: slices.Clone(s.Stages[19].Switches), Text: "there is no sample after the change"})
	}
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	if len(b) > store.MaxRecord {
		t.Errorf("the record has %d bytes, and may have %d", len(b), store.MaxRecord)
	}
	t.Logf("%d of %d bytes", len(b), store.MaxRecord)
}

// TestMoved verifies since when the counters of a switch stand still: since they last moved, but since the change at most.
func TestMoved(t *testing.T) {
	at := time.Date(2026, 11, 30, 19, 0, 0, 0, time.UTC)
	p := &publisher{moved: make(map[string]Counts)}
	s := &Stored{
		Record: rollout.Record{Stages: make([]rollout.Stage, 1)},
		Begun:  map[string]Counts{"a": {Owner: "noc-1", At: at.Add(-2 * time.Minute), Counted: 100}},
		Told:   map[string]Counts{"a": {Owner: "noc-1", At: at, Counted: 500, Link: 10_000}},
	}
	w := newWorld(t)
	in, err := w.book.Current(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		after         time.Duration
		counted, link uint64
		still         time.Duration
		stillLink     uint64
	}{
		{-time.Minute, 500, 9_000, -time.Minute, 0}, // before the change, which no gate looks at
		{10 * time.Second, 500, 11_000, 10 * time.Second, 1_000},
		{20 * time.Second, 501, 12_000, 0, 0},
		{30 * time.Second, 501, 14_000, 10 * time.Second, 2_000},
		{40 * time.Second, 501, 15_000, 20 * time.Second, 3_000},
		{50 * time.Second, 510, 15_500, 0, 0},
	} {
		c := Counts{Owner: "noc-1", At: at.Add(x.after), Counted: x.counted, Link: x.link}
		p.move("a", &c)
		m := s.of(in, "a", fleet.Status{}, c)
		if m.Still != x.still || m.StillLink != x.stillLink || m.CountedBefore != 400 || m.Before != 2*time.Minute {
			t.Errorf("after %v: still for %v with %d packets, %d before in %v; want %v, %d", x.after, m.Still, m.StillLink, m.CountedBefore, m.Before, x.still, x.stillLink)
		}
	}
}

// TestRecounted verifies that a switch whose lines are counted from long after the change has got another controller, and that with a long interval of
// the collector, the owner may notice the change late.
func TestRecounted(t *testing.T) {
	at := time.Date(2026, 11, 30, 19, 0, 0, 0, time.UTC)
	w := newWorld(t)
	in, err := w.book.Current(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		stale, since time.Duration
		recounted    bool
	}{
		{30 * time.Second, 20 * time.Second, false},
		{30 * time.Second, 31 * time.Second, true},
		{3 * time.Minute, time.Minute, false}, // the collector samples each minute
		{3 * time.Minute, 4 * time.Minute, true},
	} {
		s := &Stored{
			Record: rollout.Record{Stages: []rollout.Stage{{Gates: rollout.Gates{Stale: x.stale}}}},
			Told:   map[string]Counts{"a": {Owner: "noc-1", At: at}},
		}
		m := s.of(in, "a", fleet.Status{}, Counts{Owner: "noc-1", At: at.Add(5 * time.Minute), Since: at.Add(x.since)})
		if m.Recounted.IsZero() == x.recounted {
			t.Errorf("samples are stale after %v, lines are counted from %v after the change: recounted since %v, want %v", x.stale, x.since, m.Recounted, x.recounted)
		}
	}
}
