package prove

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"op25b/internal/pipeline"
	"op25b/internal/policy"
	"op25b/internal/strict"
)

// large returns documents with 8,000 lines of which all but the last are exempt, with 10 prefixes each: 80,000 exempt prefixes. With last, the last
// line is exempt too.
func large(t testing.TB, lines int, last bool) *policy.Bundle {
	t.Helper()
	var inv, p, exempt strings.Builder
	inv.WriteString("apiVersion: op25b/v1\nkind: Inventory\nswitches:\n  - name: edge\n    deviceID: 1\n    p4runtime: h:1\n    gnmi: h:2\n    ports:\n" +
		"      - {port: 500, name: core, role: network, macs: [\"02:ff:00:00:00:01\"]}\n      - {port: 1, name: a1, role: access}\n" +
		"      - {port: 2, name: a2, role: access}\n      - {port: 3, name: a3, role: access}\n    lines:\n")
	p.WriteString("apiVersion: op25b/v1\nkind: Policy\nname: large\nlineGroups: [{name: adsl}]\n" +
		"services: [{name: smtp, ports: [25]}, {name: submission, ports: [587, 465]}]\n" +
		"remotes:\n  - {name: relay, relay: true, prefixes: [198.51.100.0/28]}\n  - {name: carrier, prefixes: [203.0.113.0/26]}\n")
	exempt.WriteString("apiVersion: op25b/v1\nkind: Exemptions\nexemptions:\n")
	for i := range lines {
		fmt.Fprintf(&inv, "      - {name: line-%d, port: a%d, vlan: %d, group: adsl, macs: [\"02:00:00:00:%02x:%02x\"], prefixes: [", i, 1+i/4000, 1+i%4000, i>>8, i&255)
		for n := range 10 {
			fmt.Fprintf(&inv, "10.%d.%d.%d/32, ", n, i>>8, i&255)
		}
		inv.WriteString("]}\n")
		if last || i < lines-1 {
			fmt.Fprintf(&exempt, "  - {line: line-%d, owner: noc, reason: server, expires: 2007-03-31}\n", i)
		}
	}
	p.WriteString("phases:\n  - {name: all, effective: 2006-10-01, rules: [{name: smtp-carrier, service: smtp, remote: carrier, action: monitor}, {name: smtp-all, service: smtp, action: drop}]}\n")
	b, err := policy.Load([]strict.File{
		{Name: "exemptions.yaml", Data: []byte(exempt.String())}, {Name: "inventory.yaml", Data: []byte(inv.String())}, {Name: "policy.yaml", Data: []byte(p.String())},
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// BenchmarkWhole proves a switch with 80,000 exempt prefixes on 8,000 lines from empty. It reports the packets a second, the processor time of a proof, and
// the packets that a core judges in a second of it. The floor in the same run loads the same entries into a twin and plays the same frames, and judges
// nothing.
func BenchmarkWhole(b *testing.B) {
	ch := change(b, large(b, 8000, true), "all")
	packets := 0
	var bare time.Duration
	start := processorTime(b)
	for b.Loop() {
		p := prover(b, nil)
		r, err := p.Prove(b.Context(), ch)
		if err != nil || r.Err() != nil {
			b.Fatal(err, r.Err())
		}
		packets += r.Packets
		hit, entries := r.Hit()
		b.ReportMetric(float64(hit)/float64(entries)*100, "%hit")
		b.StopTimer()
		bare += playBare(b, ch)
		b.StartTimer()
	}
	used := processorTime(b) - start - bare
	b.ReportMetric(float64(packets)/b.Elapsed().Seconds(), "packets/s")
	b.ReportMetric(float64(packets)/used.Seconds(), "packets/cpu-s")
	b.ReportMetric(used.Seconds()/float64(b.N), "cpu-s/proof")
	b.ReportMetric(used.Seconds()/bare.Seconds(), "x-bare")
}

// playBare loads the entries of a change into a twin and plays the packets of its proof. It returns the processor time that this took.
func playBare(b *testing.B, ch *Change) time.Duration {
	start := processorTime(b)
	tw, err := newTwin()
	if err != nil {
		b.Fatal(err)
	}
	entries, err := entriesOf(&ch.New.State)
	if err != nil {
		b.Fatal(err)
	}
	if err := tw.load(entries); err != nil {
		b.Fatal(err)
	}
	sw, _ := ch.Bundle.Inventory.Switch(ch.Switch)
	newMaker(ch.Bundle.Policy, sw, ch.New, ch.Now).make(scopeOf(ch), func(s *shot) bool {
		tw.play(s.port, s.frame)
		return true
	})
	return processorTime(b) - start
}

// processorTime returns the processor time that the process has used.
func processorTime(b *testing.B) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkOneExemption proves one more exempt line beside 7,999.
func BenchmarkOneExemption(b *testing.B) {
	before, after := large(b, 8000, false), large(b, 8000, true)
	ch := change(b, after, "all")
	ch.Old, ch.OldBundle = compiled(b, before, policy.Everywhere("all"), october), before
	p := prover(b, nil)
	for b.Loop() {
		clear(p.known)
		ch.Now = ch.Now.Add(time.Nanosecond)
		r, err := p.Prove(b.Context(), ch)
		if err != nil || r.Err() != nil || r.Packets == 0 {
			b.Fatal(err, r.Err())
		}
		b.ReportMetric(float64(r.Packets), "packets")
	}
}

// BenchmarkProbes chooses the packets of a round of probes for a switch with 80,000 exempt prefixes on 8,000 lines, and says what the documents demand
// of each.
func BenchmarkProbes(b *testing.B) {
	ch := change(b, large(b, 8000, true), "all")
	of := &Subject{Switch: ch.Switch, State: ch.New, Bundle: ch.Bundle, Now: october}
	for round := 0; b.Loop(); round++ {
		p, err := Probes(of, 400, round)
		if err != nil {
			b.Fatal(err)
		}
		for i := range p.Packets {
			p.Check(i, pipeline.Probed{})
		}
		b.ReportMetric(float64(len(p.Packets)), "packets")
	}
}

// TestLargeIsProved verifies that the packets of a switch with many exempt lines hit all its entries, and that not all of it is tried again for one
// more exemption.
func TestLargeIsProved(t *testing.T) {
	before, after := large(t, 300, false), large(t, 300, true)
	p := prover(t, nil)
	old := change(t, before, "all")
	r, err := p.Prove(t.Context(), old)
	if err != nil || r.Err() != nil {
		t.Fatal(err, r.Err())
	}
	if hit, entries := r.Hit(); hit != entries || entries < 3000 || r.Limited {
		t.Errorf("%d of %d entries hit, limited %v: %v", hit, entries, r.Limited, r.Unhit)
	}
	ch := change(t, after, "all")
	ch.Old, ch.OldBundle = old.New, before
	one, err := p.Prove(t.Context(), ch)
	if err != nil || one.Err() != nil {
		t.Fatal(err, one.Err())
	}
	if hit, entries := one.Hit(); hit != entries || entries != 10 || one.Packets*10 > r.Packets {
		t.Errorf("one line of 10 prefixes: %d of %d entries hit, %d packets, and %d for the whole", hit, entries, one.Packets, r.Packets)
	}
}
