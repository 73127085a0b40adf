package telemetry

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestCell(t *testing.T) {
	const restart, forget = math.MaxUint64 - 1, math.MaxUint64 - 2
	for name, tc := range map[string]struct {
		steps []uint64
		want  uint64
	}{
		"the first value is the total":            {[]uint64{100}, 100},
		"grows by differences":                    {[]uint64{100, 150, 151}, 151},
		"a repeated value adds nothing":           {[]uint64{100, 100}, 100},
		"a smaller value adds nothing":            {[]uint64{100, 90}, 100},
		"and is the base of the next":             {[]uint64{100, 90, 95}, 105},
		"after a restart all is new":              {[]uint64{100, restart, 7}, 107},
		"a restart that was seen late":            {[]uint64{100, 5, restart, 8}, 108},
		"two restarts":                            {[]uint64{100, restart, 7, restart, 3}, 110},
		"a restart without a value":               {[]uint64{100, restart, restart, 3}, 103},
		"a wrap":                                  {[]uint64{math.MaxUint64 - 9, 10}, 10}, // the counter grew by 20, modulo 2^64
		"deleted and there again":                 {[]uint64{100, forget, 100, 103}, 103},
		"deleted and there again with less":       {[]uint64{100, forget, 2, 3}, 101},
		"the first value after a start, a delete": {[]uint64{forget, 4}, 4},
		"a restart before the first value":        {[]uint64{restart, 4}, 4},
	} {
		var c cell
		for _, v := range tc.steps {
			switch v {
			case restart:
				c.restart()
			case forget:
				c.forget(false)
			default:
				c.set(v, false)
			}
		}
		if c.total() != tc.want {
			t.Errorf("%s: %d, want %d", name, c.total(), tc.want)
		}
	}
}

// TestCellWithBootTime verifies that a value that falls is treated as old or wrong if the target has a boot-time, because such a target
// reports its restarts.
func TestCellWithBootTime(t *testing.T) {
	const restart, restarted, forget = math.MaxUint64 - 1, math.MaxUint64 - 2, math.MaxUint64 - 3
	for name, tc := range map[string]struct {
		steps []uint64
		want  uint64
	}{
		"a smaller value is a wrong one":                {[]uint64{100, 90, 105}, 105},
		"several wrong ones":                            {[]uint64{100, 50, 70, 60, 99, 100, 101}, 101},
		"a counter that is 0 for once":                  {[]uint64{100, 0, 100}, 100},
		"a restart after a wrong value":                 {[]uint64{100, 90, restart, 7}, 107},
		"a restart that is known late":                  {[]uint64{100, 5, restarted, 8}, 108},
		"a restart that is known too late":              {[]uint64{100, 150, restarted, 160}, 160}, // 260 packets were counted
		"deleted and there again with more":             {[]uint64{100, forget, 103}, 103},
		"deleted and there again with less":             {[]uint64{100, forget, 2, 103}, 103},
		"deleted after a restart":                       {[]uint64{100, restart, forget, 3}, 103},
		"deleted before a restart":                      {[]uint64{100, forget, restart, 3}, 103},
		"deleted before a restart that is known late":   {[]uint64{100, forget, restarted, 3}, 103},
		"a restart, known late, before the first value": {[]uint64{restarted, 4}, 4},
		"a wrap": {[]uint64{math.MaxUint64 - 9, 10}, 10}, // the counter grew by 20, modulo 2^64
	} {
		var c cell
		for _, v := range tc.steps {
			switch v {
			case restart:
				c.restart()
			case restarted:
				c.restarted()
			case forget:
				c.forget(true)
			default:
				c.set(v, true)
			}
		}
		if c.total() != tc.want {
			t.Errorf("%s: %d, want %d", name, c.total(), tc.want)
		}
	}
}

// TestCellNeverFallsOrSpikes simulates a switch that counts packets, restarts, and loses or clears counters, while the collector samples
// it. The total must never fall or exceed the number of packets that the switch has forwarded. If every restart is seen between two
// samples, only the packets between the last sample and the restart are lost.
func TestCellNeverFallsOrSpikes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var c cell
		var counter, sent, lost, sampled uint64
		last := uint64(0)
		cleared := false
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 9).Draw(t, "step") {
			case 0: // a restart with a new boot-time
				lost += counter - sampled
				counter, sampled = 0, 0
				c.restart()
			case 1: // a counter that is cleared without a restart
				counter, sampled, cleared = 0, 0, true
			case 2, 3, 4:
				n := rapid.Uint64Range(0, 1<<40).Draw(t, "packets")
				counter += n
				sent += n
			default:
				c.set(counter, false)
				sampled = counter
				if c.total() < last {
					t.Fatalf("the total fell from %d to %d", last, c.total())
				}
				last = c.total()
				if c.total() > sent {
					t.Fatalf("the total is %d, and only %d packets were sent", c.total(), sent)
				}
				if !cleared && c.total()+lost != sent {
					t.Fatalf("total %d and lost %d, sent %d", c.total(), lost, sent)
				}
			}
		}
	})
}
