package fleet

import (
	"context"
	"testing"
	"time"

	"go.uber.org/zap/zaptest"

	"op25b/internal/intent"
	"op25b/internal/p4rt"
	"op25b/p4src"
)

// A controller reads the clock of a switch after it has brought the switch to its program.
func TestClockOfASwitchIsRead(t *testing.T) {
	x := startTestSwitch(t, 1, "127.0.0.1:0")
	etcd := embeddedStore(t)
	clock := clockAt(may30)
	book := intent.NewBook(etcd, clock.now)
	in := apply(t, book, documentsOf(t, x))
	start(t, Config{Name: "noc-1", Store: etcd, Book: book, Now: clock.now}).converged(x.name, in.Number)
	select {
	case p := <-x.packetOuts:
		if m := p.GetMetadata(); len(p.GetPayload()) != 16 || len(m) != 1 || string(m[0].GetValue()) != "\x01" {
			t.Errorf("the controller sent the packet-out %v, want one for the clock", p)
		}
	case <-within(t).Done():
		t.Error("the controller did not read the clock")
	}
}

// primarySession returns a primary session with a switch.
func primarySession(t testing.TB, x *testSwitch) *p4rt.Session {
	t.Helper()
	s := x.session(t, p4rt.ElectionID{Low: 1})
	if err := s.WaitPrimary(within(t)); err != nil {
		t.Fatal(err)
	}
	return s
}

// The clock is read at once when the switch has the program, and again in each period. A reading from before a push of the program is not used.
func TestClockReader(t *testing.T) {
	x := startTestSwitch(t, 1, "127.0.0.1:0")
	s := primarySession(t, x)
	if err := s.Push(within(t), p4src.P4Info(), p4src.DeviceConfig(), 1); err != nil {
		t.Fatal(err)
	}
	w := &worker{assignment: &assignment{log: zaptest.NewLogger(t)}}
	ctx, stop := context.WithCancel(within(t))
	r := w.startClock(ctx, s, time.Millisecond)
	take := func() clockTaken {
		t.Helper()
		select {
		case taken := <-r.readings:
			return taken
		case <-ctx.Done():
			t.Fatal("no reading")
			return clockTaken{}
		}
	}

	select {
	case <-r.readings:
		t.Error("the clock is read before the switch has the program")
	default:
	}
	r.programmed(false)
	first := take()
	r.observe(first)
	end := time.Now().Add(time.Hour)
	until, known := w.clock.Until(end, time.Now())
	if !known || until == 0 {
		t.Fatalf("after a reading the clock is known %t, an hour from now is second %d", known, until)
	}
	second := take() // in the next period
	r.observe(second)
	if second.Switch <= first.Switch {
		t.Errorf("the clock shows %v, and before it showed %v", second.Switch, first.Switch)
	}

	stale := take()
	r.programmed(true)
	if w.clock.Known() {
		t.Error("after a push the clock is still known")
	}
	r.observe(stale)
	if w.clock.Known() {
		t.Error("a reading from before the push is used")
	}
	for !w.clock.Known() { // one more reading may have begun before the push
		r.observe(take())
	}
	stop()
	r.wait()
}

// The reader of a session that has ended ends, although its context has not.
func TestClockReaderEndsWithTheSession(t *testing.T) {
	x := startTestSwitch(t, 1, "127.0.0.1:0")
	s := primarySession(t, x)
	w := &worker{assignment: &assignment{log: zaptest.NewLogger(t)}}
	r := w.startClock(within(t), s, time.Millisecond)
	s.Close()
	r.programmed(false)
	r.wait()
	if w.clock.Known() {
		t.Error("the clock of a switch without a program is known")
	}
}
