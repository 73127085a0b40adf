package fleet

import (
	"context"
	"errors"
	"slices"
	"time"

	"op25b/internal/store"
)

const (
	// MaxStateChanges is the number of state changes that a Status keeps. They take about 2 kB of the record.
	MaxStateChanges = 16
	// passing is the time below which a state leaves no trace in the changes: for example, converging on the way from one phase to the next.
	passing = time.Second
)

// A StateChange is the beginning of a condition of a switch, as its owner at that time saw it.
type StateChange struct {
	At       time.Time `json:"at"`
	State    State     `json:"state"`
	Reason   Reason    `json:"reason"`
	Revision uint64    `json:"revision,omitempty"` // the revision to which the switch was last brought
	Owner    string    `json:"owner,omitempty"`
}

// sameAs reports whether two changes begin the same condition.
func (c StateChange) sameAs(o StateChange) bool {
	o.At = c.At
	return c == o
}

// remember adds the condition to the changes if it differs from the newest one. A condition that lasted less than passing is replaced.
func (st *Status) remember(now time.Time) {
	c := StateChange{now.UTC(), st.State, st.Reason, st.Revision, st.Owner}
	before := st.Changes
	if len(before) > 0 && c.sameAs(before[0]) || st.State == none {
		return
	}
	if len(before) > 0 {
		if lasted := now.Sub(before[0].At); lasted >= 0 && lasted < passing {
			before = before[1:]
		}
	}
	if len(before) > 0 && c.sameAs(before[0]) {
		st.Changes = before
		return
	}
	before = before[:min(len(before), MaxStateChanges-1)]
	st.Changes = slices.Concat([]StateChange{c}, before) // copies of the status share the old list
}

// StateChanges returns the last changes of the condition of a switch, newest first. Nothing is known about the time before the oldest one, and
// about times at which no controller owned the switch. The result is empty for a switch that was never reported.
func StateChanges(ctx context.Context, s *store.Store, name string) ([]StateChange, error) {
	r, err := store.JSON[Status](s, statusKind).Get(ctx, name)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return r.Value.Changes, err
}
