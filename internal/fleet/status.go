package fleet

import (
	"context"
	"maps"
	"slices"
	"time"

	"op25b/internal/store"
)

// MaxDrift is the maximum number of repairs that a Status lists.
const MaxDrift = 16

// A Status is the reported status of a switch. The switch's owner stores it as a record.
type Status struct {
	Switch string `json:"switch"`

	// State, Reason and Detail are the condition: see become.
	State  State  `json:"state"`
	Reason Reason `json:"reason"`
	Detail string `json:"detail,omitempty"` // details in addition to the reason, such as an error
	// Since is the time at which the condition began.
	Since time.Time `json:"since"`
	// Failure is the latest failure, until the switch is brought to the desired state. It is kept while the switch is disconnected and when
	// the owner changes.
	Failure *ConvergeFailure `json:"failure,omitempty"`
	// Hold is the hold by which the owner has stopped writing to the switch; otherwise nil.
	Hold *Hold `json:"hold,omitempty"`
	// Changes lists the last changes of State, Reason, Revision and Owner, newest first: see StateChange. It outlives ownerships.
	Changes []StateChange `json:"changes,omitempty"`
	// Last is the last reported condition of a switch that is in StateUnknown. It is never stored.
	Last *Condition `json:"-"`

	// Ownership and the following fields are independent of the condition.
	Ownership       OwnershipState `json:"ownership"`
	OwnershipDetail string         `json:"ownershipDetail,omitempty"` // reason why the switch is not owned yet, or why the ownership was lost
	OwnershipSince  time.Time      `json:"ownershipSince,omitzero"`   // time at which Ownership or Owner last changed
	Owner           string         `json:"owner,omitempty"`           // name of the controller, which may no longer be a member of the store: see Known
	Epoch           uint64         `json:"epoch,omitempty"`           // epoch of the ownership, which is the low word of the election id

	// Revision is the revision to which the switch was last brought. Wanted is the newest revision. 0 means none.
	Revision uint64 `json:"revision,omitempty"`
	Wanted   uint64 `json:"wanted,omitempty"`
	// RevisionID is the ID of Revision: see store.Revision. Store is the identity of the store to which both numbers belong. In another
	// store, the numbers have no meaning.
	RevisionID string `json:"revisionID,omitempty"`
	Store      string `json:"store,omitempty"`
	// Attempted lists the revisions that were begun after Revision was reached, oldest first. The switch may have entries of any of them.
	Attempted []uint64 `json:"attempted,omitempty"`
	// InForce describes the phases that are in force on the switch. Running is the epoch of their rules.
	InForce string `json:"inForce,omitempty"`
	Running uint8  `json:"running,omitempty"`

	Entries int         `json:"entries"` // number of entries in all tables
	Tables  []TableFill `json:"tables,omitempty"`
	// Progress is the progress while the switch is being written; otherwise nil.
	Progress *Progress `json:"progress,omitempty"`
	// Drift lists the latest repairs of changes that other clients made. Each repair has its time; the newest is first.
	Drift []string `json:"drift,omitempty"`
	// Foreign is the number of foreign entries that were kept when the switch was last read. Drift lists the foreign entries that were
	// removed.
	Foreign int `json:"foreign,omitempty"`
	// Sessions says how many sessions are in force. It is nil if no line of the switch has entries by sessions.
	Sessions *SessionStatus `json:"sessions,omitempty"`
	// Leases says the same of leases. It is nil if no line of the switch can have a lease.
	Leases *SessionStatus `json:"leases,omitempty"`
	// NoClock says why the switch's clock could not be read the last time. It is empty if it was, or if that has not been tried.
	NoClock string `json:"noClock,omitempty"`

	// Probes is the result of the last round of probes; nil if there was none since the switch was last brought to another state.
	Probes *ProbeStatus `json:"probes,omitempty"`

	// Seen is the time at which the switch last answered before the status was stored: see confirmation.
	Seen    time.Time `json:"seen,omitzero"`
	Pushed  time.Time `json:"pushed,omitzero"`  // time at which the pipeline was last pushed
	Audited time.Time `json:"audited,omitzero"` // time at which the whole switch was last read and was in the desired state or was brought to it
}

// A ConvergeFailure is a failed attempt to bring a switch to a revision.
type ConvergeFailure struct {
	Reason   Reason    `json:"reason"`
	Detail   string    `json:"detail"`
	Since    time.Time `json:"since"` // time at which the first attempt failed for this reason
	Wanted   uint64    `json:"wanted"`
	Attempts int       `json:"attempts"`
}

// connected reports whether the owner has a session with the switch.
func (st *Status) connected() bool {
	return st.State.session() || st.State == StateHeld && st.Detail == ""
}

// counted returns the state for metrics. It is unknown for a switch that the controller does not own.
func (st Status) counted() State {
	switch st.Ownership {
	case 0:
		return 0
	case Owned:
		return st.State
	}
	return StateUnknown
}

// A TableFill states how many entries a table has, and how many it can have.
type TableFill struct {
	Table   string `json:"table"`
	Entries int64  `json:"entries"`
	Size    int64  `json:"size"`
}

// Progress describes how far the writing of a switch has advanced.
type Progress struct {
	Step  string `json:"step"` // the step that was completed last
	Done  int    `json:"done"` // number of updates written
	Total int    `json:"total"`
}

// statusKind is the kind of the records that contain statuses. The name of a record is the name of its switch.
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

// WatchStatuses sends the stored statuses of all switches, ordered by name, and sends them again after changes. A slow receiver gets only
// the newest statuses. Records that cannot be read are omitted. The channel is closed when ctx ends or the store is closed. The caller must
// receive until then.
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
