package api

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"connectrpc.com/connect"

	"op25b/internal/fleet"
	op25bv1 "op25b/proto/op25b/v1"
)

// Proofs proves that a switch treats packets as the documents demand. *fleet.Proofs implements it.
type Proofs interface {
	Prove(ctx context.Context, switchName string, most int) (*fleet.Proof, error)
}

// defaultProofPackets is the number of packets of a proof on a switch, unless the request has one.
const defaultProofPackets = 10_000

// Prove proves that a switch treats packets as the documents demand.
func (s fleetService) Prove(ctx context.Context, req *connect.Request[op25bv1.ProveRequest]) (*connect.Response[op25bv1.ProveResponse], error) {
	if s.Proofs == nil {
		return nil, connect.NewError(connect.CodeUnimplemented, errors.New("this controller proves nothing on switches"))
	}
	most := int(req.Msg.Packets)
	switch {
	case most > fleet.MaxProofPackets:
		return nil, connect.NewError(connect.CodeInvalidArgument, fmt.Errorf("packets: %d: must be at most %d", most, fleet.MaxProofPackets))
	case most == 0:
		most = defaultProofPackets
	}
	in, err := s.current(ctx)
	if err != nil {
		return nil, err
	}
	name := req.Msg.Switch
	if err := unknownSwitches(in, []string{name}); err != nil {
		return nil, err
	}
	r, err := s.Proofs.Prove(ctx, name, most)
	switch {
	case errors.Is(err, fleet.ErrNotOwned):
		return nil, connect.NewError(connect.CodeFailedPrecondition, s.ownedElsewhere(ctx, name, err))
	case errors.Is(err, fleet.ErrNotWanted):
		return nil, connect.NewError(connect.CodeFailedPrecondition, err)
	case errors.Is(err, fleet.ErrUnanswered):
		return nil, connect.NewError(connect.CodeUnavailable, err)
	case err != nil:
		return nil, err
	}
	m := &op25bv1.ProveResponse{
		Switch: name, Revision: r.Revision, InForce: r.InForce, Packets: uint32(r.Packets), All: r.All, Deviating: uint32(r.Deviating),
		Tables: proofTables(r.Tables), Unhit: proofUnhit(r.Unhit), UnhitCount: uint64(r.UnhitCount), Seconds: r.Took.Seconds(),
	}
	for _, d := range r.Deviations {
		x := &op25bv1.Counterexample{
			Switch: name, Port: uint32(d.Packet.Port), Frame: d.Packet.Frame, About: d.Packet.About, Want: d.Packet.Want.String(), Got: d.Got.String(),
			Missed: d.Missed, Text: d.String(),
		}
		for _, e := range d.Entries {
			x.Entries = append(x.Entries, e.String())
		}
		m.Deviations = append(m.Deviations, x)
	}
	return connect.NewResponse(m), nil
}

// ownedElsewhere adds to an error which controller owns the switch, and where it can be asked.
func (s fleetService) ownedElsewhere(ctx context.Context, name string, err error) error {
	all, listed := s.Switches.List(ctx)
	if listed != nil {
		return err
	}
	i := slices.IndexFunc(all, func(st *op25bv1.SwitchStatus) bool { return st.Switch == name })
	if i < 0 || all[i].Owner == "" || all[i].Owner == s.Name {
		return fmt.Errorf("%w: nobody does now, or the session is being opened; see op25b status", err)
	}
	return fmt.Errorf("%w: %s does; ask it with --server", err, all[i].Owner)
}
