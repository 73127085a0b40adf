package fleet

import (
	"context"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"op25b/internal/intent"
	"op25b/internal/store"
)

// A status is valid while its owner is alive, owns the switch under the status's epoch, and confirms the status. // I11
func TestWitnesses(t *testing.T) {
	written := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	lately := written.Add(time.Minute)
	st := Status{
		Switch: "edge-1", State: StateConverged, Reason: ReasonIntent, Since: written, Seen: written, Revision: 1, Wanted: 1,
		Ownership: Owned, Owner: "noc-1", Epoch: 7, OwnershipSince: written.Add(-time.Hour),
	}
	holding := store.Holding{Name: "edge-1", Holder: "noc-1", Epoch: 7, Alive: true}
	confirms := map[string]confirmation{"noc-1": {lately}}
	released := st
	released.Ownership, released.Owner = NotOwned, ""
	away := st
	away.State = StateDisconnected
	for _, c := range []struct {
		what     string
		status   Status
		holding  *store.Holding
		confirms map[string]confirmation
		self     string
		state    State
		reason   Reason
		since    time.Time
		seen     time.Time
	}{
		{"the owner lives", st, &holding, confirms, "", StateConverged, ReasonIntent, written, lately},
		{"the owner lives in this process", st, &store.Holding{Name: "edge-1", Holder: "noc-1", Epoch: 7, Alive: true, Mine: true}, confirms, "noc-1", StateConverged, ReasonIntent, written, lately},
		{"a switch that is not connected was not seen lately", away, &holding, confirms, "", StateDisconnected, ReasonIntent, written, written},
		{"nobody owns it", st, nil, confirms, "", StateUnknown, ReasonOwnerGone, written, written},
		{"the owner was killed, and is here again under its name", st, &store.Holding{Name: "edge-1", Holder: "noc-1", Epoch: 7}, confirms, "", StateUnknown, ReasonOwnerGone, written, written},
		{"the owner was killed, and this is what came after it", st, &holding, confirms, "noc-1", StateUnknown, ReasonOwnerGone, written, written},
		{"another took it", st, &store.Holding{Name: "edge-1", Holder: "noc-2", Epoch: 9, Alive: true}, confirms, "", StateUnknown, ReasonTakenOver, written, written},
		{"the owner took it anew", st, &store.Holding{Name: "edge-1", Holder: "noc-1", Epoch: 9, Alive: true}, confirms, "", StateUnknown, ReasonTakenOver, written, written},
		{"the owner does not confirm", st, &holding, nil, "", StateUnknown, ReasonNotConfirmed, written, written},
		{"it was given back", released, nil, confirms, "", StateUnknown, ReasonReleased, written.Add(-time.Hour), written},
		{"it was given back, and taken", released, &holding, confirms, "", StateUnknown, ReasonTakenOver, written, written},
	} {
		w := evidence{self: c.self, confirmed: c.confirms}
		if c.holding != nil {
			w.setHoldings([]store.Holding{*c.holding})
		}
		got := w.known([]Status{c.status})[0]
		if got.State != c.state || got.Reason != c.reason || !got.Since.Equal(c.since) || !got.Seen.Equal(c.seen) {
			t.Errorf("%s: %v, %v, since %v, seen %v", c.what, got.State, got.Reason, got.Since, got.Seen)
		}
		if got.State == StateUnknown && (got.Last == nil || got.Last.State != StateConverged || got.Last.Reason != ReasonIntent || got.Revision != 1) {
			t.Errorf("%s: last %+v", c.what, got.Last)
		}
	}
}

// The only controller is killed. From then on its switches are not reported as converged, until a new controller of the same name has read
// them. // I11
func TestI11DeadOwner(t *testing.T) {
	x := startTestSwitch(t, 1, "127.0.0.1:0")
	s := openStore(t, store.Config{Dir: t.TempDir()})
	now := clockAt(allDestinations).now
	book := intent.NewBook(s, now)
	in := apply(t, book, documentsOf(t, x))
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), controllerEnv+"="+s.Endpoints()[0])
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	ctx, cancel := context.WithCancel(t.Context())
	watch := WatchKnown(ctx, s, "noc-1")
	other := WatchKnown(ctx, s, "")
	defer func() {
		cancel()
		for range watch {
		}
		for range other {
		}
	}()
	is := func(state State) func([]Status) bool {
		return func(all []Status) bool { return len(all) == 1 && all[0].State == state }
	}
	awaitStored(t, other, "converged", is(StateConverged))
	// A new process of the same name does not rely on the statuses of its predecessor.
	if all := must(Known(within(t), s, "noc-1"))(t); !is(StateUnknown)(all) {
		t.Errorf("to another process of its name: %+v", all)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	awaitStored(t, other, "unknown", func(all []Status) bool {
		return is(StateUnknown)(all) && all[0].Reason == ReasonOwnerGone && all[0].Last.State == StateConverged && !all[0].Since.IsZero()
	})
	if all := must(Known(within(t), s, ""))(t); !is(StateUnknown)(all) {
		t.Errorf("asked: %+v", all)
	}
	gate := make(chan struct{})
	x.mu.Lock()
	x.atAudit = func() { <-gate }
	x.mu.Unlock()
	r := start(t, Config{Name: "noc-1", Store: s, Book: book, Now: now})
	r.await("the switch is taken", func(all map[string]Status) bool { return all[x.name].Ownership == Owned })
	for _, st := range must(Known(within(t), s, "noc-1"))(t) {
		if st.State == StateConverged {
			t.Errorf("before it was read: %+v", st)
		}
	}
	close(gate)
	r.converged(x.name, in.Number)
	awaitStored(t, watch, "converged again", is(StateConverged))
}

// A failure because of a full table is kept in the status when the lease is lost.
func TestI11FailureOutlivesTheLease(t *testing.T) {
	st := Status{Switch: "edge-1", State: StateFailed, Reason: ReasonNoRoom, Wanted: 7, Ownership: Owned}
	began := time.Now()
	if err := st.fail(ReasonNoRoom, "full", false, began); err != nil {
		t.Fatal(err)
	}
	s := &assignment{c: &controller{Config: Config{Now: time.Now, fault: func(err error) { t.Error(err) }}, reporter: newReporter(&store.Store{}, nil)}, status: st}
	s.log = must((Config{Name: "noc-1", Store: &store.Store{}, Book: &intent.Book{}}).withDefaults())(t).Logger
	s.update(func(st *Status) error { st.Ownership, st.Progress = Lost, nil; return nil })
	s.reportWaiting("the store does not answer")
	if got := s.status; got.State != StateFailed || got.Reason != ReasonNoRoom || got.Ownership != Waiting || got.counted() != StateUnknown {
		t.Errorf("without the lease: %+v", got)
	}
	s.update(func(st *Status) error {
		st.Ownership = Owned
		return st.become(eventDial, ReasonDialing, "")
	})
	if f := s.status.Failure; f == nil || f.Reason != ReasonNoRoom || f.Wanted != 7 {
		t.Errorf("with the lease again: %+v", s.status)
	}
}

// The time in a confirmation is the time at which the switch that has been silent longest was last seen. A controller makes confirmations
// only while it can store statuses.
func TestConfirmation(t *testing.T) {
	x, y := startTestSwitch(t, 1, "127.0.0.1:0"), startTestSwitch(t, 2, "127.0.0.1:0")
	s := embeddedStore(t)
	now := clockAt(allDestinations).now
	book := intent.NewBook(s, now)
	in := apply(t, book, documentsOf(t, x, y))
	r := start(t, Config{Name: "noc-1", Store: s, Book: book, Now: now})
	r.converged(x.name, in.Number)
	r.converged(y.name, in.Number)
	ctx, cancel := context.WithCancel(t.Context())
	watch := WatchKnown(ctx, s, "noc-1")
	awaitStored(t, watch, "seen", func(all []Status) bool {
		return len(all) == 2 && !slices.ContainsFunc(all, func(st Status) bool { return st.State != StateConverged || st.Seen.IsZero() })
	})
	// Without a confirmation, no status is valid. The next confirmation makes the statuses valid again.
	if err := store.JSON[confirmation](s, confirmationKind).Delete(within(t), "noc-1", store.AnyVersion); err != nil {
		t.Fatal(err)
	}
	all := func(state State) func([]Status) bool {
		return func(all []Status) bool {
			return !slices.ContainsFunc(all, func(st Status) bool { return st.State != state })
		}
	}
	awaitStored(t, watch, "not confirmed", all(StateUnknown))
	awaitStored(t, watch, "confirmed again", all(StateConverged))
	cancel()
	for range watch {
	}

	c := &controller{working: map[*assignment]struct{}{}}
	at := time.Now()
	own := &store.Ownership{}
	for i, state := range []State{StateConverged, StateDisconnected, StateConnecting, StateFailed} {
		s := &assignment{seen: at.Add(-time.Duration(i+1) * time.Minute), own: own, status: Status{State: state}}
		c.working[s] = struct{}{}
	}
	if got := c.seenAll(at); !got.Equal(at.Add(-4 * time.Minute)) {
		t.Errorf("seen %v ago", at.Sub(got))
	}
	reporter := newReporter(&store.Store{}, nil)
	if reporter.waiting(at) != 0 {
		t.Error("nothing waits")
	}
	sat := &assignment{}
	reporter.changedSince(sat, at.Add(-time.Minute))
	reporter.changedSince(sat, at)
	if got := reporter.waiting(at); got != time.Minute {
		t.Errorf("waiting for %v", got)
	}
}

// TestFirstStatusIsConfirmed verifies that a controller confirms its switches before it stores their first status. In the other order, a reader
// sees a switch whose state nobody confirms, and a change that waits for the switch gives up.
func TestFirstStatusIsConfirmed(t *testing.T) {
	x := startTestSwitch(t, 1, "127.0.0.1:0")
	s := embeddedStore(t)
	now := clockAt(allDestinations).now
	book := intent.NewBook(s, now)
	in := apply(t, book, documentsOf(t, x))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	confirmed, stored := make(chan int64, 1), make(chan int64, 1) // the versions of the first records
	go first(store.JSON[confirmation](s, confirmationKind).Watch(ctx), confirmed)
	go first(store.JSON[Status](s, statusKind).Watch(ctx), stored)
	r := start(t, Config{Name: "noc-1", Store: s, Book: book, Now: now})
	r.converged(x.name, in.Number)
	if a, b := <-confirmed, <-stored; a >= b {
		t.Errorf("confirmed in version %d, and the first status was stored in version %d", a, b)
	}
}

// first sends the version of the first record of a watch, and reads on until the watch ends.
func first[T any](events <-chan []store.Event[T], version chan<- int64) {
	sent := false
	for some := range events {
		for _, e := range some {
			if !sent {
				version <- e.Version
				sent = true
			}
		}
	}
}
