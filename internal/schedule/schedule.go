// Package schedule puts phases in force at a time that an operator chose in advance.
//
// A scheduled activation is a record in the store. Every controller waits for its time and carries it out. The record says on which revision the
// activation is made before it is made, so that it is made once, whichever controllers are killed. An activation is skipped if what its operator saw
// has changed since, if a rollout runs, or if no controller was there at its time.
//
// The package does not know what an activation does; package intent stores it as any other.
package schedule

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"op25b/internal/intent"
	"op25b/internal/policy"
	"op25b/internal/store"
)

// Limits on scheduled activations.
const (
	// MaxPending is the number of activations that may be scheduled at once.
	MaxPending = 100
	// MaxAhead is how far ahead an activation may be scheduled.
	MaxAhead = 366 * 24 * time.Hour
	// MaxLate is how late an activation may be carried out. A later one is skipped: the hours of a night are chosen for a reason.
	MaxLate = 10 * time.Minute
	// keptEnded is the number of records that are kept after they have ended.
	keptEnded = 100
)

var (
	// ErrTime means that a time is in the past or too far ahead.
	ErrTime = errors.New("not a time for an activation")
	// ErrFull means that MaxPending activations are scheduled.
	ErrFull = errors.New("too many scheduled activations")
	// ErrUnknown means that there is no scheduled activation with an ID.
	ErrUnknown = errors.New("unknown scheduled activation")
	// ErrEnded means that an activation cannot be cancelled, because it is no longer pending.
	ErrEnded = errors.New("the activation is no longer scheduled")
)

// A State is the state of a scheduled activation.
type State string

// The states. An activation ends as Done, Skipped or Cancelled.
const (
	Pending   State = "pending"
	Acting    State = "acting" // it is being made on the revision On
	Done      State = "done"
	Skipped   State = "skipped"
	Cancelled State = "cancelled"
)

// Ended reports whether the state never changes again.
func (s State) Ended() bool { return s == Done || s == Skipped || s == Cancelled }

// An Entry is a scheduled activation.
type Entry struct {
	ID            uint64    `json:"id"`
	At            time.Time `json:"at"`
	Phase         string    `json:"phase"`
	Groups        []string  `json:"groups,omitempty"`
	Switches      []string  `json:"switches,omitempty"`
	UntilNextDate bool      `json:"untilNextDate,omitempty"`
	// Base is the revision that the operator saw.
	Base  uint64    `json:"base"`
	Who   string    `json:"who"`
	Role  string    `json:"role"`
	Why   string    `json:"why"`
	Asked time.Time `json:"asked"`

	State State `json:"state"`
	// On is the revision on which the activation is or was made. The activation is revision On + 1.
	On uint64 `json:"on,omitempty"`
	// Revision is the revision of the activation when it is Done.
	Revision uint64 `json:"revision,omitempty"`
	// Note says why the activation was skipped or cancelled, and By who cancelled it.
	Note string `json:"note,omitempty"`
	By   string `json:"by,omitempty"`
	// Ended is the time at which it ended.
	Ended time.Time `json:"ended,omitzero"`
}

// activation returns the activation that the entry makes.
func (e *Entry) activation() policy.Activation {
	return policy.Activation{Phase: e.Phase, Groups: e.Groups, Switches: e.Switches, UntilNextDate: e.UntilNextDate, Scheduled: e.ID}
}

// String names the entry, such as "scheduled activation 3 of phase watch".
func (e *Entry) String() string {
	return fmt.Sprintf("scheduled activation %d of phase %s", e.ID, e.Phase)
}

// kind is the kind of the records of scheduled activations. Their names are their IDs.
const kind = "scheduled"

func name(id uint64) string { return fmt.Sprintf("%09d", id) }

// A Scheduler keeps and carries out scheduled activations. Its fields must be set, except Metrics.
type Scheduler struct {
	Store *store.Store
	Book  *intent.Book
	// Dates is the clock that decides which dates have come.
	Dates func() time.Time
	// Busy returns why no phase may be changed now, such as a rollout, or "".
	Busy    func(context.Context) (why string, err error)
	Metrics *Metrics
	Logger  *zap.Logger
}

func (s *Scheduler) records() *store.Records[Entry] { return store.JSON[Entry](s.Store, kind) }

// List returns the scheduled activations, and those that ended last, by ID.
func (s *Scheduler) List(ctx context.Context) ([]Entry, error) {
	records, err := s.records().List(ctx)
	if err != nil {
		return nil, err
	}
	all := make([]Entry, len(records))
	for i, r := range records {
		all[i] = r.Value
	}
	return all, nil
}

// Add schedules an activation. The caller has set its fields up to Why. Add returns the errors of policy.Bundle.CheckActivation, ErrTime, ErrFull,
// and a
// *store.StaleError if Base is not the current revision.
func (s *Scheduler) Add(ctx context.Context, e Entry) (*Entry, error) {
	in, err := s.Book.Current(ctx)
	if err != nil {
		return nil, err
	}
	now := s.Dates()
	switch {
	case e.Base != in.Number:
		return nil, &store.StaleError{Base: e.Base, Current: in.Number}
	case !e.At.After(now):
		return nil, fmt.Errorf("%w: %s is not after now, %s", ErrTime, e.At.Format(time.RFC3339), now.In(e.At.Location()).Format(time.RFC3339))
	case e.At.Sub(now) > MaxAhead:
		return nil, fmt.Errorf("%w: %s is more than %d days ahead", ErrTime, e.At.Format(time.RFC3339), int(MaxAhead.Hours()/24))
	}
	a := e.activation()
	a.At = e.At
	if err := in.Bundle.CheckActivation(a); err != nil {
		return nil, err
	}
	for {
		all, err := s.records().List(ctx)
		if err != nil {
			return nil, err
		}
		pending := 0
		for _, r := range all {
			e.ID = max(e.ID, r.Value.ID)
			if !r.Value.State.Ended() {
				pending++
			}
		}
		if pending >= MaxPending {
			return nil, fmt.Errorf("%w: %d are scheduled: cancel one first", ErrFull, pending)
		}
		if err := s.forget(ctx, all); err != nil {
			return nil, err
		}
		e.ID++
		e.State, e.Asked = Pending, now.UTC()
		record := store.AuditRecord{Who: e.Who, Role: e.Role, Verb: "schedule", Object: "phase " + e.Phase + " at " + e.At.Format(time.RFC3339), Reason: e.Why}
		err = s.records().PutRecorded(ctx, name(e.ID), 0, e, record)
		if !errors.Is(err, store.ErrConflict) { // otherwise another operator was faster
			return &e, err
		}
	}
}

// forget deletes the oldest of too many records that have ended.
func (s *Scheduler) forget(ctx context.Context, all []store.Record[Entry]) error {
	ended := slices.DeleteFunc(slices.Clone(all), func(r store.Record[Entry]) bool { return !r.Value.State.Ended() })
	for _, r := range ended[:max(0, len(ended)-keptEnded)] {
		if err := s.records().Delete(ctx, r.Name, r.Version); err != nil && !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
	return nil
}

// Cancel cancels a scheduled activation. It returns ErrUnknown, or ErrEnded if it is no longer pending.
func (s *Scheduler) Cancel(ctx context.Context, id uint64, who, role, why string) (*Entry, error) {
	for {
		r, err := s.records().Get(ctx, name(id))
		switch e := &r.Value; {
		case errors.Is(err, store.ErrNotFound):
			return nil, fmt.Errorf("%w %d", ErrUnknown, id)
		case err != nil:
			return nil, err
		case e.State != Pending:
			return nil, fmt.Errorf("%w: %v is %s", ErrEnded, e, e.State)
		}
		e := r.Value
		e.State, e.By, e.Note, e.Ended = Cancelled, who, why, s.Dates().UTC()
		err = s.records().PutRecorded(ctx, r.Name, r.Version, e, store.AuditRecord{Who: who, Role: role, Verb: "cancel", Object: e.String(), Reason: why})
		if !errors.Is(err, store.ErrConflict) {
			s.Metrics.ended(e.State, err)
			return &e, err
		}
	}
}
