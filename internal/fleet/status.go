package fleet

import (
	"context"
	"maps"
	"slices"
	"time"

	"op25b/internal/store"
)

// MaxDrift is how many repairs a Status lists.
const MaxDrift = 16

// A Status is the reported status of a switch. Its owner writes it as a record of the store.
type Status struct {
	Switch string `json:"switch"`

	// The condition: see become.
	State  State  `json:"state"`
	Reason Reason `json:"reason"`
	Detail string `json:"detail,omitempty"` // details beyond the reason, such as an error
	// Since is when the condition began.
	Since time.Time `json:"since"`
	// Failure is the newest failure that is not overcome yet, also while the switch is not connected or changes its owner.
	Failure *ConvergeFailure `json:"failure,omitempty"`
	// Last is the last reported condition of a switch in StateUnknown. It is never stored.
	Last *Condition `json:"-"`

	// The ownership is independent of the condition.
	Ownership       OwnershipState `json:"ownership"`
	OwnershipDetail string         `json:"ownershipDetail,omitempty"` // what the controller waits for
	OwnershipSince  time.Time      `json:"ownershipSince,omitzero"`   // when Ownership or Owner last changed
	Owner           string         `json:"owner,omitempty"`           // a present or former member of the store: see Known
	Epoch           uint64         `json:"epoch,omitempty"`           // epoch of the ownership, which is the low word of the election id

	// Revision is the revision that the switch was last brought to, and Wanted is the newest one. 0 means none.
	Revision uint64 `json:"revision,omitempty"`
	Wanted   uint64 `json:"wanted,omitempty"`
	// RevisionID is the store.Revision.ID of Revision. Store is the identity of the store that both numbers belong to; in another store
	// they mean nothing.
	RevisionID string `json:"revisionID,omitempty"`
	Store      string `json:"store,omitempty"`
	// Attempted lists the revisions begun since Revision was reached, the oldest first. The switch may hold entries of any of them.
	Attempted []uint64 `json:"attempted,omitempty"`
	// InForce describes the phases in force on the switch. Running is the epoch of their rules there.
	InForce string `json:"inForce,omitempty"`
	Running uint8  `json:"running,omitempty"`

	Entries int         `json:"entries"` // in all tables
	Tables  []TableFill `json:"tables,omitempty"`
	// Progress is nil unless the switch is being written.
	Progress *Progress `json:"progress,omitempty"`
	// Drift lists the latest repairs of changes that others made, the newest first, each with its time.
	Drift []string `json:"drift,omitempty"`
	// Foreign is the number of entries that no revision asked for when the switch was last read. Drift lists the removed entries.
	Foreign int `json:"foreign,omitempty"`

	// Seen is when the switch last answered, as of the last write of the status: see confirmation.
	Seen    time.Time `json:"seen,omitzero"`
	Pushed  time.Time `json:"pushed,omitzero"`  // when the pipeline was last pushed
	Audited time.Time `json:"audited,omitzero"` // when the whole switch was last read and held, or was given, the desired state
}

// A ConvergeFailure is a failure to bring a switch to a revision.
type ConvergeFailure struct {
	Reason   Reason    `json:"reason"`
	Detail   string    `json:"detail"`
	Since    time.Time `json:"since"` // when the first attempt failed for this reason
	Wanted   uint64    `json:"wanted"`
	Attempts int       `json:"attempts"`
}

// counted returns the state for metrics: a controller cannot know the state of a switch that it does not own.
func (st Status) counted() State {
	switch st.Ownership {
	case 0:
		return 0
	case Owned:
		return st.State
	}
	return StateUnknown
}

// A TableFill is how full a table is.
type TableFill struct {
	Table   string `json:"table"`
	Entries int64  `json:"entries"`
	Size    int64  `json:"size"`
}

// Progress is the progress of a switch that is being written.
type Progress struct {
	Step  string `json:"step"` // the step that was just done
	Done  int    `json:"done"` // number of updates written
	Total int    `json:"total"`
}

// statusKind is the kind of the records. The name of a record is the switch's.
const statusKind = "status"

// Statuses returns the stored status of every switch that a controller has owned, ordered by name.
func Statuses(ctx context.Context, s *store.Store) ([]Status, error) {
	records, err := store.JSON[Status](s, statusKind).List(ctx)
	if err != nil {
		return nil, err
	}
	all := make([]Status, len(records))
	for i, r := range records {
		all[i] = r.Value
	}
	return all, nil
}

// WatchStatuses sends the stored statuses of all switches, ordered by name, at first and after changes; a slow receiver gets the newest.
// Records that cannot be read are left out. The channel is closed when ctx ends or the store is closed; until then the caller must receive.
func WatchStatuses(ctx context.Context, s *store.Store) <-chan []Status {
	out := make(chan []Status)
	events := store.JSON[Status](s, statusKind).Watch(ctx)
	go func() {
		defer close(out)
		known := make(map[string]Status)
		var ready chan<- []Status // nil while there is nothing to send
		var snapshot []Status
		for {
			if ready != nil && snapshot == nil {
				snapshot = make([]Status, 0, len(known))
				for _, name := range slices.Sorted(maps.Keys(known)) {
					snapshot = append(snapshot, known[name])
				}
			}
			select {
			case some, ok := <-events:
				if !ok {
					return
				}
				for _, e := range some {
					if e.Deleted || e.Err != nil {
						delete(known, e.Name)
						continue
					}
					known[e.Name] = e.Value
				}
				ready, snapshot = out, nil
			case ready <- snapshot:
				ready = nil
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}
