package plan

import (
	"fmt"
	"strings"
	"testing"

	"op25b/internal/intent"
	"op25b/internal/policy"
	"op25b/internal/strict"
)

// BenchmarkExempting checks the exemption of one line on a switch with 80,000 exempt prefixes on 8,000 lines: it proposes the change, counts the
// entries and proves what the change touches.
func BenchmarkExempting(b *testing.B) {
	var inv strings.Builder
	inv.WriteString("apiVersion: op25b/v1\nkind: Inventory\nswitches:\n  - name: edge\n    deviceID: 1\n    p4runtime: h:1\n    gnmi: h:2\n    ports:\n" +
		"      - {port: 500, name: core, role: network}\n      - {port: 1, name: a1, role: access}\n      - {port: 2, name: a2, role: access}\n      - {port: 3, name: a3, role: access}\n    lines:\n")
	var list []policy.Exemption
	for i := range 8000 {
		fmt.Fprintf(&inv, "      - {name: line-%d, port: a%d, vlan: %d, group: adsl, prefixes: [", i, 1+i/4000, 1+i%4000)
		for n := range 10 {
			fmt.Fprintf(&inv, "10.%d.%d.%d/32, ", n, i>>8, i&255)
		}
		inv.WriteString("]}\n")
		if i >= 1000 {
			list = append(list, exemption(fmt.Sprint("line-", i), ""))
		}
	}
	w := newWorld(b, "2006-10-15")
	base := w.put([]strict.File{{Name: "a.yaml", Data: policy.EncodeExemptions(list)}, {Name: "b.yaml", Data: []byte(inv.String())}, {Name: "c.yaml", Data: []byte(
		"apiVersion: op25b/v1\nkind: Policy\nname: large\nlineGroups: [{name: adsl}]\nservices: [{name: smtp, ports: [25]}, {name: submission, ports: [587, 465]}]\n" +
			"remotes:\n  - {name: relay, relay: true, prefixes: [198.51.100.0/28]}\n" +
			"phases:\n  - {name: all, effective: 2006-10-01, rules: [{name: smtp-all, service: smtp, action: drop}]}\n")}})
	if _, err := base.SubscriberNeed("edge", w.now); err != nil { // as after the first exemption
		b.Fatal(err)
	}
	p := w.planner(nil)
	for n := 0; b.Loop(); n++ {
		e := exemption(fmt.Sprint("line-", n%1000), "")
		proposed := w.exempting(intent.ExemptionAdd, e)
		if err := p.Exempting(b.Context(), base, proposed, e); err != nil {
			b.Fatal(err)
		}
	}
}
