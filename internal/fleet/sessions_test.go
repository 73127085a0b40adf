package fleet

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"

	"op25b/internal/compile"
	"op25b/internal/p4rt"
	"op25b/internal/pipeline"
	"op25b/internal/policy"
	"op25b/internal/store"
	"op25b/internal/subscriber"
)

const (
	anyHome4a, anyHome4b = "source_v adsl-home 0.0.0.0/1", "source_v adsl-home 128.0.0.0/1"
	anyHome6a, anyHome6b = "source_v adsl-home ::/1", "source_v adsl-home 8000::/1"
	anyBot4a, anyBot4b   = "source_v adsl-bot 0.0.0.0/1", "source_v adsl-bot 128.0.0.0/1"
	anyBot6a, anyBot6b   = "source_v adsl-bot ::/1", "source_v adsl-bot 8000::/1"
)

// TestSessionsReachTheSwitch follows sessions from the register to the verdicts of the switch: the exemption and the source check of a line follow
// its session, and end with it.
func TestSessionsReachTheSwitch(t *testing.T) {
	w := newSessionWorld(t)
	r := w.run(w.reg)
	wire := w.attach()
	w.holds(anyHome4a, anyHome4b, anyHome6a, anyHome6b, anyBot4a, anyBot4b, anyBot6a, anyBot6b)
	wire.wants(map[string]bool{"home 192.0.2.77 25": false, "home 192.0.2.77 587": true, "bot 192.0.2.78 587": true})

	id := w.start("adsl-home", "192.0.2.77/32", "2001:db8:7::/56")
	w.holds("source_v adsl-home 192.0.2.77/32", "source_v adsl-home 2001:db8:7::/56", "subscriber_v adsl-home 192.0.2.77/32", "subscriber_v adsl-home 2001:db8:7::/56",
		anyBot4a, anyBot4b, anyBot6a, anyBot6b)
	w.inForce(r, 1, 0)
	wire.wants(map[string]bool{"home 192.0.2.77 25": true, "home 192.0.2.78 587": false, "bot 192.0.2.77 25": false, "bot 192.0.2.78 587": true})

	// The address moves to the other line, which is not exempt. The end of the first session was lost.
	w.clock.set(w.clock.now().Add(2 * time.Second))
	other := w.start("adsl-bot", "192.0.2.77/32")
	w.holds(anyHome4a, anyHome4b, anyHome6a, anyHome6b, "source_v adsl-bot 192.0.2.77/32", anyBot6a, anyBot6b)
	wire.wants(map[string]bool{"home 192.0.2.77 25": false, "home 192.0.2.78 587": true, "bot 192.0.2.77 587": true, "bot 192.0.2.78 587": false})
	w.report(subscriber.Stop, "adsl-home", id)

	w.clock.set(w.clock.now().Add(2 * time.Second))
	w.report(subscriber.Stop, "adsl-bot", other)
	w.holds(anyHome4a, anyHome4b, anyHome6a, anyHome6b, anyBot4a, anyBot4b, anyBot6a, anyBot6b)
	w.inForce(r, 0, 0)
	wire.wants(map[string]bool{"bot 192.0.2.77 587": true})
	// A line without an exemption and a check needs no entries.
	w.start("mobile-sim", "192.0.2.90/32")
	w.start("adsl-home", "192.0.2.79/32")
	w.inForce(r, 1, 0)
}

// TestSessionsOutlivePhasesAndControllers verifies that a change of phase, of the documents and of the controller leaves the entries of sessions, and
// that a controller that reads no sessions keeps them and says so.
func TestSessionsOutlivePhasesAndControllers(t *testing.T) {
	w := newSessionWorld(t)
	r := w.run(w.reg)
	w.start("adsl-home", "192.0.2.77/32")
	held := []string{"source_v adsl-home 192.0.2.77/32", "subscriber_v adsl-home 192.0.2.77/32", anyHome6a, anyHome6b}
	bot := []string{anyBot4a, anyBot4b, anyBot6a, anyBot6b}
	w.holds(slices.Concat(held, bot)...)
	in := must(w.book.Current(within(t)))(t)
	in = must(w.book.Activate(within(t), in.Number, "before", policy.Scope{}, by))(t)
	w.start("adsl-bot", "192.0.2.78/32")
	r.converged(w.x.name, in.Number)
	bot = []string{"source_v adsl-bot 192.0.2.78/32", anyBot6a, anyBot6b}
	w.holds(slices.Concat(held, bot)...)
	r.end()

	// I5: a controller that finds the switch as it should be writes nothing.
	w.x.forget()
	r = w.run(w.reg)
	w.inForce(r, 2, 0)
	if writes, pushes := w.x.forget(); len(writes)+pushes > 0 {
		t.Errorf("%d writes, %d pushes after the restart: %v", len(writes), pushes, writes)
	}
	r.end()

	// This controller has no key.
	r = w.run(nil)
	r.await("the sessions are unknown", func(all map[string]Status) bool {
		st := all[w.x.name].Sessions
		return st != nil && strings.HasPrefix(st.Detail, "this controller reads no sessions")
	})
	in = apply(t, w.book, replaced(sessionDocuments(t, w.x), "reason: a server at home", "reason: still a server at home"))
	r.converged(w.x.name, in.Number)
	w.holds(slices.Concat(held, bot)...)
	r.end()

	// The exemption and the source check are taken back. The entries go, and are not called foreign.
	r = w.run(w.reg)
	documents := replaced(sessionDocuments(t, w.x), ", sourceCheck: drop", "")
	in = apply(t, w.book, replaced(documents, "  - {line: adsl-home, owner: noc@isp.example, reason: a server at home, expires: 2007-03-31}\n", ""))
	st := r.converged(w.x.name, in.Number)
	w.holds()
	if len(st.Drift) > 0 || st.Foreign > 0 {
		t.Errorf("drift %q, %d foreign", st.Drift, st.Foreign)
	}
}

// TestSessionDriftIsHealed verifies that an audit repairs the entries of sessions that another client changed, and reports them without an address.
func TestSessionDriftIsHealed(t *testing.T) {
	w := newSessionWorld(t)
	r := start(t, Config{Name: "noc-1", Store: w.store, Book: w.book, Now: w.clock.now, Sessions: w.reg, AuditEvery: 50 * time.Millisecond})
	r.converged(w.x.name, 1)
	w.start("adsl-home", "192.0.2.77/32")
	want := []string{"source_v adsl-home 192.0.2.77/32", "subscriber_v adsl-home 192.0.2.77/32", anyHome6a, anyHome6b, anyBot4a, anyBot4b, anyBot6a, anyBot6b}
	w.holds(want...)
	w.inForce(r, 1, 0)
	lines := must(must(w.book.Current(within(t)))(t).SessionLines(w.x.name, w.clock.now()))(t)
	var updates []*p4v1.Update
	for _, e := range readEntries(t, w.x) {
		if line, is := lines.Line(e); is && line == "adsl-home" && !compile.Wide(e) {
			updates = append(updates, update(p4v1.Update_DELETE, p4rt.Entity(e)))
		}
	}
	for _, e := range lines.Entries("adsl-home", []netip.Prefix{netip.MustParsePrefix("192.0.2.99/32")}) {
		if !compile.Wide(e) {
			updates = append(updates, update(p4v1.Update_INSERT, p4rt.Entity(e)))
		}
	}
	w.x.handAtAudit(t, updates...)
	w.holds(want...)
	r.await("the drift is reported", func(all map[string]Status) bool { return len(all[w.x.name].Drift) >= 4 })
	r.mu.Lock()
	drift := strings.Join(r.last[w.x.name].Drift, "\n")
	r.mu.Unlock()
	if strings.Contains(drift, "192.0.2") || !strings.Contains(drift, "missing subscriber_v4 of line adsl-home") || !strings.Contains(drift, "foreign source_v4 of line adsl-home") {
		t.Errorf("drift:\n%s", drift)
	}
}

// fill writes n entries of addresses by another hand, and returns the updates.
func (w *sessionWorld) fill(n int) (full []*p4v1.Update) {
	w.t.Helper()
	for i := range n {
		a := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		e := must(pipeline.SubscriberEntry(netip.PrefixFrom(a, 32), pipeline.Subscriber{Class: 9}))(w.t)
		full = append(full, update(p4v1.Update_INSERT, p4rt.Entity(e)))
	}
	for some := range slices.Chunk(full, 10000) {
		w.x.hand(w.t, some...)
	}
	return full
}

// TestSessionTableIsFull verifies that a full table makes only the sessions wait that do not fit, and that they get their entries when there is room.
func TestSessionTableIsFull(t *testing.T) {
	w := newSessionWorld(t)
	r := w.run(w.reg)
	full := w.fill(81920 - 2) // one entry is the static exemption of business-fixed, and one is left
	w.start("adsl-home", "192.0.2.77/32", "192.0.2.78/32")
	st := w.inForce(r, 0, 1)
	if want := `table "subscriber_v4": no room: the switch refused an entry of a session; remove exemptions or move lines to another switch`; st.Sessions.Detail != want {
		t.Errorf("%q, want %q", st.Sessions.Detail, want)
	}
	w.start("adsl-bot", "192.0.2.79/32")
	w.inForce(r, 1, 1)
	w.x.hand(t, update(p4v1.Update_DELETE, full[0].Entity))
	w.clock.set(w.clock.now().Add(2 * time.Second))
	w.start("adsl-bot", "192.0.2.80/32") // removes an entry, so that the waiting line is tried again
	w.inForce(r, 2, 0)
}

// TestRetriedEntryIsNotInForceBeforeItIsWritten verifies that an entry whose second write is refused waits until the switch has it: another client
// adds it before the first write, and removes it before the second.
func TestRetriedEntryIsNotInForceBeforeItIsWritten(t *testing.T) {
	w := newSessionWorld(t)
	r := w.run(w.reg)
	w.start("adsl-bot", "192.0.2.79/32")
	w.inForce(r, 1, 0)
	w.x.mu.Lock()
	w.x.gate = func(r *p4v1.WriteRequest) {
		for _, u := range r.Updates {
			switch entry := u.Entity.GetTableEntry(); {
			case entry.GetTableId() != subscriberV4:
			case u.Type == p4v1.Update_INSERT:
				w.x.hand(t, u)
			case u.Type == p4v1.Update_MODIFY:
				w.x.hand(t, update(p4v1.Update_DELETE, u.Entity))
				w.x.mu.Lock()
				w.x.gate = nil
				w.x.mu.Unlock()
			}
		}
	}
	w.x.mu.Unlock()
	w.start("adsl-home", "192.0.2.77/32")
	st := w.inForce(r, 1, 1)
	if want := `table "subscriber_v4": the switch refused an entry of a session: NotFound`; st.Sessions.Detail != want {
		t.Errorf("%q, want %q", st.Sessions.Detail, want)
	}
	w.clock.set(w.clock.now().Add(2 * time.Second))
	w.start("adsl-bot", "192.0.2.80/32") // removes an entry, so that the waiting line is tried again
	w.inForce(r, 2, 0)
	w.holds("source_v adsl-home 192.0.2.77/32", "subscriber_v adsl-home 192.0.2.77/32", anyHome6a, anyHome6b, "source_v adsl-bot 192.0.2.80/32", anyBot6a, anyBot6b)
}

// subscriberV4 is the id of the table subscriber_v4.
const subscriberV4 = 0x02000005

// TestSessionsGoOnWithoutDocuments verifies that sessions still reach a switch while the newest documents cannot be applied to it.
func TestSessionsGoOnWithoutDocuments(t *testing.T) {
	w := newSessionWorld(t)
	r := w.run(w.reg)
	lines := must(must(w.book.Current(within(t)))(t).SessionLines(w.x.name, w.clock.now()))(t)
	must(w.store.Revisions().Put(within(t), store.Change{
		Base: 1, Author: "another hand", Reason: "test", Documents: map[string][]byte{"files/" + documentsOf(t, w.x)[1].Name: []byte("kind: [Policy")}, KeepOthers: true,
	}))(t)
	r.await("the documents are broken", func(all map[string]Status) bool { return all[w.x.name].State == StateFailed })
	w.start("adsl-home", "192.0.2.77/32")
	w.inForce(r, 1, 0)
	if got := w.layerOf(lines); !slices.Contains(got, "subscriber_v adsl-home 192.0.2.77/32") || slices.Contains(got, anyHome4a) {
		t.Errorf("the switch has %q", got)
	}
}
