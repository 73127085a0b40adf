package mailserver

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"op25b/internal/intent"
	"op25b/internal/policy"
	"op25b/internal/store"
)

// TestStorm reports 10,000 logins, each of another line, as after an outage, and activates a phase meanwhile. No report may be refused, every lease
// that was acknowledged must be in the store, and the phase must not wait for the reports. A busy host takes longer than 10 seconds, so that is only
// logged.
func TestStorm(t *testing.T) {
	if testing.Short() {
		t.Skip("10,000 requests")
	}
	s := must(store.Open(t.Context(), store.Config{Dir: t.TempDir()}))(t)
	defer s.Close()
	apply(t, s)
	l, server := part(s)
	ctx, stop := context.WithTimeout(t.Context(), 2*time.Minute)
	var parts sync.WaitGroup
	defer func() { stop(); parts.Wait() }()
	parts.Go(func() { l.Run(ctx) })
	listener := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	web := &http.Server{Handler: server}
	parts.Go(func() { _ = web.Serve(listener) })
	defer web.Close()
	<-l.Ready()
	r := reporter{&http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}, "http://" + listener.Addr().String()}
	defer r.client.CloseIdleConnections()
	book := intent.NewBook(s, time.Now)
	// activations returns how long each of n changes of phase takes.
	activations := func(n int) (all []time.Duration) {
		for i := range n {
			in := must(book.Current(ctx))(t)
			began := time.Now()
			must(book.Activate(ctx, in.Number, "stop", policy.Scope{}, intent.By{Who: "alice", Role: "operator", Reason: fmt.Sprint("test ", i)}))(t)
			all = append(all, time.Since(began))
		}
		slices.Sort(all)
		return all
	}
	const changes = 15
	alone := activations(changes)
	var mu sync.Mutex
	next, lost := 0, 0
	began := time.Now()
	var reports sync.WaitGroup
	for range 64 {
		reports.Go(func() {
			for {
				mu.Lock()
				i := next
				next++
				mu.Unlock()
				if i >= lines {
					return
				}
				if !r.report(ctx, i) {
					mu.Lock()
					lost++
					mu.Unlock()
				}
			}
		})
	}
	during := activations(changes)
	reports.Wait()
	took := time.Since(began)
	found := 0
	for i := range lines {
		if _, has, known := l.Lease(fmt.Sprint("line-", i)); has && known {
			found++
		}
	}
	if lost > 0 || found != lines {
		t.Errorf("%d of %d reports were not acknowledged, and %d leases are in the store", lost, lines, found)
	}
	t.Logf("%d logins in %v (%.0f a second); a change of phase took %v alone and %v meanwhile (median of %d), at most %v and %v",
		lines, took.Round(time.Millisecond), lines/took.Seconds(), alone[changes/2].Round(time.Microsecond), during[changes/2].Round(time.Microsecond), changes,
		alone[changes-1].Round(time.Microsecond), during[changes-1].Round(time.Microsecond))
	if most := 10 * time.Second; took > most {
		t.Logf("slower than %v: this host is busy", most)
	}
	if ratio := float64(during[changes/2]) / float64(alone[changes/2]); ratio > 50 {
		t.Errorf("a change of phase takes %.0f times as long during the storm", ratio)
	}
}
