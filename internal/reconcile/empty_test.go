package reconcile

import (
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"op25b/internal/pipeline"
)

// withPorts adds to a state what makes a switch forward frames.
func withPorts(s *pipeline.State) *pipeline.State {
	s.Ports = map[pipeline.Port]pipeline.PortRole{9: pipeline.Network}
	s.NetworkPorts, s.AllPorts = []pipeline.Port{9}, []pipeline.Port{1, 2, 3, 9}
	s.Bridge = map[pipeline.MAC]pipeline.BridgePort{{2, 0, 0, 0, 0, 1}: {Port: 1}}
	s.LinePorts = map[pipeline.VLANKey]pipeline.Port{{OuterVID: 100}: 1}
	return s
}

// TestEmptySwitchForwardsLast (I2) verifies that a switch that forwards nothing begins to forward only when it has all other entries, and its rules
// are in force. So it never passes what its policy stops, whatever the service. It also holds for a load that follows one that was interrupted.
func TestEmptySwitchForwardsLast(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sw := fresh()
		for range rapid.IntRange(1, 3).Draw(t, "loads") {
			want := withPorts(drawPolicyState(t))
			target := reached(t, want)
			plan, err := Make(sw.entries(), want, nil, Options{})
			if err != nil {
				t.Fatal(err)
			}
			left := rapid.IntRange(0, plan.Updates()).Draw(t, "updates")
			began := forwards(sw)
			for _, s := range plan.Steps {
				for _, u := range s.Updates[:min(left, len(s.Updates))] {
					if err := sw.update(u); err != nil {
						t.Fatal(err)
					}
					if !began && forwards(sw) {
						complete(t, sw, target, s.Why)
					}
				}
				left -= min(left, len(s.Updates))
			}
		}
	})
}

// forwards reports whether any entry makes a switch forward a frame.
func forwards(sw memory) bool {
	return slices.ContainsFunc(slices.Collect(maps.Values(sw)), pipeline.Entry.Carries)
}

// complete verifies that a switch has all entries of the target but those that make it forward frames, and no others. The rules may have another
// epoch.
func complete(t *rapid.T, sw, target memory, step string) {
	is, want := split(sw.entries()), split(target.entries())
	if !maps.Equal(is.sets[is.running], want.sets[want.running]) {
		t.Fatalf("in %q, the switch forwards frames and does not have the desired rules in force", step)
	}
	rest := func(a *actual) map[pipeline.Key]pipeline.Value {
		all := make(map[pipeline.Key]pipeline.Value)
		for _, e := range a.fixed {
			if !e.Carries() {
				all[e.Key] = e.Value
			}
		}
		return all
	}
	if got, want := rest(is), rest(want); !maps.Equal(got, want) {
		t.Fatalf("in %q, the switch forwards frames and has %d of %d other entries", step, len(got), len(want))
	}
}
