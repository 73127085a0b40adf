package fleet

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"

	"op25b/internal/compile"
	"op25b/internal/intent"
	"op25b/internal/p4rt"
	"op25b/internal/pipeline"
	"op25b/internal/policy"
	"op25b/internal/store"
	"op25b/internal/strict"
	"op25b/internal/subscriber"
	"op25b/internal/subscriber/register"
)

const (
	benchLines = 8000
	benchRate  = 2000 // starts a second
	inFlight   = 128  // reports that are not answered yet
)

// benchSessionDocuments returns documents with benchLines lines, whose sources are checked. The start of a session adds an entry and removes two.
func benchSessionDocuments(x *testSwitch) []strict.File {
	var b strings.Builder
	fmt.Fprintf(&b, `apiVersion: op25b/v1
kind: Policy
name: p
lineGroups: [{name: dial, addressing: dynamic, sourceCheck: drop}]
services: [{name: smtp, ports: [25]}, {name: submission, ports: [587]}, {name: submissions, ports: [465]}]
remotes: [{name: relay, relay: true, prefixes: [198.51.100.16/28]}]
phases:
  - {name: watch, effective: 2006-01-01, rules: [{name: all, service: smtp, action: monitor}]}
  - {name: stop, effective: 2006-02-01, rules: [{name: all, service: smtp, action: drop}]}
---
apiVersion: op25b/v1
kind: Inventory
switches:
  - name: %s
    deviceID: %d
    p4runtime: %s
    gnmi: 127.0.0.1:9339
    identify: user-name
    ports: [{port: 1, name: olt, role: access}, {port: 2, name: core, role: network}]
    lines:
`, x.name, x.id, x.addr)
	for i := range benchLines {
		fmt.Fprintf(&b, "      - {name: line-%d, port: olt, vlan: %d, innerVLAN: %d, group: dial}\n", i, 1+i/4000, 1+i%4000)
	}
	return []strict.File{{Name: "all.yaml", Data: []byte(b.String())}}
}

func benchAddress(i int) netip.Prefix {
	a := [4]byte{10, 0, 0, 0}
	binary.BigEndian.PutUint16(a[2:], uint16(i))
	a[1] = byte(i >> 16)
	return netip.PrefixFrom(netip.AddrFrom4(a), 32)
}

// A sessionBench is a controller with a switch. It measures when the switch has answered the write of an address, and of a phase.
type sessionBench struct {
	b     *testing.B
	x     *testSwitch
	store *store.Store
	book  *intent.Book
	reg   *register.Register

	mu    sync.Mutex // guards all following fields
	begun map[netip.Prefix]time.Time
	took  []time.Duration
	done  chan struct{} // gets a value when an address is in force
	flips chan time.Time
}

func newSessionBench(b *testing.B) *sessionBench {
	b.Helper()
	w := &sessionBench{b: b, x: startTestSwitch(b, 1, "127.0.0.1:0"), store: embeddedStore(b), begun: make(map[netip.Prefix]time.Time), done: make(chan struct{}, 1<<20), flips: make(chan time.Time, 16)}
	now := clockAt(allDestinations).now
	w.book = intent.NewBook(w.store, now)
	in := apply(b, w.book, benchSessionDocuments(w.x))
	w.reg = startRegister(b, w.store, w.book, now)
	r := start(b, Config{Name: "noc-1", Store: w.store, Book: w.book, Now: now, Sessions: w.reg})
	r.converged(w.x.name, in.Number)
	w.x.mu.Lock()
	w.x.after = w.wrote
	w.x.mu.Unlock()
	return w
}

// wrote is called after the switch has executed a write.
func (w *sessionBench) wrote(r *p4v1.WriteRequest) {
	now := time.Now()
	for _, u := range r.Updates {
		if u.Type == p4v1.Update_DELETE {
			continue
		}
		e, err := p4rt.EntryOf(u.Entity)
		if err != nil {
			continue
		}
		if _, is := e.IsRunningEpoch(); is {
			w.flips <- now
		}
		if !e.IsSource() || compile.Wide(e) {
			continue
		}
		w.mu.Lock()
		if begun, is := w.begun[e.SourcePrefix()]; is {
			w.took = append(w.took, now.Sub(begun))
			delete(w.begun, e.SourcePrefix())
			w.done <- struct{}{}
		}
		w.mu.Unlock()
	}
}

func (w *sessionBench) report(i int) {
	p := benchAddress(i)
	w.mu.Lock()
	w.begun[p] = time.Now()
	w.mu.Unlock()
	e := subscriber.Event{
		Kind: subscriber.Start, NAS: "bng-1", Session: fmt.Sprint("s", i), Time: allDestinations.Add(time.Duration(i/benchLines) * time.Second), Interval: 10 * time.Minute,
		Identities: map[policy.Identify]string{policy.IdentifyUserName: fmt.Sprint("line-", i%benchLines)}, Prefixes: []netip.Prefix{p},
	}
	if _, err := w.reg.Report(context.Background(), e, nil); err != nil {
		w.b.Error(err)
	}
}

// median waits until n addresses are in force, and returns the median of their times.
func (w *sessionBench) median(n int) time.Duration {
	w.b.Helper()
	over := time.After(2 * deadline)
	for range n {
		select {
		case <-w.done:
		case <-over:
			w.b.Fatalf("only %d of %d addresses are in force", len(w.took), n)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	slices.Sort(w.took)
	return w.took[len(w.took)/2]
}

// paced calls f n times at a rate a second, on up to inFlight goroutines.
func paced(n, rate int, f func(i int)) {
	began := time.Now()
	var next atomic.Int64
	var work sync.WaitGroup
	for range inFlight {
		work.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				if rate > 0 {
					time.Sleep(time.Until(began.Add(time.Duration(i) * time.Second / time.Duration(rate))))
				}
				f(i)
			}
		})
	}
	work.Wait()
}

// BenchmarkSessions measures the starts of sessions until the embedded switch has answered the write of their entries. The floors are the bare writes
// of an equally large record to the store, and of the same entries to the switch. Run it with -benchtime=8000x.
func BenchmarkSessions(b *testing.B) {
	b.Run("floor/store", func(b *testing.B) {
		records := store.JSON[[]byte](embeddedStore(b), "bench")
		b.ResetTimer()
		began := time.Now()
		paced(b.N, 0, func(i int) {
			if _, err := records.PutIf(context.Background(), fmt.Sprint("line-", i), store.AnyVersion, make([]byte, 350)); err != nil {
				b.Error(err)
			}
		})
		b.ReportMetric(float64(b.N)/time.Since(began).Seconds(), "starts/s")
	})
	b.Run("floor/switch", func(b *testing.B) {
		w := newSessionBench(b)
		lines := must(must(w.book.Current(context.Background()))(b).SessionLines(w.x.name, allDestinations))(b)
		var inserts, deletes []pipeline.Update
		for i := range min(b.N, benchLines) {
			name := fmt.Sprint("line-", i)
			for _, e := range lines.Entries(name, []netip.Prefix{benchAddress(i)})[:1] {
				inserts = append(inserts, pipeline.Update{Kind: pipeline.Insert, Entry: &e})
			}
			for _, e := range lines.Entries(name, nil)[:2] {
				deletes = append(deletes, pipeline.Update{Kind: pipeline.Delete, Entry: &e})
			}
		}
		leader := w.x.leader()
		s := w.x.session(b, p4rt.ElectionID{High: leader.GetHigh(), Low: leader.GetLow() + 1})
		if err := s.WaitPrimary(within(b)); err != nil {
			b.Fatal(err)
		}
		b.ResetTimer()
		began := time.Now()
		for some := range slices.Chunk(inserts, sessionBatch) {
			for _, updates := range [][]pipeline.Update{some, deletes[:2*len(some)]} {
				if err := s.WriteEntries(context.Background(), updates); err != nil {
					b.Fatal(err)
				}
			}
			deletes = deletes[2*len(some):]
		}
		b.ReportMetric(float64(len(inserts))/time.Since(began).Seconds(), "starts/s")
	})
	b.Run("fastest", func(b *testing.B) {
		w := newSessionBench(b)
		b.ResetTimer()
		began := time.Now()
		paced(b.N, 0, w.report)
		median := w.median(b.N)
		b.ReportMetric(float64(b.N)/time.Since(began).Seconds(), "starts/s")
		b.ReportMetric(float64(median.Milliseconds()), "median-ms")
	})
	b.Run("2000 a second", func(b *testing.B) {
		w := newSessionBench(b)
		b.ResetTimer()
		began := time.Now()
		paced(b.N, benchRate, w.report)
		median := w.median(b.N)
		b.ReportMetric(float64(b.N)/time.Since(began).Seconds(), "starts/s")
		b.ReportMetric(float64(median.Milliseconds()), "median-ms")
	})
	b.Run("phase", func(b *testing.B) {
		w := newSessionBench(b)
		b.ResetTimer()
		for _, load := range []string{"idle", "loaded"} {
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				if load == "loaded" {
					paced(max(b.N, 4*benchRate), benchRate, w.report)
				}
			}()
			for what, took := range w.phases(30) {
				b.ReportMetric(float64(took[0].Microseconds())/1000, load+"-"+what+"-min-ms")
				b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, load+"-"+what+"-median-ms")
			}
			<-ended
		}
	})
}

// phases measures n changes of phase, an even number, so that the last one puts the first phase in force again. The times of each part are in order:
// of a bare write to the store, until an activation is stored, from then until the switch has answered the write that puts the phase in force, and of
// the whole change.
func (w *sessionBench) phases(n int) map[string][]time.Duration {
	w.b.Helper()
	all := make(map[string][]time.Duration)
	records := store.JSON[[]byte](w.store, "bench")
	in := must(w.book.Current(context.Background()))(w.b)
	for i := range n {
		began := time.Now()
		must(records.PutIf(context.Background(), "phase", store.AnyVersion, make([]byte, 350)))(w.b)
		all["bare"] = append(all["bare"], time.Since(began))
		began = time.Now()
		in = must(w.book.Activate(context.Background(), in.Number, []string{"watch", "stop"}[i%2], policy.Scope{}, by))(w.b)
		is := time.Now()
		flipped := <-w.flips
		all["stored"] = append(all["stored"], is.Sub(began))
		all["flip"] = append(all["flip"], flipped.Sub(is))
		all["change"] = append(all["change"], flipped.Sub(began))
	}
	for _, took := range all {
		slices.Sort(took)
	}
	return all
}
