package register

import (
	"context"
	"fmt"
	"os"
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
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(killedEnv); dir != "" {
		killedProcess(dir)
		return
	}
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

// documents returns documents with n lines, line-0 and so on, on switch edge-1, whose identity is the user name.
func documents(n int) []strict.File {
	var b strings.Builder
	b.WriteString(`apiVersion: op25b/v1
kind: Policy
name: p
lineGroups: [{name: dial, addressing: dynamic}, {name: fixed, addressing: static}]
services: [{name: smtp, ports: [25]}, {name: submission, ports: [587]}, {name: submissions, ports: [465]}]
remotes: [{name: relay, relay: true, prefixes: [198.51.100.16/28]}]
phases: [{name: stop, effective: 2026-01-01, rules: [{name: all, service: smtp, action: drop}]}]
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
      - {name: shop, port: olt, vlan: 4000, group: fixed, prefixes: [192.0.2.13/32]}
`)
	for i := range n {
		fmt.Fprintf(&b, "      - {name: line-%d, port: olt, vlan: %d, innerVLAN: %d, group: dial}\n", i, 1+i/4000, 1+i%4000)
	}
	return []strict.File{{Name: "all.yaml", Data: []byte(b.String())}}
}

// open opens a store with documents of n lines.
func open(t testing.TB, dir string, n int) *store.Store {
	t.Helper()
	s := must(store.Open(within(t), store.Config{Dir: dir}))(t)
	t.Cleanup(func() { _ = s.Close() })
	b := intent.NewBook(s, time.Now)
	if _, err := b.Current(within(t)); err != nil {
		must(b.Put(within(t), must(b.Propose(within(t), documents(n)))(t), intent.By{Who: "alice", Role: "operator", Reason: "test"}))(t)
	}
	return s
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

func testKey() Key { return Key{1, 2, 3} }

// start starts a register and waits until it has read the store.
func start(t testing.TB, cfg Config) *Register {
	t.Helper()
	cfg.Book = intent.NewBook(cfg.Store, time.Now)
	r := must(New(cfg))(t)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); r.Run(ctx) }()
	t.Cleanup(func() { stop(); <-ended })
	select {
	case <-r.Ready():
	case <-within(t).Done():
		t.Fatal("the register is not ready")
	}
	return r
}

func event(kind subscriber.Kind, line int, session string, at time.Time, prefixes ...string) subscriber.Event {
	e := subscriber.Event{
		Kind: kind, NAS: "bng-1", Session: session, Time: at, Interval: 10 * time.Minute,
		Identities: map[policy.Identify]string{policy.IdentifyUserName: fmt.Sprint("line-", line)},
	}
	for _, p := range prefixes {
		e.Prefixes = append(e.Prefixes, parsed(p))
	}
	return e
}

// report reports an event that must be stored, and returns its outcome.
func report(t testing.TB, r *Register, e subscriber.Event) subscriber.Outcome {
	t.Helper()
	return must(r.Report(within(t), e, nil))(t)
}

// holder waits until a register says that a line has an address; an empty line means that none has it.
func holder(t testing.TB, r *Register, addr, want string) {
	t.Helper()
	ctx := within(t)
	for {
		f, _ := r.Holder(address(addr))
		if f.Name == want {
			return
		}
		if !store.Pause(ctx, time.Millisecond) {
			t.Fatalf("%s is %q's, want %q", addr, f.Name, want)
		}
	}
}
