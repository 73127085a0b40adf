package tally

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"op25b/internal/telemetry"
)

var began = time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC)

// sampled returns a sample of a switch with one interface, taken seconds after began. The interface and the rule relay have counted n
// packets.
func sampled(seconds int, boot time.Time, n uint64) *Sample {
	s := &Sample{
		Boot: boot, Interfaces: []SampledInterface{{Interface: telemetry.Interface{Name: "access-1", Seen: began.Add(time.Duration(seconds) * time.Second)}}},
		Totals: []SampledTotal{{Total: Total{Key{Rule: "relay"}, telemetry.Count{Packets: n, Octets: 60 * n}}}},
	}
	s.Interfaces[0].Counters[telemetry.InPkts], s.Interfaces[0].Reported[telemetry.InPkts] = n, true
	return s
}

func TestRates(t *testing.T) {
	boot := began.Add(-time.Hour)
	type step struct {
		seconds int
		boot    time.Time
		packets uint64
		rate    float64 // packets per second
		over    time.Duration
	}
	for name, steps := range map[string][]step{
		"no rate before the second sample":                  {{0, boot, 1_000_000, 0, 0}, {10, boot, 1_000_050, 5, 10 * time.Second}},
		"no rate over a moment":                             {{0, boot, 0, 0, 0}, {1, boot, 10, 0, 0}, {10, boot, 20, 2, 10 * time.Second}},
		"the same values again change nothing":              {{0, boot, 0, 0, 0}, {10, boot, 20, 2, 10 * time.Second}, {10, boot, 20, 2, 10 * time.Second}},
		"the last minute":                                   {{0, boot, 0, 0, 0}, {20, boot, 4000, 200, 20 * time.Second}, {50, boot, 4000, 80, 50 * time.Second}, {80, boot, 4006, 0.1, time.Minute}},
		"no rate after a pause of more than a minute":       {{0, boot, 0, 0, 0}, {100, boot, 900, 0, 0}, {110, boot, 1000, 10, 10 * time.Second}},
		"no spike when the switch restarts":                 {{0, boot, 70, 0, 0}, {10, began.Add(9 * time.Second), 900_000, 0, 0}, {20, began.Add(9 * time.Second), 900_010, 1, 10 * time.Second}},
		"a boot-time that varies by less than a second":     {{0, boot, 0, 0, 0}, {10, boot.Add(900 * time.Millisecond), 10, 1, 10 * time.Second}},
		"no spike when the clock of the host was set back":  {{100, boot, 70, 0, 0}, {10, boot, 80, 0, 0}, {20, boot, 90, 1, 10 * time.Second}},
		"a counter that wraps":                              {{0, boot, math.MaxUint64, 0, 0}, {10, boot, 4, 0, 10 * time.Second}},
		"no rate if the switch reports no boot-time either": {{0, time.Time{}, 5, 0, 0}, {10, time.Time{}, 15, 1, 10 * time.Second}},
	} {
		var d sampling
		for i, step := range steps {
			s := sampled(step.seconds, step.boot, step.packets)
			d.measure(s, time.Minute, 5*time.Second)
			if got := s.Interfaces[0].Rates[telemetry.InPkts]; got != step.rate || s.Totals[0].PacketRate != step.rate || s.Totals[0].OctetRate != 60*step.rate && step.packets > 4 || s.RatesOver != step.over {
				t.Errorf("%s: sample %d has the rates %v, %v, %v over %v, want %v over %v",
					name, i, got, s.Totals[0].PacketRate, s.Totals[0].OctetRate, s.RatesOver, step.rate, step.over)
			}
		}
	}
}

// TestRatesOfNewKeys verifies that no rate is measured across the appearance of an interface, because its counters may have counted for
// a long time. A rule that appears began at 0.
func TestRatesOfNewKeys(t *testing.T) {
	var d sampling
	d.measure(sampled(0, began, 10), time.Minute, time.Second)
	s := sampled(10, began, 20)
	s.Totals = append(s.Totals, SampledTotal{Total: Total{Key{Rule: "smtp-all", Phase: "drain"}, telemetry.Count{Packets: 30}}})
	if d.measure(s, time.Minute, time.Second); s.Totals[0].PacketRate != 1 || s.Totals[1].PacketRate != 3 {
		t.Errorf("a rule that appears: %+v", s.Totals)
	}
	s = sampled(20, began, 30)
	s.Interfaces[0].Reported[telemetry.OutPkts], s.Interfaces[0].Counters[telemetry.OutPkts] = true, 1<<40
	if d.measure(s, time.Minute, time.Second); s.RatesOver != 0 {
		t.Errorf("a counter that appears: %+v", s.Interfaces)
	}
	s = sampled(30, began, 40)
	s.Interfaces[0].Name = "access-2"
	if d.measure(s, time.Minute, time.Second); s.RatesOver != 0 {
		t.Errorf("an interface that appears: %+v", s.Interfaces)
	}
}

// TestRatesAreBounded verifies that no rate exceeds the greatest rate between two samples, and that the number of points is limited.
func TestRatesAreBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var d sampling
		at, packets, greatest := 0, uint64(0), 0.0
		boot := began
		for range rapid.IntRange(1, 60).Draw(t, "samples") {
			pause := rapid.IntRange(1, 90).Draw(t, "pause")
			added := rapid.Uint64Range(0, 1_000_000).Draw(t, "added")
			at, packets = at+pause, packets+added
			if rapid.IntRange(0, 9).Draw(t, "restart") == 0 {
				boot = boot.Add(time.Hour)
			} else {
				greatest = max(greatest, float64(added)/float64(pause))
			}
			s := sampled(at, boot, packets)
			d.measure(s, time.Minute, time.Second)
			if got := s.Totals[0].PacketRate; got > greatest*1.000001 {
				t.Fatalf("%v packets a second, and never were there more than %v", got, greatest)
			}
			if s.RatesOver > time.Minute || len(d.points) > pointsPerWindow+1 {
				t.Fatalf("a rate over %v, %d points", s.RatesOver, len(d.points))
			}
		}
	})
}
