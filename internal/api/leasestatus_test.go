package api

import (
	"testing"

	"op25b/internal/fleet"
	op25bv1 "op25b/proto/op25b/v1"
)

// TestLeasesInStatus verifies that the status of a switch has the leases that its owner stored.
func TestLeasesInStatus(t *testing.T) {
	all := statusMessages([]fleet.Status{
		{Switch: "edge-1", Leases: &fleet.SessionStatus{InForce: 3, Waiting: 1, Detail: "no room"}, Sessions: &fleet.SessionStatus{InForce: 9}}, {Switch: "edge-2"},
	})
	if l := all[0].Leases; l.GetInForce() != 3 || l.GetWaiting() != 1 || l.GetDetail() != "no room" {
		t.Errorf("%v", l)
	}
	if all[1].Leases != nil {
		t.Errorf("a switch without leases has %v", all[1].Leases)
	}
}

// TestNumbersOfLeasesAreNoNews verifies that a watch does not send a status with each login, and sends it when leases begin or cease to wait, and
// when the reason changes.
func TestNumbersOfLeasesAreNoNews(t *testing.T) {
	of := func(inForce, waiting uint32, detail string) *op25bv1.SwitchStatus {
		return &op25bv1.SwitchStatus{Switch: "edge-1", Leases: &op25bv1.SwitchLeases{InForce: inForce, Waiting: waiting, Detail: detail}}
	}
	was := of(3, 1, "no room")
	for _, c := range []struct {
		now  *op25bv1.SwitchStatus
		same bool
	}{
		{of(4, 2, "no room"), true},
		{of(4, 0, "no room"), false},
		{of(3, 1, "no clock"), false},
		{&op25bv1.SwitchStatus{Switch: "edge-1"}, false},
	} {
		if same(was, c.now) != c.same {
			t.Errorf("%v after %v: same is %t", c.now, was, !c.same)
		}
	}
	if same(of(3, 0, ""), of(3, 1, "")) || was.Leases.Waiting != 1 {
		t.Error("leases that begin to wait are no news, or the status was modified")
	}
}
