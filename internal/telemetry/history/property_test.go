package history

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A model is a switch that counts, restarts and clears counters.
type model struct {
	boot    time.Time
	keys    []Key
	counter map[Key]uint64 // since boot
	sampled map[Key]uint64 // the counters at the last record
	counted map[Key]uint64 // the packets since the first record
	lost    map[Key]uint64 // the packets between the last record and a restart
	phase   int            // the phase in force; only used if numbers is true
	numbers bool           // totals identify their counters by numbers
	cleared bool
	known   bool // the history has a record of the switch
}

func (m *model) totals() []Total {
	var all []Total
	for i, k := range m.keys {
		x := total(k, m.counter[k], m.boot)
		if m.numbers {
			x.Counter, x.Key.Phase = fmt.Sprint(i), fmt.Sprint("phase-", m.phase)
		}
		all = append(all, x)
	}
	return all
}

// byRule sums the packets over the phases.
func byRule(sums map[Key]uint64) map[Key]uint64 {
	rules := make(map[Key]uint64)
	for k, n := range sums {
		k.Phase = ""
		rules[k] += n
	}
	return rules
}

// TestHistoryShowsWhatWasCounted runs switches that count, restart and clear counters, and a controller that records, restarts, has gaps and a clock
// that jumps. A counter that is identified by a number sometimes changes its phase. The history must never show more packets than were counted. If no
// counter is cleared, it must show all packets, except those that a restart of a switch destroyed before they were read. All three resolutions must
// agree.
func TestHistoryShowsWhatWasCounted(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		f := newFixture(t).open()
		defer f.close()
		at := t0
		var models []*model
		for i := range rapid.IntRange(1, 3).Draw(rt, "switches") {
			m := &model{boot: t0.Add(-time.Hour), numbers: rapid.Bool().Draw(rt, "numbers"), counter: map[Key]uint64{}, sampled: map[Key]uint64{}, counted: map[Key]uint64{}, lost: map[Key]uint64{}}
			for r := range rapid.IntRange(1, 3).Draw(rt, "rules") {
				k := Key{Switch: fmt.Sprintf("edge-%d", i), Rule: fmt.Sprintf("rule-%d", r)}
				m.keys = append(m.keys, k)
				m.counter[k] = rapid.Uint64Range(0, 1000).Draw(rt, "before")
			}
			models = append(models, m)
		}
		for range rapid.IntRange(1, 40).Draw(rt, "steps") {
			m := models[rapid.IntRange(0, len(models)-1).Draw(rt, "switch")]
			switch rapid.IntRange(0, 13).Draw(rt, "step") {
			case 0: // the switch restarts
				for _, k := range m.keys {
					if m.known {
						m.lost[k] += m.counter[k] - m.sampled[k]
					}
					m.counter[k], m.sampled[k] = 0, 0
				}
				m.boot = m.boot.Add(time.Minute)
			case 1: // a counter is cleared
				k := rapid.SampledFrom(m.keys).Draw(rt, "key")
				m.counter[k], m.sampled[k], m.cleared = 0, 0, true
			case 2: // the controller restarts
				f.open()
			case 3: // the clock is set
				at = at.Add(time.Duration(rapid.IntRange(-180, 2000).Draw(rt, "clock")) * time.Minute)
			case 4: // a new key
				k := Key{Switch: m.keys[0].Switch, Rule: fmt.Sprintf("rule-%d", len(m.keys))}
				m.keys = append(m.keys, k)
			case 5: // another phase
				m.phase = rapid.IntRange(0, 3).Draw(rt, "phase")
			case 6, 7, 8:
				for _, k := range m.keys {
					n := rapid.Uint64Range(0, 1<<40).Draw(rt, "packets")
					m.counter[k] += n
					m.counted[k] += n
				}
			default:
				at = at.Add(time.Duration(rapid.IntRange(1, 150).Draw(rt, "seconds")) * time.Second)
				f.record(at, m.totals()...)
				if !m.known {
					m.known = true
					clear(m.counted)
					clear(m.lost)
				}
				for _, k := range m.keys {
					m.sampled[k] = m.counter[k]
				}
			}
		}
		// Every day is now complete and rolled up.
		end := t0.Add(80 * 24 * time.Hour)
		f.record(end)
		from, to := t0.Add(-5*24*time.Hour), end
		daily := byRule(f.sums(from, to, 24*time.Hour))
		for _, m := range models {
			for _, k := range m.keys {
				got := daily[k]
				if !m.known {
					if got != 0 {
						rt.Fatalf("%v: %d packets, but the switch was never recorded", k, got)
					}
					continue
				}
				if got > m.counted[k] {
					rt.Fatalf("%v: %d packets, but only %d were counted", k, got, m.counted[k])
				}
				if read := m.counted[k] - (m.counter[k] - m.sampled[k]); !m.cleared && got+m.lost[k] != read {
					rt.Fatalf("%v: %d packets and %d lost, want %d", k, got, m.lost[k], read)
				}
			}
		}
		// A range of 1,500 points is the most that a query returns. Minutes expire, but at most expireBatch with each record.
		minutely, tenly := make(map[Key]uint64), make(map[Key]uint64)
		for day := from; day.Before(to); day = day.Add(24 * time.Hour) {
			for k, n := range byRule(f.sums(day, day.Add(24*time.Hour), time.Minute)) {
				minutely[k] += n
			}
			for k, n := range byRule(f.sums(day, day.Add(24*time.Hour), 10*time.Minute)) {
				tenly[k] += n
			}
		}
		for k, want := range daily {
			if tenly[k] != want {
				rt.Fatalf("%v: %d packets in periods of 10 minutes, %d in days", k, tenly[k], want)
			}
			if minutely[k] > want {
				rt.Fatalf("%v: %d packets in minutes, %d in days", k, minutely[k], want)
			}
		}
	})
}
