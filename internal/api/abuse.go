package api

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"op25b/internal/abuse"
	"op25b/internal/fleet"
	"op25b/internal/intent"
	"op25b/internal/policy"
	"op25b/internal/store"
	"op25b/internal/view/prose"
	op25bv1 "op25b/proto/op25b/v1"
	"op25b/proto/op25b/v1/op25bv1connect"
)

// Lines provides the activity of lines on port 25, for the switches that this controller owns.
type Lines interface {
	Forecast(in *intent.Intent, phase string, scope policy.Scope, now time.Time) (*abuse.Forecast, error)
	Offenders(classes ...abuse.Class) []abuse.Offender
	// Watched returns the line groups that opted in. Days returns the number of days for which the activity of their lines is kept.
	Watched() []string
	Days() int
	Resolve(ids []abuse.ID) ([]abuse.Resolved, error)
	Forget() (int, error)
}

var _ Lines = (*abuse.Ledger)(nil)

type abuseService struct{ *server }

var _ op25bv1connect.AbuseServiceHandler = abuseService{}

// served returns an error if this controller does not record the activity of lines.
func (s abuseService) served() error {
	if s.Deps.Lines == nil {
		return connect.NewError(connect.CodeUnimplemented, errors.New("this controller does not serve AbuseService"))
	}
	return nil
}

// Forecast counts the lines that a phase would newly stop.
func (s abuseService) Forecast(ctx context.Context, req *connect.Request[op25bv1.ForecastRequest]) (*connect.Response[op25bv1.ForecastResponse], error) {
	if err := s.served(); err != nil {
		return nil, err
	}
	in, err := s.current(ctx)
	if err != nil {
		return nil, err
	}
	f, err := s.Lines.Forecast(in, req.Msg.Phase, policy.Scope{Groups: req.Msg.Groups, Switches: req.Msg.Switches}, s.dates())
	if err != nil {
		return nil, err
	}
	answer := &op25bv1.ForecastResponse{
		Phase: f.Phase, Revision: in.Number, More: uint32(f.More), Missing: f.Missing, Incomplete: f.Incomplete, Days: abuse.UseDays,
		Controller: s.Name, UtcOffset: offsetOf(in),
	}
	if !f.Since.IsZero() {
		answer.Since = timestamppb.New(f.Since)
	}
	for _, r := range f.Rows {
		answer.Rows = append(answer.Rows, &op25bv1.ForecastRow{
			Switch: r.Switch, Group: r.Group, Affected: uint32(r.Affected), Used: uint32(r.Used), OneServer: uint32(r.OneServer),
			Several: uint32(r.Several), BotLike: uint32(r.BotLike), Since: timestamppb.New(r.Since),
			AffectedByLease: uint32(r.AffectedByLease), UsedByLease: uint32(r.UsedByLease),
		})
	}
	for _, l := range f.Lines {
		answer.Lines = append(answer.Lines, &op25bv1.ForecastLine{
			Id: l.ID.String(), Switch: l.Switch, Group: l.Group, Several: l.Several, Class: l.Class.String(), ByLease: l.ByLease,
		})
	}
	if len(f.Missing) > 0 {
		if answer.Owners, err = s.ownersOf(ctx, f.Missing); err != nil {
			return nil, err
		}
	}
	return connect.NewResponse(answer), nil
}

// ownersOf returns the other controllers that own switches, ordered by name.
func (s abuseService) ownersOf(ctx context.Context, switches []string) ([]*op25bv1.ForecastOwner, error) {
	statuses, err := s.Switches.List(ctx)
	if err != nil {
		return nil, err
	}
	members, err := s.Store.Members(ctx)
	if err != nil {
		return nil, err
	}
	of := make(map[string]*op25bv1.ForecastOwner)
	for _, st := range statuses {
		if st.Ownership != op25bv1.SwitchOwnership_SWITCH_OWNERSHIP_OWNED || st.Owner == s.Name || !slices.Contains(switches, st.Switch) {
			continue
		}
		o := of[st.Owner]
		if o == nil {
			o = &op25bv1.ForecastOwner{Controller: st.Owner}
			if i := slices.IndexFunc(members, func(m store.Member) bool { return m.Name == st.Owner }); i >= 0 {
				o.Address = fleet.AddressesOf(members[i]).API
			}
			of[st.Owner] = o
		}
		o.Switches = append(o.Switches, st.Switch)
	}
	var all []*op25bv1.ForecastOwner
	for _, name := range slices.Sorted(maps.Keys(of)) {
		all = append(all, of[name])
	}
	return all, nil
}

// ListOffenders lists the active lines of the watched line groups.
func (s abuseService) ListOffenders(ctx context.Context, req *connect.Request[op25bv1.ListOffendersRequest]) (*connect.Response[op25bv1.ListOffendersResponse], error) {
	if err := s.served(); err != nil {
		return nil, err
	}
	limit, err := listLimit(req.Msg.Limit)
	if err != nil {
		return nil, err
	}
	var classes []abuse.Class
	for i, name := range req.Msg.Classes {
		c, known := abuse.ParseClass(name)
		if !known {
			return nil, fault(fmt.Sprintf("classes[%d]", i), fmt.Sprintf("unknown class %q", name),
				"classes: bot-like, own server, misconfigured client, unclassified")
		}
		classes = append(classes, c)
	}
	in, _ := s.currentOrNone(ctx) // the intent is only used for the time zone
	all := s.Lines.Offenders(classes...)
	answer := &op25bv1.ListOffendersResponse{
		Total: uint32(len(all)), Watched: s.Lines.Watched(), Days: uint32(s.Lines.Days()), Controller: s.Name, UtcOffset: offsetOf(in),
	}
	for _, o := range all[:min(limit, len(all))] {
		m := &op25bv1.Offender{
			Id: o.ID.String(), Class: o.Class.String(), Reasons: o.Reasons, Attempts: o.Attempts, Servers: o.Servers, Unsolicited: o.Unsolicited,
			ActiveDays: uint32(o.Days), MonitoredPackets: o.Monitored, StoppedPackets: o.Stopped,
		}
		if !o.Since.IsZero() {
			m.Since = timestamppb.New(o.Since)
		}
		for _, h := range abuse.HoursOf(o.Features.Hours) {
			m.Hours = append(m.Hours, uint32(h))
		}
		answer.Offenders = append(answer.Offenders, m)
	}
	return connect.NewResponse(answer), nil
}

// ResolveLines returns the names of lines. It writes the audit record first, so that no name is returned without a record. The record
// contains the pseudonyms, but no names.
func (s abuseService) ResolveLines(ctx context.Context, req *connect.Request[op25bv1.ResolveLinesRequest]) (*connect.Response[op25bv1.ResolveLinesResponse], error) {
	if err := checkReason(req.Msg.Reason); err != nil {
		return nil, err
	}
	if err := s.served(); err != nil {
		return nil, err
	}
	if n := len(req.Msg.Ids); n == 0 || n > abuse.MaxResolve {
		return nil, fault("ids", fmt.Sprintf("the request has %s", prose.Count(n, "pseudonym")), fmt.Sprintf("must be 1 to %d", abuse.MaxResolve))
	}
	ids := make([]abuse.ID, len(req.Msg.Ids))
	for i, text := range req.Msg.Ids {
		var err error
		if ids[i], err = abuse.ParseID(text); err != nil {
			return nil, err
		}
	}
	id := caller(ctx)
	record, err := s.Store.Audit().Append(ctx, store.AuditRecord{
		Who: id.Who, Role: string(id.Role), Verb: "resolve", Object: prose.Count(len(ids), "line"), Reason: req.Msg.Reason,
		Detail: "pseudonyms on " + s.Name + ": " + strings.Join(req.Msg.Ids, " "),
	})
	if err != nil {
		return nil, err
	}
	found, err := s.Lines.Resolve(ids)
	if err != nil {
		return nil, err
	}
	answer := &op25bv1.ResolveLinesResponse{Record: record.Seq}
	for _, r := range found {
		answer.Lines = append(answer.Lines, &op25bv1.ResolvedLine{Id: r.ID.String(), Switch: r.Switch, Line: r.Line, Group: r.Group})
	}
	return connect.NewResponse(answer), nil
}

// ForgetLines destroys the recorded activity of lines and the key of the pseudonyms.
func (s abuseService) ForgetLines(ctx context.Context, req *connect.Request[op25bv1.ForgetLinesRequest]) (*connect.Response[op25bv1.ForgetLinesResponse], error) {
	if err := checkReason(req.Msg.Reason); err != nil {
		return nil, err
	}
	if err := s.served(); err != nil {
		return nil, err
	}
	id := caller(ctx)
	record, err := s.Store.Audit().Append(ctx, store.AuditRecord{
		Who: id.Who, Role: string(id.Role), Verb: "forget", Object: "the activity of lines on " + s.Name, Reason: req.Msg.Reason,
	})
	if err != nil {
		return nil, err
	}
	n, err := s.Lines.Forget()
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&op25bv1.ForgetLinesResponse{Lines: uint32(n), Record: record.Seq, Controller: s.Name}), nil
}
