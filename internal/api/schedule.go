package api

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"connectrpc.com/connect"

	"op25b/internal/policy"
	"op25b/internal/rollout/drive"
	"op25b/internal/schedule"
	op25bv1 "op25b/proto/op25b/v1"
)

// Scheduled keeps activations that are scheduled. *schedule.Scheduler is one.
type Scheduled interface {
	List(ctx context.Context) ([]schedule.Entry, error)
	Add(ctx context.Context, e schedule.Entry) (*schedule.Entry, error)
	Cancel(ctx context.Context, id uint64, who, role, why string) (*schedule.Entry, error)
}

var _ Scheduled = (*schedule.Scheduler)(nil)

var errNoSchedule = connect.NewError(connect.CodeUnimplemented, errors.New("this controller schedules no activations"))

// endedShown is how long an activation is listed after it has ended, and skippedNoticed how long the status warns that one was skipped.
const (
	endedShown     = 30 * 24 * time.Hour
	skippedNoticed = 24 * time.Hour
)

// Schedule schedules an activation.
func (s phaseService) Schedule(ctx context.Context, req *connect.Request[op25bv1.ScheduleRequest]) (*connect.Response[op25bv1.ScheduleResponse], error) {
	m := req.Msg
	if err := checkReason(m.Reason); err != nil {
		return nil, err
	}
	if s.Deps.Scheduled == nil {
		return nil, errNoSchedule
	}
	in, err := s.current(ctx)
	if err != nil {
		return nil, err
	}
	at := m.At.AsTime()
	switch {
	case (m.At == nil) == (m.LocalAt == ""):
		return nil, fault("at", "exactly one of at and local_at must be given", "give the time of the activation")
	case m.LocalAt != "":
		if at, err = localTime(m.LocalAt, in.Bundle.Policy.UTCOffset); err != nil {
			return nil, fault("local_at", fmt.Sprintf("%.40q is not a time", m.LocalAt), "must be a day or a time, such as 2006-07-01 02:00")
		}
	case m.At.CheckValid() != nil:
		return nil, fault("at", "not a time", "give the time of the activation")
	}
	if m.Base == in.Number { // Add refuses any other base
		if _, err := s.provedPhase(ctx, in, policy.Activation{Phase: m.Phase, Groups: m.Groups, Switches: m.Switches, UntilNextDate: m.UntilNextDate}, false); err != nil {
			return nil, err
		}
	}
	id := caller(ctx)
	e, err := s.Deps.Scheduled.Add(ctx, schedule.Entry{
		At: at.In(in.Bundle.Policy.UTCOffset.Location()), Phase: m.Phase, Groups: m.Groups, Switches: m.Switches, UntilNextDate: m.UntilNextDate,
		Base: m.Base, Who: id.Who, Role: string(id.Role), Why: m.Reason,
	})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&op25bv1.ScheduleResponse{Scheduled: scheduledMessage(e), UtcOffset: offsetOf(in)}), nil
}

// CancelScheduled cancels a scheduled activation.
func (s phaseService) CancelScheduled(ctx context.Context, req *connect.Request[op25bv1.CancelScheduledRequest]) (*connect.Response[op25bv1.CancelScheduledResponse], error) {
	if err := checkReason(req.Msg.Reason); err != nil {
		return nil, err
	}
	if s.Deps.Scheduled == nil {
		return nil, errNoSchedule
	}
	id := caller(ctx)
	e, err := s.Deps.Scheduled.Cancel(ctx, req.Msg.Id, id.Who, string(id.Role), req.Msg.Reason)
	if err != nil {
		return nil, err
	}
	in, _ := s.currentOrNone(ctx)
	return connect.NewResponse(&op25bv1.CancelScheduledResponse{Scheduled: scheduledMessage(e), UtcOffset: offsetOf(in)}), nil
}

// scheduled returns the activations that are scheduled or have ended lately, in the order of their times.
func (s *server) scheduled(ctx context.Context) ([]*op25bv1.ScheduledActivation, error) {
	if s.Deps.Scheduled == nil {
		return nil, nil
	}
	all, err := s.Deps.Scheduled.List(ctx)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(all, func(a, b schedule.Entry) int { return a.At.Compare(b.At) })
	var shown []*op25bv1.ScheduledActivation
	for i := range all {
		if e := &all[i]; !e.State.Ended() || s.Now().Sub(e.Ended) < endedShown {
			shown = append(shown, scheduledMessage(e))
		}
	}
	return shown, nil
}

// scheduleNotices returns a notice of each scheduled activation, and of each that was skipped lately.
func (s *server) scheduleNotices(ctx context.Context) (all []string) {
	if s.Deps.Scheduled == nil {
		return nil
	}
	entries, err := s.Deps.Scheduled.List(ctx)
	if err != nil {
		return nil // the caller learns elsewhere that the store does not answer
	}
	for i := range entries {
		switch e := &entries[i]; {
		case !e.State.Ended():
			all = append(all, fmt.Sprintf("phase %s is scheduled for %s by %s; see op25b phase list", e.Phase, e.At.Format(time.RFC3339), e.Who))
		case e.State == schedule.Skipped && s.Now().Sub(e.Ended) < skippedNoticed:
			all = append(all, fmt.Sprintf("%v was skipped at %s: %s", e, e.Ended.In(e.At.Location()).Format(time.RFC3339), e.Note))
		}
	}
	return all
}

func scheduledMessage(e *schedule.Entry) *op25bv1.ScheduledActivation {
	return &op25bv1.ScheduledActivation{
		Id: e.ID, At: stamp(e.At), Phase: e.Phase, Groups: e.Groups, Switches: e.Switches, UntilNextDate: e.UntilNextDate, Base: e.Base, Author: e.Who,
		Reason: e.Why, Scheduled: stamp(e.Asked), State: scheduledStates[e.State], Revision: e.Revision, Note: e.Note, Ended: stamp(e.Ended),
	}
}

var scheduledStates = map[schedule.State]op25bv1.ScheduledState{
	schedule.Pending: op25bv1.ScheduledState_SCHEDULED_STATE_PENDING, schedule.Acting: op25bv1.ScheduledState_SCHEDULED_STATE_ACTING,
	schedule.Done: op25bv1.ScheduledState_SCHEDULED_STATE_DONE, schedule.Skipped: op25bv1.ScheduledState_SCHEDULED_STATE_SKIPPED,
	schedule.Cancelled: op25bv1.ScheduledState_SCHEDULED_STATE_CANCELLED,
}

// RolloutRuns returns a function that says which rollout runs, or "".
func RolloutRuns(r Rollouts) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		current, err := r.Current(ctx)
		switch {
		case errors.Is(err, drive.ErrNone):
			return "", nil
		case err != nil:
			return "", err
		case current.State.Ended():
			return "", nil
		}
		return fmt.Sprintf("rollout %s is %s", current.ID, current.State), nil
	}
}
