package drive

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"op25b/internal/rollout"
	"op25b/internal/store"
)

// ErrRunning means that a rollout is running.
var ErrRunning = errors.New("a rollout is running")

// ErrNone means that there was no rollout yet.
var ErrNone = errors.New("there is no rollout; op25b rollout start starts one")

// Current returns the rollout that runs or that ended last. It returns ErrNone if there is none.
func (d *Driver) Current(ctx context.Context) (*Stored, error) {
	r, err := store.JSON[Stored](d.Store, rolloutKind).Get(ctx, currentName)
	if errors.Is(err, store.ErrNotFound) {
		return nil, ErrNone
	}
	if err != nil {
		return nil, err
	}
	r.Value.Version = r.Version
	return &r.Value, nil
}

// By is the operator who gives a command.
type By struct{ Who, Role, Reason string }

// MaxPast is the number of ended rollouts that are kept. The audit chain has all of them.
const MaxPast = 100

// pastName returns the name of the record of an ended rollout. The names are in the order of the rollouts.
func pastName(number int) string { return fmt.Sprintf("past-%06d", number) }

// Start stores a new rollout. It returns ErrRunning if one is running.
func (d *Driver) Start(ctx context.Context, r rollout.Record, by By) (*Stored, error) {
	last, err := d.Current(ctx)
	version, number := int64(0), 1
	switch {
	case errors.Is(err, ErrNone):
	case err != nil:
		return nil, err
	case !last.State.Ended():
		return nil, fmt.Errorf("%w: rollout %s is %s: abort it, or wait until it has ended", ErrRunning, last.ID, last.State)
	default:
		version = last.Version
		if n, err := strconv.Atoi(last.ID); err == nil {
			number = n + 1
		}
		earlier := *last
		earlier.Begun, earlier.Told, earlier.First, earlier.Seen, earlier.Steady = nil, nil, nil, nil, nil
		earlier.TicketKey = nil
		records := store.JSON[Stored](d.Store, rolloutKind)
		if _, err := records.PutIf(ctx, pastName(number-1), store.AnyVersion, earlier); err != nil {
			return nil, err
		}
		if err := records.Delete(ctx, pastName(number-1-MaxPast), store.AnyVersion); err != nil {
			return nil, err
		}
	}
	r.ID, r.Author, r.Reason = strconv.Itoa(number), by.Who, by.Reason
	s := &Stored{Record: rollout.Start(r, d.Now()), TicketKey: newTicketKey()}
	return d.put(ctx, s, version, by)
}

// Change stores what change makes of the current rollout. It returns ErrNone if there is none, and rollout.ErrState if the command does not fit.
func (d *Driver) Change(ctx context.Context, by By, change func(rollout.Record) (rollout.Record, error)) (*Stored, error) {
	for {
		s, err := d.Current(ctx)
		if err != nil {
			return nil, err
		}
		if s.Record, err = change(s.Record); err != nil {
			return nil, err
		}
		stored, err := d.put(ctx, s, s.Version, by)
		if conflict := (*store.ConflictError)(nil); errors.As(err, &conflict) { // the driver has stored another state
			continue
		}
		return stored, err
	}
}

func (d *Driver) put(ctx context.Context, s *Stored, version int64, by By) (*Stored, error) {
	record := s.audit(by.Who, by.Role)
	record.Reason = by.Reason
	if err := store.JSON[Stored](d.Store, rolloutKind).PutRecorded(ctx, currentName, version, *s, record); err != nil {
		return nil, err
	}
	return s, nil
}

// Past returns the rollouts that ended before the current one, the newest first.
func (d *Driver) Past(ctx context.Context) ([]Stored, error) {
	all, err := store.JSON[Stored](d.Store, rolloutKind).List(ctx)
	if err != nil {
		return nil, err
	}
	var past []Stored
	for _, r := range all {
		if r.Name != currentName {
			past = append(past, r.Value)
		}
	}
	slices.Reverse(past)
	return past, nil
}
