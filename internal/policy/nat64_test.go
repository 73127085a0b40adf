package policy

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// The examples of RFC 6052, section 2.4, and prefixes that end before, at and behind the reserved octet.
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

// A class's IPv4 servers are in it also as NAT64 shows them, and a change of nat64 is told as what it does to mail.
func TestNAT64Classes(t *testing.T) {
	base := file(t, "testdata/policy.yaml")
	with := File{Name: base.Name, Data: bytes.Replace(base.Data, []byte("exemptions:"), []byte("nat64: [well-known]\nexemptions:"), 1)}
	compile := func(f File) *Compiled {
		b, err := Load([]File{f, file(t, "testdata/inventory.yaml")})
		if err != nil {
			t.Fatal(err)
		}
		if unsaid := b.NAT64Unsaid(); unsaid != (b.Policy.NAT64 == nil) {
			t.Errorf("NAT64Unsaid is %v for nat64: %v", unsaid, b.Policy.NAT64)
		}
		c, err := Compile(b, nil, "edge-1", Everywhere("closed"), time.Date(2006, 11, 1, 0, 0, 0, 0, time.UTC))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	without, now := compile(base), compile(with)
	for prefix, class := range map[string]string{"64:ff9b::c633:6410/124": "own-relay", "64:ff9b::cb00:7100/122": "carrier"} {
		if number, ok := now.State.Remotes[netip.MustParsePrefix(prefix)]; !ok || now.Remotes[number].Name != class {
			t.Errorf("%s is in class %q, want %q", prefix, now.Remotes[number].Name, class)
		}
		if _, ok := without.State.Remotes[netip.MustParsePrefix(prefix)]; ok {
			t.Errorf("%s has a class although the policy says nothing of NAT64", prefix)
		}
	}
	var text []string
	for _, m := range Meaning(without, now) {
		text = append(text, string(m.Severity)+" "+m.Text)
	}
	if all := strings.Join(text, "\n"); !strings.Contains(all, "opens relay own-relay: +1 prefix") {
		t.Errorf("the change is told as:\n%s", all)
	}
}

// An empty list says that there is no NAT64, and IPv4-only lines need not say anything.
func TestNAT64Said(t *testing.T) {
	base, inv := file(t, "testdata/policy.yaml"), file(t, "testdata/inventory.yaml")
	none := File{Name: base.Name, Data: bytes.Replace(base.Data, []byte("exemptions:"), []byte("nat64: []\nexemptions:"), 1)}
	v4 := File{Name: inv.Name, Data: bytes.Replace(inv.Data, []byte(`, "2001:db8:1::13/128"`), nil, 1)}
	for name, files := range map[string][]File{"an empty list": {none, inv}, "no IPv6 line": {base, v4}} {
		b, err := Load(files)
		if err != nil {
			t.Fatal(err)
		}
		if b.NAT64Unsaid() {
			t.Errorf("%s: NAT64Unsaid", name)
		}
	}
}
