package compile

import (
	"testing"

	"op25b/internal/policy"
	"op25b/internal/policy/policytest"
)

// TestLeaseRoom verifies the room for entries of leases: the addresses of every line that can have one, of the family that has more of them, and
// addresses outside all lines only where the switch and a lease are for them. A policy without leases needs none.
func TestLeaseRoom(t *testing.T) {
	lease := policy.Lease{Name: "login", Opens: []string{"own-relay"}, For: policy.MinLease, Cap: policy.MaxLease}
	outside, adsl := lease, lease
	outside.Addresses, adsl.Groups = true, []string{"adsl"}
	for name, x := range map[string]struct {
		lease  *policy.Lease
		change func(sw *policy.Switch)
		want   int
	}{
		"no lease":   {nil, func(sw *policy.Switch) { sw.AddressLeases = true }, 0},
		"every line": {&lease, nil, 3}, // of 4 lines, one is exempt
		"one group":  {&adsl, nil, 2},
		"IPv6": {&adsl, func(sw *policy.Switch) {
			sw.Lines[0].Prefixes = prefixes("2001:db8:7::/64", "2001:db8:8::/64", "2001:db8:9::/64")
		}, 4},
		"sessions":          {&adsl, func(sw *policy.Switch) { sw.Identify, sw.Lines[0].Prefixes = policy.IdentifyCircuitID, nil }, 5}, // 2 lines with 2 each, and one address of the inventory
		"no addresses here": {&outside, nil, 3},
		"no lease of them":  {&lease, func(sw *policy.Switch) { sw.AddressLeases = true }, 3},
		"addresses":         {&outside, func(sw *policy.Switch) { sw.AddressLeases = true }, 3 + 8192},
	} {
		b := policytest.Example(t)
		if x.lease != nil {
			b.Policy.Leases = []policy.Lease{*x.lease}
		}
		if x.change != nil {
			x.change(&b.Inventory.Switches[0])
		}
		c, err := Compile(b, nil, "edge-1", policy.Everywhere("all-destinations"), october)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.State.Sessions.Leases; got != x.want {
			t.Errorf("%s: room for %d, want %d", name, got, x.want)
		}
	}
}
