package api

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"op25b/internal/auth"
	"op25b/internal/check"
	"op25b/internal/policy"
	"op25b/internal/store"
	"op25b/internal/subscriber"
	"op25b/internal/subscriber/register"
	op25bv1 "op25b/proto/op25b/v1"
	"op25b/proto/op25b/v1/op25bv1connect"
)

// Sessions knows which line has which address by its session, and takes the events of sessions.
type Sessions interface {
	// Holder returns the line whose session has an address.
	Holder(netip.Addr) (register.Found, bool)
	// Counts returns the number of sessions of each switch. It returns register.ErrNotReady before the sessions have been read.
	Counts() (map[string]register.Count, error)
	// Report takes an event, and returns when what it changed is in the store. switches are those whose lines the source may name; none means
	// all.
	Report(ctx context.Context, e subscriber.Event, switches []string) (subscriber.Outcome, error)
}

var _ Sessions = (*register.Register)(nil)

type subscriberService struct{ *server }

var _ op25bv1connect.SubscriberServiceHandler = subscriberService{}

// counts returns the number of sessions of each switch, or an error if this controller does not know them.
func (s subscriberService) counts() (map[string]register.Count, error) {
	if s.Sessions == nil {
		return nil, errNoSessions()
	}
	return s.Sessions.Counts()
}

// ListSessions counts the sessions of each switch.
func (s subscriberService) ListSessions(ctx context.Context, _ *connect.Request[op25bv1.ListSessionsRequest]) (*connect.Response[op25bv1.ListSessionsResponse], error) {
	counts, err := s.counts()
	if err != nil {
		return nil, err
	}
	entries, err := s.Switches.SessionEntries(ctx)
	if err != nil {
		return nil, err
	}
	answer := &op25bv1.ListSessionsResponse{Controller: s.Name, Time: timestamppb.New(s.Now())}
	for sw, n := range counts {
		answer.Switches = append(answer.Switches, &op25bv1.SwitchSessions{Switch: sw, Lines: uint32(n.Lines), Sessions: uint32(n.Sessions), Entries: entries[sw]})
	}
	slices.SortFunc(answer.Switches, func(a, b *op25bv1.SwitchSessions) int { return cmp.Compare(a.Switch, b.Switch) })
	return connect.NewResponse(answer), nil
}

// FindAddress returns the line that has an address. It writes the audit record first, so that no line is returned without a record.
func (s subscriberService) FindAddress(ctx context.Context, req *connect.Request[op25bv1.FindAddressRequest]) (*connect.Response[op25bv1.FindAddressResponse], error) {
	var addr netip.Addr
	if name := req.Msg.Line; name == "" {
		if _, err := s.counts(); err != nil {
			return nil, err
		}
		var err error
		if addr, err = netip.ParseAddr(strings.TrimSpace(req.Msg.Address)); err != nil || addr.Zone() != "" {
			return nil, fault("address", "the address is invalid", "must be an IPv4 or IPv6 address, such as 192.0.2.11")
		}
	} else if req.Msg.Address != "" {
		return nil, fault("line", "line is given together with address", "give only one of them")
	}
	if err := checkTicket("ticket", req.Msg.Ticket, caller(ctx).By != auth.ByLoopback); err != nil {
		return nil, err
	}
	if err := s.admitLookup(ctx); err != nil {
		return nil, err
	}
	in, err := s.current(ctx)
	if err != nil {
		return nil, err
	}
	var own ownLine
	var found *register.Found
	var ok bool
	how, documents := "by an address", s.publisher.documents(in)
	if name := req.Msg.Line; name != "" {
		how = "by its name"
		if own.sw, own.line, ok = documents.lines.Line(name); !ok {
			return nil, check.UnknownLine(in.Bundle.Inventory, name)
		}
	} else {
		own, found, ok = s.lineOf(documents, addr.Unmap())
	}
	id, object, answer := caller(ctx), "no line", &op25bv1.FindAddressResponse{Found: ok}
	if ok {
		object = "line " + own.line.Name
	}
	record, err := s.Store.Audit().Append(ctx, store.AuditRecord{
		Who: id.Who, Role: string(id.Role), Verb: "find", Object: object, Reason: req.Msg.Ticket, Detail: fmt.Sprintf("%s, revision %d", how, in.Number),
	})
	if err != nil {
		return nil, fmt.Errorf("the look-up could not be recorded in the audit chain, so it is not answered: %w", err)
	}
	answer.Record = record.Seq
	if ok {
		answer.Line, answer.Switch, answer.LineGroup, answer.UtcOffset = own.line.Name, own.sw.Name, own.line.Group, offsetOf(in)
		if err := s.describe(ctx, in, own, addr.Unmap(), answer); err != nil {
			return nil, err
		}
	}
	if ok && found != nil {
		answer.Dynamic, answer.AccessServer = true, found.Session.NAS
		answer.Since, answer.Heard = timestamppb.New(found.Session.Began), timestamppb.New(found.Session.Heard)
	}
	return connect.NewResponse(answer), nil
}

// An ownLine is a line and its switch.
type ownLine struct {
	sw   *policy.Switch
	line *policy.Line
}

// lineOf returns the line that has an address: by its prefixes in the inventory, or else by its session, which found then describes.
func (s *server) lineOf(e *edition, addr netip.Addr) (own ownLine, found *register.Found, ok bool) {
	if own.sw, own.line, ok = e.lines.At(addr); ok || s.Sessions == nil {
		return own, nil, ok
	}
	f, held := s.Sessions.Holder(addr)
	if !held {
		return ownLine{}, nil, false
	}
	own.sw, own.line, ok = e.lines.Line(f.Name)
	if !ok || own.sw.Name != f.Switch {
		return ownLine{}, nil, false
	}
	return own, &f, true
}
