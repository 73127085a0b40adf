package fleet

import (
	"context"
	"maps"
	"slices"
	"time"

	"op25b/internal/store"
)

// MaxDrift is how many repairs a Status remembers.
const MaxDrift = 16

// A Status is where a switch stands. Its owner writes it, as a record of the store, for as long as it is the owner.
type Status struct {
	Switch string `json:"switch"`

	// The condition: see become.
	State  State  `json:"state"`
	Reason Reason `json:"reason"`
	Detail string `json:"detail,omitempty"` // what the reason does not say: an error, or whose turn it is
	// Since is when the condition began: see since.
	Since time.Time `json:"since"`
	// Failure is the newest failure that is not overcome yet, also while the switch is not connected or its owner changes.
	Failure *Failure `json:"failure,omitempty"`
	// Last is what was reported of a switch in StateUnknown. It is never stored.
	Last *Condition `json:"-"`

	// The ownership, apart from the condition.
	Ownership       Ownership `json:"ownership"`
	OwnershipDetail string    `json:"ownershipDetail,omitempty"` // what a controller waits for
	OwnershipSince  time.Time `json:"ownershipSince,omitzero"`   // when Ownership or Owner last changed
	Owner           string    `json:"owner,omitempty"`           // a member of the store, or one that has died: see Known
	Epoch           uint64    `json:"epoch,omitempty"`           // of the ownership: the low word of the election id

	// Revision is the intent's that the switch was last brought to, and Wanted the newest. 0 is none.
	Revision uint64 `json:"revision,omitempty"`
	Wanted   uint64 `json:"wanted,omitempty"`
	// RevisionID is the store.Revision.ID of Revision, and Store the identity of the store that both numbers are of: in another store they
	// mean nothing.
	RevisionID string `json:"revisionID,omitempty"`
	Store      string `json:"store,omitempty"`
	// Attempted are the revisions that were begun since Revision was reached, the oldest first; the switch may hold entries of each.
	Attempted []uint64 `json:"attempted,omitempty"`
	// InForce is the phases in force in the switch, in words, and Running the epoch of their rules there.
	InForce string `json:"inForce,omitempty"`
	Running uint8  `json:"running,omitempty"`

	Entries int         `json:"entries"` // of all tables
	Tables  []TableFill `json:"tables,omitempty"`
	// Progress is nil unless the switch is being written to.
	Progress *Progress `json:"progress,omitempty"`
	// Drift is the newest repairs of what another hand did, the newest first, each with its time.
	Drift []string `json:"drift,omitempty"`
	// Foreign is how many entries the switch was last seen to have that no intent asked for; Drift has those that were removed.
	Foreign int `json:"foreign,omitempty"`

	// Seen is when the switch last answered, as far as the status was written since: see confirmation.
	Seen    time.Time `json:"seen,omitzero"`
	Pushed  time.Time `json:"pushed,omitzero"`  // when the pipeline was last pushed
	Audited time.Time `json:"audited,omitzero"` // when all of the switch was last read and found, or made, as wanted
}

// A Failure is why a switch could not be brought to a revision.
type Failure struct {
	Reason   Reason    `json:"reason"`
	Detail   string    `json:"detail"`
	Since    time.Time `json:"since"` // of the first attempt that failed for this reason
	Wanted   uint64    `json:"wanted"`
	Attempts int       `json:"attempts"`
}

// counted is the state as metrics count it: what a controller does not own it cannot know.
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

// Progress is how far a switch is brought to its state.
type Progress struct {
	Step  string `json:"step"` // that has just been done
	Done  int    `json:"done"` // updates
	Total int    `json:"total"`
}

// statusKind is the kind of the records. Their name is the switch's.
const statusKind = "status"

// Statuses returns the status of every switch that a controller has owned, in the order of their names.
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

// WatchStatuses tells the statuses of all switches, in the order of their names, at first and after changes; a slow receiver gets the newest.
// A record that cannot be read is left out. The channel is closed when ctx ends or the store is closed; until then somebody must receive.
func WatchStatuses(ctx context.Context, s *store.Store) <-chan []Status {
	out := make(chan []Status)
	events := store.JSON[Status](s, statusKind).Watch(ctx)
	go func() {
		defer close(out)
		known := make(map[string]Status)
		var ready chan<- []Status // nil while there is nothing to tell
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
