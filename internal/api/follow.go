package api

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"op25b/internal/intent"
	"op25b/internal/store"
	op25bv1 "op25b/proto/op25b/v1"
)

// follow reports that an intent has been stored. Unless noWait is true, it then reports the progress of the switches until every switch has
// converged or failed.
func (s *server) follow(ctx context.Context, in *intent.Intent, noWait bool, send func(*op25bv1.Progress) error) error {
	return s.followOn(ctx, newFollower(in), &op25bv1.Progress{}, noWait, send)
}

// followOn is like follow, for the switches of a follower. first is the first message, without its event.
func (s *server) followOn(ctx context.Context, f *follower, first *op25bv1.Progress, noWait bool, send func(*op25bv1.Progress) error) error {
	in := f.in
	tell := func(p *op25bv1.Progress) error {
		p.Time = timestamppb.New(s.Now())
		return send(p)
	}
	first.Event = &op25bv1.Progress_Stored{Stored: revisionOf(in)}
	if err := tell(first); err != nil || noWait {
		return err
	}
	spent(ctx)
	ctx, cancel := s.stream(ctx)
	defer cancel(nil)
	g := s.Store.Generation()
	watched := s.Switches.Watch(ctx)
	var doubt <-chan time.Time // nil unless only unconfirmed switches are left
	for {
		var statuses []*op25bv1.SwitchStatus
		var ok bool
		select {
		case statuses, ok = <-watched:
		case <-doubt:
			return tell(&op25bv1.Progress{Event: &op25bv1.Progress_Done{Done: f.done()}})
		case <-g.Done():
			g = s.Store.Generation()
			if err := s.kept(ctx, in, g); err != nil {
				return err
			}
			continue
		}
		if !ok {
			return s.ended(ctx, fmt.Errorf("revision %d is stored; FleetService.WatchSwitches shows the progress of the switches", in.Number))
		}
		for _, st := range f.news(statuses) {
			if err := tell(&op25bv1.Progress{Event: &op25bv1.Progress_Switch{Switch: st}}); err != nil {
				return err
			}
		}
		done := f.done()
		switch {
		case done == nil || !unconfirmed(done):
			doubt = nil
		case doubt == nil:
			doubt = time.After(confirmWithin)
		}
		if done != nil && doubt == nil {
			return tell(&op25bv1.Progress{Event: &op25bv1.Progress_Done{Done: done}})
		}
	}
}

// confirmWithin is how long a change waits for the owner of a switch to confirm its report. An owner confirms every 5 s, and a reader may see
// the first report of a new owner before the confirmation.
const confirmWithin = 6 * time.Second

// unconfirmed reports whether the owner of one of the failed switches does not confirm its report.
func unconfirmed(done *op25bv1.Done) bool {
	return slices.ContainsFunc(done.Failed, func(st *op25bv1.SwitchStatus) bool {
		return st.Reason == op25bv1.SwitchReason_SWITCH_REASON_NOT_CONFIRMED
	})
}

// kept returns an error if a stored revision has been lost because the store was replaced by an older store.
func (s *server) kept(ctx context.Context, in *intent.Intent, g *store.Generation) error {
	if kept, err := s.Book.Kept(ctx, in); kept || err != nil {
		return nil // if the store does not answer, the revision counts as kept
	}
	return connect.NewError(connect.CodeAborted, fmt.Errorf(
		"revision %d was stored and is lost: %w: %s; see op25b history, and repeat the change", in.Number, store.ErrReplaced, g.Why()))
}

// errStopping ends a stream when its controller stops.
var errStopping = errors.New("the controller is stopping")

// stream returns a context for a stream. The context ends when the call ends, when the caller loses the required role, when the connection
// of a watch reaches its maximum age, or when the controller stops.
func (s *server) stream(ctx context.Context) (context.Context, context.CancelCauseFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(s.Stopping, func() { cancel(errStopping) })
	var looking sync.WaitGroup
	looking.Go(func() { watched(ctx, recheckEvery, cancel) })
	return ctx, func(cause error) { stop(); cancel(cause); looking.Wait() }
}

// ended returns the error with which a stream ends. then is the advice for the caller.
func (s *server) ended(ctx context.Context, then error) error {
	switch cause := context.Cause(ctx); {
	case cause == nil:
		return connect.NewError(connect.CodeUnavailable, fmt.Errorf("the store is closed: %w", then))
	case errors.Is(cause, errStopping):
		return connect.NewError(connect.CodeUnavailable, fmt.Errorf("%w: %w", errStopping, then))
	case errors.Is(cause, errOld): // RetryInfo makes the client call this controller again
		return retryAfter(connect.NewError(connect.CodeUnavailable, fmt.Errorf("%w: %w", errOld, then)), 0)
	default:
		return cause
	}
}

// A follower tracks the progress of the switches while they are brought to an intent.
type follower struct {
	in    *intent.Intent
	on    map[string]bool // the switches that it tracks; nil means all
	told  map[string]*op25bv1.SwitchStatus
	later uint64
}

func newFollower(in *intent.Intent) *follower {
	return &follower{in: in, told: make(map[string]*op25bv1.SwitchStatus)}
}

// news returns the statuses of the inventory's switches that have changed, in the order of the inventory.
func (f *follower) news(statuses []*op25bv1.SwitchStatus) []*op25bv1.SwitchStatus {
	var all []*op25bv1.SwitchStatus
	for _, st := range onInventory(f.in, statuses) {
		if st.Address == "" || !f.tracks(st.Switch) { // the switch is not in this inventory
			continue
		}
		if f.in.Number < st.Wanted {
			f.later = max(f.later, st.Wanted)
		}
		if !same(f.told[st.Switch], st) {
			f.told[st.Switch] = st
			all = append(all, st)
		}
	}
	return all
}

// done returns the final result, or nil while a switch may still converge. A held switch gets the revision only when it is released.
func (f *follower) done() *op25bv1.Done {
	done := &op25bv1.Done{Revision: f.in.Number, SupersededBy: f.later}
	for _, sw := range f.in.Switches() {
		if !f.tracks(sw.Name) {
			continue
		}
		switch st := f.told[sw.Name]; {
		case f.reached(st):
			done.Converged++
		case st != nil && st.State == op25bv1.SwitchState_SWITCH_STATE_HELD:
			done.Held = append(done.Held, st)
		case lasts(st) && (st.Wanted >= f.in.Number || !answers(st)):
			done.Failed = append(done.Failed, st)
		default:
			return nil
		}
	}
	return done
}

func (f *follower) tracks(name string) bool { return f.on == nil || f.on[name] }

// reached reports whether a switch has converged to the follower's revision or to a later revision. A revision with the same number but
// another id comes from another store.
func (f *follower) reached(st *op25bv1.SwitchStatus) bool {
	return st.Converged && (st.Revision > f.in.Number || st.Revision == f.in.Number && st.RevisionId == f.in.ID)
}

// lasts reports whether it is pointless to wait for a switch, because the switch has failed or its owner does not confirm its state. A
// switch without an owner is worth waiting for, because another controller becomes its owner within seconds.
func lasts(st *op25bv1.SwitchStatus) bool {
	return st.Failed || st.Reason == op25bv1.SwitchReason_SWITCH_REASON_NOT_CONFIRMED
}

// answers is for a switch that failed at an earlier revision. It reports whether the switch's controller will still try the follower's revision. It
// will not if the switch is unreachable.
func answers(st *op25bv1.SwitchStatus) bool {
	return st.State == op25bv1.SwitchState_SWITCH_STATE_FAILED || st.State == op25bv1.SwitchState_SWITCH_STATE_NO_PHASE
}
