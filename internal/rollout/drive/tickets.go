package drive

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"op25b/internal/rollout"
	"op25b/internal/rollout/tickets"
	"op25b/internal/store"
)

// ticketKind is the kind of the records of support tickets. The name of a record is the pseudonym of its ticket. deskKind is the kind of the records
// that say when a support desk was heard, by the name of the desk. Whichever controller hears a ticket stores it, and the owner of the rollout reads it
// there.
const (
	ticketKind = "rollout-ticket"
	deskKind   = "support-desk"
)

const (
	// maxTickets is the number of tickets that a controller records for a rollout. A rollout that needs more is held.
	maxTickets = 10_000
	// deskFor is how long a desk that is silent is remembered, in seconds. It is longer than any bound on its silence.
	deskFor = 3600
	// deskEvery is the shortest time between two records of the same desk.
	deskEvery = 5 * time.Second
	// ticketKeySize is the size of the key of the pseudonyms in bytes.
	ticketKeySize = 32
)

// A ticket is what is stored of a support ticket: neither the line, an address nor the desk's number. The key of the pseudonyms is in the rollout's
// record, and is deleted when the rollout ends. The tickets are deleted too.
type ticket struct {
	Rollout string    `json:"rollout"`
	Switch  string    `json:"switch,omitempty"` // empty if the line is not known
	Line    string    `json:"line,omitempty"`   // the pseudonym of the line, or of the ticket if it names no line
	At      time.Time `json:"at"`               // when the ticket was opened
}

// A desk is what is stored of a support desk.
type desk struct {
	Heard time.Time `json:"heard"` // when its newest message was signed
}

// Lines finds the lines of the newest documents. *ledger.Ledger is one.
type Lines interface {
	// Place returns the switch and the name of the line with a name, or with an address by the inventory or its session if the name is empty. The
	// names are empty if there is no such line. An error means that the lines are not known yet.
	Place(name string, address netip.Addr) (switchName, line string, err error)
}

// hearing is what a controller remembers of the tickets that it has recorded.
type hearing struct {
	mu      sync.Mutex           // guards the fields below
	rollout string               // the rollout whose tickets are counted
	count   int                  // the tickets that were there, and those that this controller has added
	desks   map[string]time.Time // when the record of each desk was last written
}

var _ tickets.Listener = (*Driver)(nil)

// Hear records the tickets of a support desk, and that the desk was heard. It returns what became of each ticket. A ticket that was recorded before, by
// any controller, and one that is not about mail, change nothing. Addresses are looked up and forgotten (I8).
func (d *Driver) Hear(ctx context.Context, from string, sent time.Time, all []tickets.Ticket) ([]tickets.Outcome, error) {
	outcomes := make([]tickets.Outcome, len(all))
	s, err := d.Current(ctx)
	if err != nil && !errors.Is(err, ErrNone) {
		return nil, err
	}
	for i, t := range all {
		switch {
		case t.Kind != tickets.Mail:
			outcomes[i] = tickets.OtherKind
		case s == nil || s.State.Ended() || !s.watchesTickets():
			outcomes[i] = tickets.Idle
		default:
			if outcomes[i], err = d.record(ctx, s, from, t); err != nil {
				return nil, err
			}
		}
		d.Metrics.ticket(outcomes[i])
	}
	return outcomes, d.heard(ctx, from, sent) // after the tickets, so that a desk that was heard has no ticket that was not
}

// record stores a ticket.
func (d *Driver) record(ctx context.Context, s *Stored, from string, t tickets.Ticket) (tickets.Outcome, error) {
	records := store.JSON[ticket](d.Store, ticketKind)
	full, err := d.hearing.full(s.ID, func() (int, error) {
		there, err := records.List(ctx)
		return len(there), err
	})
	if err != nil || full {
		return tickets.Full, err
	}
	name := s.pseudonym("ticket", from, t.ID)
	x := ticket{Rollout: s.ID, At: t.At}
	if t.Switch == "" {
		var line string
		if x.Switch, line, err = d.Lines.Place(t.Line, t.Address); err != nil {
			return "", err
		}
		x.Line = s.pseudonym("line", line)
	} else if slices.Contains(s.Switches(), t.Switch) {
		x.Switch, x.Line = t.Switch, name
	}
	outcome := tickets.Counted
	if x.Switch == "" {
		outcome, x.Line = tickets.NoLine, ""
	}
	_, err = records.PutIf(ctx, name, 0, x)
	if conflict := (*store.ConflictError)(nil); errors.As(err, &conflict) {
		return tickets.Known, nil
	}
	if err == nil {
		d.hearing.added()
	}
	return outcome, err
}

// full reports whether there are already maxTickets tickets. count counts the tickets in the store; it is called once for each rollout.
func (h *hearing) full(rollout string, count func() (int, error)) (bool, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.rollout != rollout {
		n, err := count()
		if err != nil {
			return false, err
		}
		h.rollout, h.count = rollout, n
	}
	return h.count >= maxTickets, nil
}

func (h *hearing) added() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.count++
}

// heard stores that a desk was heard, unless a newer message is known.
func (d *Driver) heard(ctx context.Context, from string, sent time.Time) error {
	h := &d.hearing
	h.mu.Lock()
	again := sent.Sub(h.desks[from]) < deskEvery
	h.mu.Unlock()
	if again {
		return nil
	}
	records := store.JSON[desk](d.Store, deskKind)
	switch known, err := records.Get(ctx, from); {
	case err != nil && !errors.Is(err, store.ErrNotFound):
		return err
	case err == nil && !sent.After(known.Value.Heard):
		return nil
	}
	if err := records.PutFor(ctx, from, desk{sent}, deskFor); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.desks == nil {
		h.desks = make(map[string]time.Time)
	}
	h.desks[from] = sent
	return nil
}

// newTicketKey returns a key for the pseudonyms of a rollout.
func newTicketKey() []byte {
	key := make([]byte, ticketKeySize)
	_, _ = rand.Read(key) // never fails (crypto/rand)
	return key
}

// pseudonym returns the pseudonym of a thing in the rollout: 128 bits of HMAC-SHA256 (RFC 2104).
func (s *Stored) pseudonym(kind string, parts ...string) string {
	h := hmac.New(sha256.New, s.TicketKey)
	for _, p := range append([]string{kind}, parts...) {
		h.Write([]byte{byte(len(p) >> 8), byte(len(p))})
		h.Write([]byte(p))
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// watchesTickets reports whether a ring has a bound for tickets.
func (s *Stored) watchesTickets() bool {
	return slices.ContainsFunc(s.Stages, func(stage rollout.Stage) bool { return stage.Gates.Tickets.Lines > 0 })
}

// A heard is what was heard of support desks.
type heard struct {
	all []ticket
	rollout.Tickets
}

// tickets reads what was heard of support desks. It reads nothing if no ring has a bound for tickets.
func (d *Driver) tickets(ctx context.Context, s *Stored) (h heard, err error) {
	if !s.watchesTickets() {
		return h, nil
	}
	records, err := store.JSON[ticket](d.Store, ticketKind).List(ctx)
	if err != nil {
		return h, err
	}
	for _, r := range records {
		if r.Value.Rollout == s.ID {
			h.all = append(h.all, r.Value)
		}
	}
	h.Full = len(records) >= maxTickets
	desks, err := store.JSON[desk](d.Store, deskKind).List(ctx)
	if err != nil {
		return h, err
	}
	last := make(map[string]time.Time)
	for _, r := range desks {
		last[r.Name] = r.Value.Heard
	}
	names := d.Desks
	if len(names) == 0 { // this controller has no file of desks: those count that were heard
		for _, r := range desks {
			names = append(names, r.Name)
		}
	}
	for i, name := range names {
		if at := last[name]; i == 0 || at.Before(h.Heard) {
			h.Heard, h.Silent = at, name
		}
	}
	return h, nil
}

// of returns the tickets of a ring since it was first given the change, in the rehearsal or later.
func (h heard) of(s *Stored, stage rollout.Stage) rollout.Tickets {
	t, lines := h.Tickets, make(map[string]bool)
	changed, is := s.Changed[stage.Name]
	for _, x := range h.all {
		switch {
		case !is || x.At.Before(changed):
		case x.Switch == "":
			t.Unplaced++
		case slices.Contains(stage.Switches, x.Switch):
			lines[x.Line] = true
		}
	}
	t.Lines = len(lines)
	return t
}

// noteTickets notes the tickets of the rings that have been given the change, to be shown. It reports whether they have changed.
func (s *Stored) noteTickets(h heard) bool {
	noted := make(map[string]TicketCount)
	for _, stage := range s.Stages {
		if _, is := s.Changed[stage.Name]; is && stage.Gates.Tickets.Lines > 0 {
			t := h.of(s, stage)
			noted[stage.Name] = TicketCount{t.Lines, t.Unplaced}
		}
	}
	if len(noted) == 0 || maps.Equal(noted, s.Tickets) {
		return false
	}
	s.Tickets = noted
	return true
}

// forget deletes the tickets of rollouts other than the one that runs.
func (d *Driver) forget(ctx context.Context, s *Stored) error {
	records := store.JSON[ticket](d.Store, ticketKind)
	all, err := records.List(ctx)
	if err != nil {
		return err
	}
	for _, r := range all {
		if r.Value.Rollout == s.ID && !s.State.Ended() {
			continue
		}
		if err := records.Delete(ctx, r.Name, store.AnyVersion); err != nil {
			return err
		}
	}
	return nil
}
