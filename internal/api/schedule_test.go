package api

import (
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"op25b/internal/schedule"
	op25bv1 "op25b/proto/op25b/v1"
)

// An activation is scheduled in the policy's zone, listed, announced in the status, and cancelled. A request without a time, or with two, is refused.
func TestSchedule(t *testing.T) {
	var s *schedule.Scheduler
	w := newWorld(t, func(d *Deps) {
		s = &schedule.Scheduler{Store: d.Store, Book: d.Book, Dates: d.Now, Logger: zap.NewNop(), Busy: RolloutRuns(nil)}
		d.Scheduled = s
	})
	w.put(spinnet(t)) // at +09:00; now is 2006-05-20T00:00:00Z
	c, ctx := op25bv1.NewPhaseServiceClient(w.dial()), within(t)
	for _, x := range []struct {
		q    *op25bv1.ScheduleRequest
		code codes.Code
		want string
	}{
		{&op25bv1.ScheduleRequest{LocalAt: "2006-05-21 02:00"}, codes.InvalidArgument, "a change requires a reason"},
		{&op25bv1.ScheduleRequest{Reason: "x"}, codes.InvalidArgument, "exactly one of at and local_at must be given"},
		{&op25bv1.ScheduleRequest{Reason: "x", LocalAt: "2006-05-21 02:00", At: timestamppb.Now()}, codes.InvalidArgument, "exactly one of at and local_at must be given"},
		{&op25bv1.ScheduleRequest{Reason: "x", LocalAt: "tonight"}, codes.InvalidArgument, `"tonight" is not a time`},
		{&op25bv1.ScheduleRequest{Reason: "x", Base: 1, Phase: "before", LocalAt: "2006-05-20 09:00"}, codes.InvalidArgument, "2006-05-20T09:00:00+09:00 is not after now, 2006-05-20T09:00:00+09:00"},
		{&op25bv1.ScheduleRequest{Reason: "x", Base: 1, Phase: "befor", LocalAt: "2006-05-21 02:00"}, codes.InvalidArgument, `unknown phase "befor"`},
		{&op25bv1.ScheduleRequest{Reason: "x", Base: 2, Phase: "before", LocalAt: "2006-05-21 02:00"}, codes.Aborted, "the current revision is 1"},
	} {
		if _, err := c.Schedule(ctx, x.q); status.Code(err) != x.code || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%v: %v, want %v: %s", x.q, err, x.code, x.want)
		}
	}
	r, err := c.Schedule(ctx, &op25bv1.ScheduleRequest{Reason: "night", Base: 1, Phase: "all-destinations", Groups: []string{"adsl"}, LocalAt: "2006-05-21 02:00"})
	if err != nil || r.Scheduled.Id != 1 || r.Scheduled.At.AsTime().Format(time.RFC3339) != "2006-05-20T17:00:00Z" || r.Scheduled.Author != "local" || r.UtcOffset != "+09:00" {
		t.Fatal(r, err)
	}
	notice := func() string {
		t.Helper()
		r, err := op25bv1.NewFleetServiceClient(w.dial()).ListSwitches(ctx, &op25bv1.ListSwitchesRequest{})
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(r.Notices, "; ")
	}
	if got, want := notice(), "phase all-destinations is scheduled for 2006-05-21T02:00:00+09:00 by local; see op25b phase list"; got != want {
		t.Errorf("the status says %q, want %q", got, want)
	}
	if list, err := c.ListPhases(ctx, &op25bv1.ListPhasesRequest{}); err != nil || len(list.Scheduled) != 1 || list.Scheduled[0].State != op25bv1.ScheduledState_SCHEDULED_STATE_PENDING {
		t.Errorf("%v, %v", list, err)
	}
	if _, err := c.CancelScheduled(ctx, &op25bv1.CancelScheduledRequest{Id: 9, Reason: "x"}); status.Code(err) != codes.NotFound {
		t.Errorf("an unknown one: %v", err)
	}
	if r, err := c.CancelScheduled(ctx, &op25bv1.CancelScheduledRequest{Id: 1, Reason: "put off"}); err != nil || r.Scheduled.State != op25bv1.ScheduledState_SCHEDULED_STATE_CANCELLED {
		t.Errorf("%v, %v", r, err)
	}
	if _, err := c.CancelScheduled(ctx, &op25bv1.CancelScheduledRequest{Id: 1, Reason: "x"}); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("twice: %v", err)
	}
	if got := notice(); got != "" {
		t.Errorf("after it was cancelled, the status says %q", got)
	}
	list, err := c.ListPhases(ctx, &op25bv1.ListPhasesRequest{})
	if err != nil || len(list.Scheduled) != 1 || list.Scheduled[0].Note != "put off" {
		t.Errorf("%v, %v", list, err)
	}
	w.now = w.now.Add(endedShown + time.Hour)
	if list, err = c.ListPhases(ctx, &op25bv1.ListPhasesRequest{}); err != nil || len(list.Scheduled) != 0 {
		t.Errorf("a month later: %v, %v", list, err)
	}
}
