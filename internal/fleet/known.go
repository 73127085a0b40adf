package fleet

import (
	"context"
	"time"

	"op25b/internal/store"
)

// Each controller confirms the statuses of all of its switches by one small record. The record expires unless it is written again in time.
// A controller that cannot store its statuses does not write the record.
const (
	confirmEvery = 5 * time.Second
	// ConfirmedFor is how long a status is valid after its owner's last confirmation.
	ConfirmedFor = 20 * time.Second
)

// A confirmation means that every switch that its controller reports as connected was alive at the time Seen or later.
type confirmation struct {
	Seen time.Time `json:"seen"`
}

const confirmationKind = "confirmed"

// A Condition is a condition of a switch as it was reported.
type Condition struct {
	State  State
	Reason Reason
	Detail string
	Since  time.Time
}

// Known returns the status of every switch that a controller has owned, ordered by name. If no living owner confirms a status, the status
// has StateUnknown, and Last is the condition that was last reported. self is the name of the controller in this process, or empty.
func Known(ctx context.Context, s *store.Store, self string) ([]Status, error) {
	// The statuses are read first. A status that is written in the meantime is missed. If the owner changes in the meantime, the switch is
	// reported as unknown.
	statuses, err := Statuses(ctx, s)
	if err != nil {
		return nil, err
	}
	holdings, err := s.Holdings(ctx, switchKind)
	if err != nil {
		return nil, err
	}
	records, err := store.JSON[confirmation](s, confirmationKind).List(ctx)
	if err != nil {
		return nil, err
	}
	id, _ := s.Generation().ID()
	w := evidence{store: id, self: self, confirmed: make(map[string]confirmation)}
	w.setHoldings(holdings)
	for _, r := range records {
		w.confirmed[r.Name] = r.Value
	}
	return w.known(statuses), nil
}

// WatchKnown sends the current result of Known, and sends it again after changes. A slow receiver gets the newest result. If only Seen
// changes, the result is not sent. The channel is closed when ctx ends or the store is closed. The caller must receive until then.
func WatchKnown(ctx context.Context, s *store.Store, self string) <-chan []Status {
	out := make(chan []Status)
	ctx, cancel := context.WithCancel(ctx)
	statuses, holdings := WatchStatuses(ctx, s), s.WatchHoldings(ctx, switchKind)
	confirmations := store.JSON[confirmation](s, confirmationKind).Watch(ctx)
	g := s.Generation()
	go func() {
		defer close(out)
		defer cancel()
		identified := g.Known() // nil after the store was identified
		w := evidence{self: self, confirmed: make(map[string]confirmation)}
		var have []Status
		var begun [3]bool
		var ready chan<- []Status // nil while there is nothing to send
		var known []Status
		for {
			news := true
			select {
			case <-g.Done():
				if g.Number() == s.Generation().Number() { // the store was closed
					return
				}
				g = s.Generation()
				identified = g.Known()
				w.store = ""
			case <-identified:
				identified = nil
				w.store, _ = g.ID()
			case all, ok := <-statuses:
				if !ok {
					return
				}
				have, begun[0] = all, true
			case all, ok := <-holdings:
				if !ok {
					return
				}
				w.setHoldings(all)
				begun[1] = true
			case some, ok := <-confirmations:
				if !ok {
					return
				}
				news = w.confirm(some) || !begun[2]
				begun[2] = true
			case ready <- known:
				ready = nil
				continue
			case <-ctx.Done():
				return
			}
			if begun == [3]bool{true, true, true} && (news || ready != nil) {
				ready, known = out, w.known(have)
			}
		}
	}()
	return out
}

// evidence is the data that confirms or contradicts stored statuses.
type evidence struct {
	store     string // identity of the store; empty while it is not known
	self      string
	holdings  map[string]store.Holding // indexed by switch
	confirmed map[string]confirmation  // indexed by controller
}

func (w *evidence) setHoldings(all []store.Holding) {
	w.holdings = make(map[string]store.Holding, len(all))
	for _, h := range all {
		w.holdings[h.Name] = h
	}
}

// confirm applies changed confirmations. It reports whether a controller has started or stopped confirming its statuses.
func (w *evidence) confirm(some []store.Event[confirmation]) (news bool) {
	for _, e := range some {
		_, before := w.confirmed[e.Name]
		if e.Deleted || e.Err != nil {
			delete(w.confirmed, e.Name)
			news = news || before
			continue
		}
		w.confirmed[e.Name] = e.Value
		news = news || !before
	}
	return news
}

func (w *evidence) known(statuses []Status) []Status {
	all := make([]Status, len(statuses))
	for i, st := range statuses {
		all[i] = w.status(st)
	}
	return all
}

// status returns a stored status after comparing it with the evidence.
func (w *evidence) status(st Status) Status {
	h, owned := w.holdings[st.Switch]
	gone := !h.Alive || h.Holder == w.self && !h.Mine // the holder ended, or is an earlier process with the name of this controller
	seen, confirms := w.confirmed[h.Holder]
	switch {
	case st.Store != w.store:
		st = st.unknown(ReasonStoreReplaced)
		st.Revision, st.RevisionID, st.Attempted, st.Wanted, st.InForce = 0, "", nil, 0, "" // these fields have no meaning in the current store
	case st.Ownership != Owned && !owned:
		st = st.unknown(ReasonReleased)
		st.Since = st.OwnershipSince
	case !owned || gone:
		st = st.unknown(ReasonOwnerGone)
		st.Ownership = NotOwned
	case st.Ownership != Owned || st.Epoch != h.Epoch:
		st = st.unknown(ReasonTakenOver)
		st.Owner, st.Epoch = h.Holder, h.Epoch
	case !confirms:
		st = st.unknown(ReasonNotConfirmed)
	case st.connected() && seen.Seen.After(st.Seen):
		st.Seen = seen.Seen
	}
	return st
}

// unknown returns the status with StateUnknown, and with the reported condition in Last. The switch counts as unknown since it was last
// seen.
func (st Status) unknown(why Reason) Status {
	st.Last = &Condition{st.State, st.Reason, st.Detail, st.Since}
	st.State, st.Reason, st.Detail, st.Since, st.Progress = StateUnknown, why, "", st.Seen, nil
	return st
}

// session reports whether a switch in this state has a session.
func (s State) session() bool {
	switch s {
	case StateBackup, StateConverging, StateConverged, StateFailed, StateNoPhase:
		return true
	}
	return false
}
