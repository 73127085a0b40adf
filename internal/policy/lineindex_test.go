package policy

import (
	"net/netip"
	"testing"
)

// A line is found by its name and by its longest prefix.
func TestLineIndex(t *testing.T) {
	prefixes := func(texts ...string) (all []netip.Prefix) {
		for _, text := range texts {
			all = append(all, netip.MustParsePrefix(text))
		}
		return all
	}
	inv := &Inventory{Switches: []Switch{
		{Name: "one", Lines: []Line{{Name: "a", Prefixes: prefixes("192.0.2.1/32", "2001:db8:1::/48")}, {Name: "b", Prefixes: prefixes("192.0.2.64/26")}, {Name: "none"}}},
		{Name: "two", Lines: []Line{{Name: "c", Prefixes: prefixes("10.0.0.0/8", "10.1.0.0/16")}}},
	}}
	x := NewLineIndex(inv)
	for text, want := range map[string]string{
		"192.0.2.1": "one a", "192.0.2.2": "", "192.0.2.64": "one b", "192.0.2.127": "one b", "192.0.2.128": "", "10.1.2.3": "two c", "10.255.255.255": "two c", "11.0.0.0": "",
		"2001:db8:1:ffff::9": "one a", "2001:db8:2::": "", "::ffff:192.0.2.1": "", "::1": "",
	} {
		got := ""
		if sw, line, ok := x.At(netip.MustParseAddr(text)); ok {
			got = sw.Name + " " + line.Name
		}
		if got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
	if sw, line, ok := x.Line("none"); !ok || sw.Name != "one" || line.Name != "none" {
		t.Errorf("%v %v %v", sw, line, ok)
	}
	if _, _, ok := x.Line("other"); ok {
		t.Error("a line that the inventory does not have was found")
	}
}
