package policy

import (
	"bytes"
	"net/netip"
	"testing"

	"op25b/internal/strict"
)

// TestEmbed covers the examples of RFC 6052, section 2.4, and IPv4 prefixes that end before, in and
// after the reserved octet.
func TestEmbed(t *testing.T) {
	for _, c := range []struct{ nat64, v4, want string }{
		{"2001:db8::/32", "192.0.2.33/32", "2001:db8:c000:221::/64"},
		{"2001:db8:100::/40", "192.0.2.33/32", "2001:db8:1c0:2:21::/80"},
		{"2001:db8:122::/48", "192.0.2.33/32", "2001:db8:122:c000:2:2100::/88"},
		{"2001:db8:122:300::/56", "192.0.2.33/32", "2001:db8:122:3c0:0:221::/96"},
		{"2001:db8:122:344::/64", "192.0.2.33/32", "2001:db8:122:344:c0:2:2100::/104"},
		{"2001:db8:122:344::/96", "192.0.2.33/32", "2001:db8:122:344::c000:221/128"},
		{"64:ff9b::/96", "192.0.2.33/32", "64:ff9b::c000:221/128"},
		{"64:ff9b::/96", "192.0.2.0/26", "64:ff9b::c000:200/122"},
		{"2001:db8:100::/40", "192.0.2.0/24", "2001:db8:1c0:2::/64"},
		{"2001:db8:100::/40", "192.0.2.0/25", "2001:db8:1c0:2::/73"},
		{"2001:db8:122::/48", "192.0.0.0/12", "2001:db8:122:c000::/60"},
		{"2001:db8:122:344::/64", "192.0.0.0/8", "2001:db8:122:344:c0::/80"},
	} {
		got := NAT64{netip.MustParsePrefix(c.nat64)}.embed(netip.MustParsePrefix(c.v4))
		if got != netip.MustParsePrefix(c.want) {
			t.Errorf("%s in %s is %v, want %s", c.v4, c.nat64, got, c.want)
		}
	}
}

// TestNAT64Said verifies that an empty NAT64 list counts as a statement, and that IPv4-only lines need
// no statement.
func TestNAT64Said(t *testing.T) {
	base, inv := file(t, "testdata/policy.yaml"), file(t, "testdata/inventory.yaml")
	none := strict.File{Name: base.Name, Data: bytes.Replace(base.Data, []byte("phases:"), []byte("nat64: []\nphases:"), 1)}
	v4 := strict.File{Name: inv.Name, Data: bytes.Replace(inv.Data, []byte(`, "2001:db8:1::13/128"`), nil, 1)}
	for name, files := range map[string][]strict.File{"an empty list": {none, inv}, "no IPv6 line": {base, v4}} {
		b, err := Load(files)
		if err != nil {
			t.Fatal(err)
		}
		if b.NAT64Unsaid() {
			t.Errorf("%s: NAT64Unsaid", name)
		}
	}
}
