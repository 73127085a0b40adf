package store

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

func TestOwnershipPassesOn(t *testing.T) {
	a := embeddedStore(t)
	b := beside(t, a)
	first := must(a.TryOwn(within(t), "switch", "access-1", "noc-1"))(t)
	if !first.Held() || first.Epoch() == 0 {
		t.Errorf("held %v, epoch %d", first.Held(), first.Epoch())
	}
	_, err := b.TryOwn(within(t), "switch", "access-1", "noc-2")
	wantError(t, err, ErrOwned, fmt.Sprintf(`switch "access-1": owned by another: noc-1 has owned it since epoch %d`, first.Epoch()))
	_, err = a.TryOwn(within(t), "switch", "access-1", "noc-1")
	wantError(t, err, ErrOwned, "noc-1 has owned it")

	won := make(chan *Ownership)
	go func() { won <- must(b.Own(within(t), "switch", "access-1", "noc-2"))(t) }()
	other := must(a.Own(within(t), "switch", "access-2", "noc-1"))(t)
	if err := first.Release(within(t)); err != nil {
		t.Fatal(err)
	}
	second := receive(t, "the waiting one", won)
	if first.Held() || !second.Held() || !other.Held() || second.Epoch() <= first.Epoch() {
		t.Errorf("first held %v, epoch %d; second held %v, epoch %d; other held %v",
			first.Held(), first.Epoch(), second.Held(), second.Epoch(), other.Held())
	}
	closed(t, "lost after release", first.Lost())
	if err := first.Release(within(t)); err != nil {
		t.Errorf("a second release: %v", err)
	}
	if !second.Held() {
		t.Error("the second release of the first took it from the second")
	}
}

// All ownerships and presences of a store share one lease.
func TestOneLease(t *testing.T) {
	s := embeddedStore(t)
	for i := range 20 {
		must(s.TryOwn(within(t), "switch", strconv.Itoa(i), "noc-1"))(t)
	}
	must(s.Join(within(t), "noc-1", "10.0.0.1:443"))(t)
	if leases := must(s.client.Leases(within(t)))(t).Leases; len(leases) != 1 {
		t.Errorf("%d leases", len(leases))
	}
}

func TestCloseGivesBack(t *testing.T) {
	a := embeddedStore(t)
	b, err := Open(within(t), Config{Endpoints: a.Endpoints(), TTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	held := must(b.TryOwn(within(t), "switch", "access-1", "noc-2"))(t)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if held.Held() {
		t.Error("still held after Close")
	}
	must(a.Own(within(t), "switch", "access-1", "noc-1"))(t)
	_, err = b.TryOwn(within(t), "switch", "access-1", "noc-2")
	wantError(t, err, ErrClosed, "store closed")
	_, err = b.Own(within(t), "switch", "access-1", "noc-2")
	wantError(t, err, ErrClosed, "store closed")
}

// If the owner loses its network connection, it must detect the loss of its ownership before etcd admits another owner. There must
// never be two owners at once.
func TestLostBeforeAnotherOwns(t *testing.T) { // I3
	etcd := embeddedStore(t)
	p := behindProxy(t, etcd)
	a := open(t, Config{Endpoints: []string{p.endpoint()}, TTL: time.Second})
	b := beside(t, etcd)
	first := must(a.TryOwn(within(t), "switch", "access-1", "noc-1"))(t)
	won := make(chan time.Time)
	go func() {
		must(b.Own(within(t), "switch", "access-1", "noc-2"))(t)
		won <- time.Now()
	}()
	p.stall()
	closed(t, "lost", first.Lost())
	lost := time.Now()
	kvs := raw(t, etcd, first.key).Kvs
	if len(kvs) != 1 || kvs[0].CreateRevision != int64(first.Epoch()) {
		t.Errorf("when the loss was told, etcd had let it go already: %v", kvs)
	}
	if first.Held() {
		t.Error("held after the loss")
	}
	if taken := receive(t, "the other", won); !taken.After(lost) {
		t.Errorf("lost at %v, taken by another at %v", lost, taken)
	}
	p.flow()
	if first.Held() {
		t.Error("held again")
	}
	// The store gets a new lease.
	again := must(a.TryOwn(within(t), "switch", "access-2", "noc-1"))(t)
	if !again.Held() || first.Held() {
		t.Errorf("again held %v, first held %v", again.Held(), first.Held())
	}
}

// A clock can be set forward, to simulate the time during which a process is stopped.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

// A process that was stopped for longer than its lease tries to write before it is notified of the loss. The write must be refused.
func TestStoppedProcessIsLostByTheClock(t *testing.T) {
	var c clock
	s := open(t, Config{Dir: t.TempDir(), Now: c.now, TTL: 60 * time.Second})
	o := must(s.TryOwn(within(t), "switch", "access-1", "noc-1"))(t)
	records := JSON[string](s, "status")
	must(records.PutIf(within(t), "access-1", 0, "up", o))(t)
	c.ahead.Store(int64(47 * time.Second))
	if !o.Held() {
		t.Error("lost after 47 s of 60 s")
	}
	c.ahead.Store(int64(48 * time.Second)) // 48 s is 60 s less a fifth; etcd's own clock has hardly advanced
	_, err := records.PutIf(within(t), "access-1", AnyVersion, "down", o)
	wantError(t, err, ErrLost, `write status: ownership lost: switch "access-1"`)
	if o.Held() {
		t.Error("held after 48 s of 60 s")
	}
	c.ahead.Store(0)
	o.l.renewed(c.now()) // an answer that was delayed in the socket
	if o.Held() || o.l.held() {
		t.Error("held again by a late answer, when the clock was put back")
	}
	closed(t, "lost", o.Lost())
	// The store has revoked the lease that etcd still had.
	must(s.Own(within(t), "switch", "access-1", "noc-1"))(t)
}

// stoppedEnv is an environment variable that makes this test binary run stoppedProcess. Its value is the endpoint of etcd.
const stoppedEnv = "OP25B_TEST_STOPPED"

// stoppedProcess takes an ownership and calls Held repeatedly. After the loss, it prints the last time at which Held returned true.
func stoppedProcess(endpoint string) {
	s, err := Open(context.Background(), Config{Endpoints: []string{endpoint}, TTL: time.Second})
	if err != nil {
		panic(err)
	}
	o, err := s.TryOwn(context.Background(), "switch", "access-1", "stopped")
	if err != nil {
		panic(err)
	}
	out := bufio.NewWriter(os.Stdout)
	fmt.Fprintln(out, "owned")
	out.Flush()
	var last time.Time
	for {
		now := time.Now() // read before Held, so that the printed time is not later than the last call that returned true
		if !o.Held() {
			break
		}
		last = now
	}
	fmt.Fprintln(out, last.UnixNano())
	out.Flush()
}

// TestSIGSTOP is like TestStoppedProcessIsLostByTheClock, but with a real process that is stopped by SIGSTOP.
func TestSIGSTOP(t *testing.T) {
	s := embeddedStore(t)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), stoppedEnv+"="+s.Endpoints()[0])
	cmd.Stderr = os.Stderr
	out := must(cmd.StdoutPipe())(t)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	lines := bufio.NewScanner(out)
	if !lines.Scan() || lines.Text() != "owned" {
		t.Fatalf("the process says %q", lines.Text())
	}
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	must(s.Own(within(t), "switch", "access-1", "awake"))(t)
	taken := time.Now()
	if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if !lines.Scan() {
		t.Fatal("the process says nothing")
	}
	last := time.Unix(0, must(strconv.ParseInt(strings.TrimSpace(lines.Text()), 10, 64))(t))
	if !last.Before(taken) {
		t.Errorf("the stopped process believed that it holds at %v; another has it since %v", last, taken)
	}
}

// If another process deletes the key or revokes the lease, the owner is notified.
func TestEvicted(t *testing.T) {
	s := embeddedStore(t)
	a := must(s.TryOwn(within(t), "switch", "a", "noc-1"))(t)
	b := must(s.TryOwn(within(t), "switch", "b", "noc-1"))(t)
	must(s.client.Delete(within(t), a.key))(t)
	closed(t, "a", a.Lost())
	if a.Held() || !b.Held() {
		t.Errorf("a held %v, b held %v", a.Held(), b.Held())
	}
	must(s.client.Revoke(within(t), b.l.id))(t)
	closed(t, "b", b.Lost())
	c := must(s.Own(within(t), "switch", "b", "noc-1"))(t)
	if b.Held() || !c.Held() || c.Epoch() <= b.Epoch() {
		t.Errorf("b held %v, epoch %d; c held %v, epoch %d", b.Held(), b.Epoch(), c.Held(), c.Epoch())
	}
}

// Own succeeds after etcd has ended the lease and before this process has noticed it.
func TestOwnOnADeadLease(t *testing.T) {
	s := open(t, Config{Dir: t.TempDir(), TTL: time.Hour}) // a TTL of one hour, so that no renewal detects the end of the lease
	o := must(s.TryOwn(within(t), "switch", "a", "noc-1"))(t)
	must(s.client.Revoke(within(t), o.l.id))(t)
	must(s.Own(within(t), "switch", "b", "noc-1"))(t)
	if o.Held() {
		t.Error("what was owned by the dead lease is still held")
	}
}

// A caller that stopped waiting does not get the ownership later.
func TestOwnAbandoned(t *testing.T) {
	a := embeddedStore(t)
	p := behindProxy(t, a)
	b := open(t, Config{Endpoints: []string{p.endpoint()}, TTL: 60 * time.Second})
	must(b.TryOwn(within(t), "switch", "warm", "noc-2"))(t) // the first ownership makes the store get its lease
	p.stallOnly(answers)
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error)
	go func() {
		_, err := b.TryOwn(ctx, "switch", "access-1", "noc-2")
		failed <- err
	}()
	for u := range a.follow(within(t), a.key("own/switch/access-1")) {
		if len(u.kvs) > 0 { // etcd has granted the ownership
			break
		}
	}
	cancel()
	wantError(t, receive(t, "abandoned", failed), context.Canceled, "context canceled")
	p.flow()
	must(a.Own(within(t), "switch", "access-1", "noc-1"))(t) // b's lease alone would keep the key for a minute
}

// If etcd is unreachable, a released thing becomes free as soon as etcd is reachable again, although the lease is kept.
func TestReleaseLater(t *testing.T) {
	a := embeddedStore(t)
	p := behindProxy(t, a)
	b := open(t, Config{Endpoints: []string{p.endpoint()}, TTL: 60 * time.Second})
	o := must(b.TryOwn(within(t), "switch", "access-1", "noc-2"))(t)
	p.stall()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wantError(t, o.Release(ctx), context.Canceled, "release switch: context canceled")
	if o.Held() {
		t.Error("held after release")
	}
	p.flow()
	must(a.Own(within(t), "switch", "access-1", "noc-1"))(t)
}

func TestOwnEndsWithItsContext(t *testing.T) {
	a := embeddedStore(t)
	must(a.TryOwn(within(t), "switch", "access-1", "noc-1"))(t)
	b := beside(t, a)
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error)
	go func() {
		_, err := b.Own(ctx, "switch", "access-1", "noc-2")
		failed <- err
	}()
	cancel()
	if err := receive(t, "the waiting one", failed); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	for _, c := range []struct{ kind, name, holder, want string }{
		{"", "a", "noc", `kind "": must be a word without /`},
		{"a/b", "a", "noc", `kind "a/b": must be a word without /`},
		{"switch", "", "noc", `name "" of switch: must be UTF-8 text of 1 to 512 bytes`},
		{"switch", "a", "\xff", `name "\xff" of holder: must be UTF-8 text of 1 to 512 bytes`},
	} {
		_, err := a.TryOwn(within(t), c.kind, c.name, c.holder)
		wantError(t, err, ErrInvalid, c.want)
	}
}

// If several holders call Own at once, only one of them has the ownership at any time, and each gets it in turn.
func TestOneOwnerAtATime(t *testing.T) {
	etcd := embeddedStore(t)
	const holders, turns = 4, 5
	var inside atomic.Int32
	var last atomic.Uint64
	done := make(chan error, holders)
	for h := range holders {
		s := beside(t, etcd)
		go func() {
			for range turns {
				o, err := s.Own(within(t), "switch", "access-1", strconv.Itoa(h))
				if err != nil {
					done <- err
					return
				}
				if n := inside.Add(1); n != 1 {
					err = fmt.Errorf("%d owners at once", n)
				}
				if before := last.Swap(o.Epoch()); before >= o.Epoch() {
					err = fmt.Errorf("epoch %d after %d", o.Epoch(), before)
				}
				inside.Add(-1)
				if err := errors.Join(err, o.Release(within(t))); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range holders {
		if err := receive(t, "a holder", done); err != nil {
			t.Error(err)
		}
	}
}

// A fenced write succeeds only while etcd has the ownership, whatever the holder assumes.
func TestFencedWrite(t *testing.T) { // I3
	s := open(t, Config{Dir: t.TempDir(), TTL: 60 * time.Second})
	o := must(s.TryOwn(within(t), "switch", "access-1", "noc-1"))(t)
	// The key now belongs to another holder. Removing o from the lease's ownerships suppresses the notification of the loss.
	o.l.mu.Lock()
	delete(o.l.owned, o)
	o.l.mu.Unlock()
	must(s.client.Txn(within(t)).Then(clientv3.OpDelete(o.key)).Commit())(t)
	must(s.client.Put(within(t), o.key, `{"holder":"noc-2"}`))(t)
	if !o.Held() {
		t.Fatal("this test needs an owner that does not know")
	}
	records := JSON[string](s, "status")
	_, err := records.PutIf(within(t), "access-1", 0, "up", o)
	wantError(t, err, ErrLost, fmt.Sprintf(`write status: ownership lost: switch "access-1", epoch %d`, o.Epoch()))
	wantError(t, records.Delete(within(t), "access-1", AnyVersion, o), ErrLost, "delete status: ownership lost")
	_, err = records.Get(within(t), "access-1")
	wantError(t, err, ErrNotFound, `status "access-1": not found`)
	if o.Held() {
		t.Error("held after a write was refused for its loss")
	}
}
