package prove

import (
	"net/netip"
	"testing"
)

// TestHole verifies that the address of a prefix that no longer prefix contains is found, also if such prefixes touch its bounds and each other.
func TestHole(t *testing.T) {
	for _, x := range []struct {
		inside []string
		want   string // empty if there is none
	}{
		{nil, ""},
		{[]string{"192.0.2.64/26"}, ""},          // the first address is free
		{[]string{"192.0.2.0/26"}, "192.0.2.64"}, // and the last one is not in it
		{[]string{"192.0.2.0/25", "192.0.2.0/26", "192.0.2.192/26"}, "192.0.2.128"},           // nested
		{[]string{"192.0.2.0/26", "192.0.2.64/26", "192.0.2.128/25"}, ""},                     // no address is left
		{[]string{"192.0.2.0/32", "192.0.2.2/31", "192.0.2.255/32"}, "192.0.2.1"},             //
		{[]string{"192.0.2.0/25", "192.0.2.128/26", "192.0.2.192/27"}, "192.0.2.224"},         //
		{[]string{"192.0.2.0/25", "192.0.2.128/26", "192.0.2.192/26", "198.51.100.0/24"}, ""}, // another prefix
	} {
		table := map[netip.Prefix]bool{netip.MustParsePrefix("192.0.2.0/24"): true, netip.MustParsePrefix("192.0.0.0/16"): true}
		for _, p := range x.inside {
			table[netip.MustParsePrefix(p)] = true
		}
		got, ok := nest(table).hole(netip.MustParsePrefix("192.0.2.0/24"))
		if ok != (x.want != "") || ok && got.String() != x.want {
			t.Errorf("%v: %v, %v, want %q", x.inside, got, ok, x.want)
		}
	}
	two := nest(map[netip.Prefix]bool{netip.MustParsePrefix("192.0.2.0/24"): true, netip.MustParsePrefix("192.0.2.0/25"): true})
	for p, want := range map[string]string{"192.0.2.0/24": "192.0.2.128", "192.0.2.0/25": "192.0.2.0"} {
		if a, ok := two.free(netip.MustParsePrefix(p)); !ok || a.String() != want {
			t.Errorf("%s: %v, %v, want %s", p, a, ok, want)
		}
	}
	end := map[netip.Prefix]bool{netip.MustParsePrefix("255.255.255.0/24"): true, netip.MustParsePrefix("255.255.255.0/25"): true, netip.MustParsePrefix("255.255.255.128/25"): true}
	if a, ok := nest(end).hole(netip.MustParsePrefix("255.255.255.0/24")); ok {
		t.Errorf("the whole prefix at the end of all addresses: %v", a)
	}
}
