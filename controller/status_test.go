package main

import (
	"testing"

	op25bv1 "op25b/proto/op25b/v1"
)

// status --wait shows the switches in the order of the inventory, as status does. Regression test: status
// --wait once sorted the switches by name.
func TestWaitKeepsTheOrderOfTheInventory(t *testing.T) {
	at := func(name string, revision uint64) *op25bv1.SwitchStatus {
		return &op25bv1.SwitchStatus{Switch: name, Converged: true, Revision: revision}
	}
	var seen seenSwitches
	if _, converged := seen.take(&op25bv1.WatchSwitchesResponse{Revision: 2}); converged {
		t.Error("no switch counts as all converged")
	}
	if _, converged := seen.take(&op25bv1.WatchSwitchesResponse{Revision: 2, Switches: []*op25bv1.SwitchStatus{at("west", 1), at("east", 2), at("gone", 1)}}); converged {
		t.Error("a switch at revision 1 counts as converged to 2")
	}
	all, converged := seen.take(&op25bv1.WatchSwitchesResponse{Revision: 2, Switches: []*op25bv1.SwitchStatus{at("west", 2)}, Gone: []string{"gone"}})
	if !converged || len(all) != 2 || all[0].Switch != "west" || all[1].Switch != "east" {
		t.Errorf("converged %v, %v", converged, all)
	}
}
