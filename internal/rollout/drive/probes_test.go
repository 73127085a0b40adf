package drive

import (
	"testing"

	"op25b/internal/fleet"
)

// TestProbesOfASwitch verifies that only a round of probes after the change, in which every packet is treated as demanded, lets a ring go on.
func TestProbesOfASwitch(t *testing.T) {
	for _, c := range []struct {
		status               *fleet.ProbeStatus
		unprobed, unanswered string
	}{
		{nil, "it was not probed since the change", ""},
		{&fleet.ProbeStatus{Packets: 400}, "", ""},
		{&fleet.ProbeStatus{Packets: 400, Deviating: 2}, "2 of 400 packets are not treated as the documents demand; the switch is read again", ""},
		{&fleet.ProbeStatus{Failure: "no CPU port"}, "", "it was not probed: no CPU port"},
	} {
		if unprobed, unanswered := probes(c.status); unprobed != c.unprobed || unanswered != c.unanswered {
			t.Errorf("%+v: %q, %q", c.status, unprobed, unanswered)
		}
	}
}
