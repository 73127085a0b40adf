package tally

import (
	"testing"
	"time"

	"op25b/internal/telemetry"
)

// await waits until a sample of edge-1 meets the condition. It checks the condition only after a
// notification.
func await(t *testing.T, tally *Tally, condition func(*Sample) bool) *Sample {
	t.Helper()
	for {
		news := tally.News()
		for _, s := range tally.Samples("edge-1") {
			if condition(s) {
				return s
			}
		}
		select {
		case <-news.Changed:
		case <-time.After(30 * time.Second):
			t.Fatalf("no such sample; the newest are %+v", tally.Samples())
		}
	}
}

// TestSamples verifies that samples are announced, have the totals by name, and get rates. A change of
// state is announced as such.
func TestSamples(t *testing.T) {
	e := &edge{rules: map[uint32]uint64{2: 30}}
	tally := begin(t, e)
	if got := tally.Samples(); len(got) != 0 {
		t.Errorf("a switch that is not owned has the samples %+v", got)
	}
	news := tally.News()
	tally.Follow("edge-1", true, 1, "before")
	<-news.Turned
	first := await(t, tally, func(s *Sample) bool { return s.Status.State == telemetry.Synced && len(s.Totals) == 1 })
	if n := first.Totals[0]; n.Key != (Key{Rule: "relay", Phase: "before"}) || n.Packets != 30 || n.Octets != 1800 || len(first.Interfaces) != 1 {
		t.Errorf("%+v", first)
	}
	e.set(map[uint32]uint64{2: 130, 5: 7})
	then := await(t, tally, func(s *Sample) bool { return len(s.Totals) == 2 && s.RatesOver > 0 })
	if n := then.Totals[1]; then.Number <= first.Number || n.Key != (Key{Rule: "smtp-carrier", Phase: "before"}) || n.Packets != 7 || n.PacketRate <= 0 {
		t.Errorf("%+v", then)
	}
	if in := then.Interfaces[0]; in.Name != "access-1" || in.Counters[telemetry.InPkts] != 7 || in.Rates[telemetry.InPkts] != 0 || in.ACL != nil {
		t.Errorf("%+v", in)
	}
	news = tally.News()
	tally.Follow("edge-1", false, 0, "")
	<-news.Turned
	if got := tally.Samples("edge-1"); len(got) != 0 {
		t.Errorf("a switch that was lost has the samples %+v", got)
	}
}

// TestStaleIsAnnounced verifies that a switch that stops sending gets a sample in the state stale,
// although no message arrives.
func TestStaleIsAnnounced(t *testing.T) {
	e := &edge{rules: map[uint32]uint64{2: 30}}
	tally := begin(t, e)
	tally.Follow("edge-1", true, 1, "before")
	await(t, tally, func(s *Sample) bool { return s.Status.State == telemetry.Synced })
	e.mu.Lock() // while the lock is held, the switch cannot take a snapshot
	defer e.mu.Unlock()
	await(t, tally, func(s *Sample) bool {
		return s.Status.State == telemetry.Stale && s.Status.Reason == telemetry.ReasonSilent
	})
}
