package policy

import (
	"net/netip"
	"testing"
)

// TestExemptible verifies which lines can have an exemption.
func TestExemptible(t *testing.T) {
	address := []netip.Prefix{netip.MustParsePrefix("192.0.2.1/32")}
	dynamic, static := &LineGroup{Name: "adsl", Addressing: Dynamic}, &LineGroup{Name: "office", Addressing: Static}
	plain, identifies := &Switch{Name: "plain"}, &Switch{Name: "identifies", Identify: IdentifyCircuitID}
	for _, c := range []struct {
		line Line
		sw   *Switch
		g    *LineGroup
		want Exemptible
	}{
		{Line{Name: "a", Prefixes: address}, plain, static, ExemptionPossible},
		{Line{Name: "b"}, plain, static, ExemptionNoAddress},
		{Line{Name: "c", Prefixes: address}, plain, dynamic, ExemptionDynamic},
		{Line{Name: "d"}, plain, dynamic, ExemptionDynamic},
		{Line{Name: "e", Prefixes: address, Addressing: Static}, plain, dynamic, ExemptionPossible},
		{Line{Name: "f"}, identifies, dynamic, ExemptionPossible},
		{Line{Name: "g"}, identifies, static, ExemptionNoAddress},
	} {
		if got := c.line.Exemptible(c.sw, c.g); got != c.want {
			t.Errorf("line %s on %s in %s: %s, want %s", c.line.Name, c.sw.Name, c.g.Name, got, c.want)
		}
	}
}
