package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"connectrpc.com/connect"
	"go.uber.org/zap"
	"google.golang.org/protobuf/types/known/timestamppb"

	"op25b/internal/intent"
	"op25b/internal/plan"
	"op25b/internal/policy"
	"op25b/internal/rollout"
	"op25b/internal/rollout/drive"
	"op25b/internal/rollout/rings"
	"op25b/internal/store"
	"op25b/internal/strict"
	op25bv1 "op25b/proto/op25b/v1"
	"op25b/proto/op25b/v1/op25bv1connect"
)

// Rollouts starts, shows and steers rollouts. *drive.Driver is one.
type Rollouts interface {
	Start(ctx context.Context, r rollout.Record, by drive.By) (*drive.Stored, error)
	Current(ctx context.Context) (*drive.Stored, error)
	Watch(ctx context.Context) <-chan *drive.Stored
	See(ctx context.Context) (*drive.Seen, error)
	WatchSeen(ctx context.Context) <-chan *drive.Seen
	Past(ctx context.Context) ([]drive.Stored, error)
	Change(ctx context.Context, by drive.By, change func(rollout.Record) (rollout.Record, error)) (*drive.Stored, error)
}

var _ Rollouts = (*drive.Driver)(nil)

type rolloutService struct{ *server }

var _ op25bv1connect.RolloutServiceHandler = rolloutService{}

// maxRings is the limit on the size of a rings file, in bytes. A file that names 1,000 switches one by one has less than half of it.
const maxRings = 128 << 10

// maxRingSwitches is the limit on the number of switches of a rollout. The record of a rollout has counts of each.
const maxRingSwitches = 1000

func errNoRollouts() error {
	return connect.NewError(connect.CodeUnimplemented, errors.New("this controller has no rollouts"))
}

// Start starts a rollout.
func (s rolloutService) Start(ctx context.Context, req *connect.Request[op25bv1.StartRolloutRequest]) (*connect.Response[op25bv1.StartRolloutResponse], error) {
	m := req.Msg
	if err := checkReason(m.Reason); err != nil && !m.DryRun {
		return nil, err
	}
	if s.Rollouts == nil {
		return nil, errNoRollouts()
	}
	if n := len(m.Rings); n > maxRings {
		return nil, fault("rings", fmt.Sprintf("the rings have %d bytes", n), fmt.Sprintf("must be at most %d", maxRings))
	}
	in, err := s.current(ctx)
	if err != nil {
		return nil, err
	}
	if err := in.Broken(); err != nil {
		return nil, err
	}
	var started *drive.Stored
	if len(m.Files) > 0 {
		started, err = s.startDocuments(ctx, in, m)
	} else {
		started, err = s.startPhase(ctx, in, m)
	}
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&op25bv1.StartRolloutResponse{Rollout: rolloutMessage(started), Time: timestamppb.New(s.Now()), UtcOffset: offsetOf(in)}), nil
}

// startPhase starts a rollout of a phase. The phase and the way back are proved (I16).
func (s rolloutService) startPhase(ctx context.Context, in *intent.Intent, m *op25bv1.StartRolloutRequest) (*drive.Stored, error) {
	if err := in.Bundle.CheckActivation(policy.Activation{Phase: m.Phase, Groups: m.Groups, At: s.Now()}); err != nil {
		return nil, err
	}
	stages, err := s.stages(m, in.Bundle)
	if err != nil {
		return nil, err
	}
	change := rollout.Change{Phase: m.Phase, Groups: m.Groups}
	if m.DryRun {
		if err := s.noRollout(ctx); err != nil {
			return nil, err
		}
		return &drive.Stored{Record: rollout.Start(rollout.Record{Change: change, Stages: stages, Baseline: rollout.DefaultBaseline}, s.Now())}, nil
	}
	next := in.Activated(policy.Activation{Phase: m.Phase, Groups: m.Groups, ID: in.Number + 1, At: s.dates()})
	if err := s.bothWays(ctx, in, next); err != nil {
		return nil, err
	}
	return s.start(ctx, change, stages, m.Reason)
}

// startDocuments starts a rollout of documents. They are checked as by Apply, and the way back is proved too (I16).
func (s rolloutService) startDocuments(ctx context.Context, in *intent.Intent, m *op25bv1.StartRolloutRequest) (*drive.Stored, error) {
	switch {
	case m.Phase != "" || len(m.Groups) > 0:
		return nil, fault("files", "the request has files, and a phase or groups", "give only one of them")
	case m.DryRun:
		return nil, fault("dry_run", "the request has files, and is a dry run", "request their plan instead")
	}
	if err := s.noRollout(ctx); err != nil {
		return nil, err
	}
	p, err := s.propose(ctx, m.Files)
	switch {
	case err != nil:
		return nil, err
	case p.Base != m.Base || in.Number != m.Base:
		return nil, &store.StaleError{Base: m.Base, Current: p.Base}
	case p.SameAs(in):
		return nil, fmt.Errorf("%w: revision %d has the same documents", store.ErrUnchanged, in.Number)
	}
	stages, err := s.stages(m, p.Bundle)
	if err != nil {
		return nil, err
	}
	if err := rings.CheckDocuments(stages, in.Bundle, p.Bundle); err != nil {
		return nil, err
	}
	if err := s.checkMass(ctx, in, p, m.MassChange); err != nil {
		return nil, err
	}
	if err := s.Deps.Plan.Fits(ctx, p.Intent); err != nil {
		return nil, err
	}
	if err := s.bothWays(ctx, in, p.Intent); err != nil {
		return nil, err
	}
	id := caller(ctx)
	by := intent.By{Who: id.Who, Role: string(id.Role), Reason: m.Reason, Detail: plan.Detail(in, p.Intent, store.MaxDetail)}
	staged, err := s.Book.Stage(ctx, p, by)
	if err != nil {
		return nil, err
	}
	started, err := s.start(ctx, rollout.Change{Documents: p.Base, Policy: p.Bundle.Policy.Name}, stages, m.Reason)
	if err != nil { // another rollout began meanwhile
		by.Detail = ""
		if _, undone := s.Book.Drop(ctx, staged.Number, p.Base, by); undone != nil {
			s.Logger.Warn("the documents of a rollout that did not begin are still in the intent; the next change of documents removes them", zap.Error(undone))
		}
		return nil, err
	}
	return started, nil
}

// bothWays returns an error unless a change and the way back are proved. There is no way around that: a rollout changes many switches without a
// person.
func (s *server) bothWays(ctx context.Context, in, next *intent.Intent) error {
	ctx, cancel := plan.WithProofTime(ctx)
	defer cancel()
	if err := s.proved(ctx, in, next); err != nil {
		return err
	}
	return s.Deps.Plan.Proved(ctx, next, in)
}

// stages reads the rings of a request for an inventory.
func (s rolloutService) stages(m *op25bv1.StartRolloutRequest, b *policy.Bundle) ([]rollout.Stage, error) {
	if n := len(b.Inventory.Switches); n > maxRingSwitches {
		return nil, fault("rings", fmt.Sprintf("the inventory has %d switches", n), fmt.Sprintf("a rollout can have at most %d", maxRingSwitches))
	}
	stages, err := rings.Read(strict.File{Name: cmp.Or(m.RingsFile, "rings"), Data: m.Rings}, b)
	if err != nil {
		return nil, err
	}
	for i := range stages {
		stages[i].Gates.Stale = max(stages[i].Gates.Stale, s.staleAfter())
	}
	return stages, nil
}

func (s rolloutService) start(ctx context.Context, c rollout.Change, stages []rollout.Stage, reason string) (*drive.Stored, error) {
	id := caller(ctx)
	r := rollout.Record{Change: c, Stages: stages, Baseline: rollout.DefaultBaseline}
	return s.Rollouts.Start(ctx, r, drive.By{Who: id.Who, Role: string(id.Role), Reason: reason})
}

// staleAfter returns the age at which a sample of this controller's collector is stale.
func (s *server) staleAfter() time.Duration {
	if s.Counters == nil {
		return 0
	}
	return 3 * s.Counters.Interval()
}

// Show returns the rollout that runs or that ended last.
func (s rolloutService) Show(ctx context.Context, req *connect.Request[op25bv1.ShowRolloutRequest]) (*connect.Response[op25bv1.ShowRolloutResponse], error) {
	if s.Rollouts == nil {
		return nil, errNoRollouts()
	}
	answer := &op25bv1.ShowRolloutResponse{UtcOffset: s.offset(ctx)}
	if req.Msg.Seen {
		seen, err := s.Rollouts.See(ctx)
		if err != nil {
			return nil, err
		}
		answer.Rollout, answer.Seen = rolloutMessage(seen.Stored), seenMessage(seen)
	} else {
		current, err := s.Rollouts.Current(ctx)
		if err != nil {
			return nil, err
		}
		answer.Rollout = rolloutMessage(current)
	}
	answer.Time = timestamppb.New(s.Now())
	return connect.NewResponse(answer), nil
}

// offset returns the UTC offset of the policy, or an empty string if there is no policy.
func (s *server) offset(ctx context.Context) string {
	in, err := s.current(ctx)
	if err != nil {
		return ""
	}
	return offsetOf(in)
}

// Watch sends the rollout after each change, and if requested, also when something else is seen of it.
func (s rolloutService) Watch(ctx context.Context, req *connect.Request[op25bv1.WatchRolloutRequest], out *connect.ServerStream[op25bv1.WatchRolloutResponse]) error {
	if s.Rollouts == nil {
		return errNoRollouts()
	}
	if req.Msg.Seen {
		return sendEach(ctx, s, s.Rollouts.WatchSeen, out, func(r *drive.Seen) (*op25bv1.Rollout, *op25bv1.RolloutSeen) {
			return rolloutMessage(r.Stored), seenMessage(r)
		})
	}
	return sendEach(ctx, s, s.Rollouts.Watch, out, func(r *drive.Stored) (*op25bv1.Rollout, *op25bv1.RolloutSeen) { return rolloutMessage(r), nil })
}

// sendEach sends every value of a watch of the rollout.
func sendEach[T any](
	ctx context.Context, s rolloutService, watch func(context.Context) <-chan T, out *connect.ServerStream[op25bv1.WatchRolloutResponse],
	convert func(T) (*op25bv1.Rollout, *op25bv1.RolloutSeen),
) error {
	ctx, cancel := s.stream(ctx)
	values := watch(ctx)
	defer func() {
		cancel(context.Canceled)
		for range values { // it ends with the context
		}
	}()
	for v := range values {
		m := &op25bv1.WatchRolloutResponse{Time: timestamppb.New(s.Now()), UtcOffset: s.offset(ctx)}
		m.Rollout, m.Seen = convert(v)
		if err := out.Send(m); err != nil {
			return err
		}
	}
	return s.ended(ctx, errors.New("watch again"))
}

// List lists the rollouts, the newest first.
func (s rolloutService) List(ctx context.Context, _ *connect.Request[op25bv1.ListRolloutsRequest]) (*connect.Response[op25bv1.ListRolloutsResponse], error) {
	if s.Rollouts == nil {
		return nil, errNoRollouts()
	}
	answer := &op25bv1.ListRolloutsResponse{UtcOffset: s.offset(ctx)}
	current, err := s.Rollouts.Current(ctx)
	switch {
	case errors.Is(err, drive.ErrNone):
		return connect.NewResponse(answer), nil
	case err != nil:
		return nil, err
	}
	past, err := s.Rollouts.Past(ctx)
	if err != nil {
		return nil, err
	}
	answer.Rollouts = append(answer.Rollouts, rolloutMessage(current))
	for i := range past[:min(len(past), MaxList-1)] {
		answer.Rollouts = append(answer.Rollouts, rolloutMessage(&past[i]))
	}
	return connect.NewResponse(answer), nil
}

// Steer pauses, resumes or aborts the rollout that runs.
func (s rolloutService) Steer(ctx context.Context, req *connect.Request[op25bv1.SteerRolloutRequest]) (*connect.Response[op25bv1.SteerRolloutResponse], error) {
	if err := checkReason(req.Msg.Reason); err != nil {
		return nil, err
	}
	if s.Rollouts == nil {
		return nil, errNoRollouts()
	}
	commands := map[op25bv1.RolloutCommand]func(rollout.Record, string, string, time.Time) (rollout.Record, error){
		op25bv1.RolloutCommand_ROLLOUT_COMMAND_PAUSE:  rollout.Record.Pause,
		op25bv1.RolloutCommand_ROLLOUT_COMMAND_RESUME: rollout.Record.Resume,
		op25bv1.RolloutCommand_ROLLOUT_COMMAND_ABORT:  rollout.Record.Abort,
	}
	command, known := commands[req.Msg.Command]
	if !known {
		return nil, fault("command", fmt.Sprintf("%v is no command", req.Msg.Command), "must be pause, resume or abort")
	}
	id := caller(ctx)
	changed, err := s.Rollouts.Change(ctx, drive.By{Who: id.Who, Role: string(id.Role), Reason: req.Msg.Reason}, func(r rollout.Record) (rollout.Record, error) {
		if err := asShown(r, req.Msg); err != nil {
			return r, err
		}
		return command(r, id.Who, req.Msg.Reason, s.Now())
	})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&op25bv1.SteerRolloutResponse{Rollout: rolloutMessage(changed), Time: timestamppb.New(s.Now()), UtcOffset: s.offset(ctx)}), nil
}

// asShown returns an error if a rollout is no longer what the caller of a command was shown.
func asShown(r rollout.Record, m *op25bv1.SteerRolloutRequest) error {
	if m.Since == nil {
		return nil
	}
	if !r.Since.Equal(m.Since.AsTime()) {
		return connect.NewError(connect.CodeAborted, fmt.Errorf("rollout %s has changed since it was shown: it is %s since %s; look at it again",
			r.ID, r.State, r.Since.Format(time.RFC3339)))
	}
	for _, f := range r.Findings {
		if m.Command == op25bv1.RolloutCommand_ROLLOUT_COMMAND_RESUME && f.Verdict == rollout.Hold && !slices.Contains(m.Accepts, string(f.Gate)) {
			return connect.NewError(connect.CodeAborted, fmt.Errorf("rollout %s has changed since it was shown: the gate %s holds it too; look at it again", r.ID, f.Gate))
		}
	}
	return nil
}

// noRollout returns an error while a rollout runs. Its activations and those of others would undo each other. A rollout that has given the phase back
// and only waits until its switches confirm it has no activations left: a switch that is out of order must not block the fleet.
func (s *server) noRollout(ctx context.Context) error {
	if s.Rollouts == nil {
		return nil
	}
	r, err := s.Rollouts.Current(ctx)
	switch {
	case errors.Is(err, drive.ErrNone):
		return nil
	case err != nil:
		return err
	}
	if r.State == rollout.GoingBack || r.State.Ended() {
		in, err := s.current(ctx)
		if err != nil || r.State == rollout.WentBack || !r.Unfinished(in) {
			return err
		}
	}
	return fmt.Errorf("%w: rollout %s of %v is %s: abort it, or wait until it has ended", drive.ErrRunning, r.ID, r.Change, r.State)
}

var rolloutStates = map[rollout.State]op25bv1.RolloutState{
	rollout.Measuring:  op25bv1.RolloutState_ROLLOUT_STATE_MEASURING,
	rollout.Rehearsing: op25bv1.RolloutState_ROLLOUT_STATE_REHEARSING,
	rollout.TakingBack: op25bv1.RolloutState_ROLLOUT_STATE_TAKING_BACK,
	rollout.Advancing:  op25bv1.RolloutState_ROLLOUT_STATE_ADVANCING,
	rollout.Soaking:    op25bv1.RolloutState_ROLLOUT_STATE_SOAKING,
	rollout.Held:       op25bv1.RolloutState_ROLLOUT_STATE_HELD,
	rollout.Paused:     op25bv1.RolloutState_ROLLOUT_STATE_PAUSED,
	rollout.GoingBack:  op25bv1.RolloutState_ROLLOUT_STATE_GOING_BACK,
	rollout.WentBack:   op25bv1.RolloutState_ROLLOUT_STATE_WENT_BACK,
	rollout.Done:       op25bv1.RolloutState_ROLLOUT_STATE_DONE,
}

var findingVerdicts = map[rollout.Verdict]op25bv1.FindingVerdict{
	rollout.NoData: op25bv1.FindingVerdict_FINDING_VERDICT_NO_DATA,
	rollout.Pass:   op25bv1.FindingVerdict_FINDING_VERDICT_PASS,
	rollout.Hold:   op25bv1.FindingVerdict_FINDING_VERDICT_HOLD,
	rollout.GoBack: op25bv1.FindingVerdict_FINDING_VERDICT_GO_BACK,
}
