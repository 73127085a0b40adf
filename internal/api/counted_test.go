package api

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"op25b/examples"
	"op25b/internal/tally"
	"op25b/internal/telemetry"
	"op25b/internal/telemetry/history"
	op25bv1 "op25b/proto/op25b/v1"
)

// ownedSwitch implements Counters with one owned switch.
type ownedSwitch struct{ name string }

func (o ownedSwitch) Samples(...string) []*tally.Sample {
	return []*tally.Sample{{Status: telemetry.Status{Switch: o.name, State: telemetry.Synced}}}
}

func (o ownedSwitch) Owned() []string       { return []string{o.name} }
func (ownedSwitch) News() tally.News        { return tally.News{} }
func (ownedSwitch) Interval() time.Duration { return time.Minute }

// TestCountersSince verifies that an answer has the counts of a real history in the requested time,
// in the order of the rules.
func TestCountersSince(t *testing.T) {
	h, err := history.Open(history.Config{Path: filepath.Join(t.TempDir(), "history.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	now := time.Now()
	for i, packets := range []uint64{1000, 1010, 1025} {
		err := h.Record(now.Add(time.Duration(i-3)*time.Minute), []history.Total{
			{Key: history.Key{Switch: "edge-1", Rule: "smtp-all", Leg: "UP_DST", Phase: "before"}, Packets: packets, Octets: 60 * packets},
			{Key: history.Key{Switch: "edge-1", Rule: "relay", Leg: "ANY", Phase: "before"}, Packets: 2 * packets, Octets: 120 * packets},
			{Key: history.Key{Switch: "edge-1", Rule: "smtp-carrier", Leg: "UP_DST", Phase: "before"}, Packets: 7, Octets: 420},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	w := newWorld(t, func(d *Deps) { d.Counters, d.History = ownedSwitch{"edge-1"}, h })
	w.put(edited(t, examples.SpinNet2006()))
	api := op25bv1.NewTelemetryServiceClient(w.dial())
	r, err := api.ListCounters(within(t), &op25bv1.ListCountersRequest{Since: durationpb.New(10 * time.Minute)})
	if err != nil || len(r.Switches) != 1 {
		t.Fatalf("%v, %v", r, err)
	}
	c := r.Switches[0].Counted
	if got := sayOf(&op25bv1.SwitchCounters{Rules: c.GetRules()}); len(got) != 2 || got[0] != "relay/any/before 50 3000" || got[1] != "smtp-all/up_dst/before 25 1500" {
		t.Errorf("%v", got)
	}
	if c.Recorded.AsDuration() != 2*time.Minute || now.Sub(c.From.AsTime()) < 10*time.Minute || c.To.AsTime().After(time.Now()) {
		t.Errorf("recorded %v, from %v to %v", c.Recorded.AsDuration(), c.From.AsTime(), c.To.AsTime())
	}
	for since, want := range map[time.Duration]string{
		30 * time.Second:       "since: 30s; must be from 1m0s to 43920h0m0s",
		44000 * time.Hour:      "since: 44000h0m0s; must be from 1m0s to 43920h0m0s",
		-1 * time.Hour:         "since: -1h0m0s; must be from 1m0s to 43920h0m0s",
		time.Duration(1) << 62: "must be from 1m0s to 43920h0m0s",
	} {
		if _, err := api.ListCounters(within(t), &op25bv1.ListCountersRequest{Since: durationpb.New(since)}); status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %s", since, err, want)
		}
	}
	none := newWorld(t, func(d *Deps) { d.Counters = ownedSwitch{"edge-1"} })
	none.put(edited(t, examples.SpinNet2006()))
	const want = "this controller keeps no history of counters; start it with --history or --prometheus"
	if _, err := op25bv1.NewTelemetryServiceClient(none.dial()).ListCounters(within(t), &op25bv1.ListCountersRequest{Since: durationpb.New(time.Hour)}); status.Code(err) != codes.FailedPrecondition || !strings.Contains(err.Error(), want) {
		t.Errorf("without history: %v", err)
	}
}
