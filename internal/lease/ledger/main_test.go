package ledger

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"op25b/e2e/longform"
	"op25b/internal/intent"
	"op25b/internal/policy"
	"op25b/internal/store"
	"op25b/internal/strict"
	"op25b/internal/subscriber"
	"op25b/internal/subscriber/register"
)

func TestMain(m *testing.M) {
	longform.Rapid()
	goleak.VerifyTestMain(m)
}

// deadline limits every wait. A test that passes never reaches it.
const deadline = 30 * time.Second

func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	t.Cleanup(cancel)
	return ctx
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// documents returns documents with n dynamic lines, line-0 and so on, whose identity is the user name, and with static lines: shop, in the same
// group as the dynamic lines' but static; office, whose group has no lease; exempt, which is exempt; bare, which has no address.
func documents(n int) []strict.File {
	var b strings.Builder
	b.WriteString(`apiVersion: op25b/v1
kind: Policy
name: p
lineGroups: [{name: dial, addressing: dynamic}, {name: fixed, addressing: static}, {name: business, addressing: static}, {name: plain, addressing: static}]
services: [{name: smtp, ports: [25]}, {name: submission, ports: [587]}, {name: submissions, ports: [465]}]
remotes: [{name: mail, own: true, prefixes: [198.51.100.16/28]}]
leases:
  - {name: pop, opens: [mail], for: 10m, cap: 30m, groups: [dial, fixed]}
  - {name: pop-tls, opens: [mail], for: 10m, cap: 30m, groups: [fixed, business], tls: required}
phases:
  - name: stop
    effective: 2026-01-01
    ownServices: [submission, submissions]
    rules:
      - {name: leased-mail, subscriber: leased, service: smtp, remote: mail, action: permit}
      - {name: own-mail, service: smtp, remote: mail, action: drop}
      - {name: all, service: smtp, action: drop}
---
apiVersion: op25b/v1
kind: Inventory
switches:
  - name: edge-1
    deviceID: 1
    p4runtime: 127.0.0.1:9559
    gnmi: 127.0.0.1:9339
    identify: user-name
    ports: [{port: 1, name: olt, role: access}, {port: 2, name: core, role: network}]
    lines:
      - {name: shop, port: olt, vlan: 4000, group: fixed, prefixes: [192.0.2.13/32, "2001:db8:13::/56"]}
      - {name: office, port: olt, vlan: 4001, group: business, prefixes: [192.0.2.14/32]}
      - {name: exempt, port: olt, vlan: 4002, group: fixed, prefixes: [192.0.2.15/32]}
      - {name: bare, port: olt, vlan: 4003, group: fixed}
      - {name: other, port: olt, vlan: 4004, group: plain, prefixes: [192.0.2.16/32]}
`)
	for i := range n {
		fmt.Fprintf(&b, "      - {name: line-%d, port: olt, vlan: %d, innerVLAN: %d, group: dial}\n", i, 1+i/4000, 1+i%4000)
	}
	exempt := "apiVersion: op25b/v1\nkind: Exemptions\nexemptions: [{line: exempt, owner: noc, reason: own server, expires: 2027-01-01}]\n"
	return []strict.File{{Name: "all.yaml", Data: []byte(b.String())}, {Name: "exemptions.yaml", Data: []byte(exempt)}}
}

// addressDocuments returns documents of n dynamic lines, in which the lease pop is for addresses, too, with two switches in front of the mail
// servers.
func addressDocuments(n int) []strict.File {
	files := documents(n)
	replacer := strings.NewReplacer(
		"groups: [dial, fixed]}", "groups: [dial, fixed], addresses: true, except: [203.0.113.240/28]}",
		"exemptions: [", "exemptions: [{prefix: 203.0.113.0/25, owner: noc, reason: laboratory, expires: 2027-01-01}, {prefix: 203.0.113.0/28, owner: noc, reason: ended, expires: 2026-01-01}, ",
		"switches:\n", `switches:
  - {name: servers-1, deviceID: 2, p4runtime: "127.0.0.1:9560", gnmi: "127.0.0.1:9340", addressLeases: true, ports: [{port: 1, name: out, role: access}, {port: 2, name: core, role: network}]}
  - {name: servers-2, deviceID: 3, p4runtime: "127.0.0.1:9561", gnmi: "127.0.0.1:9341", addressLeases: true, ports: [{port: 1, name: out, role: access}, {port: 2, name: core, role: network}]}
`)
	for i := range files {
		files[i].Data = []byte(replacer.Replace(string(files[i].Data)))
	}
	return files
}

// open opens a store with documents of n dynamic lines.
func open(t testing.TB, dir string, n int) *store.Store {
	t.Helper()
	s := must(store.Open(within(t), store.Config{Dir: dir}))(t)
	t.Cleanup(func() { _ = s.Close() })
	apply(t, s, documents(n))
	return s
}

func apply(t testing.TB, s *store.Store, files []strict.File) {
	t.Helper()
	b := intent.NewBook(s, time.Now)
	must(b.Put(within(t), must(b.Propose(within(t), files))(t), intent.By{Who: "alice", Role: "operator", Reason: "test"}))(t)
}

// A clock is a wall clock that a test sets.
type clock struct {
	mu sync.Mutex // guards at
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func noon() time.Time { return time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC) }

// run runs a part of a controller until the end of the test, and waits until it is ready.
func run(t testing.TB, part interface {
	Run(context.Context)
	Ready() <-chan struct{}
},
) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); part.Run(ctx) }()
	t.Cleanup(func() { stop(); <-ended })
	select {
	case <-part.Ready():
	case <-within(t).Done():
		t.Fatal("not ready")
	}
}

// A world is a store with the register and the ledger of one controller.
type world struct {
	store    *store.Store
	clock    *clock
	register *register.Register
	ledger   *Ledger
}

// beside returns another controller of the store.
func (w world) beside(t testing.TB) world {
	t.Helper()
	w.register = must(register.New(register.Config{Store: w.store, Book: intent.NewBook(w.store, time.Now), Key: register.Key{1}, Now: w.clock.now}))(t)
	run(t, w.register)
	w.ledger = New(Config{Store: w.store, Book: intent.NewBook(w.store, time.Now), Sessions: w.register, Key: &register.Key{1}, Now: w.clock.now})
	run(t, w.ledger)
	return w
}

func newWorld(t testing.TB, lines int) world {
	t.Helper()
	w := world{store: open(t, t.TempDir(), lines), clock: &clock{at: noon()}}
	return w.beside(t)
}

// session reports an event of a session of a dynamic line, and waits until the register knows it.
func (w world) session(t testing.TB, kind subscriber.Kind, line int, id string, prefixes ...string) {
	t.Helper()
	e := subscriber.Event{
		Kind: kind, NAS: "bng-1", Session: id, Time: w.clock.now(), Interval: 10 * time.Minute,
		Identities: map[policy.Identify]string{policy.IdentifyUserName: fmt.Sprint("line-", line)},
	}
	for _, p := range prefixes {
		e.Prefixes = append(e.Prefixes, netip.MustParsePrefix(p))
	}
	must(w.register.Report(within(t), e, nil))(t)
	wait(t, func() bool {
		began, has, _ := w.register.Began(fmt.Sprint("line-", line))
		return has == (kind == subscriber.Start) && (!has || began.Equal(e.Time))
	}, "the register does not know the session")
}

// wait waits until a condition is met.
func wait(t testing.TB, met func() bool, otherwise string) {
	t.Helper()
	for ctx := within(t); !met(); {
		if !store.Pause(ctx, time.Millisecond) {
			t.Fatal(otherwise)
		}
	}
}

// until waits until a ledger says that a line has a lease until some time after noon; 0 means that it has none.
func (w world) until(t testing.TB, line string, after time.Duration) {
	t.Helper()
	wait(t, func() bool {
		l, has, known := w.ledger.Lease(line)
		return known && has == (after > 0) && (!has || l.End.Equal(noon().Add(after)))
	}, fmt.Sprintf("%s has no lease until %v after noon", line, after))
}
