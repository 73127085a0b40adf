package api

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"op25b/internal/fleet"
	"op25b/internal/store"
	op25bv1 "op25b/proto/op25b/v1"
)

// FleetSwitches returns a Switches that reads statuses from a store. self is the name of the controller in this process.
func FleetSwitches(s *store.Store, self string) Switches { return fleetSwitches{s, self} }

type fleetSwitches struct {
	store *store.Store
	self  string
}

var _ Switches = fleetSwitches{}

// List returns the statuses in the store.
func (f fleetSwitches) List(ctx context.Context) ([]*op25bv1.SwitchStatus, error) {
	known, err := fleet.Known(ctx, f.store, f.self)
	return statusMessages(known), err
}

// Watch sends the statuses. They also change when a switch gets another owner, and when a controller appears or disappears.
func (f fleetSwitches) Watch(ctx context.Context) <-chan []*op25bv1.SwitchStatus {
	out := make(chan []*op25bv1.SwitchStatus)
	ctx, cancel := context.WithCancel(ctx)
	known := fleet.WatchKnown(ctx, f.store, f.self)
	go func() {
		defer close(out)
		defer cancel()
		var news []*op25bv1.SwitchStatus
		var ready chan<- []*op25bv1.SwitchStatus // nil while there is nothing to send
		for {
			select {
			case some, ok := <-known:
				if !ok {
					return
				}
				ready, news = out, statusMessages(some)
			case ready <- news:
				ready = nil
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}

// StateChanges returns the changes in the store.
func (f fleetSwitches) StateChanges(ctx context.Context, name string) ([]*op25bv1.StateChange, error) {
	changes, err := fleet.StateChanges(ctx, f.store, name)
	all := make([]*op25bv1.StateChange, len(changes))
	for i, c := range changes {
		all[i] = &op25bv1.StateChange{
			Time: stamp(c.At), State: op25bv1.SwitchState(c.State), Reason: op25bv1.SwitchReason(c.Reason), Revision: c.Revision, Owner: c.Owner,
		}
	}
	return all, err
}

// SessionEntries returns the numbers in the stored statuses.
func (f fleetSwitches) SessionEntries(ctx context.Context) (map[string]*op25bv1.SessionEntries, error) {
	known, err := fleet.Known(ctx, f.store, f.self)
	all := make(map[string]*op25bv1.SessionEntries)
	for _, st := range known {
		if n := st.Sessions; n != nil {
			all[st.Switch] = &op25bv1.SessionEntries{InForce: uint32(n.InForce), Waiting: uint32(n.Waiting), Detail: n.Detail, Seen: stamp(st.Seen)}
		}
	}
	return all, err
}

func statusMessages(statuses []fleet.Status) []*op25bv1.SwitchStatus {
	all := make([]*op25bv1.SwitchStatus, len(statuses))
	for i, st := range statuses {
		all[i] = statusMessage(st)
	}
	return all
}

func statusMessage(st fleet.Status) *op25bv1.SwitchStatus {
	m := &op25bv1.SwitchStatus{
		Switch: st.Switch, State: op25bv1.SwitchState(st.State), Reason: op25bv1.SwitchReason(st.Reason), Detail: st.Detail, Since: stamp(st.Since),
		Ownership: op25bv1.SwitchOwnership(st.Ownership), Owner: st.Owner, Epoch: st.Epoch,
		Revision: st.Revision, Wanted: st.Wanted, InForce: st.InForce,
		Running: uint32(st.Running), Entries: uint64(st.Entries), Drift: st.Drift, Foreign: uint32(st.Foreign),
		Seen: stamp(st.Seen), Pushed: stamp(st.Pushed), Audited: stamp(st.Audited), RevisionId: st.RevisionID, Store: st.Store,
		Attempted: st.Attempted, NoClock: st.NoClock,
	}
	m.Converged, m.Failed = st.State == fleet.StateConverged, st.State.Failed()
	if c := st.Last; c != nil {
		m.Last = &op25bv1.SwitchCondition{
			State: op25bv1.SwitchState(c.State), Reason: op25bv1.SwitchReason(c.Reason), Detail: c.Detail, Since: stamp(c.Since),
		}
	}
	m.Hold = holdMessageOf(st.Hold)
	if f := st.Failure; f != nil {
		m.Failure = &op25bv1.SwitchFailure{
			Reason: op25bv1.SwitchReason(f.Reason), Detail: f.Detail, Since: stamp(f.Since), Wanted: f.Wanted, Attempts: uint32(f.Attempts),
		}
	}
	for _, f := range st.Tables {
		m.Tables = append(m.Tables, &op25bv1.TableFill{Table: f.Table, Entries: uint64(f.Entries), Size: uint64(f.Size)})
	}
	if n := st.Leases; n != nil {
		m.Leases = &op25bv1.SwitchLeases{InForce: uint32(n.InForce), Waiting: uint32(n.Waiting), Detail: n.Detail}
	}
	if p := st.Probes; p != nil {
		m.Probes = &op25bv1.SwitchProbes{At: stamp(p.At), Packets: uint32(p.Packets), Deviating: uint32(p.Deviating), Failure: p.Failure}
	}
	if p := st.Progress; p != nil {
		m.Progress = &op25bv1.SwitchProgress{Step: p.Step, Done: uint32(p.Done), Total: uint32(p.Total)}
	}
	return m
}

// stamp returns a timestamp, or nil for the zero time.
func stamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}
