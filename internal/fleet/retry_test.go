package fleet

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"op25b/internal/bring"
	"op25b/internal/intent"
	"op25b/internal/p4rt"
	"op25b/internal/policy"
	"op25b/internal/reconcile"
	"op25b/internal/store"
	"op25b/internal/strict"
)

// The pauses grow while the same content fails for the same reason. They start again if the content or the reason changes. A revision
// that changes nothing on the switch is recorded but causes no attempt.
func TestRetriesAreByContentAndCause(t *testing.T) {
	s := embeddedStore(t)
	c := clockAt(allDestinations)
	book := intent.NewBook(s, c.now)
	x := &testSwitch{name: "edge-1", id: 1, addr: "127.0.0.1:9559"}
	in := apply(t, book, documentsOf(t, x))
	control := &controller{Config: Config{Now: c.now, AuditEvery: time.Minute, fault: func(err error) { t.Error(err) }}, reporter: newReporter(&store.Store{}, nil)}
	control.log = must((Config{Name: "noc-1", Store: &store.Store{}, Book: &intent.Book{}}).withDefaults())(t).Logger
	assigned := &assignment{c: control, name: x.name, log: control.log, status: Status{Switch: x.name, State: StateConverging, Ownership: Owned}}
	look := func(in *intent.Intent) {
		control.view.Store(nextView(control.view.Load(), in))
	}
	fail := func(what string, err error, want int) {
		t.Helper()
		v := control.view.Load()
		w := must(v.desired(x.name, c.now()))(t)
		work := newWorker(assigned, nil) // the failures are counted across sessions and ownerships
		work.primary, work.trying = true, &w
		assigned.status.Wanted = w.Number
		work.fail(err)
		if assigned.failures != want {
			t.Errorf("%s: %d failures in a row, want %d", what, assigned.failures, want)
		}
	}
	full, refused := reconcile.ErrNoRoom, &p4rt.WriteError{}
	look(in)
	fail("the first", full, 1)
	fail("again", full, 2)
	fail("again, for another reason", refused, 1)
	fail("and again", refused, 2)

	work := newWorker(assigned, nil)
	work.primary = true
	since := assigned.status.Failure.Since
	in = must(book.Activate(within(t), in.Number, "all-destinations", policy.Scope{}, by))(t) // this phase is in force already
	look(in)
	if !work.failedAlready() {
		t.Error("a revision that changes nothing is a reason to try again")
	}
	if st := assigned.status; st.Wanted != in.Number || st.Failure.Wanted != in.Number || !st.Failure.Since.Equal(since) || st.Failure.Attempts != 2 {
		t.Errorf("%+v, %+v", st, st.Failure)
	}
	in = must(book.Activate(within(t), in.Number, "before", policy.Scope{}, by))(t)
	look(in)
	if work.failedAlready() {
		t.Error("another phase is no reason to try again")
	}
	fail("another content", refused, 1)
	for failures, most := range map[int]time.Duration{1: time.Second, 4: 8 * time.Second, 40: time.Minute} {
		if got := backoff(failures, time.Minute); got > most || got < most/2-1 {
			t.Errorf("after %d failures the pause is %v, want %v to %v", failures, got, most/2, most)
		}
	}
}

// If a state does not fit in a switch, it is compiled once, and not again until the desired state changes.
func TestRefusedContentIsCompiledOnce(t *testing.T) {
	s := embeddedStore(t)
	c := clockAt(allDestinations)
	book := intent.NewBook(s, c.now)
	x := &testSwitch{name: "edge-1", id: 1, addr: "127.0.0.1:9559"}
	in := apply(t, book, withPrefixes(documentsOf(t, x), 82_000))
	program := must(bring.Load())(t)
	work := newWorker(&assignment{c: &controller{program: program}, name: x.name}, nil)
	w := must(nextView(nil, in).desired(x.name, c.now()))(t)
	_, first := work.compile(w)
	if !errors.Is(first, reconcile.ErrNoRoom) || first.Error() != `table "subscriber_v4": no room: 81920 entries, 82001 wanted` {
		t.Fatalf("%v", first)
	}
	if n := testing.AllocsPerRun(10, func() {
		if _, err := work.compile(w); !errors.Is(err, reconcile.ErrNoRoom) {
			t.Error(err)
		}
	}); n > 100 {
		t.Errorf("%v allocations to refuse the same again", n)
	}
	later := w
	later.At = later.At.AddDate(10, 0, 0) // at this time, all exemptions have ended
	if _, err := work.compile(later); err != nil {
		t.Errorf("another content: %v", err)
	}
}

// withPrefixes returns the documents with n more exempted prefixes.
func withPrefixes(files []strict.File, n int) []strict.File {
	var b strings.Builder
	b.WriteString("exemptions:\n")
	for i := range n {
		fmt.Fprintf(&b, "  - {prefix: 10.%d.%d.%d/32, owner: noc@isp.example, reason: r, expires: 2007-03-31}\n", i>>16, i>>8&255, i&255)
	}
	return replaced(files, "exemptions:\n", b.String())
}
