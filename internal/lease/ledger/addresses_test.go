package ledger

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"op25b/internal/intent"
	"op25b/internal/lease"
	"op25b/internal/policy"
	"op25b/internal/store"
	"op25b/internal/subscriber"
	"op25b/internal/subscriber/register"
)

// newAddressWorld is newWorld with documents in which addresses outside all lines can have a lease.
func newAddressWorld(t testing.TB, lines int) world {
	t.Helper()
	w := world{store: open(t, t.TempDir(), lines), clock: &clock{at: noon()}}
	apply(t, w.store, addressDocuments(lines))
	return w.beside(t)
}

// login logs in over POP3 without TLS.
func (w world) login(t testing.TB, from string) (lease.Lease, lease.Outcome, error) {
	t.Helper()
	return w.ledger.Login(within(t), "dovecot", addr(from), false, time.Time{})
}

// untilOf is until for an address.
func (w world) untilOf(t testing.TB, a string, after time.Duration) {
	t.Helper()
	wait(t, func() bool {
		l, has, known := w.ledger.AddressLease(addr(a))
		return known && has == (after > 0) && (!has || l.End.Equal(noon().Add(after)))
	}, fmt.Sprintf("%s has no lease until %v after noon", a, after))
}

// stored returns the records of leases in the store.
func (w world) stored(t testing.TB) []store.Record[stored] {
	t.Helper()
	return must(w.ledger.records.List(within(t)))(t)
}

// TestAddressLogin verifies that a login from an address outside all lines grants the lease to the address, for all controllers, that later logins
// renew it up to its cap, and that it ends and is deleted.
func TestAddressLogin(t *testing.T) {
	w := newAddressWorld(t, 1)
	other := w.beside(t)
	for _, from := range []string{"203.0.113.200", "2001:db8:7::5"} {
		l, outcome, err := w.login(t, from)
		want := lease.Lease{Holder: lease.Holder{Address: addr(from)}, Name: "pop", Granted: noon(), End: noon().Add(10 * time.Minute)}
		if err != nil || outcome != lease.Granted || l != want {
			t.Errorf("%s: %+v, %v, %v", from, l, outcome, err)
		}
		other.untilOf(t, from, 10*time.Minute)
	}
	w.untilOf(t, "203.0.113.201", 0)
	if l, outcome, err := other.login(t, "203.0.113.200"); err != nil || outcome != lease.Unchanged || !l.End.Equal(noon().Add(10*time.Minute)) {
		t.Errorf("%v, %v, %v", l, outcome, err)
	}
	for range 4 {
		w.clock.advance(6 * time.Minute)
		if _, outcome, err := other.login(t, "203.0.113.200"); err != nil || outcome != lease.Renewed {
			t.Errorf("%v, %v", outcome, err)
		}
	}
	w.untilOf(t, "203.0.113.200", 30*time.Minute)
	w.untilOf(t, "2001:db8:7::5", 0)
	if got := w.ledger.Addresses(); len(got) != 2 {
		t.Errorf("%v", got)
	}
	w.ledger.sweep(within(t))
	wait(t, func() bool { return slices.Equal(other.ledger.Addresses(), []netip.Addr{addr("203.0.113.200")}) }, "the lease that has ended is not deleted")
	w.clock.advance(6 * time.Minute)
	other.ledger.sweep(within(t))
	wait(t, func() bool { return len(w.ledger.Addresses()) == 0 && len(w.ledger.versions) == 0 }, "the lease that has ended is not deleted")
	if all := w.stored(t); len(all) > 0 {
		t.Errorf("%v remain", all)
	}
}

// TestAddressRefused verifies each reason for which an address outside all lines gets no lease, with its message and its label in the metrics. No
// message has an address.
func TestAddressRefused(t *testing.T) {
	w := newAddressWorld(t, 1)
	w.session(t, subscriber.Start, 0, "a", "192.0.2.1/32")
	r := prometheus.NewPedanticRegistry()
	w.ledger = New(Config{Store: w.store, Book: intent.NewBook(w.store, time.Now), Sessions: w.register, Key: &register.Key{1}, Now: w.clock.now, Registerer: r})
	run(t, w.ledger)
	grant := func(a, name string) func() error {
		return func() error {
			_, _, err := w.ledger.GrantAddress(within(t), addr(a), name)
			return err
		}
	}
	logsIn := func(from string) func() error {
		return func() error {
			_, _, err := w.login(t, from)
			return err
		}
	}
	blind := func(do func() error) func() error {
		return func() error {
			w.ledger.Clock("servers-1", errors.New("it has no CPU port"))
			w.ledger.Clock("servers-2", errors.New("it is mute"))
			wait(t, func() bool {
				w.ledger.mu.RLock()
				defer w.ledger.mu.RUnlock()
				return len(w.ledger.blind) == 2
			}, "the ledger does not know that the clocks cannot be read")
			defer func() {
				w.ledger.Clock("servers-2", nil)
				wait(t, func() bool {
					w.ledger.mu.RLock()
					defer w.ledger.mu.RUnlock()
					return len(w.ledger.blind) == 1
				}, "the ledger does not know that the clock can be read")
			}()
			return do()
		}
	}
	for _, test := range []struct {
		source string
		do     func() error
		want   error
		text   string
		label  string
	}{
		{"dovecot", logsIn("198.51.100.17"), policy.ErrNotCustomer, `the address is of no customer: it is in class "mail" of own servers`, "no-customer"},
		{"dovecot", logsIn("203.0.113.241"), policy.ErrNotCustomer, `the address is of no customer: it is in except of lease "pop"`, "no-customer"},
		{"dovecot", logsIn("10.0.0.7"), policy.ErrNotCustomer, "the address is of no customer: it is private or has a special purpose", "no-customer"},
		{"dovecot", logsIn("203.0.113.100"), ErrExemptAddress, "the address is exempt: it reaches own servers without a lease", "exempt"},
		{"dovecot", logsIn("203.0.113.10"), ErrExemptAddress, "the address is exempt: it reaches own servers without a lease", "exempt"}, // the inner exemption has ended
		{"dovecot", blind(logsIn("203.0.113.200")), ErrNoClock, `the switch does not report its clock: switch "servers-2": it is mute`, "no-clock"},
		{"api", grant("203.0.113.200", "popp"), ErrNoLease, `no such lease: the policy has no lease "popp"; did you mean "pop"? leases: pop, pop-tls`, "no-lease"},
		{"api", grant("203.0.113.200", "pop-tls"), policy.ErrNoAddressLease, `no lease is for addresses outside all lines: lease "pop-tls" is for lines only`, "no-lease"},
		{"api", grant("198.51.100.17", "pop"), policy.ErrNotCustomer, `the address is of no customer: it is in class "mail" of own servers`, "no-customer"},
		{"api", grant("192.0.2.13", "pop"), ErrOfLine, "a line has the address: grant the lease to the line", "of-line"}, // by the inventory
		{"api", grant("192.0.2.1", "pop"), ErrOfLine, "a line has the address: grant the lease to the line", "of-line"},  // by its session
	} {
		before := testutil.ToFloat64(w.ledger.metrics.grants.WithLabelValues(test.source, test.label))
		if err := test.do(); !errors.Is(err, test.want) || err.Error() != test.text || !w.ledger.Refused(err) {
			t.Errorf("%v; want %s", err, test.text)
		}
		if n := testutil.ToFloat64(w.ledger.metrics.grants.WithLabelValues(test.source, test.label)); n != before+1 {
			t.Errorf("%s is not counted as %s of %s", test.text, test.label, test.source)
		}
	}
	if all := w.stored(t); len(all) > 0 {
		t.Errorf("%v are stored", all)
	}
	// One switch whose clock can be read is sufficient.
	if _, _, err := w.login(t, "203.0.113.200"); err != nil {
		t.Error(err)
	}
	// The line that has the address gets the lease, and the address does not.
	if l, _, err := w.login(t, "192.0.2.1"); err != nil || l.Holder != (lease.Holder{Line: "line-0"}) {
		t.Errorf("%v, %v", l, err)
	}
	if problems := must(testutil.GatherAndLint(r))(t); len(problems) > 0 {
		t.Error(problems)
	}
	keyless := w
	keyless.ledger = New(Config{Store: w.store, Book: intent.NewBook(w.store, time.Now), Now: w.clock.now})
	run(t, keyless.ledger)
	if _, _, err := keyless.login(t, "203.0.113.201"); !errors.Is(err, ErrNoKey) || err.Error() != "this controller stores no addresses: start it with --session-key" {
		t.Errorf("without a key: %v", err)
	}
	if _, _, err := keyless.ledger.RevokeAddress(within(t), addr("203.0.113.200")); !errors.Is(err, ErrNoKey) {
		t.Errorf("without a key: %v", err)
	}
	files := addressDocuments(1)
	files[0].Data = []byte(strings.ReplaceAll(string(files[0].Data), "addressLeases: true, ", ""))
	apply(t, w.store, files)
	wait(t, func() bool { return len(must(w.ledger.current())(t).switches) == 0 }, "the ledger does not have the new documents")
	if _, _, err := w.login(t, "203.0.113.201"); !errors.Is(err, ErrNoLine) || err.Error() != "no such line: no line has the address, and no switch has addressLeases" {
		t.Errorf("without a switch: %v", err)
	}
	w.untilOf(t, "203.0.113.200", 0)
}

// TestAddressFull verifies that there are at most policy.MaxAddressLeases leases of addresses of a family.
func TestAddressFull(t *testing.T) {
	w := newAddressWorld(t, 0)
	w.ledger.mu.Lock()
	for i := range policy.MaxAddressLeases {
		a := netip.AddrFrom4([4]byte{203, 0, byte(i >> 8), byte(i)})
		w.ledger.setLocked(w.ledger.name(lease.Holder{Address: a}), 1, lease.Lease{Holder: lease.Holder{Address: a}, Name: "pop", Granted: noon(), End: noon().Add(time.Minute)})
	}
	w.ledger.mu.Unlock()
	_, _, err := w.login(t, "203.0.113.200")
	if want := "too many leases: there are 8192 of IPv4 addresses, which is the limit"; !errors.Is(err, lease.ErrFull) || err.Error() != want {
		t.Errorf("%v; want %s", err, want)
	}
	if _, _, err := w.login(t, "2001:db8:7::5"); err != nil {
		t.Error(err)
	}
}

// TestAddressBecomesLines verifies that an address loses its lease when a line has it, by the start of a session, by an address or a prefix, and by
// new documents, that followers of the switches in front of the mail servers learn of it, and that it does not get the lease back.
func TestAddressBecomesLines(t *testing.T) {
	w := newAddressWorld(t, 2)
	other := w.beside(t)
	takes := make(map[string]func() (lines []string, all bool))
	for _, name := range []string{"servers-1", "servers-2", "edge-1"} {
		take, stop := other.ledger.Follow(name, make(chan struct{}, 1))
		defer stop()
		take() // all
		takes[name] = take
	}
	told := func(want string, switches ...string) {
		t.Helper()
		for _, name := range switches {
			var got []string
			wait(t, func() bool {
				some, all := takes[name]()
				got = append(got, some...)
				return all || slices.Contains(got, want)
			}, fmt.Sprintf("the follower of %s does not learn of %s", name, want))
		}
	}
	const v4, v6, listed = "203.0.113.200", "2001:db8:7::5", "203.0.113.201"
	for _, a := range []string{v4, v6, listed} {
		if _, _, err := w.login(t, a); err != nil {
			t.Fatal(err)
		}
		told(lease.Holder{Address: addr(a)}.Key(), "servers-1", "servers-2")
		other.untilOf(t, a, 10*time.Minute)
	}
	if some, all := takes["edge-1"](); all || len(some) > 0 {
		t.Errorf("the follower of edge-1 learns of %v", some)
	}
	w.session(t, subscriber.Start, 0, "a", v4+"/32")
	w.session(t, subscriber.Start, 1, "a", "2001:db8:7::/56")
	for _, a := range []string{v4, v6} {
		told(lease.Holder{Address: addr(a)}.Key(), "servers-1", "servers-2")
		other.untilOf(t, a, 0)
	}
	wait(t, func() bool { return len(w.stored(t)) == 1 }, "the leases of the line's addresses are not deleted")
	w.session(t, subscriber.Stop, 0, "a")
	w.untilOf(t, v4, 0)
	w.untilOf(t, listed, 10*time.Minute)
	files := addressDocuments(2)
	files[0].Data = bytes.Replace(files[0].Data, []byte("prefixes: [192.0.2.14/32]"), []byte("prefixes: [192.0.2.14/32, "+listed+"/32]"), 1)
	apply(t, w.store, files)
	other.untilOf(t, listed, 0)
	w.untilOf(t, listed, 0)
	w.ledger.sweep(within(t))
	if all := w.stored(t); len(all) > 0 {
		t.Errorf("%v remain", all)
	}
}

// TestAddressRevoke verifies that a revoked lease of an address is gone for all controllers, and that revoking it again is not an error.
func TestAddressRevoke(t *testing.T) {
	w := newAddressWorld(t, 0)
	other := w.beside(t)
	if h, outcome, err := w.ledger.GrantAddress(within(t), addr("203.0.113.200"), "pop"); err != nil || outcome != lease.Granted || h.Switch != "" {
		t.Errorf("%v, %v, %v", h, outcome, err)
	}
	must2(w.ledger.Grant(within(t), "shop", "pop"))(t)
	other.untilOf(t, "203.0.113.200", 10*time.Minute)
	list := func() (text string) {
		some, total, err := other.ledger.List(10, func(Held) bool { return true })
		if err != nil || total != len(some) {
			t.Errorf("%v, %v", total, err)
		}
		for _, h := range some {
			text += h.Switch + "/" + h.Holder.Key() + " "
		}
		return text
	}
	other.until(t, "shop", 10*time.Minute)
	if got, want := list(), "edge-1/shop /@203.0.113.200 "; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if l, had, err := other.ledger.RevokeAddress(within(t), addr("203.0.113.200")); err != nil || !had || l.Name != "pop" {
		t.Errorf("%v, %v, %v", l, had, err)
	}
	w.untilOf(t, "203.0.113.200", 0)
	if _, had, err := w.ledger.RevokeAddress(within(t), addr("203.0.113.200")); err != nil || had {
		t.Errorf("%v, %v", had, err)
	}
	if got, want := list(), "edge-1/shop "; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestAddressSealed verifies that no record in the store, and nothing in the log, has the address of a lease, that the address is in no record of
// another address, and that a controller with another key ignores the lease until its end, and then deletes it.
func TestAddressSealed(t *testing.T) {
	w := newAddressWorld(t, 0)
	const from = "203.0.113.200"
	if _, _, err := w.login(t, from); err != nil {
		t.Fatal(err)
	}
	record := w.stored(t)[0]
	text := record.Name + string(must(json.Marshal(record.Value))(t))
	bits := addr(from).As4()
	if strings.Contains(text, from) || bytes.Contains(record.Value.Address, bits[:]) || !strings.HasPrefix(record.Name, sealedMark) {
		t.Errorf("the store has %s", text)
	}
	seal := newSealer(register.Key{1})
	if a, err := seal.open(record.Name, record.Value.Address); err != nil || a != addr(from) {
		t.Errorf("%v, %v", a, err)
	}
	moved := seal.name(addr("203.0.113.201"))
	if _, err := seal.open(moved, record.Value.Address); !errors.Is(err, errSealed) {
		t.Errorf("the record of another address: %v", err)
	}
	for _, box := range [][]byte{nil, record.Value.Address[:5], append(slices.Clone(record.Value.Address), 0)} {
		if _, err := seal.open(record.Name, box); !errors.Is(err, errSealed) {
			t.Errorf("%d bytes: %v", len(box), err)
		}
	}
	core, logs := observer.New(zapcore.DebugLevel)
	strange := New(Config{Store: w.store, Book: intent.NewBook(w.store, time.Now), Sessions: w.register, Key: &register.Key{2}, Now: w.clock.now, Logger: zap.New(core)})
	run(t, strange)
	if got := strange.Addresses(); len(got) > 0 {
		t.Errorf("%v with another key", got)
	}
	if n := logs.FilterMessage("a lease of an address in the store cannot be decrypted, and is ignored; give all controllers the same --session-key").Len(); n != 1 {
		t.Errorf("%d messages, want 1: %v", n, logs.All())
	}
	strange.sweep(within(t))
	if n := len(w.stored(t)); n != 1 {
		t.Errorf("%d leases, want 1", n)
	}
	w.clock.advance(10 * time.Minute)
	strange.sweep(within(t))
	if n := len(w.stored(t)); n != 0 {
		t.Errorf("%d leases, want none", n)
	}
	wait(t, func() bool {
		strange.mu.RLock()
		defer strange.mu.RUnlock()
		return len(strange.sealed) == 0
	}, "the lease that has ended is not forgotten")
	for _, entry := range logs.All() {
		if strings.Contains(fmt.Sprint(entry.Message, entry.ContextMap()), from) {
			t.Errorf("the log has %v", entry)
		}
	}
}
