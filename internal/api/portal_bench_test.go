package api

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"

	"op25b/examples"
	"op25b/internal/check"
	"op25b/internal/check/desk"
	"op25b/internal/check/mailbox"
	"op25b/internal/policy"
	"op25b/internal/policy/policytest"
	"op25b/internal/strict"
	op25bv1 "op25b/proto/op25b/v1"
)

// fleetFiles returns the documents of 1,000 switches with 8 lines each, in 8 line groups.
func fleetFiles(t testing.TB) (*policy.Bundle, []*op25bv1.File) {
	t.Helper()
	b := policytest.Fleet(t)
	b.Policy.Exemptions, b.Policy.LineGroups = nil, nil
	for i := range 8 {
		b.Policy.LineGroups = append(b.Policy.LineGroups, policy.LineGroup{Name: fmt.Sprintf("group-%d", i)})
	}
	for i := range b.Inventory.Switches {
		for j := range b.Inventory.Switches[i].Lines {
			l := &b.Inventory.Switches[i].Lines[j]
			l.Group, l.MACs = b.Policy.LineGroups[j].Name, nil
		}
	}
	var files []*op25bv1.File
	for kind, doc := range map[string]any{policy.KindPolicy: b.Policy, policy.KindInventory: b.Inventory} {
		data, err := strict.Encode(kind, doc)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, &op25bv1.File{Name: kind + ".yaml", Data: data})
	}
	return b, files
}

// oneHost is a resolver that knows one address for all names.
type oneHost struct{}

func (oneHost) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	return []netip.Addr{netip.MustParseAddr("203.0.113.129")}, nil
}

func (oneHost) LookupMX(context.Context, string) ([]*net.MX, error) { return nil, nil }

// BenchmarkAskOwnLine measures questions of visitors over gRPC, from 8,000 lines behind 1,000 switches. It compares each kind of question with
// a question to package check for one port of a server: one that it has to play through the pipeline (x-asked), and one that it was asked
// before (x-known).
func BenchmarkAskOwnLine(b *testing.B) {
	directory, err := mailbox.Load(examples.Providers())
	if err != nil {
		b.Fatal(err)
	}
	now := time.Date(2006, 11, 1, 0, 0, 0, 0, time.UTC)
	w := newWorld(b, func(d *Deps) {
		d.Providers = directory
		d.OwnLine = desk.New(desk.Options{Directory: directory, Resolver: desk.NewBounded(oneHost{}), Now: func() time.Time { return now }})
	})
	w.now = now
	bundle, files := fleetFiles(b)
	w.put(files)
	watch, err := op25bv1.NewPortalServiceClient(w.dial()).WatchPublication(b.Context(), &op25bv1.WatchPublicationRequest{})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := watch.Recv(); err != nil {
		b.Fatal(err)
	}
	const callers = 16
	conns := make([]*grpc.ClientConn, callers)
	for i := range conns {
		conns[i] = w.dial()
	}
	address := func(i int) string { return fmt.Sprintf("10.0.%d.%d", i%8000>>8, i%8000&255) }
	for _, c := range []struct {
		name string
		ask  func(i int) *op25bv1.AskOwnLineRequest
	}{
		{"line", func(i int) *op25bv1.AskOwnLineRequest { return &op25bv1.AskOwnLineRequest{Address: address(i)} }},
		{"server by address", func(i int) *op25bv1.AskOwnLineRequest { return ownServer(address(i), "203.0.113.129") }},
		{"server by name", func(i int) *op25bv1.AskOwnLineRequest { return ownServer(address(i), "smtp.example") }},
		{"mailbox", func(i int) *op25bv1.AskOwnLineRequest { return ownMailbox(address(i), "taro@gmail.com", "ja") }},
	} {
		b.Run(c.name, func(b *testing.B) {
			ask := func(conn int, i int) {
				a, err := op25bv1.NewPortalServiceClient(conns[conn]).AskOwnLine(b.Context(), c.ask(i))
				if err != nil || !a.Known || a.Phase == nil {
					b.Errorf("%v, %v", a, err)
				}
			}
			for i := range 8 { // loads the pipelines
				ask(0, i)
			}
			asked, known := floors(b, bundle, now)
			var next atomic.Int64
			took := make([][]time.Duration, callers)
			var all sync.WaitGroup
			b.ResetTimer()
			began := time.Now()
			for k := range callers {
				all.Go(func() {
					for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
						start := time.Now()
						ask(k, int(i))
						took[k] = append(took[k], time.Since(start))
					}
				})
			}
			all.Wait()
			total := time.Since(began)
			each := slices.Concat(took...)
			slices.Sort(each)
			b.ReportMetric(float64(b.N)/total.Seconds(), "calls/s")
			b.ReportMetric(float64(total)/float64(b.N)/float64(asked), "x-asked")
			b.ReportMetric(float64(total)/float64(b.N)/float64(known), "x-known")
			b.ReportMetric(float64(each[len(each)*99/100].Microseconds())/1000, "p99-ms")
		})
	}
}

// floors returns the time of a question to a checker whose pipelines are loaded: for a new server, and for one that it knows.
func floors(b *testing.B, bundle *policy.Bundle, now time.Time) (asked, known time.Duration) {
	b.Helper()
	c := check.New(check.Source{Bundle: bundle}, check.Options{Now: func() time.Time { return now }})
	ask := func(to netip.Addr) {
		if _, err := c.Ask(b.Context(), check.Question{Line: bundle.Inventory.Switches[0].Lines[0].Name, To: to.String(), Port: 25}); err != nil {
			b.Fatal(err)
		}
	}
	const times = 200
	to := netip.MustParseAddr("203.0.113.1")
	ask(to)
	measure := func(step bool) time.Duration {
		began := time.Now()
		for range times {
			if step {
				to = to.Next()
			}
			ask(to)
		}
		return time.Since(began) / times
	}
	return measure(true), measure(false)
}
