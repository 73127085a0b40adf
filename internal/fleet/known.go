package fleet

import (
	"context"
	"time"

	"op25b/internal/store"
)

// Each controller confirms its statuses with one small record for all of its switches, which expires unless it is written again in time. A
// controller whose statuses cannot be stored does not write it.
const (
	confirmEvery = 5 * time.Second
	// ConfirmedFor is how long a status counts after its owner's last confirmation.
	ConfirmedFor = 20 * time.Second
)

// A confirmation means that every switch which its controller reports as connected was alive at Seen or later.
type confirmation struct {
	Seen time.Time `json:"seen"`
}

const confirmationKind = "confirmed"

// A Condition is a reported condition of a switch.
type Condition struct {
	State  State
	Reason Reason
	Detail string
	Since  time.Time
}

// Known returns the status of every switch that a controller has owned, ordered by name. A status that no living owner confirms has
// StateUnknown, with what was last reported. self is the name of the controller in this process, or empty.
func Known(ctx context.Context, s *store.Store, self string) ([]Status, error) {
	// The statuses are read first. A status written meanwhile is missed, and a change of owner meanwhile makes the switch unknown.
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

// WatchKnown sends the result of Known at first and after changes; a slow receiver gets the newest result. A change of Seen alone is not
// sent. The channel is closed when ctx ends or the store is closed; until then the caller must receive.
func WatchKnown(ctx context.Context, s *store.Store, self string) <-chan []Status {
	out := make(chan []Status)
	ctx, cancel := context.WithCancel(ctx)
	statuses, holdings := WatchStatuses(ctx, s), s.WatchHoldings(ctx, switchKind)
	confirmations := store.JSON[confirmation](s, confirmationKind).Watch(ctx)
	g := s.Generation()
	go func() {
		defer close(out)
		defer cancel()
		identified := g.Known() // nil once the store is identified
		w := evidence{self: self, confirmed: make(map[string]confirmation)}
		var have []Status
		var begun [3]bool
		var ready chan<- []Status // nil while there is nothing to send
		var known []Status
		for {
			news := true
			select {
			case <-g.Done():
				if g.Number() == s.Generation().Number() { // the store is closed
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

// evidence holds the data that confirms or contradicts stored statuses.
type evidence struct {
	store     string // the identity of the store; empty while unknown
	self      string
	holdings  map[string]store.Holding // by switch
	confirmed map[string]confirmation  // by controller
}

func (w *evidence) setHoldings(all []store.Holding) {
	w.holdings = make(map[string]store.Holding, len(all))
	for _, h := range all {
		w.holdings[h.Name] = h
	}
}

// confirm applies changes of confirmations. It reports whether a controller has started or stopped confirming a status.
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

// status returns a stored status, adjusted to the evidence.
func (w *evidence) status(st Status) Status {
	h, owned := w.holdings[st.Switch]
	gone := !h.Alive || h.Holder == w.self && !h.Mine // the holder is an earlier process with our name
	seen, confirms := w.confirmed[h.Holder]
	switch {
	case st.Store != w.store:
		st = st.unknown(ReasonStoreReplaced)
		st.Revision, st.RevisionID, st.Attempted, st.Wanted, st.InForce = 0, "", nil, 0, "" // these mean nothing in this store
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
	case st.State.session() && seen.Seen.After(st.Seen):
		st.Seen = seen.Seen
	}
	return st
}

// unknown moves the reported condition to Last. The switch has been unknown since it was last seen.
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
