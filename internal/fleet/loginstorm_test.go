package fleet

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"

	"op25b/e2e/longform"
	"op25b/internal/intent"
	"op25b/internal/lease/ledger"
	"op25b/internal/lease/mailserver"
	"op25b/internal/p4rt"
	"op25b/internal/policy"
	"op25b/internal/store"
	"op25b/internal/strict"
)

const (
	stormLogins  = 10_000
	stormRate    = 1000 // logins a second
	stormChanges = 30   // changes of phase, an even number, so that the last one puts the first phase in force again
)

// stormDocuments returns documents with stormLogins lines on two switches.
func stormDocuments(switches []*testSwitch) []strict.File {
	var b strings.Builder
	b.WriteString(`apiVersion: op25b/v1
kind: Policy
name: p
lineGroups: [{name: fixed, addressing: static}]
services: [{name: smtp, ports: [25]}, {name: submission, ports: [587]}, {name: submissions, ports: [465]}]
remotes: [{name: mail, own: true, prefixes: [198.51.100.16/28]}]
leases: [{name: pop, opens: [mail], for: 10m, cap: 30m}]
phases:
  - name: watch
    effective: 2006-01-01
    rules: [{name: all, service: smtp, action: monitor}]
  - name: stop
    effective: 2006-02-01
    ownServices: [submission, submissions]
    rules:
      - {name: leased-mail, subscriber: leased, service: smtp, remote: mail, action: permit}
      - {name: own-mail, service: smtp, remote: mail, action: drop}
      - {name: all, service: smtp, action: drop}
---
apiVersion: op25b/v1
kind: Inventory
switches:
`)
	for i, x := range switches {
		fmt.Fprintf(&b, `  - name: %s
    deviceID: %d
    p4runtime: %s
    gnmi: 127.0.0.1:9339
    ports: [{port: 1, name: olt, role: access}, {port: 2, name: core, role: network}]
    lines:
`, x.name, x.id, x.addr)
		for n := i; n < stormLogins; n += len(switches) {
			fmt.Fprintf(&b, "      - {name: line-%d, port: olt, vlan: %d, innerVLAN: %d, group: fixed, prefixes: [%s]}\n",
				n, 1+n/4000, 1+n%4000, benchAddress(n))
		}
	}
	return []strict.File{{Name: "all.yaml", Data: []byte(b.String())}}
}

// A stormWorld is a controller with two switches, to which mail servers report logins.
type stormWorld struct {
	t    *testing.T
	book *intent.Book
	url  string

	mu    sync.Mutex                     // guards the fields below
	begun map[netip.Prefix]time.Time     // when the login from an address began
	took  map[netip.Prefix]time.Duration // how long it took until the switch had answered the write of its lease
	flips chan time.Time
}

func newStormWorld(t *testing.T) *stormWorld {
	t.Helper()
	w := &stormWorld{t: t, begun: make(map[netip.Prefix]time.Time), took: make(map[netip.Prefix]time.Duration), flips: make(chan time.Time, 16)}
	s := embeddedStore(t)
	w.book = intent.NewBook(s, time.Now)
	switches := []*testSwitch{startTestSwitch(t, 1, "127.0.0.1:0"), startTestSwitch(t, 2, "127.0.0.1:0")}
	in := apply(t, w.book, stormDocuments(switches))
	leases := ledger.New(ledger.Config{Store: s, Book: w.book})
	ctx, stop := context.WithCancel(context.Background())
	var parts sync.WaitGroup
	t.Cleanup(func() { stop(); parts.Wait() })
	parts.Go(func() { leases.Run(ctx) })
	listener := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	web := &http.Server{Handler: mailserver.New(mailserver.Config{Leases: leases, Record: func(context.Context, string) error { return nil }})}
	parts.Go(func() { _ = web.Serve(listener) })
	t.Cleanup(func() { _ = web.Close() })
	w.url = "http://" + listener.Addr().String() + mailserver.DovecotPath + "?command=report"
	<-leases.Ready()
	r := start(t, Config{Name: "noc-1", Store: s, Book: w.book, Now: time.Now, Leases: leases})
	for _, x := range switches {
		r.converged(x.name, in.Number)
	}
	for _, x := range switches {
		x.mu.Lock()
		x.after = func(r *p4v1.WriteRequest) { w.wrote(r, x == switches[0]) }
		x.mu.Unlock()
	}
	return w
}

// wrote is called after a switch has executed a write. Changes of phase are measured on one of them.
func (w *stormWorld) wrote(r *p4v1.WriteRequest, flips bool) {
	now := time.Now()
	for _, u := range r.Updates {
		e, err := p4rt.EntryOf(u.Entity)
		if err != nil {
			continue
		}
		if _, is := e.IsRunningEpoch(); is && flips {
			w.flips <- now
		}
		if _, is := e.IsSubscriber(); !is {
			continue
		}
		p, _ := e.Prefix()
		w.mu.Lock()
		if _, known := w.took[p]; u.Type == p4v1.Update_DELETE {
			delete(w.took, p)
		} else if !known {
			w.took[p] = now.Sub(w.begun[p])
		}
		w.mu.Unlock()
	}
}

// login reports the login of a line, and reports whether the lease was acknowledged.
func (w *stormWorld) login(client *http.Client, i int) bool {
	p := benchAddress(i)
	w.mu.Lock()
	w.begun[p] = time.Now()
	w.mu.Unlock()
	resp, err := client.Post(w.url, "application/json", strings.NewReader(fmt.Sprintf(
		`{"login":"alice","pwhash":"0ab0","remote":%q,"device_id":"","protocol":"pop3","success":true,"policy_reject":false,"tls":true}`, p.Addr())))
	if err != nil {
		return false
	}
	defer func() { _ = resp.Body.Close() }()
	_, err = io.Copy(io.Discard, resp.Body)
	return err == nil && resp.StatusCode == http.StatusOK
}

// changes measures changes of phase, from the call until the switch has answered the write that puts the phase in force. The times are in order.
func (w *stormWorld) changes() (all []time.Duration) {
	in := must(w.book.Current(within(w.t)))(w.t)
	for i := range stormChanges {
		began := time.Now()
		in = must(w.book.Activate(within(w.t), in.Number, []string{"watch", "stop"}[i%2], policy.Scope{}, by))(w.t)
		select {
		case flipped := <-w.flips:
			all = append(all, flipped.Sub(began))
		case <-within(w.t).Done():
			w.t.Fatal("the phase is not in force")
		}
	}
	slices.Sort(all)
	return all
}

// inForce returns how long each of the leases took that the switches have, of those of the given addresses.
func (w *stormWorld) inForce(of map[netip.Prefix]bool) (times []time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for p := range of {
		if d, is := w.took[p]; is {
			times = append(times, d)
		}
	}
	return times
}

// TestLoginStorm reports 10,000 logins in 10 s, each of another line, as after an outage, and changes the phase meanwhile. Every lease that was
// acknowledged must reach its switch, and no change of phase may wait for the logins. The times are printed, not judged, because the machine may be
// busy: only a change that takes longer than 10 s fails.
func TestLoginStorm(t *testing.T) {
	if !longform.On() {
		t.Skip("10,000 logins: set OP25B_LONG=1")
	}
	w := newStormWorld(t)
	alone := w.changes()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: inFlight}}
	defer client.CloseIdleConnections()
	var mu sync.Mutex
	acknowledged := make(map[netip.Prefix]bool)
	began := time.Now()
	var reports sync.WaitGroup
	reports.Go(func() {
		paced(stormLogins, stormRate, func(i int) {
			if w.login(client, i) {
				mu.Lock()
				acknowledged[benchAddress(i)] = true
				mu.Unlock()
			}
		})
	})
	during := w.changes()
	for time.Since(began) < stormLogins/stormRate*time.Second/2 { // over the storm, and not only at its beginning
		during = append(during, w.changes()...)
	}
	slices.Sort(during)
	reports.Wait()
	took := time.Since(began)
	if len(acknowledged) < stormLogins {
		t.Errorf("%d of %d logins were acknowledged", len(acknowledged), stormLogins)
	}
	var times []time.Duration
	for ctx := within(t); len(times) < len(acknowledged); {
		if times = w.inForce(acknowledged); len(times) < len(acknowledged) && !store.Pause(ctx, 10*time.Millisecond) {
			t.Fatalf("%d of %d acknowledged leases are on the switches", len(times), len(acknowledged))
		}
	}
	slices.Sort(times)
	median := func(all []time.Duration) time.Duration { return all[len(all)/2].Round(100 * time.Microsecond) }
	t.Logf("%d logins in %v; the switch had a lease %v after the login began (median; the last %v)", stormLogins, took.Round(time.Millisecond),
		median(times), times[len(times)-1].Round(time.Millisecond))
	t.Logf("a change of phase: alone %v at least, %v at the median, %v at most of %d; meanwhile %v, %v, %v of %d",
		alone[0].Round(100*time.Microsecond), median(alone), alone[len(alone)-1].Round(time.Millisecond), len(alone),
		during[0].Round(100*time.Microsecond), median(during), during[len(during)-1].Round(time.Millisecond), len(during))
	if most := during[len(during)-1]; most > 10*time.Second {
		t.Errorf("a change of phase took %v during the logins", most)
	}
}
