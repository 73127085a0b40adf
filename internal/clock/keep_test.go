package clock

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"op25b/internal/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// deadline limits each wait of a test. A passing test never reaches it.
const deadline = 30 * time.Second

func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	t.Cleanup(cancel)
	return ctx
}

func openStore(t testing.TB, cfg store.Config) *store.Store {
	t.Helper()
	s, err := store.Open(within(t), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// A controller has a clock on its own machine, whose wall clock may be wrong.
type controller struct {
	*Clock
	t    testing.TB
	name string
	off  atomic.Int64
	stop func()
}

// run starts a controller on the given store, and stops it when the test ends. off is the error of its wall clock.
func run(t testing.TB, etcd *store.Store, name, boot string, off time.Duration) *controller {
	t.Helper()
	x := &controller{t: t, name: name}
	x.off.Store(int64(off))
	wall := func() time.Time { return time.Now().Add(time.Duration(x.off.Load())) }
	c, err := New(Config{Source: Source{Wall: wall, Elapsed: func() time.Duration { return time.Since(processStart) }, Boot: boot}})
	if err != nil {
		t.Fatal(err)
	}
	x.Clock = c
	s, err := store.Open(within(t), store.Config{Endpoints: etcd.Endpoints(), TTL: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.Join(within(t), name, "")
	if err != nil {
		t.Fatal(err)
	}
	k, err := c.Begin(within(t), s, name)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { k.Run(ctx) })
	x.stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
		if err := errors.Join(p.Leave(context.Background()), s.Close()); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(x.stop)
	return x
}

// await waits until dates are held for the reason want, or are not held if want is None.
func (x *controller) await(want HoldReason) {
	x.t.Helper()
	over := time.After(deadline)
	for x.Hold().Reason != want {
		select {
		case <-x.Changed():
		case <-over:
			x.t.Fatalf("%s: the hold is %v, want %v; it sees %+v", x.name, x.Hold().Reason, want, x.Members())
		}
	}
}

// TestSkew verifies that, of two controllers, the one that joins with a different time holds dates until its clock is
// corrected (I11).
func TestSkew(t *testing.T) {
	for name, boots := range map[string][2]string{"on one machine": {"m", "m"}, "on two": {"m", "n"}} {
		t.Run(name, func(t *testing.T) {
			etcd := openStore(t, store.Config{Dir: t.TempDir()})
			a := run(t, etcd, "a", boots[0], 0)
			a.await(None)
			b := run(t, etcd, "b", boots[1], -2*time.Hour)
			b.await(Skew)
			if h := b.Hold(); abs(h.Ahead+2*time.Hour) > DefaultBound {
				t.Errorf("it is %v", h)
			}
			if d := b.Dates(); time.Since(d) > DefaultBound*2 {
				t.Errorf("what the store has recorded is not in force: dates up to %v", d)
			}
			if now := b.Now(); time.Since(now).Abs() > DefaultBound {
				t.Errorf("the trusted time is %v", now)
			}
			if a.Hold().Reason != None {
				t.Errorf("the controller that was there holds dates: %v", a.Hold())
			}
			if m := b.Members(); len(m) != 1 || m[0].Name != "a" || m[0].Hold != None || m[0].Known && abs(m[0].Ahead-2*time.Hour) > DefaultBound {
				t.Errorf("it sees %+v", m)
			}
			b.off.Store(0)
			b.await(None)
		})
	}
}

// TestMajority verifies that two controllers with the same time outvote the controller that keeps the store's time
// (I11).
func TestMajority(t *testing.T) {
	etcd := openStore(t, store.Config{Dir: t.TempDir()})
	a := run(t, etcd, "a", "a", 72*time.Hour)
	a.await(None)
	b := run(t, etcd, "b", "b", 0)
	b.await(Skew)
	c := run(t, etcd, "c", "c", 0)
	b.await(None)
	c.await(None)
	a.await(Skew)
	if d := b.Dates(); time.Until(d) > 80*time.Hour {
		t.Error(d)
	}
}

// TestOthersConfirm verifies that a jump holds dates, and that they are released when the clock agrees with the other
// controller's again.
func TestOthersConfirm(t *testing.T) {
	etcd := openStore(t, store.Config{Dir: t.TempDir()})
	a := run(t, etcd, "a", "a", 0)
	a.await(None)
	b := run(t, etcd, "b", "b", 0)
	b.await(None)
	b.off.Store(int64(72 * time.Hour))
	if b.Hold().Reason != Jump {
		t.Fatal(b.Hold())
	}
	b.off.Store(0)
	b.await(None)
	if a.Hold().Reason != None {
		t.Error(a.Hold())
	}
}

// TestRestart verifies that a restart does not hide a change of the clock. After an operator confirms the clock, dates
// are no longer held, and the audit chain names the operator (I11).
func TestRestart(t *testing.T) {
	etcd := openStore(t, store.Config{Dir: t.TempDir()})
	a := run(t, etcd, "a", "m", 0)
	a.await(None)
	a.stop()
	a = run(t, etcd, "a", "m", 0)
	a.await(None)
	a.stop()
	before := time.Now()
	a = run(t, etcd, "a", "m", 72*time.Hour)
	a.await(Restart)
	if d := a.Dates(); d.Sub(before) > time.Minute || before.Sub(d) > time.Minute {
		t.Errorf("dates are in force up to %v, and should be up to about %v", d, before)
	}
	record := store.AuditRecord{Who: "alice", Verb: "confirm clock", Object: "a", Reason: "NTP was away"}
	if err := ConfirmAt(within(t), etcd, "b", record); !errors.Is(err, ErrAbsent) {
		t.Errorf("a controller that is not there: %v", err)
	}
	if err := ConfirmAt(within(t), etcd, "a", record); err != nil {
		t.Fatal(err)
	}
	a.await(None)
	if d := a.Dates(); time.Until(d) < 71*time.Hour {
		t.Errorf("dates are in force up to %v", d)
	}
	records, err := etcd.Audit().Records(within(t), 1, 10)
	if err != nil || len(records) != 1 || records[0].Who != "alice" || records[0].Object != "a" {
		t.Errorf("%+v, %v", records, err)
	}
}
