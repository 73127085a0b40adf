package fleet

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"op25b/internal/lease/ledger"
	"op25b/internal/p4rt"
	"op25b/internal/pipeline"
	"op25b/internal/strict"
	"op25b/internal/subscriber"
	"op25b/internal/subscriber/register"
)

// ownServer is the address of an own server that the lease pop opens, and outside that of another provider's.
var ownServer, outside = netip.MustParseAddr("198.51.100.70"), netip.MustParseAddr("203.0.113.129")

const leaseFor, leaseCap = 10 * time.Minute, 30 * time.Minute

// leaseDocuments are sessionDocuments with the lease pop, which opens port 25 of own servers. Addresses outside all lines can have it, too. They come
// in on a port without lines.
func leaseDocuments(t testing.TB, x *testSwitch) []strict.File {
	files := sessionDocuments(t, x)
	for _, change := range [][2]string{
		{`    prefixes: [203.0.113.0/26, "2001:db8:ca::/48"]` + "\n", `    prefixes: [203.0.113.0/26, "2001:db8:ca::/48"]` + "\n  - {name: mail, own: true, prefixes: [198.51.100.64/28]}\n"},
		{"phases:\n", "leases: [{name: pop, opens: [mail], for: 10m, cap: 30m, addresses: true, except: [198.18.7.0/24]}]\nphases:\n"},
		{"    identify: circuit-id\n", "    identify: circuit-id\n    addressLeases: true\n"},
		{"      - {port: 4, name: access-4, role: access}\n", "      - {port: 4, name: access-4, role: access}\n      - {port: 5, name: internet, role: access}\n"},
		{
			"    effective: 2006-10-01\n    rules:\n",
			"    effective: 2006-10-01\n    ownServices: [submission, submissions]\n    rules:\n" +
				"      - {name: leased-mail, subscriber: leased, service: smtp, remote: mail, action: permit}\n" +
				"      - {name: own-mail, service: smtp, remote: mail, action: drop}\n",
		},
	} {
		files = replaced(files, change[0], change[1])
	}
	return files
}

// A leaseWorld is a sessionWorld with a ledger of leases.
type leaseWorld struct {
	*sessionWorld
	ledger *ledger.Ledger
}

func newLeaseWorld(t testing.TB) *leaseWorld {
	t.Helper()
	w := &leaseWorld{sessionWorld: newSessionWorld(t)}
	apply(t, w.book, leaseDocuments(t, w.x))
	w.ledger = ledger.New(ledger.Config{Store: w.store, Book: w.book, Sessions: w.reg, Key: &register.Key{1}, Now: w.clock.now})
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); w.ledger.Run(ctx) }()
	t.Cleanup(func() { stop(); <-ended })
	select {
	case <-w.ledger.Ready():
	case <-time.After(deadline):
		t.Fatal("the ledger is not ready")
	}
	return w
}

// run starts a controller and waits until the switch converged.
func (w *leaseWorld) run() *running {
	w.t.Helper()
	r := start(w.t, Config{Name: "noc-1", Store: w.store, Book: w.book, Now: w.clock.now, Sessions: w.reg, Leases: w.ledger, clockEvery: 10 * time.Millisecond})
	r.await("the switch converged", func(all map[string]Status) bool { return all[w.x.name].State == StateConverged })
	return r
}

func (w *leaseWorld) grant(line string) {
	w.t.Helper()
	if _, _, err := w.ledger.Grant(within(w.t), line, "pop"); err != nil {
		w.t.Fatal(err)
	}
}

// leased waits for a number of leases in force and waiting.
func (w *leaseWorld) leased(r *running, inForce, waiting int) Status {
	w.t.Helper()
	var st Status
	r.await("leases in force", func(all map[string]Status) bool {
		st = all[w.x.name]
		return st.Leases != nil && st.Leases.InForce == inForce && st.Leases.Waiting == waiting
	})
	return st
}

// later lets the time pass, for the controllers and for the switch.
func (w *leaseWorld) later(d time.Duration) {
	w.clock.set(w.clock.now().Add(d))
	w.x.clock.set(w.x.clock.now().Add(d))
}

// bot reports whether the line adsl-bot reaches a server's port 25 from its address.
func bot(link *sessionLink, server netip.Addr) bool {
	link.t.Helper()
	return link.passesTo("bot", netip.MustParseAddr("192.0.2.78"), server, 25)
}

// TestLeaseReachesTheSwitch verifies that a lease opens own servers for its line, and nothing else, and that it ends by the clock of the switch,
// without a controller.
func TestLeaseReachesTheSwitch(t *testing.T) {
	w := newLeaseWorld(t)
	r := w.run()
	link := w.attach()
	w.start("adsl-bot", "192.0.2.78/32")
	w.start("mobile-sim", "192.0.2.90/32")
	w.holds("source_v adsl-bot 192.0.2.78/32", anyBot6a, anyBot6b, anyHome4a, anyHome4b, anyHome6a, anyHome6b)
	if bot(link, ownServer) {
		t.Error("the line reaches own servers without a lease")
	}
	w.grant("adsl-bot")
	w.leased(r, 1, 0)
	w.holds("subscriber_v adsl-bot 192.0.2.78/32", "source_v adsl-bot 192.0.2.78/32", anyBot6a, anyBot6b, anyHome4a, anyHome4b, anyHome6a, anyHome6b)
	if !bot(link, ownServer) || bot(link, outside) {
		t.Error("the lease does not open own servers, or opens others")
	}
	r.end()
	w.later(leaseFor - 5*time.Second)
	if !bot(link, ownServer) {
		t.Error("the lease has ended too early")
	}
	w.later(5 * time.Second)
	if bot(link, ownServer) {
		t.Error("the lease has not ended")
	}
}

// TestLeaseTableIsFull verifies that a lease without room waits, and that the detail says that an entry of a lease was refused.
func TestLeaseTableIsFull(t *testing.T) {
	w := newLeaseWorld(t)
	r := w.run()
	w.start("adsl-bot", "192.0.2.78/32")
	w.inForce(r, 1, 0)
	w.fill(81920 - 1) // one entry is the static exemption of business-fixed
	w.grant("adsl-bot")
	st := w.leased(r, 0, 1)
	if want := `table "subscriber_v4": no room: the switch refused an entry of a lease; remove exemptions or move lines to another switch`; st.Leases.Detail != want {
		t.Errorf("%q, want %q", st.Leases.Detail, want)
	}
}

// TestDetailOfALeaseIsNotASessions verifies that the reason why a session waits is not given as one of leases.
func TestDetailOfALeaseIsNotASessions(t *testing.T) {
	w := newLeaseWorld(t)
	r := w.run()
	w.start("adsl-bot", "192.0.2.78/32")
	w.grant("adsl-bot")
	w.leased(r, 1, 0)
	w.fill(81920 - 2)                     // besides the static exemption of business-fixed and the lease
	w.start("adsl-home", "192.0.2.77/32") // is exempt
	if st := w.inForce(r, 1, 1); st.Sessions.Detail == "" {
		t.Error("the session waits without a reason")
	}
	if st := w.leased(r, 1, 0); st.Leases.Detail != "" {
		t.Errorf("no lease waits, and the reason is %q", st.Leases.Detail)
	}
}

// TestLeaseIsRenewedAndRevoked verifies that a renewal reaches the switch, and that a lease ends when it is revoked and with the session of its line.
func TestLeaseIsRenewedAndRevoked(t *testing.T) {
	w := newLeaseWorld(t)
	r := w.run()
	link := w.attach()
	id := w.start("adsl-bot", "192.0.2.78/32")
	w.grant("adsl-bot")
	w.leased(r, 1, 0)
	w.later(8 * time.Minute)
	w.x.forget()
	w.grant("adsl-bot")
	w.eventually("the renewal reaches the switch", func() bool {
		writes, _ := w.x.forget()
		return len(writes) > 0
	})
	w.later(8 * time.Minute)
	if !bot(link, ownServer) {
		t.Error("the renewed lease has ended")
	}
	if _, had, err := w.ledger.Revoke(within(t), "adsl-bot"); err != nil || !had {
		t.Errorf("%v, %v", had, err)
	}
	w.eventually("the revoked lease has ended", func() bool { return !bot(link, ownServer) })
	w.grant("adsl-bot")
	w.eventually("the lease is back", func() bool { return bot(link, ownServer) })
	w.report(subscriber.Stop, "adsl-bot", id)
	w.eventually("the lease has ended with the session", func() bool { return !bot(link, ownServer) })
	w.start("adsl-bot", "192.0.2.78/32")
	w.holds("source_v adsl-bot 192.0.2.78/32", anyBot6a, anyBot6b, anyHome4a, anyHome4b, anyHome6a, anyHome6b)
}

// eventually waits until something is so.
func (w *leaseWorld) eventually(what string, so func() bool) {
	w.t.Helper()
	for over := time.Now().Add(deadline); !so(); time.Sleep(time.Millisecond) {
		if time.Now().After(over) {
			w.t.Fatalf("not so: %s", what)
		}
	}
}

// TestLeasesOutliveControllersAndSwitches verifies that a controller that finds a lease on the switch writes nothing (I5), and that a switch that
// restarted has the lease again for the rest of its time.
func TestLeasesOutliveControllersAndSwitches(t *testing.T) {
	w := newLeaseWorld(t)
	r := w.run()
	w.start("adsl-bot", "192.0.2.78/32")
	w.grant("adsl-bot")
	w.leased(r, 1, 0)
	r.end()
	w.later(3 * time.Minute)
	w.x.forget()
	r = w.run()
	w.leased(r, 1, 0)
	if writes, pushes := w.x.forget(); len(writes)+pushes > 0 {
		t.Errorf("%d writes, %d pushes after the restart: %v", len(writes), pushes, writes)
	}

	w.x.stop()
	ahead := w.x.clock.ahead.Load()
	w.x = startTestSwitch(t, 1, w.x.addr)
	w.x.clock.ahead.Store(ahead)
	w.eventually("the switch has the lease again", func() bool { return w.onSwitch(t) })
	link := w.attach()
	r.end()
	w.later(leaseFor - 3*time.Minute - 5*time.Second)
	if !bot(link, ownServer) {
		t.Error("the lease has ended too early")
	}
	w.later(5 * time.Second)
	if bot(link, ownServer) {
		t.Error("the lease has not ended")
	}
	// A controller removes what has ended, and a switch that restarts then has none of it.
	r = w.run()
	w.leased(r, 0, 0)
	if w.onSwitch(t) {
		t.Error("the switch has an entry of a lease")
	}
}

// onSwitch reports whether the switch has an entry of a lease.
func (w *leaseWorld) onSwitch(t *testing.T) (has bool) {
	t.Helper()
	lines := must(must(w.book.Current(within(t)))(t).SessionLines(w.x.name, w.clock.now()))(t)
	s, err := p4rt.DialReader(within(t), p4rt.Config{Addr: w.x.addr, DeviceID: w.x.id})
	if err != nil {
		return false
	}
	defer s.Close()
	_ = s.ReadEntries(within(t), pipeline.TablesByRank(), func(e pipeline.Entry) error { // fails while the switch has no program
		_, line := lines.LeaseOf(e)
		_, address := lines.Address(e)
		has = has || line || address
		return nil
	})
	return has
}

// TestLeaseWithoutClock verifies that grants are refused while the clock of the switch cannot be read, and that the status says so.
func TestLeaseWithoutClock(t *testing.T) {
	w := newLeaseWorld(t)
	w.x.mute.Store(true)
	r := w.run()
	w.start("adsl-bot", "192.0.2.78/32")
	r.await("the status says that there is no clock", func(all map[string]Status) bool {
		st := all[w.x.name].Leases
		return st != nil && strings.HasPrefix(st.Detail, "the switch does not report its clock, so it cannot have leases: ")
	})
	w.eventually("grants are refused", func() bool {
		_, _, err := w.ledger.Grant(within(t), "adsl-bot", "pop")
		return errors.Is(err, ledger.ErrNoClock) && strings.HasPrefix(err.Error(), `the switch does not report its clock: switch "edge-1": `)
	})
	if w.onSwitch(t) {
		t.Error("the switch has an entry of a lease")
	}
	r.end()
	w.x.mute.Store(false)
	w.run()
	w.eventually("grants are accepted again", func() bool {
		_, _, err := w.ledger.Grant(within(t), "adsl-bot", "pop")
		return err == nil
	})
}
