package register

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"op25b/internal/store"
	"op25b/internal/subscriber"
	"op25b/internal/subscriber/accounting"
)

// inFlight is the number of requests that are sent without waiting for an answer.
const inFlight = 128

// concurrently calls f with the numbers 0 to n-1, up to inFlight at once.
func concurrently(n int, f func(worker, i int)) {
	var next atomic.Int64
	var work sync.WaitGroup
	for worker := range inFlight {
		work.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				f(worker, i)
			}
		})
	}
	work.Wait()
}

// BenchmarkStarts measures the starts of sessions: the bare write of an equally large record to the store, which is the floor, Report without RADIUS,
// and accounting requests over UDP until their answers arrive. The metric starts/s is for inFlight requests at once.
func BenchmarkStarts(b *testing.B) {
	const lines = 8000
	run := func(name string, each func(b *testing.B, s *store.Store, r *Register) func(worker, i int)) {
		b.Run(name, func(b *testing.B) {
			s := open(b, b.TempDir(), lines)
			r := start(b, Config{Store: s, Key: testKey()})
			f := each(b, s, r)
			b.ResetTimer()
			began := time.Now()
			concurrently(b.N, f)
			b.ReportMetric(float64(b.N)/time.Since(began).Seconds(), "starts/s")
		})
	}
	run("floor", func(b *testing.B, s *store.Store, r *Register) func(int, int) {
		records := store.JSON[sealed](s, "bench")
		return func(_, i int) {
			if _, err := records.PutIf(context.Background(), fmt.Sprint("line-", i), store.AnyVersion, sealed{make([]byte, 350)}); err != nil {
				b.Error(err)
			}
		}
	})
	run("report", func(b *testing.B, _ *store.Store, r *Register) func(int, int) {
		return func(_, i int) {
			e := event(subscriber.Start, i%lines, fmt.Sprint("s", i), time.Now(), addressOf(i%lines)+"/32")
			if _, err := r.Report(context.Background(), e, nil); err != nil {
				b.Error(err)
			}
		}
	})
	run("radius", func(b *testing.B, _ *store.Store, r *Register) func(int, int) {
		dir := b.TempDir()
		for name, content := range map[string]string{
			"secret":       secret,
			"clients.yaml": "apiVersion: op25b/v1\nkind: RadiusClients\nclients: [{name: bng-1, address: 127.0.0.1, secretFile: secret}]\n",
		} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
				b.Fatal(err)
			}
		}
		clients, _, err := accounting.OpenClients(filepath.Join(dir, "clients.yaml"))
		if err != nil {
			b.Fatal(err)
		}
		server := must(accounting.Listen("127.0.0.1:0", accounting.Config{Clients: clients, Report: r.Report}))(b)
		ctx, stop := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- server.Serve(ctx) }()
		b.Cleanup(func() { stop(); <-ended })
		conns := make([]net.Conn, inFlight)
		for i := range conns {
			conns[i] = must(net.Dial("udp", server.Addr().String()))(b)
			b.Cleanup(func() { _ = conns[i].Close() })
		}
		return func(worker, i int) {
			for !exchange(b, conns[worker], i%lines) { // an unanswered request is repeated
			}
		}
	})
}
