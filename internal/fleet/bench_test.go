package fleet

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"op25b/internal/intent"
	"op25b/internal/p4rt"
	"op25b/internal/pipeline"
	"op25b/internal/policy"
	"op25b/internal/store"
	"op25b/internal/strict"
)

// The size of the fleet and of each switch. Most entries come from the policy and are the same on all switches.
const (
	fleetSize    = 1000
	fleetLines   = 20
	fleetRemotes = 860
)

// fleetDocuments returns a policy and an inventory whose switches are the light switches at addr.
func fleetDocuments(addr string) []strict.File {
	var inv, p strings.Builder
	inv.WriteString("apiVersion: op25b/v1\nkind: Inventory\nswitches:\n")
	for i := 1; i <= fleetSize; i++ {
		fmt.Fprintf(&inv, "  - name: edge-%d\n    deviceID: %d\n    p4runtime: %s\n    gnmi: 127.0.0.1:1\n    ports:\n", i, i, addr)
		inv.WriteString("      - {port: 500, name: core, role: network}\n      - {port: 1, name: a1, role: access}\n    lines:\n")
		for j := range fleetLines {
			fmt.Fprintf(&inv, "      - {name: line-%d-%d, port: a1, vlan: %d, group: adsl, macs: [\"02:00:00:00:01:%02x\"], prefixes: [10.%d.%d.%d/32]}\n",
				i, j, j+1, j, i>>8, i&255, j)
		}
	}
	p.WriteString("apiVersion: op25b/v1\nkind: Policy\nname: fleet\nlineGroups: [{name: adsl, sourceCheck: drop}]\n" +
		"services: [{name: smtp, ports: [25]}, {name: submission, ports: [587, 465]}]\n" +
		"remotes:\n  - {name: relay, relay: true, prefixes: [198.51.100.0/28]}\n  - name: carrier\n    prefixes:\n")
	for i := range fleetRemotes {
		fmt.Fprintf(&p, "      - 2001:db8:%x::/48\n", i)
	}
	p.WriteString("phases:\n" +
		"  - {name: watch, effective: 2006-06-01, rules: [{name: carrier, service: smtp, remote: carrier, action: monitor}, {name: all, service: smtp, action: monitor}]}\n" +
		"  - {name: block, effective: 2006-10-01, rules: [{name: carrier, service: smtp, remote: carrier, action: drop}, {name: all, service: smtp, action: drop}]}\n")
	return []strict.File{{Name: "inventory.yaml", Data: []byte(inv.String())}, {Name: "policy.yaml", Data: []byte(p.String())}}
}

// A fleetBench is a fleet of light switches, with a store that contains its intent.
type fleetBench struct {
	*lightSwitches
	store *store.Store
	now   func() time.Time
	in    *intent.Intent
}

// startFleet starts a fleet and runs a controller until the fleet has converged.
func startFleet(b *testing.B) *fleetBench {
	b.Helper()
	light := startLight(b, fleetSize)
	s := openStore(b, store.Config{Dir: b.TempDir()})
	now := clockAt(allDestinations).now
	f := &fleetBench{lightSwitches: light, store: s, now: now}
	f.in = apply(b, intent.NewBook(s, now), fleetDocuments(light.addr))
	c := f.start(b)
	c.await(b, f.in.Number, "block")
	c.stop(b)
	return f
}

// A counted counts the switches of a controller that have reached a state.
type counted struct {
	book   *intent.Book
	cancel context.CancelFunc
	ended  chan error

	mu      sync.Mutex // guards all following fields
	last    map[string]Status
	is      func(Status) bool   // reports whether a switch has reached the awaited state
	left    map[string]struct{} // switches that have not reached the awaited state yet
	reached chan struct{}
}

func (f *fleetBench) start(b *testing.B) *counted {
	b.Helper()
	c := &counted{book: intent.NewBook(f.store, f.now), ended: make(chan error, 1), last: make(map[string]Status)}
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel = cancel
	cfg := Config{Name: "noc-1", Store: f.store, Book: c.book, Now: f.now, OnStatus: c.told}
	go func() { c.ended <- Run(ctx, cfg) }()
	return c
}

func (c *counted) told(st Status) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last[st.Switch] = st
	c.checkLocked(st)
}

func (c *counted) checkLocked(st Status) {
	if c.is == nil || !c.is(st) {
		return
	}
	if delete(c.left, st.Switch); len(c.left) == 0 {
		c.is = nil
		close(c.reached)
	}
}

// await waits until all switches have converged to the revision and the phases.
func (c *counted) await(b *testing.B, revision uint64, inForce string) {
	b.Helper()
	reached := make(chan struct{})
	c.mu.Lock()
	c.is = func(st Status) bool {
		return st.State == StateConverged && st.Revision == revision && st.InForce == inForce
	}
	c.reached, c.left = reached, make(map[string]struct{}, fleetSize)
	for i := range fleetSize {
		c.left[fmt.Sprintf("edge-%d", i+1)] = struct{}{}
	}
	for _, st := range c.last {
		c.checkLocked(st)
	}
	c.mu.Unlock()
	select {
	case <-reached:
	case <-time.After(5 * time.Minute):
		c.mu.Lock()
		defer c.mu.Unlock()
		b.Fatalf("%d of %d switches are not converged to revision %d: %+v", len(c.left), fleetSize, revision, c.last["edge-1"])
	}
}

func (c *counted) stop(b *testing.B) {
	b.Helper()
	c.cancel()
	if err := <-c.ended; err != nil {
		b.Fatal(err)
	}
}

// bare dials a switch without any of the controller's code.
func (f *fleetBench) bare(b *testing.B) *grpc.ClientConn {
	b.Helper()
	conn, err := grpc.NewClient(f.addr, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)))
	if err != nil {
		b.Fatal(err)
	}
	return conn
}

// bareReads connects to every switch and reads all of its entries, with the same parallelism as a controller.
func (f *fleetBench) bareReads(b *testing.B) time.Duration {
	b.Helper()
	began := time.Now()
	var work errgroup.Group
	work.SetLimit(ConvergingPerCPU * runtime.GOMAXPROCS(0))
	conns := make([]*grpc.ClientConn, fleetSize)
	var entries atomic.Int64
	for i := range conns {
		work.Go(func() error {
			conns[i] = f.bare(b)
			client := p4v1.NewP4RuntimeClient(conns[i])
			for _, table := range pipeline.TablesByRank() {
				stream, err := client.Read(b.Context(), &p4v1.ReadRequest{DeviceId: uint64(i + 1), Entities: []*p4v1.Entity{p4rt.Request(table)}})
				if err != nil {
					return err
				}
				for {
					m, err := stream.Recv()
					if err == io.EOF {
						break
					}
					if err != nil {
						return err
					}
					entries.Add(int64(len(m.GetEntities())))
				}
			}
			return nil
		})
	}
	if err := work.Wait(); err != nil {
		b.Fatal(err)
	}
	took := time.Since(began)
	for _, c := range conns {
		c.Close()
	}
	if got, want := entries.Load(), int64(fleetSize*(f.entries(1)+1)); got != want {
		b.Fatalf("%d entries were read, want %d", got, want)
	}
	return took
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkRestart starts a controller on a converged fleet. The controller must find that the fleet is converged, and write nothing. The
// result is compared with a bare client that connects to every switch and reads the same entries.
func BenchmarkRestart(b *testing.B) {
	f := startFleet(b)
	b.Logf("%s", f)
	var ours, floor time.Duration
	var memory, bare uint64
	b.ResetTimer()
	for b.Loop() {
		floor += f.bareReads(b)
		before := heap()
		f.writes.Store(0)
		began := time.Now()
		c := f.start(b)
		c.await(b, f.in.Number, "block")
		ours += time.Since(began)
		if n := f.writes.Load(); n != 0 {
			b.Fatalf("%d writes to switches that were in their state", n)
		}
		memory = heap() - before
		c.stop(b)
		bare = f.heldHeap(b)
	}
	b.ReportMetric(ours.Seconds()/float64(b.N), "s/restart")
	b.ReportMetric(floor.Seconds()/float64(b.N), "s/bare")
	b.ReportMetric(float64(ours)/float64(floor), "x/bare")
	b.ReportMetric(float64(memory)/fleetSize, "B/switch")
	b.ReportMetric(float64(bare)/fleetSize, "B/barestream")
	b.ReportMetric(0, "ns/op")
}

// heldHeap returns the heap that a bare stream to every switch takes. It includes both ends of the streams, because the light switches are
// in this process.
func (f *fleetBench) heldHeap(b *testing.B) uint64 {
	b.Helper()
	before := heap()
	conns := make([]*grpc.ClientConn, fleetSize)
	for i := range conns {
		conns[i] = f.bare(b)
		stream, err := p4v1.NewP4RuntimeClient(conns[i]).StreamChannel(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		err = stream.Send(&p4v1.StreamMessageRequest{Update: &p4v1.StreamMessageRequest_Arbitration{Arbitration: &p4v1.MasterArbitrationUpdate{
			DeviceId: uint64(i + 1), ElectionId: &p4v1.Uint128{Low: 1},
		}}})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := stream.Recv(); err != nil {
			b.Fatal(err)
		}
	}
	held := heap() - before
	for _, c := range conns {
		c.Close()
	}
	return held
}

// BenchmarkPhaseChange activates a phase by hand, and measures the time from the call until the phase is in force on the last switch. The
// result is compared with a bare Write of one MODIFY to each switch, all at once, over open connections.
func BenchmarkPhaseChange(b *testing.B) {
	f := startFleet(b)
	b.Logf("%s", f)
	c := f.start(b)
	defer c.stop(b)
	c.await(b, f.in.Number, "block")
	clients := make([]p4v1.P4RuntimeClient, fleetSize)
	for i := range clients {
		conn := f.bare(b)
		defer conn.Close()
		clients[i] = p4v1.NewP4RuntimeClient(conn)
		if _, err := clients[i].Capabilities(b.Context(), &p4v1.CapabilitiesRequest{}); err != nil {
			b.Fatal(err)
		}
	}
	bareWrites := func() time.Duration {
		began := time.Now()
		var work errgroup.Group
		for i, client := range clients {
			work.Go(func() error {
				d := f.devices[i+1]
				d.mu.Lock()
				same := d.epoch
				d.mu.Unlock()
				_, err := client.Write(b.Context(), &p4v1.WriteRequest{
					DeviceId: uint64(i + 1), ElectionId: &p4v1.Uint128{Low: 1},
					Updates: []*p4v1.Update{{Type: p4v1.Update_MODIFY, Entity: same}},
				})
				return err
			})
		}
		if err := work.Wait(); err != nil {
			b.Fatal(err)
		}
		return time.Since(began)
	}
	var ours, floor time.Duration
	revision, next := f.in.Number, "watch"
	b.ResetTimer()
	for b.Loop() {
		floor += bareWrites()
		f.writes.Store(0)
		f.updates.Store(0)
		var left atomic.Int64
		left.Store(fleetSize)
		done := make(chan struct{})
		tell := func(uint64) {
			if left.Add(-1) == 0 {
				close(done)
			}
		}
		f.onWrite.Store(&tell)
		began := time.Now()
		in, err := c.book.Activate(b.Context(), revision, next, policy.Scope{}, by)
		if err != nil {
			b.Fatal(err)
		}
		<-done
		ours += time.Since(began)
		f.onWrite.Store(nil)
		c.await(b, in.Number, next)
		if w, u := f.writes.Load(), f.updates.Load(); w != fleetSize || u != fleetSize {
			b.Fatalf("%d writes of %d updates, want one of one to each switch", w, u)
		}
		revision = in.Number
		next = map[string]string{"watch": "block", "block": "watch"}[next]
	}
	b.ReportMetric(ours.Seconds()*1000/float64(b.N), "ms/change")
	b.ReportMetric(floor.Seconds()*1000/float64(b.N), "ms/bare")
	b.ReportMetric(float64(ours)/float64(floor), "x/bare")
	b.ReportMetric(0, "ns/op")
}
