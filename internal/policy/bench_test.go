package policy

import (
	"fmt"
	"slices"
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
			if _, err := Compile(bundle, nil, "edge", Everywhere("all"), now); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkFleet is what a revision of a thousand small switches with one large policy costs: all of them compiled, and compared with what
// they were, for each switch. The floor is one switch by itself, to which the whole policy is compiled each time.
func BenchmarkFleet(b *testing.B) {
	bundle, err := Load(full())
	if err != nil {
		b.Fatal(err)
	}
	big := bundle.Inventory.Switches[0]
	bundle.Policy.Exemptions = bundle.Policy.Exemptions[:64]
	bundle.Inventory.Switches = nil
	for i := range 1000 {
		sw := big
		sw.Name, sw.DeviceID, sw.Lines = fmt.Sprint("edge-", i), uint64(i+1), big.Lines[8*i:8*i+8]
		bundle.Inventory.Switches = append(bundle.Inventory.Switches, sw)
	}
	now := time.Date(2006, 10, 1, 0, 0, 0, 0, time.UTC)
	b.Run("Alone", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := Compile(bundle, nil, "edge-500", Everywhere("all"), now); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Compiler", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			compiler, err := NewCompiler(bundle, nil)
			if err != nil {
				b.Fatal(err)
			}
			for i := range bundle.Inventory.Switches {
				if _, err := compiler.Compile(bundle.Inventory.Switches[i].Name, Everywhere("all"), now); err != nil {
					b.Fatal(err)
				}
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/switch")
	})
	b.Run("Meaning", func(b *testing.B) {
		old, err := Compile(bundle, nil, "edge-500", Everywhere("all"), now)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			if len(Meaning(old, old)) > 0 {
				b.Fatal("nothing changed")
			}
		}
	})
	b.Run("MeaningOfPrefixes", func(b *testing.B) {
		old, err := Compile(bundle, nil, "edge-500", Everywhere("all"), now)
		if err != nil {
			b.Fatal(err)
		}
		policy := *bundle.Policy
		policy.Remotes = slices.Clone(policy.Remotes)
		policy.Remotes[1].Prefixes = policy.Remotes[1].Prefixes[1:]
		next, err := Compile(&Bundle{&policy, bundle.Inventory}, nil, "edge-500", Everywhere("all"), now)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			if len(Meaning(old, next)) == 0 {
				b.Fatal("a prefix is gone")
			}
		}
	})
	b.Run("Number", func(b *testing.B) {
		prev, err := Number(nil, bundle)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			if _, err := Number(prev, bundle); err != nil {
				b.Fatal(err)
			}
		}
	})
}
