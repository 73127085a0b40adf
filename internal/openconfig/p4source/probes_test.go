package p4source

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"op25b/internal/openconfig"
)

// TestUnprobed verifies, for random traffic and probes, entries that come and go and readings at random times, that the counters without probes never
// exceed the traffic, and are the traffic at the next reading after which nothing happens.
func TestUnprobed(t *testing.T) {
	layout := &ProbeLayout{EpochBits: 3, RuleBits: 8, Size: 4 << 11}
	rapid.Check(t, func(t *rapid.T) {
		type entry struct {
			openconfig.LegEntry
			traffic openconfig.Tally // since the entry was written
		}
		var u Unprobed
		var entries []*entry
		probes := make([]openconfig.Tally, layout.Size)
		epoch := uint8(1)
		write := func() {
			entries = slices.DeleteFunc(entries, func(e *entry) bool { return e.Epoch+3 <= epoch }) // the last three rule sets stay
			for _, leg := range []openconfig.Leg{0, 1, 2} {
				for rule := range uint32(2) {
					entries = append(entries, &entry{LegEntry: openconfig.LegEntry{Epoch: epoch, Leg: leg, SequenceID: 10*(uint32(leg)+1) + rule}})
				}
			}
		}
		write()
		read := func() (excess bool) {
			all := make([]openconfig.LegEntry, len(entries))
			for i, e := range entries {
				all[i] = e.LegEntry
			}
			for i, e := range u.Take(all, layout, func(i int64) openconfig.Tally { return probes[i] }) {
				if e.Matched.Packets > entries[i].traffic.Packets || e.Matched.Octets > entries[i].traffic.Octets {
					t.Fatalf("leg %d rule %d: %+v without probes, %+v is traffic", e.Leg, e.SequenceID, e.Matched, entries[i].traffic)
				}
				excess = excess || e.Matched != entries[i].traffic
			}
			return excess
		}
		read() // a first reading, before which there were no probes
		for range rapid.IntRange(1, 60).Draw(t, "events") {
			e := entries[rapid.IntRange(0, len(entries)-1).Draw(t, "entry")]
			octets := rapid.Uint64Range(60, 1500).Draw(t, "octets")
			switch rapid.IntRange(0, 8).Draw(t, "event") {
			case 0, 1, 2:
				e.traffic = plus(e.traffic, openconfig.Tally{Packets: 1, Octets: octets})
				e.Matched = plus(e.Matched, openconfig.Tally{Packets: 1, Octets: octets})
			case 3, 4, 5:
				leg := e.Leg
				if leg == 0 { // an entry for every leg
					leg = openconfig.Leg(rapid.IntRange(1, 4).Draw(t, "leg"))
				}
				i := layout.Index(e.Epoch, leg, e.SequenceID)
				e.Matched = plus(e.Matched, openconfig.Tally{Packets: 1, Octets: octets})
				probes[i] = plus(probes[i], openconfig.Tally{Packets: 1, Octets: octets})
			case 6, 7:
				if read() {
					t.Fatal("not all traffic is counted, although nothing happens between the counters and the probes")
				}
			case 8:
				read()
				epoch++
				write()
			}
		}
		if read() {
			t.Fatal("not all traffic is counted at the end")
		}
	})
}

// TestUnprobedBehind verifies that probes that the counters do not have yet are taken off later, and that what was probed before the first reading
// is.
func TestUnprobedBehind(t *testing.T) {
	layout := &ProbeLayout{EpochBits: 3, RuleBits: 8, Size: 4 << 11}
	var u Unprobed
	take := func(matched, probed uint64) uint64 {
		all := u.Take([]openconfig.LegEntry{{Epoch: 1, Leg: 1, SequenceID: 7, Matched: openconfig.Tally{Packets: matched, Octets: 100 * matched}}}, layout,
			func(i int64) openconfig.Tally {
				if i != layout.Index(1, openconfig.LegUpDst, 7) {
					return openconfig.Tally{}
				}
				return openconfig.Tally{Packets: probed, Octets: 100 * probed}
			})
		return all[0].Matched.Packets
	}
	for i, c := range []struct{ matched, probed, want uint64 }{
		{50, 20, 30},
		{50, 22, 30}, // two probes came after the counters were read
		{55, 22, 33},
		{60, 22, 38},
		{3, 1, 2}, // the switch has restarted
		{4, 1, 3},
	} {
		if got := take(c.matched, c.probed); got != c.want {
			t.Errorf("reading %d: %d, want %d", i, got, c.want)
		}
	}
	u = Unprobed{}
	take(10, 40) // an entry that is gone had the other probes
	if got := take(15, 40); got != 5 {
		t.Errorf("%d, want 5: probes of the past are taken off traffic", got)
	}
}
