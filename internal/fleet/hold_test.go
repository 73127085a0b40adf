package fleet

import (
	"errors"
	"testing"
	"time"

	"op25b/internal/intent"
	"op25b/internal/policy"
	"op25b/internal/store"
)

func hold(t *testing.T, s *store.Store, name, reason string) Hold {
	t.Helper()
	h := Hold{Who: "ann", Reason: reason, Since: time.Now().UTC().Truncate(time.Second)}
	return must(PutHold(within(t), s, name, h, store.AuditRecord{Who: "ann", Verb: "hold", Object: "switch " + name, Reason: reason}))(t)
}

func release(t *testing.T, s *store.Store, name string) {
	t.Helper()
	must(EndHold(within(t), s, name, store.AuditRecord{Who: "ann", Verb: "release", Object: "switch " + name}))(t)
}

// held waits until a controller has stopped writing to a switch.
func (r *running) held(name string, revision uint64) Status {
	r.t.Helper()
	var st Status
	r.await(name+" is held", func(all map[string]Status) bool {
		st = all[name]
		return st.Ownership == Owned && st.State == StateHeld && st.Wanted == revision && st.Detail == ""
	})
	return st
}

// Nothing is written to a held switch, by no controller, while the others go on. Its own revision and phase stay shown (I11). After the release it is
// brought to what is wanted.
func TestHeldSwitchIsLeftAlone(t *testing.T) {
	x, y := startTestSwitch(t, 1, "127.0.0.1:0"), startTestSwitch(t, 2, "127.0.0.1:0")
	s := embeddedStore(t)
	c := clockAt(time.Date(2006, 5, 20, 0, 0, 0, 0, time.UTC))
	book := intent.NewBook(s, c.now)
	first := apply(t, book, documentsOf(t, x, y))
	cfg := Config{Name: "noc-1", Store: s, Book: book, Now: c.now, AuditEvery: 20 * time.Millisecond}
	r := start(t, cfg)
	r.converged(x.name, first.Number)
	r.converged(y.name, first.Number)
	h := hold(t, s, x.name, "new line card")
	r.held(x.name, first.Number)
	x.forget()
	x.readsSo()
	in := must(book.Activate(within(t), first.Number, "all-destinations", policy.Scope{}, by))(t)
	r.converged(y.name, in.Number)
	st := r.held(x.name, in.Number)
	if st.Hold == nil || st.Hold.Who != "ann" || st.Hold.Reason != "new line card" || !st.Since.Equal(h.Since) {
		t.Errorf("the hold is %+v since %v", st.Hold, st.Since)
	}
	if st.Revision != first.Number || st.InForce != "before" || st.State.Failed() || st.Failure != nil {
		t.Errorf("held at revision %d in %q, failure %v; want revision %d in before", st.Revision, st.InForce, st.Failure, first.Number)
	}
	r.end()

	// The next controller knows of the hold, although the switch has restarted without a program.
	x.stop()
	again := startTestSwitch(t, 1, x.addr)
	r = start(t, cfg)
	r.converged(y.name, in.Number)
	r.held(again.name, in.Number)
	untouched(t, "held", x)
	untouched(t, "held, after a restart", again)
	if again.readsSo() != 0 {
		t.Error("a held switch was read")
	}

	// A held switch that goes away is still held, and says why nobody reaches it.
	again.stop()
	r.await("the session ends", func(all map[string]Status) bool { return all[x.name].State == StateHeld && all[x.name].Detail != "" })
	third := startTestSwitch(t, 1, x.addr)
	r.held(third.name, in.Number)
	untouched(t, "held, after it came back", third)

	release(t, s, x.name)
	if st := r.converged(x.name, in.Number); st.InForce != "all-destinations" || st.Hold != nil {
		t.Errorf("released: %q in force, hold %v", st.InForce, st.Hold)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, st := range r.seen {
		if st.Switch == x.name && st.State.Failed() {
			t.Errorf("the held switch was reported as %v, %v: %s", st.State, st.Reason, st.Detail)
		}
	}
}

// A switch that cannot be reached can be held and released: no session is needed to say so.
func TestHoldWithoutASession(t *testing.T) {
	x := startTestSwitch(t, 1, "127.0.0.1:0")
	s := embeddedStore(t)
	book := intent.NewBook(s, time.Now)
	apply(t, book, documentsOf(t, x))
	x.stop()
	r := start(t, Config{Name: "noc-1", Store: s, Book: book})
	is := func(state State) func(map[string]Status) bool {
		return func(all map[string]Status) bool { return all[x.name].State == state }
	}
	r.await("it is unreachable", is(StateDisconnected))
	hold(t, s, x.name, "power")
	r.await("it is held", is(StateHeld))
	release(t, s, x.name)
	r.await("it is unreachable again", is(StateDisconnected))
}

// A hold belongs to who made it. A repetition changes nothing, and another hold is refused.
func TestHoldOnce(t *testing.T) {
	s := embeddedStore(t)
	record := store.AuditRecord{Who: "ann", Verb: "hold", Object: "switch edge-1", Reason: "power"}
	if _, err := EndHold(within(t), s, "edge-1", record); !errors.Is(err, ErrNotHeld) {
		t.Errorf("end: %v", err)
	}
	h := hold(t, s, "edge-1", "power")
	again := h
	again.Since = again.Since.Add(time.Hour)
	if got, err := PutHold(within(t), s, "edge-1", again, record); err != nil || !got.Since.Equal(h.Since) {
		t.Errorf("repeated: %+v, %v", got, err)
	}
	want := `the switch is already held: ann holds "edge-1" since ` + h.Since.Format(time.RFC3339) + ": power"
	if _, err := PutHold(within(t), s, "edge-1", Hold{Who: "bob", Reason: "x"}, record); !errors.Is(err, ErrHeld) || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	if got, err := EndHold(within(t), s, "edge-1", record); err != nil || got.Who != "ann" {
		t.Errorf("end: %+v, %v", got, err)
	}
	if n := len(must(s.Audit().Records(within(t), 1, 10))(t)); n != 2 {
		t.Errorf("%d audit records, want 2", n)
	}
}

// A record that is older than the known one is not taken: a watch may be behind what a new owner has read.
func TestHoldBook(t *testing.T) {
	var b holdBook
	put := func(version int64, held bool, err error) { // the last is not always the newest
		b.put(store.Record[storedHold]{Name: "edge-1", Version: version, Value: storedHold{Held: held}}, err)
	}
	for i, step := range []struct {
		version int64
		held    bool
		err     error
		want    bool
	}{{5, true, nil, true}, {4, false, nil, true}, {6, false, nil, false}, {5, true, nil, false}, {7, false, store.ErrCorrupt, true}, {8, false, nil, false}} {
		put(step.version, step.held, step.err)
		if got := b.hold("edge-1") != nil; got != step.want {
			t.Errorf("step %d: held %v, want %v", i, got, step.want)
		}
	}
}
