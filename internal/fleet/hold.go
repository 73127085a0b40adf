package fleet

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"op25b/internal/store"
)

var (
	// ErrHeld is returned by PutHold if the switch is already held for another reason.
	ErrHeld = errors.New("the switch is already held")
	// ErrNotHeld is returned by EndHold if the switch is not held.
	ErrNotHeld = errors.New("the switch is not held")
)

// A Hold is an operator's order to write nothing to a switch, for maintenance. It is stored, so it outlives controllers. A held switch keeps its
// entries; what it is told waits until the hold ends.
type Hold struct {
	Who    string    `json:"who"`
	Reason string    `json:"reason"`
	Since  time.Time `json:"since"`
}

// holdKind is the kind of the records of holds. The name of a record is the name of its switch.
const holdKind = "hold"

// A storedHold is the record of a switch that is held, or that was held. The record is kept after the hold, so that versions tell which one is newer.
type storedHold struct {
	Held bool `json:"held"`
	Hold
}

// PutHold holds a switch. If the same caller holds it for the same reason, PutHold returns that hold and changes nothing.
func PutHold(ctx context.Context, s *store.Store, name string, h Hold, record store.AuditRecord) (Hold, error) {
	records := store.JSON[storedHold](s, holdKind)
	old, err := records.Get(ctx, name)
	switch {
	case err != nil && !errors.Is(err, store.ErrNotFound):
		return Hold{}, err
	case old.Value.Held && old.Value.Who == h.Who && old.Value.Reason == h.Reason:
		return old.Value.Hold, nil
	case old.Value.Held:
		return Hold{}, fmt.Errorf("%w: %s holds %q since %s: %s", ErrHeld, old.Value.Who, name, old.Value.Since.Format(time.RFC3339), old.Value.Reason)
	}
	return h, records.PutRecorded(ctx, name, old.Version, storedHold{true, h}, record)
}

// EndHold ends the hold of a switch and returns it. A hold that cannot be read can be ended too.
func EndHold(ctx context.Context, s *store.Store, name string, record store.AuditRecord) (Hold, error) {
	records := store.JSON[storedHold](s, holdKind)
	old, err := records.Get(ctx, name)
	version := old.Version
	switch {
	case errors.Is(err, store.ErrCorrupt):
		version = store.AnyVersion
	case err != nil && !errors.Is(err, store.ErrNotFound):
		return Hold{}, err
	case !old.Value.Held:
		return Hold{}, fmt.Errorf("%w: %q", ErrNotHeld, name)
	}
	return old.Value.Hold, records.PutRecorded(ctx, name, version, storedHold{false, old.Value.Hold}, record)
}

// A holdBook has the holds of all switches as this controller knows them.
type holdBook struct {
	mu sync.Mutex // guards of
	of map[string]store.Record[storedHold]
}

// put takes a record, unless a newer one is known. It reports whether the hold of the switch may have changed.
func (b *holdBook) put(r store.Record[storedHold], err error) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if known, there := b.of[r.Name]; there && known.Version >= r.Version {
		return false
	}
	if err != nil { // nobody knows whether the switch may be written to
		r.Value = storedHold{true, Hold{Who: "unknown", Reason: "the stored hold cannot be read: " + err.Error()}}
	}
	if b.of == nil {
		b.of = make(map[string]store.Record[storedHold])
	}
	b.of[r.Name] = r
	return true
}

// hold returns the hold of a switch, or nil.
func (b *holdBook) hold(name string) *Hold {
	b.mu.Lock()
	defer b.mu.Unlock()
	if r := b.of[name]; r.Value.Held {
		return &r.Value.Hold
	}
	return nil
}

// setHolds takes changes of holds, and passes them to the switches' workers.
func (c *controller) setHolds(some []store.Event[storedHold]) {
	for _, e := range some {
		if e.Deleted { // no controller deletes a hold
			continue
		}
		if e.Err != nil {
			c.log.Error("a hold cannot be read: the switch is held until op25b switch-release", zap.String("switch", e.Name), zap.Error(e.Err))
		}
		if c.holds.put(e.Record, e.Err) {
			if s := c.assignments[e.Name]; s != nil {
				s.heed()
			}
		}
	}
	c.holdsRead = true
}

// readHold reads the hold of a switch that this controller has just come to own. The watch of the holds may be behind.
func (w *worker) readHold(ctx context.Context) {
	for {
		r, err := store.JSON[storedHold](w.c.Store, holdKind).Get(ctx, w.name)
		switch {
		case err == nil, errors.Is(err, store.ErrCorrupt):
			r.Name = w.name
			w.c.holds.put(r, err)
			return
		case errors.Is(err, store.ErrNotFound), ctx.Err() != nil:
			return
		}
		w.log.Warn("it is not known whether the switch is held; nothing is written to it until it is", zap.Error(err))
		if !store.Pause(ctx, retryMin) {
			return
		}
	}
}

// heed makes the worker act on a change of the hold. A worker that is connected finishes what it is writing first. Otherwise nothing is being
// written.
func (s *assignment) heed() {
	s.mu.Lock()
	idle := s.idle
	s.mu.Unlock()
	if idle != nil {
		idle()
	}
	s.recheck()
}

// idleHeed reports a change of the hold while no session is primary.
func (w *worker) idleHeed() {
	w.updating.Lock()
	defer w.updating.Unlock()
	if w.primary {
		return
	}
	hold, last := w.c.holds.hold(w.name), w.last
	w.updateLocked(func(st *Status) error {
		if last.reason == 0 || sameHold(st.Hold, hold) { // begin has not taken over the status yet, and reads the hold itself
			return nil
		}
		st.Hold = hold
		return st.become(last.event, last.reason, last.detail)
	})
}

// A sessionEvent is the last event of a worker's session.
type sessionEvent struct {
	event  event
	reason Reason
	detail string
}

func sameHold(a, b *Hold) bool {
	return a == b || a != nil && b != nil && a.Who == b.Who && a.Reason == b.Reason && a.Since.Equal(b.Since)
}

// onHold reports whether an operator holds the switch.
func (w *worker) onHold() bool { return w.c.holds.hold(w.name) != nil }

// heldStatus returns the hold in the status, and whether the status says what the hold of the switch is.
func (w *worker) heldStatus() (st Status, same bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.status, sameHold(w.status.Hold, w.c.holds.hold(w.name))
}

// held reports whether the switch is held, and reports it in the status. A worker that is held knows nothing of the switch afterwards, because
// whoever maintains the switch may change it.
func (w *worker) held(number uint64) bool {
	hold := w.c.holds.hold(w.name)
	st, _ := w.heldStatus()
	if hold == nil {
		if st.Hold != nil {
			w.report(func(st *Status) error {
				st.Hold = nil
				return st.become(eventConverge, ReasonHoldReleased, "")
			})
		}
		return false
	}
	w.current, w.memory, w.fellBack = nil, nil, false
	if st.State != StateHeld || !sameHold(st.Hold, hold) || st.Wanted != number || st.Detail != "" {
		w.report(func(st *Status) error {
			st.Hold, st.Wanted = hold, number
			return st.become(eventHold, ReasonMaintenance, "")
		}, zap.String("who", hold.Who), zap.String("why", hold.Reason))
	}
	return true
}
