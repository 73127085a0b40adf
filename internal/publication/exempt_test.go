package publication_test

import (
	"net/netip"
	"testing"
	"time"

	"op25b/internal/policy"
	"op25b/internal/publication"
)

// The exemption of an address is the one that ends last among those of its line and of all prefixes that contain the address.
func TestExemptUntil(t *testing.T) {
	b := areaBundle(t, `lines: [{name: x, port: a1, vlan: 1, group: adsl, prefixes: [10.1.0.0/24, "fd01::/64"]}, {name: y, port: a1, vlan: 2, group: adsl, prefixes: [10.2.0.0/24]},
		{name: z, port: a1, vlan: 3, group: adsl, prefixes: [10.3.0.0/24]}, {name: none, port: a1, vlan: 4, group: adsl, prefixes: [10.9.0.0/24]}]`)
	exempt := func(line, prefix string, month time.Month) {
		e := policy.Exemption{Line: line, Owner: "o", Reason: "r", Expires: policy.Date{Year: 2006, Month: month, Day: 30}}
		if prefix != "" {
			e.Prefix = netip.MustParsePrefix(prefix)
		}
		b.Policy.Exemptions = append(b.Policy.Exemptions, e)
	}
	exempt("x", "", 4)
	exempt("", "10.1.0.128/25", 6)
	exempt("", "10.1.0.192/26", 5) // ends before the one around it
	exempt("", "10.2.0.5/32", 6)
	exempt("", "10.3.0.0/16", 6)
	d, err := publication.Make(publication.Source{Bundle: b}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		line, addr string
		now        time.Month
		until      time.Month // 0 if the address has none
		touched    bool
	}{
		{"x", "10.1.0.1", 3, 4, true},
		{"x", "fd01::9", 3, 4, true},
		{"x", "10.1.0.129", 3, 6, true},
		{"x", "10.1.0.193", 3, 6, true},
		{"x", "10.1.0.1", 5, 0, true},
		{"x", "10.1.0.193", 5, 6, true},
		{"y", "10.2.0.5", 3, 6, true},
		{"y", "10.2.0.6", 3, 0, true}, // another address of the line has one
		{"z", "10.3.0.7", 3, 6, true},
		{"z", "10.3.0.7", 7, 0, true},
		{"none", "10.9.0.1", 3, 0, false},
		{"none", "10.3.200.1", 3, 6, true}, // an address that the inventory does not give to the line
	} {
		addr := netip.MustParseAddr(c.addr)
		until, ok := d.ExemptUntil(c.line, addr, time.Date(2006, c.now, 1, 0, 0, 0, 0, time.UTC))
		if ok != (c.until > 0) || ok && !until.Equal(time.Date(2006, c.until+1, 1, 0, 0, 0, 0, time.UTC)) && !until.Equal(time.Date(2006, c.until, 31, 0, 0, 0, 0, time.UTC)) {
			t.Errorf("%+v: %v, %v", c, until, ok)
		}
		if d.Touched(c.line, addr) != c.touched {
			t.Errorf("%+v: touched %v", c, !c.touched)
		}
	}
}
