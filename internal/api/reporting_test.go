package api

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"op25b/internal/intent"
	"op25b/internal/store"
	"op25b/internal/subscriber"
	"op25b/internal/subscriber/register"
	op25bv1 "op25b/proto/op25b/v1"
)

// dialDocuments returns documents with n lines whose identity is their user name: line-0 and so on. Two more lines have the user name twin.
func dialDocuments(n int) []*op25bv1.File {
	var b strings.Builder
	b.WriteString(`apiVersion: op25b/v1
kind: Policy
name: p
lineGroups: [{name: dial, addressing: dynamic}]
services: [{name: smtp, ports: [25]}, {name: submission, ports: [587]}, {name: submissions, ports: [465]}]
remotes: [{name: relay, relay: true, prefixes: [198.51.100.16/28]}]
phases: [{name: stop, effective: 2006-01-01, rules: [{name: all, service: smtp, action: drop}]}]
---
apiVersion: op25b/v1
kind: Inventory
switches:
`)
	for i, lines := range []int{n, 0} {
		fmt.Fprintf(&b, `  - name: edge-%[1]d
    deviceID: %[1]d
    p4runtime: 127.0.0.1:955%[1]d
    gnmi: 127.0.0.1:933%[1]d
    identify: user-name
    ports: [{port: 1, name: olt, role: access}, {port: 2, name: core, role: network}]
    lines:
      - {name: twin-%[1]d, port: olt, vlan: 4000, group: dial, identity: twin}
`, i+1)
		for i := range lines {
			fmt.Fprintf(&b, "      - {name: line-%d, port: olt, vlan: %d, innerVLAN: %d, group: dial}\n", i, 1+i/4000, 1+i%4000)
		}
	}
	return []*op25bv1.File{{Name: "all.yaml", Data: []byte(b.String())}}
}

// A wallClock is a clock that a test sets.
type wallClock struct {
	mu sync.Mutex // guards at
	at time.Time
}

func (c *wallClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *wallClock) set(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = at
}

func noon() time.Time { return time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC) }

// newRegister returns a register on a store, which does not run yet.
func newRegister(t testing.TB, s *store.Store, now func() time.Time) *register.Register {
	t.Helper()
	r, err := register.New(register.Config{Store: s, Book: intent.NewBook(s, time.Now), Key: register.Key{1}, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// run runs a register until the test ends, and returns when it is ready. The store must have documents.
func run(t testing.TB, r *register.Register) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); r.Run(ctx) }()
	t.Cleanup(func() { stop(); <-ended })
	select {
	case <-r.Ready():
	case <-within(t).Done():
		t.Fatal("the register is not ready")
	}
}

// newReporting returns a world whose API takes reports for n lines, and its register.
func newReporting(t testing.TB, n int, now func() time.Time, change func(*Deps)) (*world, *register.Register) {
	t.Helper()
	var r *register.Register
	w := newWorld(t, func(d *Deps) {
		r = newRegister(t, d.Store, now)
		d.Sessions, d.Now = r, now
		if change != nil {
			change(d)
		}
	})
	w.put(dialDocuments(n))
	run(t, r)
	return w, r
}

// failing is a register that stores nothing.
type failing struct{ err error }

func (f failing) Holder(netip.Addr) (register.Found, bool)   { return register.Found{}, false }
func (f failing) Counts() (map[string]register.Count, error) { return nil, f.err }
func (f failing) Report(context.Context, subscriber.Event, []string) (subscriber.Outcome, error) {
	return "", f.err
}

const (
	starts   = op25bv1.SessionEventKind_SESSION_EVENT_KIND_START
	interims = op25bv1.SessionEventKind_SESSION_EVENT_KIND_INTERIM
	stops    = op25bv1.SessionEventKind_SESSION_EVENT_KIND_STOP
	restarts = op25bv1.SessionEventKind_SESSION_EVENT_KIND_RESTART
)

func sessionEvent(kind op25bv1.SessionEventKind, line, session string, at time.Time, addresses ...string) *op25bv1.SessionEvent {
	m := &op25bv1.SessionEvent{Kind: kind, Session: session, Time: timestamppb.New(at), Addresses: addresses}
	if line != "" {
		m.Identity = &op25bv1.LineIdentity{UserName: line}
	}
	return m
}

// send sends a request on a new stream of reports, and returns the stream and the answer.
func send(ctx context.Context, t testing.TB, c op25bv1.SubscriberServiceClient, q *op25bv1.ReportRequest) (grpc.BidiStreamingClient[op25bv1.ReportRequest, op25bv1.ReportResponse], *op25bv1.ReportResponse, error) {
	t.Helper()
	stream, err := c.Report(ctx)
	if err != nil {
		t.Fatal(err)
	}
	_ = stream.Send(q) // after an error, Recv returns the reason
	answer, err := stream.Recv()
	return stream, answer, err
}

// holds waits until a register says that a line has an address; an empty line means that none has it.
func holds(t testing.TB, r *register.Register, addr, want string) {
	t.Helper()
	ctx := within(t)
	for {
		f, _ := r.Holder(netip.MustParseAddr(addr))
		if f.Name == want {
			return
		}
		if !store.Pause(ctx, time.Millisecond) {
			t.Fatalf("%s is %q's, want %q", addr, f.Name, want)
		}
	}
}
