package policy

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// full is the documents of one switch at its design limit: 8,192 lines with an IPv4 and an IPv6 prefix each, all of them exempt, and
// 8,192 prefixes of a remote class.
func full() []File {
	const n = 8192
	var inv, p strings.Builder
	inv.WriteString("apiVersion: op25b/v1\nkind: Inventory\nswitches:\n  - name: edge\n    deviceID: 1\n    p4runtime: h:1\n    gnmi: h:2\n    ports:\n" +
		"      - {port: 500, name: core, role: network}\n      - {port: 1, name: a1, role: access}\n      - {port: 2, name: a2, role: access}\n      - {port: 3, name: a3, role: access}\n    lines:\n")
	p.WriteString("apiVersion: op25b/v1\nkind: Policy\nname: full\nlineGroups: [{name: adsl}]\nservices: [{name: smtp, ports: [25]}, {name: submission, ports: [587, 465]}]\n" +
		"remotes:\n  - {name: relay, relay: true, prefixes: [198.51.100.0/28]}\n  - name: carrier\n    prefixes:\n")
	for i := range n {
		fmt.Fprintf(&p, "      - 2001:db8:%x::/48\n", i)
	}
	p.WriteString("exemptions:\n")
	for i := range n {
		fmt.Fprintf(&inv, "      - {name: line-%d, port: a%d, vlan: %d, group: adsl, macs: [\"02:00:00:00:%02x:%02x\"], prefixes: [10.0.%d.%d/32, \"2001:db8:ffff:%x::/64\"]}\n",
			i, 1+i/4000, i%4000, i>>8, i&255, i>>8, i&255, i)
		fmt.Fprintf(&p, "  - {line: line-%d, owner: noc, reason: server, expires: 2007-03-31}\n", i)
	}
	p.WriteString("phases:\n  - {name: all, effective: 2006-10-01, rules: [{name: smtp-all, service: smtp, action: drop}]}\n")
	return []File{{Name: "inventory.yaml", Data: []byte(inv.String())}, {Name: "policy.yaml", Data: []byte(p.String())}}
}

// BenchmarkFull is what the largest switch costs: to read its documents, to validate them, and to compile it.
func BenchmarkFull(b *testing.B) {
	files := full()
	bundle, err := Load(files)
	if err != nil {
		b.Fatal(err)
	}
	now := time.Date(2006, 10, 1, 0, 0, 0, 0, time.UTC)
	b.Run("Load", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := Load(files); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Validate", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := Validate(bundle.Policy, bundle.Inventory); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Compile", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := Compile(bundle.Policy, bundle.Inventory, "edge", "all", now); err != nil {
				b.Fatal(err)
			}
		}
	})
}
