package fleet

import (
	"sync/atomic"
	"testing"
	"time"

	"op25b/internal/clock"
	"op25b/internal/intent"
	"op25b/internal/policy"
	"op25b/internal/store"
)

// A watch is a clock whose wall time can be set independently of the elapsed time.
type watch struct {
	*clock.Clock
	at  time.Time    // the correct time at the start of the test
	off atomic.Int64 // offset of the wall clock from the correct time
}

var testBegan = time.Now()

func watchAt(t testing.TB, at time.Time, off time.Duration) *watch {
	t.Helper()
	w := &watch{at: at}
	w.off.Store(int64(off))
	elapsed := func() time.Duration { return time.Since(testBegan) }
	wall := func() time.Time { return at.Add(elapsed() + time.Duration(w.off.Load())) }
	w.Clock = must(clock.New(clock.Config{Source: clock.Source{Wall: wall, Elapsed: elapsed, Boot: "test"}}))(t)
	return w
}

func (w *watch) set(off time.Duration) { w.off.Store(int64(off)) }

var may30 = time.Date(2006, 5, 30, 12, 0, 0, 0, time.UTC) // in the phase "before"; the phase "mobile-carriers" begins on 1 June

// Two controllers share a store, and the clock of one controller is two hours behind. A phase that is activated on either controller comes
// into force on every switch. The clock that is behind puts no date in force. I11
func TestI11ClockSkew(t *testing.T) {
	switches := []*testSwitch{startTestSwitch(t, 1, "127.0.0.1:0"), startTestSwitch(t, 2, "127.0.0.1:0"), startTestSwitch(t, 3, "127.0.0.1:0")}
	etcd := embeddedStore(t)
	right, behind := watchAt(t, may30, 0), watchAt(t, may30, -2*time.Hour)
	stores := []*store.Store{beside(t, etcd), beside(t, etcd)}
	books := []*intent.Book{intent.NewBookOf(stores[0], right.Clock), intent.NewBookOf(stores[1], behind.Clock)}
	in := apply(t, books[0], documentsOf(t, switches...))
	first := start(t, Config{Name: "noc-1", Store: stores[0], Book: books[0], Clock: right.Clock})
	for _, x := range switches {
		first.converged(x.name, in.Number)
	}
	second := start(t, Config{Name: "noc-2", Store: stores[1], Book: books[1], Clock: behind.Clock})
	converged := func(what, phase string) {
		t.Helper()
		over := time.After(deadline)
		for statuses := range WatchStatuses(within(t), etcd) {
			n := 0
			for _, st := range statuses {
				if st.State == StateConverged && st.Revision == in.Number && st.InForce == phase {
					n++
				}
			}
			if n == len(switches) {
				return
			}
			select {
			case <-over:
				t.Fatalf("%s: %+v", what, statuses)
			default:
			}
		}
	}
	converged("at first", "before")
	in = must(books[0].Activate(within(t), in.Number, "all-destinations", policy.Scope{}, by))(t)
	converged("activated by the right clock", "all-destinations")
	late := in.Time
	in = must(books[1].Activate(within(t), in.Number, "mobile-carriers", policy.Scope{}, by))(t)
	converged("activated by the clock that is behind", "mobile-carriers")
	if at := in.Activations[len(in.Activations)-1].At; at.Before(late) || in.Time.Before(late) {
		t.Errorf("the activation is of %v, the revision before it of %v", at, late)
	}
	if h := behind.Hold(); h.Reason != clock.Skew {
		t.Errorf("the clock that is behind: %v", h)
	}
	if h := right.Hold(); h.Reason != clock.None {
		t.Errorf("the right clock: %v", h)
	}
	first.end()
	second.end()
}

// If a clock is set three days forward by mistake, no phase begins silently. The date is held until an operator confirms the clock. I11
func TestI11ClockForward(t *testing.T) {
	x := startTestSwitch(t, 1, "127.0.0.1:0")
	s := embeddedStore(t)
	w := watchAt(t, may30, 0)
	book := intent.NewBookOf(s, w.Clock)
	in := apply(t, book, documentsOf(t, x))
	r := start(t, Config{Name: "noc-1", Store: s, Book: book, Clock: w.Clock})
	r.converged(x.name, in.Number)
	x.forget()
	w.set(72 * time.Hour)
	r.await("the date is held", func(all map[string]Status) bool {
		st := all[x.name]
		return st.State == StateConverged && st.InForce == "before" && st.Reason == ReasonDateHeld && st.Detail != ""
	})
	untouched(t, "a clock that was set", x)

	// A phase can still be activated by hand and rolled back.
	in = must(book.Activate(within(t), in.Number, "all-destinations", policy.Scope{}, by))(t)
	if st := r.converged(x.name, in.Number); st.InForce != "all-destinations" {
		t.Errorf("%q in force", st.InForce)
	}
	if !in.Time.Before(may30.Add(time.Hour)) {
		t.Errorf("the revision has the time %v of the clock that was set", in.Time)
	}
	in = must(book.Rollback(within(t), in.Number, policy.Scope{}, by))(t)
	if st := r.converged(x.name, in.Number); st.InForce != "before" {
		t.Errorf("%q in force", st.InForce)
	}
	if err := clock.ConfirmAt(within(t), s, "noc-1", store.AuditRecord{Who: "alice", Verb: "confirm clock", Reason: "it was wrong before"}); err != nil {
		t.Fatal(err)
	}
	r.await("the clock is confirmed", func(all map[string]Status) bool {
		return all[x.name].InForce == "mobile-carriers" && all[x.name].Reason == ReasonDate
	})
}

// If a clock is set back by a day, everything in force stays in force, while the controller runs and also after a restart. I11
func TestI11ClockBack(t *testing.T) {
	x := startTestSwitch(t, 1, "127.0.0.1:0")
	s := embeddedStore(t)
	w := watchAt(t, may30.Add(48*time.Hour), 0) // the phase "mobile-carriers" began 12 hours ago
	book := intent.NewBookOf(s, w.Clock)
	in := apply(t, book, documentsOf(t, x))
	in = must(book.Activate(within(t), in.Number, "all-destinations", policy.Scope{Groups: []string{"mobile"}}, by))(t)
	const inForce = "mobile-carriers; all-destinations: mobile"
	r := start(t, Config{Name: "noc-1", Store: s, Book: book, Clock: w.Clock})
	if st := r.converged(x.name, in.Number); st.InForce != inForce {
		t.Fatalf("%q in force", st.InForce)
	}
	x.forget()
	w.set(-24 * time.Hour)
	r.await("the clock is in doubt", func(map[string]Status) bool { return w.Hold().Reason == clock.Jump })
	r.end()
	untouched(t, "a clock that was set back", x)

	restarted := watchAt(t, w.at, -24*time.Hour)
	r = start(t, Config{Name: "noc-1", Store: s, Book: intent.NewBookOf(s, restarted.Clock), Clock: restarted.Clock})
	if st := r.converged(x.name, in.Number); st.InForce != inForce {
		t.Errorf("after a restart %q is in force", st.InForce)
	}
	if h := restarted.Hold(); h.Reason != clock.Restart {
		t.Errorf("after a restart: %v", h)
	}
	untouched(t, "a restart with a clock that was set back", x)
}

// Any one of the controllers records a change by date, once. From then on the change is in force on every switch, whatever the clock of its
// controller. I11
func TestI11DatesLeaveTrace(t *testing.T) {
	switches := []*testSwitch{startTestSwitch(t, 1, "127.0.0.1:0"), startTestSwitch(t, 2, "127.0.0.1:0"), startTestSwitch(t, 3, "127.0.0.1:0")}
	etcd := embeddedStore(t)
	eve := time.Date(2006, 5, 31, 14, 59, 55, 0, time.UTC) // 5 s before the date
	right, behind := watchAt(t, eve.Add(-time.Since(testBegan)), 0), watchAt(t, eve.Add(-time.Since(testBegan)), -2*time.Hour)
	stores := []*store.Store{beside(t, etcd), beside(t, etcd)}
	books := []*intent.Book{intent.NewBookOf(stores[0], right.Clock), intent.NewBookOf(stores[1], behind.Clock)}
	in := apply(t, books[0], documentsOf(t, switches...))
	first := start(t, Config{Name: "noc-1", Store: stores[0], Book: books[0], Clock: right.Clock})
	for _, x := range switches {
		first.converged(x.name, in.Number)
	}
	second := start(t, Config{Name: "noc-2", Store: stores[1], Book: books[1], Clock: behind.Clock})
	over := time.After(deadline)
	for statuses := range WatchStatuses(within(t), etcd) {
		n := 0
		for _, st := range statuses {
			if st.InForce == "mobile-carriers" {
				n++
			}
		}
		if n == len(switches) {
			break
		}
		select {
		case <-over:
			t.Fatalf("%+v", statuses)
		default:
		}
	}
	first.end()
	second.end()
	dated := must(books[0].AllDated(within(t)))(t)
	if len(dated) != 1 || dated[0].Phase != "mobile-carriers" || dated[0].By != "noc-1" || len(dated[0].Turned) != 1 || len(dated[0].Turned[0].Switches) != 3 {
		t.Errorf("%+v", dated)
	}
	n := 0
	for _, r := range must(etcd.Audit().Records(within(t), 1, 100))(t) {
		if r.Who == intent.Calendar {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d records of dates in the audit chain, want 1", n)
	}
}
