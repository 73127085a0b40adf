package api

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"op25b/internal/auth"
	"op25b/internal/lease"
	"op25b/internal/lease/ledger"
	"op25b/internal/store"
	op25bv1 "op25b/proto/op25b/v1"
	"op25b/proto/op25b/v1/op25bv1connect"
)

// Leases grants, revokes and lists leases.
type Leases interface {
	// Grant grants or renews a lease of a line, and returns when it is in the store.
	Grant(ctx context.Context, line, name string) (ledger.Held, lease.Outcome, error)
	// Revoke ends the lease of a line. It returns false if the line had none.
	Revoke(ctx context.Context, line string) (ledger.Held, bool, error)
	// GrantAddress and RevokeAddress are Grant and Revoke for an address outside all lines.
	GrantAddress(ctx context.Context, a netip.Addr, name string) (ledger.Held, lease.Outcome, error)
	RevokeAddress(ctx context.Context, a netip.Addr) (ledger.Held, bool, error)
	// List returns leases, and the number of all that keep selects.
	List(most int, keep func(ledger.Held) bool) (some []ledger.Held, total int, err error)
}

var _ Leases = (*ledger.Ledger)(nil)

type leaseService struct{ *server }

var _ op25bv1connect.LeaseServiceHandler = leaseService{}

var leaseOutcomes = map[lease.Outcome]op25bv1.LeaseOutcome{
	lease.Granted:   op25bv1.LeaseOutcome_LEASE_OUTCOME_GRANTED,
	lease.Renewed:   op25bv1.LeaseOutcome_LEASE_OUTCOME_RENEWED,
	lease.Unchanged: op25bv1.LeaseOutcome_LEASE_OUTCOME_UNCHANGED,
}

// anyLease is the source under which reports remembers a program that grants leases. No source of sessions has this name.
const anyLease = ""

// begin verifies that a call can be served, and records it before it changes anything. A program makes too many calls for a
// record of each: one record an hour says that it grants and revokes leases. No record has an address (I8).
func (s leaseService) begin(ctx context.Context, verb, line, address, detail string) (h lease.Holder, err error) {
	if s.Leases == nil {
		return h, errNoLeases()
	}
	if h, err = holderOf(line, address); err != nil {
		return h, err
	}
	id := caller(ctx)
	program := id.Role == auth.Lease
	if program && !s.reports.due(id.Who, anyLease) {
		return h, nil
	}
	r := store.AuditRecord{Who: id.Who, Role: string(id.Role), Verb: verb, Object: h.String(), Detail: detail}
	if program {
		r.Verb, r.Object, r.Detail = "lease", "lines", "grants and revokes leases"
	}
	if _, err := s.Store.Audit().Append(ctx, r); err != nil {
		return h, fmt.Errorf("the call could not be recorded in the audit chain, so nothing is changed: %w", err)
	}
	if program {
		s.reports.recorded(id.Who, anyLease)
	}
	return h, nil
}

// holderOf returns the holder that a request names: a line or an address.
func holderOf(line, address string) (lease.Holder, error) {
	switch {
	case line == "" && address == "":
		return lease.Holder{}, fault("line", "no line is given", "must be the name of a line in the inventory, unless an address is given")
	case line != "" && address != "":
		return lease.Holder{}, fault("address", "both a line and an address are given", "must be one of the two")
	case line != "":
		return lease.Holder{Line: line}, nil
	}
	a, err := netip.ParseAddr(address)
	if err != nil || a.Zone() != "" {
		return lease.Holder{}, fault("address", "the address is invalid", "must be an IPv4 or IPv6 address, such as 192.0.2.11")
	}
	return lease.Holder{Address: a.Unmap()}, nil
}

// errNoLeases is the error of a controller without leases.
func errNoLeases() error {
	return connect.NewError(connect.CodeUnimplemented, errors.New("this controller has no leases"))
}

// Grant grants or renews a lease of a line or an address.
func (s leaseService) Grant(ctx context.Context, req *connect.Request[op25bv1.GrantLeaseRequest]) (*connect.Response[op25bv1.GrantLeaseResponse], error) {
	if req.Msg.Lease == "" {
		return nil, fault("lease", "no lease is given", "must be the name of a lease in the policy")
	}
	h, err := s.begin(ctx, "grant lease", req.Msg.Line, req.Msg.Address, req.Msg.Lease)
	if err != nil {
		return nil, err
	}
	var l ledger.Held
	var outcome lease.Outcome
	if h.Line != "" {
		l, outcome, err = s.Leases.Grant(ctx, h.Line, req.Msg.Lease)
	} else {
		l, outcome, err = s.Leases.GrantAddress(ctx, h.Address, req.Msg.Lease)
	}
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&op25bv1.GrantLeaseResponse{Lease: lineLease(l), Outcome: leaseOutcomes[outcome]}), nil
}

// Revoke ends the lease of a line or an address.
func (s leaseService) Revoke(ctx context.Context, req *connect.Request[op25bv1.RevokeLeaseRequest]) (*connect.Response[op25bv1.RevokeLeaseResponse], error) {
	h, err := s.begin(ctx, "revoke lease", req.Msg.Line, req.Msg.Address, "")
	if err != nil {
		return nil, err
	}
	var l ledger.Held
	var had bool
	if h.Line != "" {
		l, had, err = s.Leases.Revoke(ctx, h.Line)
	} else {
		l, had, err = s.Leases.RevokeAddress(ctx, h.Address)
	}
	if err != nil {
		return nil, err
	}
	answer := &op25bv1.RevokeLeaseResponse{Revoked: had}
	if had {
		answer.Lease = lineLease(l)
	}
	return connect.NewResponse(answer), nil
}

// List lists the leases that have not ended.
func (s leaseService) List(ctx context.Context, req *connect.Request[op25bv1.ListLeasesRequest]) (*connect.Response[op25bv1.ListLeasesResponse], error) {
	if s.Leases == nil {
		return nil, errNoLeases()
	}
	most := int(req.Msg.Limit)
	switch {
	case most > MaxList:
		return nil, fault("limit", fmt.Sprintf("the limit is %d", most), fmt.Sprintf("must be at most %d", MaxList))
	case most == 0:
		most = DefaultList
	}
	in, err := s.current(ctx)
	if err != nil {
		return nil, err
	}
	some, total, err := s.Leases.List(most, func(h ledger.Held) bool {
		return (req.Msg.Line == "" || h.Holder.Line == req.Msg.Line) && (req.Msg.Switch == "" || h.Switch == req.Msg.Switch)
	})
	if err != nil {
		return nil, err
	}
	answer := &op25bv1.ListLeasesResponse{Total: uint32(total), Controller: s.Name, Time: timestamppb.New(s.Now()), UtcOffset: offsetOf(in)}
	for _, h := range some {
		answer.Leases = append(answer.Leases, lineLease(h))
	}
	return connect.NewResponse(answer), nil
}

// lineLease returns the message for a lease. It does not contain the address of a holder (I8).
func lineLease(h ledger.Held) *op25bv1.LineLease {
	return &op25bv1.LineLease{Line: h.Holder.Line, Switch: h.Switch, Lease: h.Name, Granted: timestamppb.New(h.Granted), End: timestamppb.New(h.End)}
}
