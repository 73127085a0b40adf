package api

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"op25b/internal/intent"
	op25bv1 "op25b/proto/op25b/v1"
	"op25b/proto/op25b/v1/op25bv1connect"
)

type fleetService struct{ *server }

var _ op25bv1connect.FleetServiceHandler = fleetService{}

// onInventory returns copies of the statuses. The switches in the intent's inventory come first, in the order of the inventory, and all
// other switches follow. An inventory switch without a status gets the state UNKNOWN. The intent may be nil.
func onInventory(in *intent.Intent, statuses []*op25bv1.SwitchStatus) []*op25bv1.SwitchStatus {
	of := make(map[string]*op25bv1.SwitchStatus, len(statuses))
	for _, st := range statuses {
		of[st.Switch] = st
	}
	all := make([]*op25bv1.SwitchStatus, 0, len(statuses))
	if in != nil {
		for _, sw := range inventoryOf(in) {
			st := &op25bv1.SwitchStatus{
				Switch: sw.Name, Wanted: in.Number, Ownership: op25bv1.SwitchOwnership_SWITCH_OWNERSHIP_NONE,
				State: op25bv1.SwitchState_SWITCH_STATE_UNKNOWN, Reason: op25bv1.SwitchReason_SWITCH_REASON_NEVER_REPORTED,
			}
			if told, ok := of[sw.Name]; ok {
				st = proto.CloneOf(told)
				delete(of, sw.Name)
			}
			st.Address = sw.P4Runtime
			all = append(all, st)
		}
	}
	for _, st := range statuses {
		if of[st.Switch] != nil {
			all = append(all, proto.CloneOf(st))
		}
	}
	return all
}

// byStore updates the statuses of the inventory's switches to the current revision. If the owner of a switch does not have that revision
// yet, byStore marks the switch as not converged.
func byStore(in *intent.Intent, all []*op25bv1.SwitchStatus) []*op25bv1.SwitchStatus {
	for _, st := range all {
		if st.Address != "" && st.Wanted < number(in) {
			st.Wanted, st.Converged = number(in), false
		}
	}
	return all
}

// ListSwitches lists the statuses of switches.
func (s fleetService) ListSwitches(ctx context.Context, req *connect.Request[op25bv1.ListSwitchesRequest]) (*connect.Response[op25bv1.ListSwitchesResponse], error) {
	in, err := s.currentOrNone(ctx)
	if err != nil {
		return nil, err
	}
	statuses, err := s.Switches.List(ctx)
	if err != nil {
		return nil, err
	}
	all := onInventory(in, statuses)
	s.joined.lines.add(in, all, s.dates())
	all = byStore(in, all)
	if all, err = only(all, req.Msg.Switches); err != nil {
		return nil, err
	}
	return connect.NewResponse(&op25bv1.ListSwitchesResponse{Revision: number(in), Switches: all, Notices: s.notices(ctx), Clocks: s.clocks()}), nil
}

// ListStateChanges lists the last changes of a switch's state.
func (s fleetService) ListStateChanges(ctx context.Context, req *connect.Request[op25bv1.ListStateChangesRequest]) (*connect.Response[op25bv1.ListStateChangesResponse], error) {
	in, err := s.currentOrNone(ctx)
	if err != nil {
		return nil, err
	}
	changes, err := s.Switches.StateChanges(ctx, req.Msg.Switch)
	if err != nil {
		return nil, err
	}
	if len(changes) == 0 { // only switches of the inventory may be without changes
		if err := unknownSwitches(in, []string{req.Msg.Switch}); err != nil {
			return nil, err
		}
	}
	return connect.NewResponse(&op25bv1.ListStateChangesResponse{Changes: changes}), nil
}

// ListCertificates lists the times at which the certificates of the sessions with a switch end.
func (s fleetService) ListCertificates(ctx context.Context, req *connect.Request[op25bv1.ListCertificatesRequest]) (*connect.Response[op25bv1.ListCertificatesResponse], error) {
	in, err := s.currentOrNone(ctx)
	if err != nil {
		return nil, err
	}
	statuses, err := s.Switches.List(ctx)
	if err != nil {
		return nil, err
	}
	all, err := only(onInventory(in, statuses), []string{req.Msg.Switch})
	if err != nil {
		return nil, err
	}
	answer := &op25bv1.ListCertificatesResponse{Controller: s.Name}
	if answer.Owned = all[0].Ownership == op25bv1.SwitchOwnership_SWITCH_OWNERSHIP_OWNED && all[0].Owner == s.Name; answer.Owned {
		for _, e := range s.Certificates.OfSwitch(req.Msg.Switch) {
			answer.Certificates = append(answer.Certificates, &op25bv1.CertificateEnd{Use: e.Use, NotAfter: stamp(e.At)})
		}
	}
	return connect.NewResponse(answer), nil
}

// only returns the statuses of the named switches, or all statuses if there are no names.
func only(all []*op25bv1.SwitchStatus, names []string) ([]*op25bv1.SwitchStatus, error) {
	if len(names) == 0 {
		return all, nil
	}
	var some []*op25bv1.SwitchStatus
	for _, name := range names {
		i := slices.IndexFunc(all, func(st *op25bv1.SwitchStatus) bool { return st.Switch == name })
		if i < 0 {
			return nil, connect.NewError(connect.CodeNotFound, fmt.Errorf("unknown switch %q; known: %s", name, listed(all)))
		}
		some = append(some, all[i])
	}
	return some, nil
}

// listed returns a list of switch names for an error message.
func listed(all []*op25bv1.SwitchStatus) string {
	names := make([]string, len(all))
	for i, st := range all {
		names[i] = st.Switch
	}
	return listedNames(names)
}

// WatchSwitches sends the statuses of all switches, and then every change of a status.
func (s fleetService) WatchSwitches(ctx context.Context, req *connect.Request[op25bv1.WatchSwitchesRequest], out *connect.ServerStream[op25bv1.WatchSwitchesResponse]) error {
	ctx, cancel := s.stream(ctx)
	defer cancel(nil)
	in, err := s.currentOrNone(ctx)
	if err != nil {
		return err
	}
	intents, first := s.changes.Watch(ctx), true
	watched, warned := s.Switches.Watch(ctx), s.warned.Watch(ctx)
	var statuses []*op25bv1.SwitchStatus
	var notices []string
	told := false // whether notices have been received
	w := watcher{only: req.Msg.Switches, told: make(map[string]*op25bv1.SwitchStatus)}
	date := time.NewTimer(dateWithin) // a date changes the phases that should be in force, and with them the counts of lines
	defer date.Stop()
	for {
		select {
		case <-date.C:
		case some, ok := <-warned:
			if !ok {
				return s.ended(ctx, errors.New("call again"))
			}
			notices, told = some, true
		case some, ok := <-watched:
			if !ok {
				return s.ended(ctx, errors.New("call again"))
			}
			statuses = some
		case update, ok := <-intents:
			if !ok {
				return s.ended(ctx, errors.New("call again"))
			}
			if update.Err != nil && !errors.Is(update.Err, intent.ErrNone) {
				continue // the previous revision stays in use
			}
			old := first && number(update.Intent) < number(in) // the update is older than in, and a newer update follows
			if first = false; old {
				continue
			}
			in = update.Intent
		}
		if statuses == nil || !told {
			continue // no statuses have been received yet
		}
		now := s.dates()
		all, until := s.joined.of(in, statuses, now)
		date.Reset(untilDate(now, until))
		if answer := w.news(in, all, notices); answer != nil {
			if err := out.Send(answer); err != nil {
				return err
			}
		}
	}
}

// These are intervals at which WatchSwitches looks for changes that no event reports.
const (
	// noticesEvery is the interval at which the warnings are computed while somebody watches.
	noticesEvery = 5 * time.Second
	// dateWithin is the longest pause before the phases that should be in force are computed again. A clock that is set may bring a date
	// closer.
	dateWithin = time.Minute
)

// untilDate returns the pause until a date. A zero date never comes.
func untilDate(now, date time.Time) time.Duration {
	if date.IsZero() {
		return dateWithin
	}
	return min(max(date.Sub(now), time.Second), dateWithin)
}

// watchNotices sends the warnings, and sends them again when they change, until ctx ends.
func (s *server) watchNotices(ctx context.Context) <-chan []string {
	out := make(chan []string)
	go func() {
		defer close(out)
		again := time.NewTicker(noticesEvery)
		defer again.Stop()
		var last []string
		for first := true; ; first = false {
			if now := s.notices(ctx); first || !slices.Equal(now, last) {
				select {
				case out <- now:
					last = now
				case <-ctx.Done():
					return
				}
			}
			select {
			case <-again.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}

// A watcher records the statuses that were sent to a caller.
type watcher struct {
	only     []string // the names of the switches to watch; empty means all
	told     map[string]*op25bv1.SwitchStatus
	notices  []string
	revision uint64
	begun    bool
}

// news returns the changes that the caller has not received yet, or nil if there are none. The first result is never nil.
func (w *watcher) news(in *intent.Intent, all []*op25bv1.SwitchStatus, notices []string) *op25bv1.WatchSwitchesResponse {
	answer := &op25bv1.WatchSwitchesResponse{Revision: number(in), Notices: notices}
	there := make(map[string]bool)
	for _, st := range all {
		if len(w.only) > 0 && !slices.Contains(w.only, st.Switch) {
			continue
		}
		there[st.Switch] = true
		if !same(w.told[st.Switch], st) {
			w.told[st.Switch] = st
			answer.Switches = append(answer.Switches, st)
		}
	}
	for name := range w.told {
		if !there[name] {
			delete(w.told, name)
			answer.Gone = append(answer.Gone, name)
		}
	}
	slices.Sort(answer.Gone)
	if w.begun && answer.Revision == w.revision && len(answer.Switches) == 0 && len(answer.Gone) == 0 && slices.Equal(notices, w.notices) {
		return nil
	}
	w.begun, w.revision, w.notices = true, answer.Revision, notices
	return answer
}

// same reports whether two statuses are equal, apart from the time at which the switch was last seen, and from numbers of leases, which change
// with each login. It must not modify the statuses, because watchers share them.
func same(a, b *op25bv1.SwitchStatus) bool {
	switch {
	case a == b:
		return true
	case a == nil || b == nil:
		return false
	}
	seen := proto.CloneOf(b)
	seen.Seen = a.Seen
	if was, is := a.Leases, b.Leases; was != nil && is != nil && was.Detail == is.Detail && (was.Waiting == 0) == (is.Waiting == 0) {
		seen.Leases = was
	}
	return proto.Equal(a, seen)
}

// Drift compares the entries in each switch with the entries that were last written to it.
func (s fleetService) Drift(ctx context.Context, req *connect.Request[op25bv1.DriftRequest]) (*connect.Response[op25bv1.DriftResponse], error) {
	in, err := s.current(ctx)
	if err != nil {
		return nil, err
	}
	made, err := s.plan(ctx, in, in, req.Msg.Switches, req.Msg.MaxEntries, false)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&op25bv1.DriftResponse{
		Plan: made, Drifted: made.Totals.SwitchesDrifted > 0, Notices: s.notices(ctx),
	}), nil
}
