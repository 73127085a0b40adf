package drive

import (
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
	"go.uber.org/zap/zaptest"

	"op25b/internal/policy"
	"op25b/internal/rollout"
	"op25b/internal/rollout/tickets"
	"op25b/internal/store"
)

// indexLines finds lines in an inventory.
type indexLines struct{ *policy.LineIndex }

func (x indexLines) Place(name string, a netip.Addr) (string, string, error) {
	sw, line, ok := x.Line(name)
	if a.IsValid() {
		sw, line, ok = x.At(a)
	}
	if !ok {
		return "", "", nil
	}
	return sw.Name, line.Name, nil
}

// ears returns a driver that only hears tickets.
func (w *world) ears(name string, desks ...string) *Driver {
	w.t.Helper()
	in, err := w.book.Current(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return &Driver{
		Store: w.store, Book: w.book, Lines: indexLines{policy.NewLineIndex(in.Bundle.Inventory)}, Desks: desks, Metrics: NewMetrics(prometheus.NewPedanticRegistry()),
		Name: name, Now: time.Now, Logger: zaptest.NewLogger(w.t),
	}
}

// of returns the names of two lines of a switch, and an address of the first.
func (w *world) lines(name string) (first, second string, addr netip.Addr) {
	w.t.Helper()
	in, err := w.book.Current(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	sw, _ := in.Bundle.Inventory.Switch(name)
	for i := range sw.Lines {
		if l := &sw.Lines[i]; len(l.Prefixes) > 0 {
			return l.Name, sw.Lines[(i+1)%len(sw.Lines)].Name, l.Prefixes[0].Addr()
		}
	}
	w.t.Fatalf("no line of %s has an address", name)
	return
}

// TestHear verifies what becomes of each kind of ticket, that tickets are counted once whichever controller hears them, that those from before the
// change do not count, and that the store has neither lines, addresses nor numbers of tickets (I8).
func TestHear(t *testing.T) {
	w := newWorld(t)
	d, other := w.ears("noc-1", "tokyo"), w.ears("noc-2", "tokyo")
	line, second, addr := w.lines("edge-east")
	now := time.Now().UTC().Truncate(time.Second)
	mail := func(id string, t tickets.Ticket) tickets.Ticket {
		t.ID, t.Kind = id, tickets.Mail
		if t.At.IsZero() {
			t.At = now.Add(time.Minute)
		}
		return t
	}
	hear := func(d *Driver, from string, all ...tickets.Ticket) string {
		t.Helper()
		got, err := d.Hear(t.Context(), from, now, all)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(got)
	}
	if got := hear(d, "tokyo", mail("T-0", tickets.Ticket{Line: line})); got != "[not-watched]" {
		t.Errorf("without a rollout: %s", got)
	}
	w.start(d)
	if got := hear(d, "tokyo", mail("T-0", tickets.Ticket{Line: line})); got != "[not-watched]" {
		t.Errorf("in a rollout without a bound: %s", got)
	}
	changed := func(s *Stored) {
		s.Changed = map[string]time.Time{"ring-0": now}
		s.State = rollout.Soaking
		for i := range s.Stages {
			s.Stages[i].Gates.Tickets = rollout.TicketBound{Lines: 3, Within: time.Minute}
		}
	}
	records := store.JSON[Stored](w.store, rolloutKind)
	s, err := d.Current(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	changed(s)
	if s.Version, err = records.PutIf(t.Context(), currentName, s.Version, *s); err != nil {
		t.Fatal(err)
	}
	if got, want := hear(d, "tokyo",
		mail("T-1", tickets.Ticket{Line: line}), mail("T-2", tickets.Ticket{Address: addr}), mail("T-3", tickets.Ticket{Line: second}),
		mail("T-4", tickets.Ticket{Switch: "edge-east"}), mail("T-5", tickets.Ticket{Switch: "edge-west"}), mail("T-1", tickets.Ticket{Line: second}),
		mail("T-6", tickets.Ticket{Line: "private-line"}), mail("T-7", tickets.Ticket{Address: netip.MustParseAddr("100.64.7.7")}), mail("T-8", tickets.Ticket{Switch: "edge-9"}),
		mail("T-9", tickets.Ticket{Line: line, At: now.Add(-time.Second)}), tickets.Ticket{ID: "T-10", Kind: "billing", Line: line, At: now},
	), "[counted counted counted counted counted known no-line no-line no-line counted other-kind]"; got != want {
		t.Errorf("the tickets are %s, want %s", got, want)
	}
	if got := hear(other, "tokyo", mail("T-1", tickets.Ticket{Line: line})); got != "[known]" {
		t.Errorf("the other controller: %s", got)
	}
	if got := hear(other, "osaka", mail("T-1", tickets.Ticket{Line: line})); got != "[counted]" {
		t.Errorf("the same number of another desk: %s", got)
	}
	h, err := other.tickets(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	// Two lines of edge-east and a ticket that names only this switch.
	if got := h.of(s, s.Stages[0]); got != (rollout.Tickets{Lines: 3, Unplaced: 3, Heard: now, Silent: "tokyo"}) {
		t.Errorf("of the ring: %+v", got)
	}
	if got := h.of(s, s.Stages[1]); got.Lines != 0 || got.Unplaced != 0 {
		t.Errorf("of a ring without the change: %+v", got)
	}
	all, err := store.JSON[json.RawMessage](w.store, ticketKind).List(t.Context())
	if err != nil || len(all) != 10 {
		t.Fatalf("%d tickets are stored, %v", len(all), err)
	}
	for _, r := range all {
		for _, private := range []string{"T-", "private", line, second, addr.String(), "100.64"} {
			if text := r.Name + string(r.Value); strings.Contains(text, private) {
				t.Errorf("%q is stored: %s", private, text)
			}
		}
	}
	if n := testutil.ToFloat64(d.Metrics.tickets.WithLabelValues(string(tickets.NoLine))); n != 3 {
		t.Errorf("%v tickets are counted as without a line", n)
	}
	// A ticket of another rollout is deleted, and all are when the rollout ends.
	if _, err := store.JSON[ticket](w.store, ticketKind).PutIf(t.Context(), "old", 0, ticket{Rollout: "0"}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []int{10, 0} {
		if err := d.forget(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		if all, err := store.JSON[ticket](w.store, ticketKind).List(t.Context()); err != nil || len(all) != want {
			t.Errorf("%d tickets are left, %v; want %d", len(all), err, want)
		}
		s.State = rollout.Done
	}
}

// TestDesks verifies which support desk counts as silent: the one of those that must be heard whose newest message is the oldest. A message that is
// received again, by another controller, makes no desk heard later.
func TestDesks(t *testing.T) {
	w := newWorld(t)
	now := time.Now().UTC().Truncate(time.Second)
	s := &Stored{Record: rollout.Record{ID: "1", Stages: []rollout.Stage{{Name: "first", Gates: rollout.Gates{Tickets: rollout.TicketBound{Lines: 1}}}}}}
	is := func(d *Driver, at time.Time, silent string) {
		t.Helper()
		h, err := d.tickets(t.Context(), s)
		if err != nil || !h.Heard.Equal(at) || h.Silent != silent {
			t.Errorf("%q was heard at %v, %v; want %q at %v", h.Silent, h.Heard, err, silent, at)
		}
	}
	hear := func(d *Driver, from string, at time.Time) {
		t.Helper()
		if _, err := d.Hear(t.Context(), from, at, nil); err != nil {
			t.Fatal(err)
		}
	}
	d, both, blind := w.ears("noc-1", "tokyo"), w.ears("noc-2", "tokyo", "osaka"), w.ears("noc-3")
	is(d, time.Time{}, "tokyo")
	is(blind, time.Time{}, "")
	hear(d, "tokyo", now)
	is(d, now, "tokyo")
	is(both, time.Time{}, "osaka")
	is(blind, now, "tokyo")
	hear(both, "osaka", now.Add(-time.Minute))
	is(both, now.Add(-time.Minute), "osaka")
	hear(both, "tokyo", now.Add(-2*time.Minute))
	is(d, now, "tokyo")
	hear(blind, "tokyo", now.Add(10*time.Second))
	is(d, now.Add(10*time.Second), "tokyo")
}

// TestFull verifies that tickets are bounded, and that a rollout whose tickets reached the bound is held.
func TestFull(t *testing.T) {
	var h hearing
	asked := 0
	count := func() (int, error) { asked++; return maxTickets - 1, nil }
	for i, want := range []bool{false, true, true} {
		full, err := h.full("1", count)
		if err != nil || full != want {
			t.Errorf("ticket %d: %v, %v", i, full, err)
		}
		h.added()
	}
	if full, _ := h.full("2", count); full || asked != 2 {
		t.Errorf("the next rollout: full %v, asked %d times", full, asked)
	}
}

// TestHeldByTickets verifies a rollout over real switches that waits for a support desk, is held because of its tickets, whichever controller heard
// them, keeps them when another controller takes it over, is resumed by an operator, and forgets the tickets at its end.
func TestHeldByTickets(t *testing.T) {
	w := newWorld(t)
	w.bound = rollout.TicketBound{Lines: 1, Within: time.Hour}
	d, end := w.run("noc-1")
	desk := w.ears("noc-3", "tokyo")
	line, second, _ := w.lines("edge-east")
	w.start(d)
	is := func(want rollout.State, verdict rollout.Verdict) func(*Stored) bool {
		return func(s *Stored) bool {
			return s.State == want && slices.ContainsFunc(s.Findings, func(f rollout.Finding) bool { return f.Gate == rollout.TicketsOpened && f.Verdict == verdict })
		}
	}
	hear := func(id string, line string) {
		t.Helper()
		x := tickets.Ticket{ID: id, Kind: tickets.Mail, Line: line, At: time.Now()}
		if got, err := desk.Hear(t.Context(), "tokyo", time.Now(), []tickets.Ticket{x}); err != nil || !slices.Equal(got, []tickets.Outcome{tickets.Counted}) {
			t.Fatalf("the ticket is %v, %v", got, err)
		}
	}
	hear("T-1", line) // before the change
	w.until(d, func(s *Stored) bool { return s.State == rollout.Soaking && s.Ring == 0 }, nil)
	hear("T-2", line)
	hear("T-3", second)
	held := w.until(d, is(rollout.Held, rollout.Hold), nil)
	want := "tickets of ring ring-0: hold: lines with support tickets since the change: 2, and at most 1 may have some"
	if got := held.Findings[0].String(); held.Ring != 0 || got != want {
		t.Errorf("ring %d is held: %s, want %s", held.Ring, got, want)
	}
	end()
	d, _ = w.run("noc-2")
	shown := func() string {
		families, err := w.registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		text := ""
		for _, f := range families {
			for _, m := range f.Metric {
				if f.GetName() == "op25b_rollout_findings" || f.GetName() == "op25b_rollout_ticket_lines" {
					text += fmt.Sprint(f.GetName(), m.Label, m.Gauge.GetValue(), "\n")
				}
			}
		}
		return text
	}
	for text := shown(); !strings.Contains(text, `value:"tickets"`) || !strings.Contains(text, `"ring-0"`); text = shown() { // the new leader shows it
		if !store.Pause(t.Context(), 20*time.Millisecond) {
			t.Fatalf("the metrics are %s", text)
		}
	}
	current, err := d.Current(t.Context())
	if err != nil || current.State != rollout.Held || current.Tickets["ring-0"].Lines != 2 {
		t.Errorf("taken over, the rollout is %s with %v, %v", current.State, current.Tickets, err)
	}
	resume := func() {
		t.Helper()
		if _, err := d.Change(t.Context(), By{Who: "noc", Reason: "known"}, func(r rollout.Record) (rollout.Record, error) {
			return r.Resume("noc", "known", time.Now())
		}); err != nil && !errors.Is(err, rollout.ErrState) { // the state was sent twice
			t.Fatal(err)
		}
	}
	resume()
	asked := map[rollout.GateName]bool{}
	done := w.until(d, func(s *Stored) bool { return s.State.Ended() }, func(s *Stored) {
		if s.State != rollout.Held || !slices.ContainsFunc(s.Findings, func(f rollout.Finding) bool { return f.Verdict == rollout.Hold }) {
			return
		}
		for _, f := range s.Findings {
			asked[f.Gate] = true
		}
		resume() // the other controller did not count the lines
	})
	if done.State != rollout.Done || len(done.TicketKey) > 0 || asked[rollout.TicketsOpened] { // the tickets of a ring are accepted once
		t.Errorf("the rollout is %s, with a key of %d bytes: %v", done.State, len(done.TicketKey), asked)
	}
	for left := 1; left > 0; {
		all, err := store.JSON[ticket](w.store, ticketKind).List(t.Context())
		if left = len(all); err != nil || left > 0 && !store.Pause(t.Context(), 20*time.Millisecond) {
			t.Fatalf("%d tickets are left, %v", left, err)
		}
	}
	records, err := w.store.Audit().Records(t.Context(), 1, 100)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(records, func(r store.AuditRecord) bool { return r.Verb == "rollout held" && strings.Contains(r.Detail, want) }) {
		t.Errorf("no audit record says why the rollout was held: %v", records)
	}
}

// TestWaitsForADesk verifies that a ring with a bound for tickets waits for the support desk, and goes on when the desk is heard.
func TestWaitsForADesk(t *testing.T) {
	w := newWorld(t)
	w.bound = rollout.TicketBound{Lines: 1, Within: time.Hour}
	d, _ := w.run("noc-1")
	w.start(d)
	w.until(d, func(s *Stored) bool { return s.State == rollout.Advancing && len(s.Steady) > 0 }, nil)
	s, err := d.Current(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	counts, err := d.counts(t.Context(), s.ID)
	if err != nil {
		t.Fatal(err)
	}
	h, err := d.tickets(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	in, err := w.book.Current(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	found := s.observe(in, nil, counts, h, time.Now(), false).Findings
	i := slices.IndexFunc(found, func(f rollout.Finding) bool { return f.Gate == rollout.TicketsOpened })
	if want := "tickets of ring ring-0: no-data: the support desk tokyo was not heard yet, and must be heard every 1h0m0s"; i < 0 || found[i].String() != want {
		t.Errorf("%v, want %s", found, want)
	}
	if _, err := w.ears("noc-2").Hear(t.Context(), "tokyo", time.Now(), nil); err != nil {
		t.Fatal(err)
	}
	w.until(d, func(s *Stored) bool { return s.State == rollout.Soaking }, nil)
}
