package e2e

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"op25b/internal/openconfig"
	"op25b/internal/p4rt"
	"op25b/internal/pipeline"
)

// TestGNMIParts compares the counters of lines and legs that a gNMI server reads over P4Runtime with the packets that were sent. Probes are not among
// them.
func TestGNMIParts(t *testing.T) {
	state := filtering(0, 0, 1)
	byLeg := pipeline.Exactly(pipeline.UpDst)
	// There are two entries of one rule and leg, and rule 5 for every leg.
	state.Verdicts[pipeline.VerdictKey{Service: pipeline.Exactly[pipeline.Service](smtp), Leg: byLeg, RemoteClass: pipeline.Exactly[pipeline.Class](relayClass), Priority: 6}] = pipeline.Verdict{Action: pipeline.Drop, Rule: 6}
	state.Verdicts[pipeline.VerdictKey{Service: pipeline.Exactly[pipeline.Service](smtp), Leg: byLeg, Priority: 5}] = pipeline.Verdict{Action: pipeline.Drop, Rule: 6}
	onEveryTarget(t, state, func(t *testing.T, d *device) {
		subscriber, relay, other := v4(192<<24|2<<8|11), v4(172<<24|16<<16|1), v4(203<<24|113<<8|129)
		var frames []sent
		for _, n := range []int{25, 25, 25} {
			frames = append(frames, sent{accessPort, segment(t, subscriber, other, uint16(n))})
		}
		frames = append(frames, sent{accessPort, segment(t, subscriber, relay, 25)}, sent{accessPort, segment(t, subscriber, other, 587)})
		probe := func() {
			var probes []p4rt.FrameProbe
			for _, f := range frames {
				probes = append(probes, p4rt.FrameProbe{Port: f.port, Frame: f.frame})
			}
			if _, err := d.session.ProbeFrames(t.Context(), probes); err != nil {
				t.Fatal(err)
			}
		}
		probe()
		if _, err := d.source.Snapshot(t.Context(), openconfig.AllParts); err != nil {
			t.Fatal(err)
		}
		probe()
		d.through(t, frames)
		got, err := d.source.Snapshot(t.Context(), openconfig.AllParts)
		if err != nil {
			t.Fatal(err)
		}
		packets := func(n uint64) openconfig.Tally { return openconfig.Tally{Packets: n, Octets: 60 * n} }
		if d := cmp.Diff([]openconfig.Line{{ID: 1, Stopped: packets(4), Passed: packets(1)}}, got.Lines); d != "" {
			t.Errorf("lines: want - got +:\n%s", d)
		}
		if len(got.Legs) == 0 {
			t.Fatal("no counters of legs")
		}
		epoch := got.Legs[0].Epoch
		want := []openconfig.LegEntry{
			{Epoch: epoch, Leg: openconfig.LegAny, SequenceID: 2},
			{Epoch: epoch, Leg: openconfig.LegAny, SequenceID: 3, Matched: packets(1)},
			{Epoch: epoch, Leg: openconfig.LegAny, SequenceID: 4},
			{Epoch: epoch, Leg: openconfig.LegAny, SequenceID: 5},
			{Epoch: epoch, Leg: openconfig.LegUpDst, SequenceID: 6, Matched: packets(4)},
		}
		if d := cmp.Diff(want, got.Legs); d != "" || epoch == 0 {
			t.Errorf("legs: want - got +:\n%s", d)
		}
	})
}
