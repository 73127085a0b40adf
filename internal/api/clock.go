package api

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"op25b/internal/clock"
	"op25b/internal/store"
	op25bv1 "op25b/proto/op25b/v1"
)

// dates returns the time that decides which dates are in force.
func (s *server) dates() time.Time {
	if s.Clock == nil {
		return s.Now()
	}
	return s.Clock.Dates()
}

// clocks returns the clocks of all controllers, beginning with this controller.
func (s *server) clocks() []*op25bv1.ControllerClock {
	if s.Clock == nil {
		return nil
	}
	hold, wall := s.Clock.Hold(), s.Clock.Wall()
	own := &op25bv1.ControllerClock{
		Controller: s.Name, Self: true, Ahead: durationpb.New(0), Hold: holdMessage(hold.Reason), Time: timestamppb.New(wall),
	}
	if hold.Reason != clock.None {
		own.Detail, own.Since = hold.String(), timestamppb.New(hold.Since)
	}
	all := []*op25bv1.ControllerClock{own}
	for _, m := range s.Clock.Members() {
		c := &op25bv1.ControllerClock{Controller: m.Name, Hold: holdMessage(m.Hold)}
		if m.Known {
			c.Ahead, c.Time = durationpb.New(m.Ahead), timestamppb.New(wall.Add(m.Ahead))
		}
		all = append(all, c)
	}
	return all
}

func holdMessage(r clock.HoldReason) op25bv1.ClockHold {
	switch r {
	case clock.None:
		return op25bv1.ClockHold_CLOCK_HOLD_NONE
	case clock.Starting:
		return op25bv1.ClockHold_CLOCK_HOLD_STARTING
	case clock.Skew:
		return op25bv1.ClockHold_CLOCK_HOLD_SKEW
	case clock.Jump:
		return op25bv1.ClockHold_CLOCK_HOLD_JUMP
	case clock.Restart:
		return op25bv1.ClockHold_CLOCK_HOLD_RESTART
	default:
		return op25bv1.ClockHold_CLOCK_HOLD_UNSPECIFIED
	}
}

// clockNotices returns warnings about the clocks of the controllers.
func (s *server) clockNotices() (all []string) {
	if s.Clock == nil {
		return nil
	}
	if h := s.Clock.Hold(); h.Reason != clock.None && h.Reason != clock.Starting {
		all = append(all, fmt.Sprintf("controller %s has put no date in force since %s: %v; set its clock, or confirm it with op25b clock confirm %s",
			s.Name, h.Since.UTC().Format(time.RFC3339), h, s.Name))
	}
	for _, m := range s.Clock.Members() {
		switch {
		case m.Hold != clock.None && m.Hold != clock.Starting:
			all = append(all, fmt.Sprintf("controller %s puts no date in force by its clock: %v; see op25b clock", m.Name, m.Hold))
		case m.Known && m.Ahead.Abs() > s.Clock.Bound():
			all = append(all, fmt.Sprintf("the clock of controller %s is %s that of %s; see op25b clock", m.Name, clock.Way(m.Ahead), s.Name))
		}
	}
	return all
}

// ListClocks lists the clocks of all controllers.
func (s fleetService) ListClocks(context.Context, *connect.Request[op25bv1.ListClocksRequest]) (*connect.Response[op25bv1.ListClocksResponse], error) {
	if s.Clock == nil {
		return nil, errNoClock
	}
	return connect.NewResponse(&op25bv1.ListClocksResponse{Clocks: s.clocks(), Bound: durationpb.New(s.Clock.Bound())}), nil
}

var errNoClock = connect.NewError(connect.CodeUnimplemented, errors.New("this controller does not compare clocks"))

// ConfirmClock confirms the clock of a controller.
func (s fleetService) ConfirmClock(ctx context.Context, req *connect.Request[op25bv1.ConfirmClockRequest]) (*connect.Response[op25bv1.ConfirmClockResponse], error) {
	if err := checkReason(req.Msg.Reason); err != nil {
		return nil, err
	}
	if s.Clock == nil {
		return nil, errNoClock
	}
	name := req.Msg.Controller
	if name == "" {
		name = s.Name
	}
	held := false
	known := []string{}
	for _, c := range s.clocks() {
		known = append(known, c.Controller)
		held = held || c.Controller == name && c.Hold != op25bv1.ClockHold_CLOCK_HOLD_NONE
		if c.Controller == name && !held {
			return nil, connect.NewError(connect.CodeFailedPrecondition, fmt.Errorf("controller %q holds no dates: nothing to confirm", name))
		}
	}
	if !held {
		return nil, connect.NewError(connect.CodeNotFound, fmt.Errorf("controller %q is not present; present: %s", name, strings.Join(known, ", ")))
	}
	id := caller(ctx)
	record := store.AuditRecord{Who: id.Who, Role: string(id.Role), Verb: "confirm clock", Object: "controller " + name, Reason: req.Msg.Reason}
	if err := clock.ConfirmAt(ctx, s.Store, name, record); err != nil {
		return nil, err
	}
	return connect.NewResponse(&op25bv1.ConfirmClockResponse{}), nil
}
