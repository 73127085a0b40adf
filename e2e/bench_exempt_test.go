package e2e

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"op25b/internal/api"
	"op25b/internal/client"
	noc "op25b/internal/controller"
	"op25b/internal/p4rt"
	"op25b/internal/pipeline"
	"op25b/internal/store"
	"op25b/internal/strict"
	op25bv1 "op25b/proto/op25b/v1"
)

// exemptDocuments returns documents with 8,000 lines, which have the given number of prefixes each and all have an exemption but the first 100, and
// with exemptions of that many single addresses.
func exemptDocuments(p4runtime string, prefixes, addresses int) []strict.File {
	const lines = 8000
	var inv, exempt strings.Builder
	fmt.Fprintf(&inv, "apiVersion: op25b/v1\nkind: Inventory\nswitches:\n  - name: edge\n    deviceID: 1\n    p4runtime: %s\n    gnmi: 127.0.0.1:1\n    ports:\n"+
		"      - {port: 500, name: core, role: network}\n      - {port: 1, name: a1, role: access}\n      - {port: 2, name: a2, role: access}\n      - {port: 3, name: a3, role: access}\n    lines:\n", p4runtime)
	exempt.WriteString("apiVersion: op25b/v1\nkind: Exemptions\nexemptions:\n")
	for i := range lines {
		fmt.Fprintf(&inv, "      - {name: line-%d, port: a%d, vlan: %d, group: adsl, prefixes: [", i, 1+i/4000, 1+i%4000)
		for n := range prefixes {
			fmt.Fprintf(&inv, "10.%d.%d.%d/32, ", n, i>>8, i&255)
		}
		inv.WriteString("]}\n")
		if i >= 100 {
			fmt.Fprintf(&exempt, "  - {line: line-%d, owner: noc, reason: server, ticket: T-%d, expires: 2099-03-31}\n", i, i)
		}
	}
	for i := range addresses {
		fmt.Fprintf(&exempt, "  - {prefix: 100.%d.%d.%d/32, owner: noc@isp.example, reason: a server of a customer, ticket: T-%d, expires: 2098-%02d-%02d}\n",
			64+i>>16, i>>8&255, i&255, 100_000+i, 1+i%12, 1+i%28)
	}
	return []strict.File{{Name: "exemptions.yaml", Data: []byte(exempt.String())}, {Name: "inventory.yaml", Data: []byte(inv.String())}, {Name: "policy.yaml", Data: []byte(`apiVersion: op25b/v1
kind: Policy
name: large
lineGroups: [{name: adsl}]
services: [{name: smtp, ports: [25]}, {name: submission, ports: [587, 465]}]
remotes:
  - {name: relay, relay: true, prefixes: [198.51.100.0/28]}
  - {name: carrier, prefixes: [203.0.113.0/26]}
phases:
  - {name: all, effective: 2006-10-01, rules: [{name: smtp-carrier, service: smtp, remote: carrier, action: monitor}, {name: smtp-all, service: smtp, action: drop}]}
`)}}
}

// BenchmarkExempt adds and ends exemptions on a switch with 8,000 lines: of lines with 10 prefixes each beside 79,000 exempt prefixes of 7,900 lines
// (line), of single addresses beside the same (prefix), which may be on any line, and of lines and addresses beside 79,900 exemptions of one line or
// address each (record). It measures the time from the call until the switch has the entries and they have been read back (ms-median), and the
// processor time of the whole process: of the controller, the switch and the client (ms-cpu). The floor in the same run is one bare write of as many
// entries to the same switch, and reading them back one by one (ms-switch), and one transaction of the store (ms-store).
func BenchmarkExempt(b *testing.B) {
	line := func(n int) *op25bv1.Exemption { return &op25bv1.Exemption{Line: fmt.Sprint("line-", n%100)} }
	address := func(n int) *op25bv1.Exemption {
		return &op25bv1.Exemption{Prefix: fmt.Sprintf("203.0.%d.%d/32", n>>8&255, n&255)}
	}
	for _, x := range []struct {
		name                         string
		prefixes, addresses, entries int
		subject                      func(int) *op25bv1.Exemption
	}{{"line", 10, 0, 10, line}, {"prefix", 10, 0, 1, address}, {"record-line", 1, 72_000, 1, line}, {"record-prefix", 1, 72_000, 1, address}} {
		b.Run(x.name, func(b *testing.B) { benchmarkExempt(b, x.prefixes, x.addresses, x.entries, x.subject) })
	}
}

func benchmarkExempt(b *testing.B, prefixes, addresses, entries int, subject func(int) *op25bv1.Exemption) {
	device := startEmbedded(b)
	cfg := noc.Config{
		Name: "noc-1", Listening: api.Listening{Addr: "127.0.0.1:0"}, MaxDocuments: api.MaxFiles, First: exemptDocuments(device.P4Runtime, prefixes, addresses),
	}
	cfg.Store.Dir = b.TempDir()
	ctx := b.Context()
	c, err := noc.Open(ctx, cfg)
	if err != nil {
		b.Fatal(err)
	}
	running, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(running) }()
	asked, err := client.New(client.Config{Server: c.Addr().String()})
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		asked.Close()
		stop()
		if err := <-ended; err != nil {
			b.Error(err)
		}
		if err := c.Close(); err != nil {
			b.Error(err)
		}
	}()
	reached := func(p *op25bv1.Progress) error {
		if d := p.GetDone(); d != nil && d.Converged != 1 {
			return fmt.Errorf("%v", d)
		}
		return nil
	}
	n := 0 // another one for each change: the controller would know the proof of one that it has had
	add := func() error {
		n++
		e := subject(n)
		e.Owner, e.Reason, e.Expires = "noc", "benchmark", "2099-03-31"
		return client.Await(ctx, time.Minute, time.Minute, asked.Exemption.Add, &op25bv1.AddExemptionRequest{Exemption: e}, reached)
	}
	end := func() error {
		e := subject(n)
		return client.Await(ctx, time.Minute, time.Minute, asked.Exemption.End, &op25bv1.EndExemptionRequest{Line: e.Line, Prefix: e.Prefix, Reason: "benchmark"}, reached)
	}
	for _, change := range []func() error{add, end} { // the first waits for the switch, and counts its entries
		if err := change(); err != nil {
			b.Fatal(err)
		}
	}
	var took []float64
	var used time.Duration
	for b.Loop() {
		for _, change := range []func() error{add, end} {
			began, cpu := time.Now(), processorTime(b)
			if err := change(); err != nil {
				b.Fatal(err)
			}
			used += processorTime(b) - cpu
			took = append(took, time.Since(began).Seconds()*1000)
		}
	}
	slices.Sort(took)
	b.ReportMetric(took[len(took)/2], "ms-median")
	b.ReportMetric(took[len(took)-1], "ms-max")
	b.ReportMetric(used.Seconds()*1000/float64(len(took)), "ms-cpu")
	b.ReportMetric(0, "ns/op")
	stop()
	b.ReportMetric(bareExempt(b, device.P4Runtime, entries), "ms-switch")
	b.ReportMetric(bareStore(b), "ms-store")
}

func processorTime(b *testing.B) time.Duration {
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err != nil {
		b.Fatal(err)
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}

const floorRuns = 20

// bareExempt returns the milliseconds of a bare client for writing entries and reading them back.
func bareExempt(b *testing.B, addr string, n int) float64 {
	session, err := p4rt.Dial(b.Context(), p4rt.Config{Addr: addr, DeviceID: 1, ElectionID: p4rt.ElectionID{High: 1 << 62}})
	if err != nil {
		b.Fatal(err)
	}
	defer session.Close()
	if err := session.WaitPrimary(b.Context()); err != nil {
		b.Fatal(err)
	}
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	bare := p4v1.NewP4RuntimeClient(conn)
	all := pipeline.State{Subscribers: map[netip.Prefix]pipeline.Subscriber{}}
	for i := range n {
		all.Subscribers[prefix4(198, 18, 0, byte(i), 32)] = pipeline.Subscriber{Class: 1}
	}
	entries, err := all.Entries()
	if err != nil {
		b.Fatal(err)
	}
	var took time.Duration
	for range floorRuns {
		for _, kind := range []p4v1.Update_Type{p4v1.Update_INSERT, p4v1.Update_DELETE} {
			r := &p4v1.WriteRequest{DeviceId: 1, ElectionId: &p4v1.Uint128{High: 1 << 62}}
			began := time.Now()
			for _, e := range entries {
				if _, is := e.IsSubscriber(); is {
					r.Updates = append(r.Updates, &p4v1.Update{Type: kind, Entity: p4rt.Entity(e)})
				}
			}
			if _, err := bare.Write(b.Context(), r); err != nil {
				b.Fatal(err)
			}
			for _, u := range r.Updates {
				u.Entity.GetTableEntry().Action = nil
				stream, err := bare.Read(b.Context(), &p4v1.ReadRequest{DeviceId: 1, Entities: []*p4v1.Entity{u.Entity}})
				for err == nil {
					_, err = stream.Recv()
				}
			}
			took += time.Since(began)
		}
	}
	return took.Seconds() * 1000 / (2 * floorRuns)
}

// bareStore returns the milliseconds of one transaction of the store.
func bareStore(b *testing.B) float64 {
	s, err := store.Open(b.Context(), store.Config{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	records := store.JSON[int](s, "floor")
	began := time.Now()
	version := int64(0)
	for i := range floorRuns {
		if version, err = records.PutIf(b.Context(), "value", version, i); err != nil {
			b.Fatal(err)
		}
	}
	return time.Since(began).Seconds() * 1000 / floorRuns
}
