package api

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"op25b/internal/fleet"
	"op25b/internal/store"
	op25bv1 "op25b/proto/op25b/v1"
)

// FleetSwitches are the switches as the controllers of a store have them.
func FleetSwitches(s *store.Store) Switches { return fleetSwitches{s} }

type fleetSwitches struct{ store *store.Store }

var _ Switches = fleetSwitches{}

// List returns the statuses.
func (f fleetSwitches) List(ctx context.Context) ([]*op25bv1.SwitchStatus, error) {
	statuses, err := fleet.Statuses(ctx, f.store)
	if err != nil {
		return nil, err
	}
	members, err := f.store.Members(ctx)
	if err != nil {
		return nil, err
	}
	id, _ := f.store.Generation().ID()
	return statusMessages(statuses, members, id), nil
}

// Watch tells the statuses. A change of who is present is one of the statuses: the owner may have died.
func (f fleetSwitches) Watch(ctx context.Context) <-chan []*op25bv1.SwitchStatus {
	out := make(chan []*op25bv1.SwitchStatus)
	ctx, cancel := context.WithCancel(ctx)
	statuses, members := fleet.WatchStatuses(ctx, f.store), f.store.WatchMembers(ctx)
	g := f.store.Generation()
	go func() {
		defer close(out)
		defer cancel()
		var have []fleet.Status
		var present []store.Member
		var haveAny, presentAny bool
		var news []*op25bv1.SwitchStatus
		var ready chan<- []*op25bv1.SwitchStatus // nil while there is nothing to tell
		known := g.Known()                       // nil once it is
		for {
			select {
			case <-g.Done():
				if g.Number() == f.store.Generation().Number() { // the store is closed
					return
				}
				g = f.store.Generation()
				known = g.Known()
			case <-known:
				known = nil
			case some, ok := <-statuses:
				if !ok {
					return
				}
				have, haveAny = some, true
			case some, ok := <-members:
				if !ok {
					return
				}
				present, presentAny = some, true
			case ready <- news:
				ready = nil
				continue
			case <-ctx.Done():
				return
			}
			if haveAny && presentAny {
				id, _ := g.ID()
				ready, news = out, statusMessages(have, present, id)
			}
		}
	}()
	return out
}

// statusMessages are statuses as a store with an identity has them.
func statusMessages(statuses []fleet.Status, members []store.Member, id string) []*op25bv1.SwitchStatus {
	all := make([]*op25bv1.SwitchStatus, len(statuses))
	for i, st := range statuses {
		all[i] = statusMessage(st, st.Abandoned(members), id)
	}
	return all
}

func statusMessage(st fleet.Status, abandoned bool, id string) *op25bv1.SwitchStatus {
	m := &op25bv1.SwitchStatus{
		Switch: st.Switch, State: op25bv1.SwitchState(st.State), Reason: op25bv1.SwitchReason(st.Reason), Detail: st.Detail, Since: stamp(st.Since),
		Ownership: op25bv1.SwitchOwnership(st.Ownership), Owner: st.Owner, Epoch: st.Epoch,
		Revision: st.Revision, Wanted: st.Wanted, InForce: st.InForce,
		Running: uint32(st.Running), Entries: uint64(st.Entries), Drift: st.Drift, Foreign: uint32(st.Foreign),
		Pushed: stamp(st.Pushed), Audited: stamp(st.Audited), RevisionId: st.RevisionID, Store: st.Store,
	}
	switch {
	case st.Store != id:
		unknown(m, op25bv1.SwitchReason_SWITCH_REASON_STORE_REPLACED)
		m.Revision, m.RevisionId, m.Wanted, m.InForce = 0, "", 0, "" // they are of the other store
	case abandoned:
		unknown(m, op25bv1.SwitchReason_SWITCH_REASON_OWNER_GONE)
	case st.Ownership != fleet.Owned:
		unknown(m, op25bv1.SwitchReason_SWITCH_REASON_RELEASED)
		m.Since = stamp(st.OwnershipSince)
	}
	switch fleet.State(m.State) {
	case fleet.StateConverged:
		m.Converged = true
	case fleet.StateFailed, fleet.StateDisconnected, fleet.StateBackup, fleet.StateNoPhase:
		m.Failed = true
	}
	if f := st.Failure; f != nil {
		m.Failure = &op25bv1.SwitchFailure{
			Reason: op25bv1.SwitchReason(f.Reason), Detail: f.Detail, Since: stamp(f.Since), Wanted: f.Wanted, Attempts: uint32(f.Attempts),
		}
	}
	for _, f := range st.Tables {
		m.Tables = append(m.Tables, &op25bv1.TableFill{Table: f.Table, Entries: uint64(f.Entries), Size: uint64(f.Size)})
	}
	if p := st.Progress; p != nil {
		m.Progress = &op25bv1.SwitchProgress{Step: p.Step, Done: uint32(p.Done), Total: uint32(p.Total)}
	}
	return m
}

// unknown makes what was reported of a switch what was last known of it.
func unknown(m *op25bv1.SwitchStatus, why op25bv1.SwitchReason) {
	m.Last = &op25bv1.SwitchCondition{State: m.State, Reason: m.Reason, Detail: m.Detail, Since: m.Since}
	m.State, m.Reason, m.Detail, m.Progress = op25bv1.SwitchState_SWITCH_STATE_UNKNOWN, why, "", nil
}

// stamp is a moment, absent if it is none.
func stamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}
