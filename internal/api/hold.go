package api

import (
	"context"
	"errors"

	"connectrpc.com/connect"

	"op25b/internal/fleet"
	"op25b/internal/store"
	op25bv1 "op25b/proto/op25b/v1"
)

// HoldSwitch holds a switch of the inventory for maintenance.
func (s fleetService) HoldSwitch(ctx context.Context, req *connect.Request[op25bv1.HoldSwitchRequest]) (*connect.Response[op25bv1.HoldSwitchResponse], error) {
	name, reason := req.Msg.Switch, req.Msg.Reason
	if err := checkReason(reason); err != nil {
		return nil, err
	}
	in, err := s.current(ctx)
	if err != nil {
		return nil, err
	}
	if err := unknownSwitches(in, []string{name}); err != nil {
		return nil, err
	}
	id := caller(ctx)
	held, err := fleet.PutHold(ctx, s.Store, name, fleet.Hold{Who: id.Who, Reason: reason, Since: s.Now().UTC()}, holdRecord(ctx, "hold", name, reason))
	if err != nil {
		return nil, holdError(err)
	}
	return connect.NewResponse(&op25bv1.HoldSwitchResponse{Hold: holdMessageOf(&held)}), nil
}

// ReleaseSwitch ends the hold of a switch. The switch may have left the inventory.
func (s fleetService) ReleaseSwitch(ctx context.Context, req *connect.Request[op25bv1.ReleaseSwitchRequest]) (*connect.Response[op25bv1.ReleaseSwitchResponse], error) {
	name, reason := req.Msg.Switch, req.Msg.Reason
	if reason != "" {
		if err := checkReason(reason); err != nil {
			return nil, err
		}
	}
	was, err := fleet.EndHold(ctx, s.Store, name, holdRecord(ctx, "release", name, reason))
	switch {
	case errors.Is(err, fleet.ErrNotHeld):
		in, none := s.current(ctx)
		if none != nil {
			return nil, none
		}
		if unknown := unknownSwitches(in, []string{name}); unknown != nil {
			return nil, unknown
		}
		return nil, holdError(err)
	case err != nil:
		return nil, holdError(err)
	}
	return connect.NewResponse(&op25bv1.ReleaseSwitchResponse{Hold: holdMessageOf(&was)}), nil
}

func holdRecord(ctx context.Context, verb, name, reason string) store.AuditRecord {
	id := caller(ctx)
	return store.AuditRecord{Who: id.Who, Role: string(id.Role), Verb: verb, Object: "switch " + name, Reason: reason}
}

// holdError returns the error of a hold that was not made or not ended. Another operator may have been faster.
func holdError(err error) error {
	conflict := (*store.ConflictError)(nil)
	if errors.Is(err, fleet.ErrHeld) || errors.Is(err, fleet.ErrNotHeld) || errors.As(err, &conflict) {
		return connect.NewError(connect.CodeFailedPrecondition, err)
	}
	return err
}

func holdMessageOf(h *fleet.Hold) *op25bv1.SwitchHold {
	if h == nil {
		return nil
	}
	return &op25bv1.SwitchHold{Who: h.Who, Reason: h.Reason, Since: stamp(h.Since)}
}
