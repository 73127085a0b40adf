package drive

import (
	"testing"

	"op25b/internal/fleet"
)

// TestUnwell verifies that the change goes back from a switch that its controller cannot bring to its desired state, and that the rollout only waits
// for a switch of which no living controller knows: the death of a controller is no sign against the change.
func TestUnwell(t *testing.T) {
	for _, c := range []struct {
		status         fleet.Status
		unwell, unseen string
	}{
		{fleet.Status{}, "", "no controller has reported the switch"},
		{fleet.Status{Switch: "a", State: fleet.StateUnknown, Reason: fleet.ReasonOwnerGone}, "", "no living controller confirms the switch: owner-gone"},
		{fleet.Status{Switch: "a", State: fleet.StateUnknown, Reason: fleet.ReasonTakenOver}, "", "no living controller confirms the switch: taken-over"},
		{fleet.Status{Switch: "a", State: fleet.StateConnecting, Reason: fleet.ReasonDialing}, "", ""},
		{fleet.Status{Switch: "a", State: fleet.StateConverged, Reason: fleet.ReasonAsWanted}, "", ""},
		{fleet.Status{Switch: "a", State: fleet.StateConverging, Reason: fleet.ReasonElected}, "", ""},
		{fleet.Status{Switch: "a", State: fleet.StateConverging, Reason: fleet.ReasonDrift}, "drift: another program has changed the switch", ""},
		{fleet.Status{Switch: "a", State: fleet.StateDisconnected, Reason: fleet.ReasonStreamLost, Detail: "EOF"}, "disconnected: stream-lost: EOF", ""},
		{fleet.Status{Switch: "a", State: fleet.StateFailed, Reason: fleet.ReasonTakenOver}, "failed: taken-over", ""},
	} {
		if unwell, unseen := unwell(c.status); unwell != c.unwell || unseen != c.unseen {
			t.Errorf("%v %v: %q, %q; want %q, %q", c.status.State, c.status.Reason, unwell, unseen, c.unwell, c.unseen)
		}
	}
}
