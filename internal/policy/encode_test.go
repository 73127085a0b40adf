package policy

import (
	"slices"
	"testing"

	"op25b/internal/strict"
)

// TestInventoryIsWrittenAsRead verifies that an inventory with MAC addresses survives strict.Encode.
func TestInventoryIsWrittenAsRead(t *testing.T) {
	b := example(t)
	if len(b.Inventory.Switches[0].Lines[0].MACs) == 0 {
		t.Fatal("the line has no MAC address, so the test shows nothing")
	}
	data, err := strict.Encode(KindInventory, b.Inventory)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Load([]strict.File{{Name: "inventory", Data: data}, file(t, "../../examples/spinnet-2006/policy.yaml")})
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range again.Inventory.Switches[0].Lines {
		if want := b.Inventory.Switches[0].Lines[i].MACs; !slices.Equal(line.MACs, want) {
			t.Errorf("line %s has the MAC addresses %v, want %v", line.Name, line.MACs, want)
		}
	}
}
