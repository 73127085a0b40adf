package meaning

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
	"time"

	"op25b/internal/compile"
	"op25b/internal/compile/compiletest"
	"op25b/internal/policy"
	"op25b/internal/policy/policytest"
	"op25b/internal/strict"
)

// TestNAT64Classes verifies that a class contains the NAT64 addresses of its IPv4 servers, and that the effect on mail of a
// change of nat64 is reported.
func TestNAT64Classes(t *testing.T) {
	base := policytest.ReadFile(t, "../policy/testdata/policy.yaml")
	with := strict.File{Name: base.Name, Data: bytes.Replace(base.Data, []byte("phases:"), []byte("nat64: [well-known]\nphases:"), 1)}
	compiled := func(f strict.File) *compile.Compiled {
		b, err := policy.Load([]strict.File{f, policytest.ReadFile(t, "../policy/testdata/inventory.yaml")})
		if err != nil {
			t.Fatal(err)
		}
		if unsaid := b.NAT64Unsaid(); unsaid != (b.Policy.NAT64 == nil) {
			t.Errorf("NAT64Unsaid is %v for nat64: %v", unsaid, b.Policy.NAT64)
		}
		c, err := compiletest.Compile(b, nil, "edge-1", policy.Everywhere("closed"), time.Date(2006, 11, 1, 0, 0, 0, 0, time.UTC))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	without, now := compiled(base), compiled(with)
	for prefix, class := range map[string]string{"64:ff9b::c633:6410/124": "own-relay", "64:ff9b::cb00:7100/122": "carrier"} {
		if number, ok := now.State.Remotes[netip.MustParsePrefix(prefix)]; !ok || now.Remotes[number].Name != class {
			t.Errorf("%s is in class %q, want %q", prefix, now.Remotes[number].Name, class)
		}
		if _, ok := without.State.Remotes[netip.MustParsePrefix(prefix)]; ok {
			t.Errorf("%s has a class although the policy says nothing of NAT64", prefix)
		}
	}
	var text []string
	for _, m := range of(without, now) {
		text = append(text, string(m.Severity)+" "+m.Text)
	}
	if all := strings.Join(text, "\n"); !strings.Contains(all, "opens relay own-relay: +1 prefix") {
		t.Errorf("the change is told as:\n%s", all)
	}
}
