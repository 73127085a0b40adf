package fleet

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"

	"op25b/internal/lease"
	"op25b/internal/p4rt"
	"op25b/internal/pipeline"
	"op25b/internal/policy"
	"op25b/internal/subscriber"
)

// customer is a customer on another provider's line, and stranger somebody else there.
var customer, stranger = netip.MustParseAddr("192.0.2.201"), netip.MustParseAddr("192.0.2.202")

// outsider reports whether an address outside all lines reaches a server's port 25.
func outsider(link *sessionLink, from, server netip.Addr) bool {
	link.t.Helper()
	return link.passesTo("internet", from, server, 25)
}

func (w *leaseWorld) grantAddress(a netip.Addr) {
	w.t.Helper()
	if _, _, err := w.ledger.GrantAddress(within(w.t), a, "pop"); err != nil {
		w.t.Fatal(err)
	}
}

// addressEntries returns the entries that the switch has by leases of addresses.
func (w *leaseWorld) addressEntries() (all []pipeline.Entry) {
	w.t.Helper()
	lines := must(must(w.book.Current(within(w.t)))(w.t).SessionLines(w.x.name, w.clock.now()))(w.t)
	for _, e := range readEntries(w.t, w.x) {
		if _, is := lines.Address(e); is {
			all = append(all, e)
		}
	}
	return all
}

// TestAddressLeaseReachesTheSwitch verifies that the lease of an address outside all lines opens own servers for the address, and for no other
// address and no other server, that it is renewed and revoked, that a controller that finds it writes nothing (I5), and that it ends by the clock of
// the switch.
func TestAddressLeaseReachesTheSwitch(t *testing.T) {
	w := newLeaseWorld(t)
	r := w.run()
	link := w.attach()
	if outsider(link, customer, ownServer) {
		t.Error("the address reaches own servers without a lease")
	}
	w.grantAddress(customer)
	w.leased(r, 1, 0)
	if !outsider(link, customer, ownServer) || outsider(link, customer, outside) || outsider(link, stranger, ownServer) {
		t.Error("the lease does not open own servers, or opens others")
	}
	if _, had, err := w.ledger.RevokeAddress(within(t), customer); err != nil || !had {
		t.Errorf("%v, %v", had, err)
	}
	w.eventually("the revoked lease has ended", func() bool { return !outsider(link, customer, ownServer) })
	w.grantAddress(customer)
	w.eventually("the lease is back", func() bool { return outsider(link, customer, ownServer) })
	w.later(8 * time.Minute)
	w.x.forget()
	w.grantAddress(customer)
	w.eventually("the renewal reaches the switch", func() bool {
		writes, _ := w.x.forget()
		return len(writes) > 0
	})
	r.end()
	w.x.forget()
	r = w.run()
	w.leased(r, 1, 0)
	if writes, pushes := w.x.forget(); len(writes)+pushes > 0 {
		t.Errorf("%d writes, %d pushes after the restart: %v", len(writes), pushes, writes)
	}
	w.later(8 * time.Minute)
	if !outsider(link, customer, ownServer) {
		t.Error("the renewed lease has ended")
	}
	r.end()
	w.later(2*time.Minute + tolerance)
	if outsider(link, customer, ownServer) {
		t.Error("the lease has not ended")
	}
	r = w.run()
	w.leased(r, 0, 0)
	if all := w.addressEntries(); len(all) > 0 {
		t.Errorf("%d entries remain", len(all))
	}
}

// TestAddressLeaseMovesToTheLine verifies that an address loses its lease when the session of a line of the same switch has it, that the line then
// has the entry of its own lease under the same key, and that nobody else can use the address.
func TestAddressLeaseMovesToTheLine(t *testing.T) {
	w := newLeaseWorld(t)
	r := w.run()
	link := w.attach()
	for range 3 {
		w.grantAddress(customer)
		w.leased(r, 1, 0)
		id := w.start("adsl-bot", customer.String()+"/32")
		w.grant("adsl-bot")
		w.eventually("the line has the lease", func() bool {
			return link.passesTo("bot", customer, ownServer, 25) && len(w.addressEntries()) == 0
		})
		w.leased(r, 1, 0)
		if outsider(link, customer, ownServer) {
			t.Error("the address still has its lease")
		}
		w.report(subscriber.Stop, "adsl-bot", id)
		w.leased(r, 0, 0)
		if outsider(link, customer, ownServer) {
			t.Error("the address has its lease again")
		}
	}
}

// TestAddressLeaseDrift verifies that an audit repairs the entry of an address, and that the drift does not name the address (I8).
func TestAddressLeaseDrift(t *testing.T) {
	w := newLeaseWorld(t)
	r := start(t, Config{
		Name: "noc-1", Store: w.store, Book: w.book, Now: w.clock.now, Sessions: w.reg, Leases: w.ledger, clockEvery: 10 * time.Millisecond, AuditEvery: 100 * time.Millisecond,
	})
	w.grantAddress(customer)
	w.leased(r, 1, 0)
	w.x.hand(t, update(p4v1.Update_DELETE, p4rt.Entity(w.addressEntries()[0])))
	const want = "missing subscriber_v4 of an address outside all lines"
	r.await("the drift is reported", func(all map[string]Status) bool {
		return slices.ContainsFunc(all[w.x.name].Drift, func(d string) bool { return len(d) > len(want) && d[len(d)-len(want):] == want })
	})
	w.eventually("the entry is back", func() bool { return len(w.addressEntries()) == 1 })
}

// manyLeases are leases of addresses, of which each has one.
type manyLeases struct {
	Leases
	addresses []netip.Addr
}

func (m manyLeases) Addresses() []netip.Addr { return m.addresses }

func (m manyLeases) AddressLease(netip.Addr) (lease.Lease, bool, bool) {
	return lease.Lease{Name: "pop", End: allDestinations.Add(time.Hour)}, true, true
}

// TestAddressLeasesAreBounded verifies that a switch gets the entries of at most policy.MaxAddressLeases addresses of a family (I10), that the others
// wait, and that one of them gets the entry of an address that lost it.
func TestAddressLeasesAreBounded(t *testing.T) {
	w := newLeaseWorld(t)
	lines := must(must(w.book.Current(within(t)))(t).SessionLines(w.x.name, w.clock.now()))(t)
	leases := manyLeases{addresses: []netip.Addr{netip.MustParseAddr("2001:db8:7::5")}}
	for i := range policy.MaxAddressLeases + 1 {
		leases.addresses = append(leases.addresses, netip.AddrFrom4([4]byte{100, 1, byte(i >> 8), byte(i)}))
	}
	from := wanted{leases: leases, until: func(time.Time) (pipeline.ClockSecond, bool) { return 9, true }}
	l := adopt(lines, nil)
	write := func(want int) {
		t.Helper()
		all := l.changes(from)
		n := 0
		for _, changes := range all {
			for _, c := range changes {
				l.apply(c)
				n++
			}
		}
		l.settle(all, nil)
		if n != want {
			t.Errorf("%d updates, want %d", n, want)
		}
	}
	write(policy.MaxAddressLeases + 1)
	want := SessionStatus{policy.MaxAddressLeases + 1, 1, fmt.Sprintf("no room: the switch has the leases of %d addresses of this family", policy.MaxAddressLeases)}
	if got := l.status(l.leases); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if l.full != [2]int{policy.MaxAddressLeases, 1} {
		t.Errorf("%v addresses", l.full)
	}
	for key, entries := range l.held {
		if a := lease.HolderOf(key).Address; a.Is4() {
			gone := entries[0]
			l.apply(lineChange{key, pipeline.Update{Kind: pipeline.Delete, Entry: &gone}})
			break
		}
	}
	l.mark(nil, true)
	write(1)
}
