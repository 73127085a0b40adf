package plan

import (
	"fmt"
	"strings"
	"testing"
	"time"

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

// sameSwitches returns documents of switches whose lines have no addresses and the same places, so that their contents are the same.
func sameSwitches(switches, lines int) []strict.File {
	var inv strings.Builder
	inv.WriteString("apiVersion: op25b/v1\nkind: Inventory\nswitches:\n")
	for i := range switches {
		fmt.Fprintf(&inv, "  - name: edge-%d\n    deviceID: %d\n    p4runtime: h:%d\n    gnmi: h:%d\n    ports:\n      - {port: 500, name: core, role: network}\n"+
			"      - {port: 1, name: a, role: access}\n    lines:\n", i, i+1, 1+i, 10_001+i)
		for n := range lines {
			fmt.Fprintf(&inv, "      - {name: line-%d-%d, port: a, vlan: %d, group: adsl}\n", i, n, 1+n)
		}
	}
	return []strict.File{{Name: "b.yaml", Data: []byte(inv.String())}, {Name: "c.yaml", Data: []byte(
		"apiVersion: op25b/v1\nkind: Policy\nname: same\nlineGroups: [{name: adsl}]\nservices: [{name: smtp, ports: [25]}, {name: submission, ports: [587, 465]}]\n" +
			"remotes:\n  - {name: relay, relay: true, prefixes: [198.51.100.0/28]}\nphases:\n  - {name: watch, effective: 2006-09-01, rules: [{name: smtp-all, service: smtp, action: monitor}]}\n" +
			"  - {name: all, effective: 2006-10-01, rules: [{name: smtp-all, service: smtp, action: drop}]}\n")}}
}

// BenchmarkFleetProof proves documents for 1,000 switches with 100 lines each and the same content (documents), and the activation of a phase on all
// of them (phase). The floor compiles the states of all switches before and after the change, and proves nothing.
func BenchmarkFleetProof(b *testing.B) {
	w := newWorld(b, "2006-10-15")
	base := w.put(sameSwitches(1000, 100))
	back := base.Activated(policy.Activation{ID: base.Number + 1, Phase: "watch", At: w.now})
	for _, x := range []struct {
		name           string
		base, proposed *intent.Intent
	}{{"documents", nil, base}, {"phase", base, back}} {
		b.Run(x.name, func(b *testing.B) {
			var bare time.Duration
			for b.Loop() {
				r, err := w.planner(nil).Prove(b.Context(), x.base, x.proposed, nil)
				if err != nil || r.Err() != nil || r.Contents != 1 || r.Switches < 1000 {
					b.Fatal(err, r)
				}
				b.ReportMetric(float64(r.Packets), "packets")
				b.StopTimer()
				began := time.Now()
				for _, in := range []*intent.Intent{x.base, x.proposed} {
					for i := range base.Bundle.Inventory.Switches {
						if in == nil {
							break
						}
						if _, err := in.Compile(base.Bundle.Inventory.Switches[i].Name, w.now); err != nil {
							b.Fatal(err)
						}
					}
				}
				bare += time.Since(began)
				b.StartTimer()
			}
			b.ReportMetric(bare.Seconds()*1000/float64(b.N), "ms-compile")
		})
	}
}

// TestSharedContentIsProvedOnce verifies that switches with the same content are proved once, and with the packets of one of them.
func TestSharedContentIsProvedOnce(t *testing.T) {
	w := newWorld(t, "2006-10-15")
	one := w.put(sameSwitches(1, 5))
	alone, err := w.planner(nil).Prove(within(t), nil, one, nil)
	if err != nil {
		t.Fatal(err)
	}
	all := w.put(sameSwitches(50, 5))
	r, err := w.planner(nil).Prove(within(t), nil, all, nil)
	if err != nil || r.Err() != nil {
		t.Fatal(err, r.Err())
	}
	if r.Switches != 50 || r.Contents != 1 || r.Packets != alone.Packets {
		t.Errorf("%d contents of %d switches, %d packets; want 1 of 50, %d packets", r.Contents, r.Switches, r.Packets, alone.Packets)
	}
}
