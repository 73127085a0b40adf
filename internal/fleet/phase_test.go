package fleet

import (
	"testing"
	"time"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"

	"op25b/internal/intent"
	"op25b/internal/p4rt"
	"op25b/internal/policy"
)

// flipped checks that the only write to a switch was one MODIFY of the running epoch, and that nothing was read.
func flipped(t *testing.T, what string, x *testSwitch) {
	t.Helper()
	writes, pushes := x.forget()
	if len(writes) != 1 || len(writes[0].GetUpdates()) != 1 || pushes != 0 {
		t.Fatalf("%s, %s: %d writes, %d pushes, want one write of one update: %v", what, x.name, len(writes), pushes, writes)
	}
	if n := x.readsSo(); n != 0 {
		t.Errorf("%s, %s: %d reads, want none", what, x.name, n)
	}
	u := writes[0].GetUpdates()[0]
	e, err := p4rt.EntryOf(u.GetEntity())
	if err != nil {
		t.Fatal(err)
	}
	if _, running := e.IsRunningEpoch(); !running || u.GetType() != p4v1.Update_MODIFY {
		t.Errorf("%s, %s: %v of %s, want MODIFY of the running epoch", what, x.name, u.GetType(), e)
	}
}

func untouched(t *testing.T, what string, x *testSwitch) {
	t.Helper()
	if writes, pushes := x.forget(); len(writes)+pushes != 0 {
		t.Errorf("%s, %s: %d writes, %d pushes, want none: %v", what, x.name, len(writes), pushes, writes)
	}
}

// A change of phase is one MODIFY for each switch: forward and back by hand, on all switches or on one, and at a date.
func TestPhaseIsOneModify(t *testing.T) {
	x, y := startTestSwitch(t, 1, "127.0.0.1:0"), startTestSwitch(t, 2, "127.0.0.1:0")
	s := embeddedStore(t)
	c := clockAt(time.Date(2006, 5, 20, 0, 0, 0, 0, time.UTC)) // in the phase "before"
	book := intent.NewBook(s, c.now)
	in := apply(t, book, documentsOf(t, x, y))
	timers := make(chan chan time.Time, 16)
	r := start(t, Config{Name: "noc-1", Store: s, Book: book, Now: c.now, timer: func(time.Duration) <-chan time.Time {
		ch := make(chan time.Time, 1)
		timers <- ch
		return ch
	}})
	for _, x := range []*testSwitch{x, y} {
		if st := r.converged(x.name, in.Number); st.InForce != "before" {
			t.Errorf("%s: %q is in force", x.name, st.InForce)
		}
		x.forget()
		x.readsSo()
	}
	both := func(what, inForce string) {
		t.Helper()
		for _, x := range []*testSwitch{x, y} {
			st := r.converged(x.name, in.Number)
			if st.InForce != inForce || st.Reason != ReasonPhase {
				t.Errorf("%s: %q in force, %v; want %q", what, st.InForce, st.Reason, inForce)
			}
			flipped(t, what, x)
		}
	}
	in = must(book.Activate(within(t), in.Number, "mobile-carriers", policy.Scope{}, by))(t)
	both("activation", "mobile-carriers")
	in = must(book.Rollback(within(t), in.Number, policy.Scope{}, by))(t)
	both("rollback", "before")

	in = must(book.Activate(within(t), in.Number, "all-destinations", policy.Scope{Switches: []string{y.name}}, by))(t)
	if st := r.converged(y.name, in.Number); st.InForce != "all-destinations" {
		t.Errorf("%q in force", st.InForce)
	}
	flipped(t, "one switch", y)
	r.converged(x.name, in.Number)
	untouched(t, "one switch", x)
	in = must(book.Rollback(within(t), in.Number, policy.Scope{Switches: []string{y.name}}, by))(t)
	r.converged(y.name, in.Number)
	flipped(t, "rollback of one switch", y)
	r.converged(x.name, in.Number)
	untouched(t, "rollback of one switch", x)

	// The clock reaches the date, and then the timer fires.
	c.set(time.Date(2006, 6, 1, 0, 0, 0, 0, time.UTC))
	for ch := <-timers; ; ch = <-timers { // only the newest timer is in use
		ch <- time.Time{}
		if len(timers) == 0 {
			break
		}
	}
	for _, x := range []*testSwitch{x, y} {
		r.await("the date", func(all map[string]Status) bool {
			return all[x.name].InForce == "mobile-carriers" && all[x.name].Reason == ReasonDate
		})
		flipped(t, "date", x)
	}
}

// A phase for a line group needs a rule set that no switch has yet, so the rule set is written. The rollback is then
// one MODIFY.
func TestPhaseOfALineGroup(t *testing.T) {
	x := startTestSwitch(t, 1, "127.0.0.1:0")
	s := embeddedStore(t)
	c := clockAt(time.Date(2006, 5, 20, 0, 0, 0, 0, time.UTC))
	book := intent.NewBook(s, c.now)
	in := apply(t, book, documentsOf(t, x))
	r := start(t, Config{Name: "noc-1", Store: s, Book: book, Now: c.now})
	r.converged(x.name, in.Number)
	x.forget()
	scope := policy.Scope{Groups: []string{"mobile"}}
	in = must(book.Activate(within(t), in.Number, "all-destinations", scope, by))(t)
	if st := r.converged(x.name, in.Number); st.InForce != "before; all-destinations: mobile" {
		t.Errorf("%q in force", st.InForce)
	}
	x.forget()
	x.readsSo()
	in = must(book.Rollback(within(t), in.Number, scope, by))(t)
	if st := r.converged(x.name, in.Number); st.InForce != "before" {
		t.Errorf("%q in force", st.InForce)
	}
	flipped(t, "rollback", x)
}

// Before the first phase, nothing is written to the switch. When a phase begins, the switch converges.
func TestNoPhase(t *testing.T) {
	x := startTestSwitch(t, 1, "127.0.0.1:0")
	s := embeddedStore(t)
	c := clockAt(time.Date(2006, 5, 1, 0, 0, 0, 0, time.UTC))
	book := intent.NewBook(s, c.now)
	in := apply(t, book, documentsOf(t, x))
	r := start(t, Config{Name: "noc-1", Store: s, Book: book, Now: c.now})
	r.await("no phase", func(all map[string]Status) bool {
		return all[x.name].State == StateNoPhase && all[x.name].Detail != ""
	})
	untouched(t, "no phase", x)
	in = must(book.Activate(within(t), in.Number, "before", policy.Scope{}, by))(t)
	if st := r.converged(x.name, in.Number); st.Reason != ReasonPhase {
		t.Errorf("the phase that was activated: %v", st.Reason)
	}
}

// When an exemption has ended, the switch is read and written, because one MODIFY does not suffice.
func TestExemptionEnds(t *testing.T) {
	x := startTestSwitch(t, 1, "127.0.0.1:0")
	s := embeddedStore(t)
	c := clockAt(allDestinations)
	book := intent.NewBook(s, c.now)
	in := apply(t, book, documentsOf(t, x))
	timers := make(chan chan time.Time, 16)
	r := start(t, Config{Name: "noc-1", Store: s, Book: book, Now: c.now, timer: func(time.Duration) <-chan time.Time {
		ch := make(chan time.Time, 1)
		timers <- ch
		return ch
	}})
	before := r.converged(x.name, in.Number)
	x.forget()
	c.set(time.Date(2007, 4, 1, 0, 0, 0, 0, time.UTC))
	over := make(chan struct{})
	defer close(over)
	go func() { // fire every timer, whichever one is in use
		for {
			select {
			case ch := <-timers:
				ch <- time.Time{}
			case <-over:
				return
			}
		}
	}()
	r.await("the end", func(all map[string]Status) bool {
		return all[x.name].State == StateConverged && all[x.name].Entries < before.Entries && all[x.name].Reason == ReasonDate
	})
	writes, _ := x.forget()
	if len(writes) == 0 {
		t.Error("nothing was written")
	}
}
