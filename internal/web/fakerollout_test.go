package web_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	op25bv1 "op25b/proto/op25b/v1"
	"op25b/proto/op25b/v1/op25bv1connect"
)

// fakeRollouts is a RolloutService with fixed responses.
type fakeRollouts struct {
	op25bv1connect.UnimplementedRolloutServiceHandler
	changes chan *op25bv1.WatchRolloutResponse // to send to watchers; nil if nothing changes
	refusal error                              // of Start and Steer, or nil

	mu      sync.Mutex // guards the fields below
	now     *op25bv1.ShowRolloutResponse
	past    []*op25bv1.Rollout
	lists   int // the number of calls of List
	steered []*op25bv1.SteerRolloutRequest
	started []*op25bv1.StartRolloutRequest
}

func (f *fakeRollouts) Show(_ context.Context, r *connect.Request[op25bv1.ShowRolloutRequest]) (*connect.Response[op25bv1.ShowRolloutResponse], error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.now == nil {
		return nil, connect.NewError(connect.CodeNotFound, errors.New("there is no rollout"))
	}
	m := &op25bv1.ShowRolloutResponse{Rollout: f.now.Rollout, Time: f.now.Time, UtcOffset: f.now.UtcOffset}
	if r.Msg.Seen {
		m.Seen = f.now.Seen
	}
	return connect.NewResponse(m), nil
}

func (f *fakeRollouts) List(context.Context, *connect.Request[op25bv1.ListRolloutsRequest]) (*connect.Response[op25bv1.ListRolloutsResponse], error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lists++
	return connect.NewResponse(&op25bv1.ListRolloutsResponse{Rollouts: append([]*op25bv1.Rollout{f.now.Rollout}, f.past...)}), nil
}

func (f *fakeRollouts) Watch(ctx context.Context, _ *connect.Request[op25bv1.WatchRolloutRequest], out *connect.ServerStream[op25bv1.WatchRolloutResponse]) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case m := <-f.changes:
			f.mu.Lock()
			f.now = &op25bv1.ShowRolloutResponse{Rollout: m.Rollout, Seen: m.Seen, Time: m.Time}
			f.mu.Unlock()
			if err := out.Send(m); err != nil {
				return err
			}
		}
	}
}

func (f *fakeRollouts) Start(_ context.Context, r *connect.Request[op25bv1.StartRolloutRequest]) (*connect.Response[op25bv1.StartRolloutResponse], error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.started = append(f.started, r.Msg)
	if f.refusal != nil {
		return nil, f.refusal
	}
	return connect.NewResponse(&op25bv1.StartRolloutResponse{Rollout: &op25bv1.Rollout{Phase: r.Msg.Phase, Groups: r.Msg.Groups, Rings: f.now.Rollout.Rings}}), nil
}

func (f *fakeRollouts) Steer(_ context.Context, r *connect.Request[op25bv1.SteerRolloutRequest]) (*connect.Response[op25bv1.SteerRolloutResponse], error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.steered = append(f.steered, r.Msg)
	if f.refusal != nil {
		return nil, f.refusal
	}
	return connect.NewResponse(&op25bv1.SteerRolloutResponse{Rollout: f.now.Rollout}), nil
}

// rolloutNow is the time at which rolling shows a rollout.
var rolloutNow = time.Date(2026, 11, 30, 3, 0, 0, 0, time.UTC)

// rolling is a fleet of 39 switches in four rings. The second ring soaks.
func rolling() *fakeAPI {
	at := func(before time.Duration) *timestamppb.Timestamp { return timestamppb.New(rolloutNow.Add(-before)) }
	names := func(site string, n int) (all []string) {
		for i := range n {
			all = append(all, fmt.Sprintf("%s-%02d", site, i+1))
		}
		return all
	}
	r := &op25bv1.Rollout{
		Id: "7", Phase: "all-destinations", State: op25bv1.RolloutState_ROLLOUT_STATE_SOAKING, Ring: 1, Since: at(25 * time.Minute), Wanted: 2,
		Author: "alice@isp.example", Reason: "as announced, OP25B-41",
		Rings: []*op25bv1.Ring{
			{Name: "first", Switches: []string{"lab-01"}, Soak: durationpb.New(30 * time.Minute)},
			{Name: "pilots", Switches: names("pilot", 3), Soak: durationpb.New(2 * time.Hour)},
			{Name: "tokyo", Switches: names("tokyo", 12), Soak: durationpb.New(6 * time.Hour)},
			{Name: "others", Switches: names("osaka", 23), Soak: durationpb.New(12 * time.Hour)},
		},
	}
	seen := &op25bv1.RolloutSeen{Time: at(4 * time.Second), Leader: "noc-2", Rings: []*op25bv1.RingSeen{
		{Confirmed: 1, Lines: 40, Affected: 3, Forecast: 3, ForecastKnown: true, Counted: at(20 * time.Second)},
		{Confirmed: 3, Lines: 12400, Affected: 87, Forecast: 92, ForecastKnown: true, Counted: at(34 * time.Second)},
		{Confirmed: 12, Lines: 96000, Counted: at(12 * time.Second)},
		{Confirmed: 22, Lines: 184000, Counted: at(12 * time.Second)},
	}}
	for _, ring := range r.Rings[:2] {
		for _, gate := range []string{"submission", "relays", "counting", "switches", "tables", "affected", "rejects", "stopping", "probes"} {
			seen.Gates = append(seen.Gates, &op25bv1.Finding{Gate: gate, Ring: ring.Name, Verdict: op25bv1.FindingVerdict_FINDING_VERDICT_PASS})
		}
	}
	f := &fakeAPI{
		now:    func() time.Time { return rolloutNow },
		phases: &op25bv1.ListPhasesResponse{Revision: 31, UtcOffset: "+09:00", Policy: "spinnet"},
		list:   &op25bv1.ListSwitchesResponse{Revision: 31},
		rollouts: &fakeRollouts{
			now: &op25bv1.ShowRolloutResponse{Rollout: r, Seen: seen, Time: at(0), UtcOffset: "+09:00"},
			past: []*op25bv1.Rollout{
				{Id: "6", Policy: "spinnet", State: op25bv1.RolloutState_ROLLOUT_STATE_WENT_BACK, Rings: r.Rings, Since: at(50 * time.Hour), Author: "bob@isp.example", Reason: "new relays, OP25B-40"},
				{Id: "5", Phase: "drain", Groups: []string{"adsl"}, State: op25bv1.RolloutState_ROLLOUT_STATE_DONE, Rings: r.Rings, Since: at(400 * time.Hour), Author: "alice@isp.example", Reason: "OP25B-38"},
			},
		},
	}
	for _, ring := range r.Rings {
		for _, name := range ring.Switches {
			f.list.Switches = append(f.list.Switches, &op25bv1.SwitchStatus{
				Switch: name, State: op25bv1.SwitchState_SWITCH_STATE_CONVERGED, Reason: op25bv1.SwitchReason_SWITCH_REASON_AS_WANTED, Converged: true, Owner: "noc-1",
				Revision: 31, Wanted: 31, Since: at(25 * time.Minute), Seen: at(2 * time.Second), Lines: 8000, LinesConfirmed: 8000,
			})
		}
	}
	gone := f.list.Switches[len(f.list.Switches)-20]
	gone.State, gone.Reason, gone.Converged, gone.LinesConfirmed = op25bv1.SwitchState_SWITCH_STATE_DISCONNECTED, op25bv1.SwitchReason_SWITCH_REASON_UNREACHABLE, false, 0
	return f
}

// hold makes the rollout of a fake API held: one gate holds it, and another one has no data.
func (f *fakeRollouts) hold() {
	f.now.Rollout.State, f.now.Rollout.Resumes = op25bv1.RolloutState_ROLLOUT_STATE_HELD, op25bv1.RolloutState_ROLLOUT_STATE_SOAKING
	f.now.Rollout.Findings = []*op25bv1.Finding{
		{Gate: "affected", Ring: "pilots", Verdict: op25bv1.FindingVerdict_FINDING_VERDICT_HOLD, Text: "131 lines are newly affected, and the forecast says 92"},
		{Gate: "probes", Ring: "pilots", Verdict: op25bv1.FindingVerdict_FINDING_VERDICT_NO_DATA, Switches: []string{"pilot-02"}, Text: "it was not probed since the change"},
	}
	f.now.Seen.Rings[1].Affected = 131
	for _, g := range f.now.Seen.Gates {
		for _, found := range f.now.Rollout.Findings {
			if g.Gate == found.Gate && g.Ring == found.Ring {
				g.Verdict, g.Text, g.Switches = found.Verdict, found.Text, found.Switches
			}
		}
	}
}

// aDeviation is the detail of a switch whose probes deviate.
const aDeviation = `the switch does not treat packets as the documents demand: of 400 packets tried, 1 deviate: line 000123 to 203.0.113.25 port 25
  the documents demand: drop by rule smtp-all
  the switch would do:  permit by rule relay
  although it should have the entries
    remote_v4 203.0.113.0/24 set_remote_class other
    verdict class=other service=smtp drop
`

// probed is an API with a switch whose probes are as demanded.
func probed() *fakeAPI {
	f := curvedAPI()
	at := timestamppb.New(curvedNow.Add(-2 * time.Minute))
	f.list = &op25bv1.ListSwitchesResponse{Revision: 7, Switches: []*op25bv1.SwitchStatus{
		{
			Switch: "edge-1", State: op25bv1.SwitchState_SWITCH_STATE_CONVERGED, Converged: true, Owner: "noc-1", Revision: 7, Wanted: 7, Lines: 8000, Since: at, Seen: at,
			InForce: "before", Probes: &op25bv1.SwitchProbes{At: at, Packets: 412},
		},
	}}
	f.proof = &op25bv1.ProveResponse{
		Switch: "edge-1", Revision: 7, InForce: "before", Packets: 10000, Deviating: 1,
		Deviations: []*op25bv1.Counterexample{{Text: aDeviation}},
		Tables:     []*op25bv1.ProofTable{{Table: "subscriber_v4", Entries: 65536, Hit: 9120, Missed: true}, {Table: "remote_v4", Entries: 131, Hit: 131, Missed: true}},
		Unhit:      []*op25bv1.ProofUnhit{{Entry: "remote_v4 10.0.0.0/8", Why: "longer prefixes cover all of it"}}, UnhitCount: 3,
	}
	return f
}

// deviate makes the probes of the switch deviate.
func (f *fakeAPI) deviate() {
	s := f.list.Switches[0]
	s.State, s.Reason, s.Converged, s.Failed, s.Detail = op25bv1.SwitchState_SWITCH_STATE_FAILED, op25bv1.SwitchReason_SWITCH_REASON_DEVIATES, false, true, aDeviation
	s.Probes.Deviating = 1
}

// hold makes the switch held.
func (f *fakeAPI) hold() {
	s := f.list.Switches[0]
	s.State, s.Reason, s.Converged, s.Probes = op25bv1.SwitchState_SWITCH_STATE_HELD, op25bv1.SwitchReason_SWITCH_REASON_MAINTENANCE, false, nil
	s.Hold = &op25bv1.SwitchHold{Who: "alice@isp.example", Reason: "new line card, OP25B-51", Since: timestamppb.New(curvedNow.Add(-time.Hour))}
	s.Revision = 6
}
