package ledger

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"op25b/internal/intent"
	"op25b/internal/lease"
	"op25b/internal/lease/login"
	"op25b/internal/policy"
	"op25b/internal/store"
	"op25b/internal/subscriber"
)

func addr(text string) netip.Addr { return netip.MustParseAddr(text) }

// TestLogin verifies that a login grants the first lease that is for the line, that other controllers know it, and that it ends.
func TestLogin(t *testing.T) {
	w := newWorld(t, 1)
	other := w.beside(t)
	w.session(t, subscriber.Start, 0, "a", "192.0.2.1/32", "2001:db8:1::/56")
	for line, from := range map[string]string{"line-0": "2001:db8:1::5", "shop": "192.0.2.13"} {
		l, outcome, err := w.ledger.Login(within(t), "dovecot", addr(from), false, time.Time{})
		if err != nil || outcome != lease.Granted || l.Name != "pop" || l.Holder.Line != line || !l.End.Equal(noon().Add(10*time.Minute)) {
			t.Errorf("%s: %v, %v, %v", from, l, outcome, err)
		}
		w.until(t, line, 10*time.Minute)
		other.until(t, line, 10*time.Minute)
	}
	if l, _, err := w.ledger.Login(within(t), "dovecot", addr("192.0.2.14"), true, time.Time{}); err != nil || l.Name != "pop-tls" {
		t.Errorf("%v, %v", l, err)
	}
	w.clock.advance(5 * time.Minute)
	l, outcome, err := other.ledger.Login(within(t), "weakforced", addr("192.0.2.1"), false, noon().Add(4*time.Minute)) // from the other address, reported late
	if err != nil || outcome != lease.Renewed || !l.End.Equal(noon().Add(14*time.Minute)) {
		t.Errorf("%v, %v, %v", l, outcome, err)
	}
	w.until(t, "line-0", 14*time.Minute)
	w.clock.advance(5 * time.Minute)
	w.until(t, "shop", 0)
	w.until(t, "line-0", 14*time.Minute)
}

// TestGrantRefused verifies each reason for which a grant is refused, with its message and the label in the metrics. No message has an address.
func TestGrantRefused(t *testing.T) {
	w := newWorld(t, 1)
	r := prometheus.NewPedanticRegistry()
	w.ledger = New(Config{Store: w.store, Book: intent.NewBook(w.store, time.Now), Sessions: w.register, Now: w.clock.now, Registerer: r})
	if _, _, err := w.ledger.Grant(within(t), "shop", "pop"); !errors.Is(err, ErrNotReady) {
		t.Errorf("before the store was read: %v", err)
	}
	run(t, w.ledger)
	logsIn := func(from string, tls bool) func() error {
		return func() error {
			_, _, err := w.ledger.Login(within(t), "dovecot", addr(from), tls, time.Time{})
			return err
		}
	}
	grant := func(line, name string) func() error {
		return func() error {
			_, _, err := w.ledger.Grant(within(t), line, name)
			return err
		}
	}
	if err := grant("shop", "pop")(); err != nil {
		t.Fatal(err)
	}
	w.until(t, "shop", 10*time.Minute)
	for _, test := range []struct {
		do    func() error
		want  error
		text  string
		label string
	}{
		{grant("nowhere", "pop"), ErrNoLine, `no such line: the inventory has no line "nowhere"`, "no-line"},
		{grant("shop", "popp"), ErrNoLease, `no such lease: the policy has no lease "popp"; did you mean "pop"? leases: pop, pop-tls`, "no-lease"},
		{grant("office", "pop"), ErrNoLease, `no such lease: the lease "pop" is not for the group "business" of line "office"`, "no-lease"},
		{grant("shop", "pop-tls"), lease.ErrOther, `the holder has another lease: line shop has the lease "pop" until 2026-07-01T12:10:00Z; revoke it first`, "other-lease"},
		{grant("exempt", "pop"), ErrExempt, `the line is exempt: line "exempt" reaches own servers without a lease`, "exempt"},
		{grant("bare", "pop"), ErrNoAddress, `the line has no address: line "bare" has no session, and no prefix in the inventory`, "no-address"},
		{grant("line-0", "pop"), ErrNoAddress, `the line has no address: line "line-0" has no session, and no prefix in the inventory`, "no-address"},
		{logsIn("192.0.2.99", true), ErrNoLine, "no such line: no line has the address of the client", "no-line"},
		{logsIn("192.0.2.14", false), ErrPlain, `the lease requires a login over TLS: lease "pop-tls"`, "no-tls"},
		{logsIn("192.0.2.15", true), ErrExempt, `the line is exempt: line "exempt" reaches own servers without a lease`, "exempt"},
		{logsIn("192.0.2.16", true), ErrNoLease, `no such lease: the policy has none for the group "plain"`, "no-lease"},
	} {
		source := "api"
		if err := test.do(); !errors.Is(err, test.want) || err.Error() != test.text {
			t.Errorf("%v; want %s", err, test.text)
		}
		if strings.Contains(test.text, "client") || strings.Contains(test.text, "TLS") || strings.Contains(test.text, "none for") {
			source = "dovecot"
		}
		if n := testutil.ToFloat64(w.ledger.metrics.grants.WithLabelValues(source, test.label)); n == 0 {
			t.Errorf("%s is not counted as %s of %s", test.text, test.label, source)
		}
	}
	if n := testutil.ToFloat64(w.ledger.metrics.grants.WithLabelValues("api", "granted")); n != 1 {
		t.Errorf("%v grants are counted", n)
	}
	problems := must(testutil.GatherAndLint(r))(t)
	if len(problems) > 0 {
		t.Error(problems)
	}
	w.ledger.Refuse("dovecot", login.Failed)
	if n := testutil.ToFloat64(w.ledger.metrics.grants.WithLabelValues("dovecot", "failed")); n != 1 {
		t.Errorf("%v failed logins are counted", n)
	}
}

// TestEndsWithTheSession verifies that a lease ends at once with the session of its line, is not taken over by the next one, and is then deleted.
func TestEndsWithTheSession(t *testing.T) {
	w := newWorld(t, 1)
	w.session(t, subscriber.Start, 0, "a", "192.0.2.1/32")
	must2(w.ledger.Grant(within(t), "line-0", "pop"))(t)
	w.until(t, "line-0", 10*time.Minute)
	w.clock.advance(time.Minute)
	w.session(t, subscriber.Stop, 0, "a")
	w.until(t, "line-0", 0)
	w.clock.advance(time.Minute)
	w.session(t, subscriber.Start, 0, "b", "192.0.2.1/32")
	w.until(t, "line-0", 0)
	l, outcome, err := w.ledger.Grant(within(t), "line-0", "pop")
	if err != nil || outcome != lease.Granted || !l.Granted.Equal(noon().Add(2*time.Minute)) {
		t.Errorf("%v, %v, %v", l, outcome, err)
	}
	w.until(t, "line-0", 12*time.Minute)
	w.clock.advance(time.Minute)
	w.session(t, subscriber.Stop, 0, "b")
	w.ledger.sweep(within(t))
	if all := must(w.ledger.records.List(within(t)))(t); len(all) > 0 {
		t.Errorf("%v remain", all)
	}
}

// TestSweep verifies that leases are deleted when they have ended, and when the documents do not have them any more, and that followers are told.
func TestSweep(t *testing.T) {
	w := newWorld(t, 0)
	news := make(chan struct{}, 1)
	take, stop := w.ledger.Follow("edge-1", news)
	defer stop()
	told := func(want ...string) {
		t.Helper()
		var got []string
		for all := false; !all && !slices.Equal(got, want); {
			select {
			case <-news:
			case <-within(t).Done():
				t.Fatalf("told %v, want %v", got, want)
			}
			var some []string
			if some, all = take(); all {
				some = []string{"all"}
			}
			got = append(got, some...)
			slices.Sort(got)
		}
	}
	told("all")
	for _, grant := range [][2]string{{"shop", "pop"}, {"office", "pop-tls"}} {
		must2(w.ledger.Grant(within(t), grant[0], grant[1]))(t)
	}
	told("office", "shop")
	w.clock.advance(10*time.Minute - time.Second)
	w.ledger.sweep(within(t))
	if all := must(w.ledger.records.List(within(t)))(t); len(all) != 2 {
		t.Errorf("%v, want both leases", all)
	}
	must2(w.ledger.Grant(within(t), "office", "pop-tls"))(t)
	told("office")
	w.clock.advance(time.Second)
	w.ledger.sweep(within(t))
	told("shop")
	w.until(t, "shop", 0)
	w.until(t, "office", 20*time.Minute-time.Second)
	files := documents(0)
	files[0].Data = []byte(strings.Replace(string(files[0].Data), "pop-tls", "imap-tls", 1))
	apply(t, w.store, files)
	w.until(t, "office", 0) // it has no such lease now
	w.ledger.sweep(within(t))
	if all := must(w.ledger.records.List(within(t)))(t); len(all) > 0 {
		t.Errorf("%v remain", all)
	}
}

// TestOwnLeaseOnce verifies that followers learn once of a lease that the ledger wrote, and not again when the watch of the store reports it. A later
// lease and the deletion are changes.
func TestOwnLeaseOnce(t *testing.T) {
	w := newWorld(t, 0)
	rules := must(w.ledger.current())(t)
	l := New(Config{Store: w.store}) // its watches do not run: the test reports the events
	l.setRules(rules)
	take, stop := l.Follow("edge-1", make(chan struct{}, 1))
	defer stop()
	take() // all
	held := lease.Lease{Holder: lease.Holder{Line: "shop"}, Name: "pop", Granted: noon(), End: noon().Add(time.Minute)}
	event := func(version int64) store.Event[stored] {
		return store.Event[stored]{Record: store.Record[stored]{Name: "shop", Value: of(held), Version: version}}
	}
	l.wrote("shop", 5, held)
	for _, x := range []struct {
		name string
		some []store.Event[stored]
		want []string
	}{
		{"written", nil, []string{"shop"}},
		{"reported", []store.Event[stored]{event(4), event(5)}, nil},
		{"of another controller", []store.Event[stored]{event(6)}, []string{"shop"}},
		{"deleted", []store.Event[stored]{{Record: store.Record[stored]{Name: "shop"}, Deleted: true}}, []string{"shop"}},
	} {
		l.take(x.some)
		if lines, all := take(); all || !slices.Equal(lines, x.want) {
			t.Errorf("%s: %v, all %v; want %v", x.name, lines, all, x.want)
		}
	}
	if len(l.ahead)+len(l.versions) > 0 {
		t.Errorf("%v, %v remain", l.ahead, l.versions)
	}
}

// TestRevoke verifies that a revoked lease is gone for all controllers, and that revoking it again is not an error.
func TestRevoke(t *testing.T) {
	w := newWorld(t, 0)
	other := w.beside(t)
	must2(w.ledger.Grant(within(t), "shop", "pop"))(t)
	other.until(t, "shop", 10*time.Minute)
	if l, had, err := other.ledger.Revoke(within(t), "shop"); err != nil || !had || l.Name != "pop" {
		t.Errorf("%v, %v, %v", l, had, err)
	}
	w.until(t, "shop", 0)
	if _, had, err := w.ledger.Revoke(within(t), "shop"); err != nil || had {
		t.Errorf("%v, %v", had, err)
	}
	if _, _, err := w.ledger.Revoke(within(t), "nowhere"); !errors.Is(err, ErrNoLine) {
		t.Error(err)
	}
}

// TestList verifies which leases are listed, in order and up to the limit.
func TestList(t *testing.T) {
	w := newWorld(t, 3)
	for i := range 3 {
		w.session(t, subscriber.Start, i, "a", fmt.Sprintf("192.0.2.%d/32", 1+i))
		must2(w.ledger.Grant(within(t), fmt.Sprint("line-", i), "pop"))(t)
		w.until(t, fmt.Sprint("line-", i), 10*time.Minute)
	}
	must2(w.ledger.Grant(within(t), "shop", "pop"))(t)
	w.until(t, "shop", 10*time.Minute)
	w.clock.advance(time.Minute)
	w.session(t, subscriber.Stop, 1, "a")
	list := func(most int, keep func(Held) bool) (text string) {
		some, total, err := w.ledger.List(most, keep)
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range some {
			text += h.Switch + "/" + h.Holder.Line + " "
		}
		return fmt.Sprint(text, total)
	}
	every := func(Held) bool { return true }
	if got, want := list(10, every), "edge-1/line-0 edge-1/line-2 edge-1/shop 3"; got != want {
		t.Errorf("%s; want %s", got, want)
	}
	if got, want := list(1, func(h Held) bool { return h.Holder.Line != "line-0" }), "edge-1/line-2 2"; got != want {
		t.Errorf("%s; want %s", got, want)
	}
}

// TestConcurrentGrants grants leases of one line over two controllers at once. The lease ends as the last grant says, and never beyond its cap.
func TestConcurrentGrants(t *testing.T) {
	w := newWorld(t, 0)
	both := []world{w, w.beside(t)}
	var work sync.WaitGroup
	for i := range 20 {
		at := noon().Add(time.Duration(i) * 2 * time.Minute)
		w.clock.advance(2 * time.Minute)
		for _, w := range both {
			work.Go(func() {
				_, _, err := w.ledger.Login(within(t), "dovecot", addr("192.0.2.13"), true, at)
				for errors.Is(err, ErrBusy) {
					_, _, err = w.ledger.Login(within(t), "dovecot", addr("192.0.2.13"), true, at)
				}
				if err != nil && !errors.Is(err, lease.ErrLate) {
					t.Error(err)
				}
			})
		}
	}
	work.Wait()
	found := must(w.ledger.records.Get(within(t), "shop"))(t).Value
	if most := found.Granted.Add(30 * time.Minute); found.End.After(most) || found.End.Before(w.clock.now()) {
		t.Errorf("%+v at %v", found, w.clock.now())
	}
}

// TestUnreadable verifies that a damaged record of the store is replaced by a grant, and that the sweep deletes it.
func TestUnreadable(t *testing.T) {
	w := newWorld(t, 0)
	damage := func(line string) {
		must(store.JSON[[]int](w.store, leaseKind).PutIf(within(t), line, store.AnyVersion, []int{1}))(t)
		wait(t, func() bool {
			w.ledger.mu.RLock()
			defer w.ledger.mu.RUnlock()
			return w.ledger.versions[line] > 0
		}, "the record is not known")
	}
	damage("shop")
	damage("office")
	w.until(t, "shop", 0)
	must2(w.ledger.Grant(within(t), "shop", "pop"))(t)
	w.until(t, "shop", 10*time.Minute)
	w.ledger.sweep(within(t))
	if all := must(w.ledger.records.List(within(t)))(t); len(all) != 1 {
		t.Errorf("%v, want the lease of shop", all)
	}
}

// must2 is must for functions that return two values and an error.
func must2[T, U any](v T, _ U, err error) func(testing.TB) T { return must(v, err) }

// TestDocumentsOnce verifies that followers learn of other documents, and not of a change of phase, which changes no lease.
func TestDocumentsOnce(t *testing.T) {
	s := open(t, t.TempDir(), 0)
	book := intent.NewBook(s, time.Now)
	l := New(Config{Store: s}) // its watches do not run: the test passes the intents
	take, stop := l.Follow("edge-1", make(chan struct{}, 1))
	defer stop()
	take() // all
	first := must(book.Current(within(t)))(t)
	phase := must(book.Activate(within(t), first.Number, "stop", policy.Scope{}, intent.By{Who: "alice", Role: "operator", Reason: "test"}))(t)
	apply(t, s, documents(1))
	more := must(book.Current(within(t)))(t)
	for _, x := range []struct {
		name string
		in   *intent.Intent
		all  bool
	}{{"the first documents", first, true}, {"a phase", phase, false}, {"the same again", phase, false}, {"another line", more, true}, {"back", phase, true}} {
		l.setDocuments(x.in)
		if lines, all := take(); all != x.all || len(lines) > 0 {
			t.Errorf("%s: %v, all %v; want all %v", x.name, lines, all, x.all)
		}
		if _, is := l.rules.line("line-0"); is != (x.in == more) {
			t.Errorf("%s: line-0 is known: %v", x.name, is)
		}
	}
}

// TestDeletedAtOnce verifies that a lease that was deleted before the watch of the store reported it is not held any longer. The deletion of a lease
// that was never known reports nobody.
func TestDeletedAtOnce(t *testing.T) {
	w := newWorld(t, 0)
	l := New(Config{Store: w.store, Now: w.clock.now}) // its watches do not run: the test reports the events
	l.setRules(must(w.ledger.current())(t))
	close(l.ready)
	take, stop := l.Follow("edge-1", make(chan struct{}, 1))
	defer stop()
	take() // all
	deleted := func(name string) []store.Event[stored] {
		return []store.Event[stored]{{Record: store.Record[stored]{Name: name}, Deleted: true}}
	}
	l.wrote("shop", 5, lease.Lease{Holder: lease.Holder{Line: "shop"}, Name: "pop", Granted: noon(), End: noon().Add(time.Minute)})
	take()
	for name, want := range map[string][]string{"shop": {"shop"}, "office": nil, sealedMark + "unknown": nil} {
		l.take(deleted(name))
		if got, all := take(); all || !slices.Equal(got, want) {
			t.Errorf("%s: %v, all %v; want %v", name, got, all, want)
		}
	}
	if held, has, known := l.Lease("shop"); has || !known {
		t.Errorf("%+v, %v, %v", held, has, known)
	}
}

// TestDeletedUnseen verifies that a lease that this ledger granted and another controller revoked, both while the watch of the store was interrupted,
// is not held for longer than two sweeps.
func TestDeletedUnseen(t *testing.T) {
	w := newWorld(t, 0)
	l := New(Config{Store: w.store, Now: w.clock.now}) // its watches do not run: they report nothing
	l.setRules(must(w.ledger.current())(t))
	close(l.ready)
	take, stop := l.Follow("edge-1", make(chan struct{}, 1))
	defer stop()
	held := lease.Lease{Holder: lease.Holder{Line: "shop"}, Name: "pop", Granted: noon(), End: noon().Add(time.Hour)}
	l.wrote("shop", 1<<40, held) // it is not in the store any more
	exists := must(l.records.PutIf(within(t), "office", store.AnyVersion, of(held)))(t)
	l.wrote("office", exists, lease.Lease{Holder: lease.Holder{Line: "office"}, Name: "pop", Granted: noon(), End: noon().Add(time.Hour)})
	take()
	l.takeMissed(within(t))
	if _, has, _ := l.Lease("shop"); !has {
		t.Error("a lease that the watch may still report is not held")
	}
	l.takeMissed(within(t))
	if got, all := take(); all || !slices.Equal(got, []string{"shop"}) {
		t.Errorf("the followers learn of %v, all %v, want shop", got, all)
	}
	if _, has, _ := l.Lease("shop"); has {
		t.Error("a lease that is not in the store is held")
	}
	if l.versions["office"] != exists {
		t.Error("a lease in the store is not held")
	}
}
