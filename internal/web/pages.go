package web

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"connectrpc.com/connect"

	"op25b/internal/view"
	op25bv1 "op25b/proto/op25b/v1"
)

type tableRow struct {
	Name          string
	Entries, Size int64
	Fill          string
}

type switchData struct {
	base
	Status               *op25bv1.SwitchStatus
	Class, Why           string
	Since, Seen, Audited string
	Tables               []tableRow
	Counters             *countersData // nil if the counters are not available
	Counted              *countedData  // nil if the controller does not answer for the switch
}

// countersData has the counters of a switch.
type countersData struct {
	State, Updated string
	Current        bool
	Rules          []counterRow
	Interfaces     []counterRow
}

type counterRow struct {
	Name, Leg, Phase, Packets, Octets, Rate string
}

// switchPage shows one switch.
func (s *Site) switchPage(v *visit) error {
	ctx, cancel := context.WithTimeout(v.r.Context(), pageWithin)
	defer cancel()
	name := v.r.PathValue("switch")
	r, err := v.fleet.ListSwitches(ctx, connect.NewRequest(&op25bv1.ListSwitchesRequest{Switches: []string{name}}))
	if err != nil {
		return err
	}
	if err := v.inZone(ctx); err != nil {
		return err
	}
	st := r.Msg.Switches[0]
	v.Title, v.Section = v.T("switch")+" "+st.Switch, "overview"
	d := switchData{
		base: v.base, Status: st, Class: severityClass[severity(st)], Why: view.Why(v.Lang, st), Since: v.At(st.Since.AsTime()), Seen: v.At(st.Seen.AsTime()),
		Audited: v.At(st.Audited.AsTime()),
	}
	for _, t := range st.Tables {
		d.Tables = append(d.Tables, tableRow{t.Table, int64(t.Entries), int64(t.Size), percent(int(t.Entries), int(t.Size))})
	}
	if d.Counters = v.counters(ctx, st.Switch); d.Counters != nil {
		d.Counted = v.counted(ctx, st.Switch)
	}
	v.render(http.StatusOK, "switch.html", d)
	return nil
}

// counters returns the counters of a switch, or nil if they are not available. The rest of the page is
// useful without them.
func (v *visit) counters(ctx context.Context, name string) *countersData {
	r, err := v.telemetry.ListCounters(ctx, connect.NewRequest(&op25bv1.ListCountersRequest{Switches: []string{name}}))
	if err != nil || len(r.Msg.Switches) == 0 {
		return nil
	}
	c := r.Msg.Switches[0]
	d := &countersData{State: view.Collection(v.Lang, c), Updated: v.At(c.Updated.AsTime()), Current: c.State == op25bv1.CollectionState_COLLECTION_STATE_SYNCED}
	for _, n := range c.Rules {
		d.Rules = append(d.Rules, counterRow{n.Rule, n.Leg, n.Phase, fmt.Sprint(n.Packets), fmt.Sprint(n.Octets), view.Rate(n.PacketsPerSecond)})
	}
	known := func(n *uint64) string {
		if n == nil {
			return "-"
		}
		return fmt.Sprint(*n)
	}
	for _, in := range c.Interfaces {
		d.Interfaces = append(d.Interfaces,
			counterRow{in.Interface, "→ " + v.T("in"), in.OperStatus, known(in.InPackets), known(in.InOctets), view.Rate(in.InPacketsPerSecond)},
			counterRow{in.Interface, "← " + v.T("out"), in.OperStatus, known(in.OutPackets), known(in.OutOctets), view.Rate(in.OutPacketsPerSecond)})
	}
	return d
}

// inZone makes the page show times in the policy's time zone.
func (v *visit) inZone(ctx context.Context) error {
	r, err := v.phase.ListPhases(ctx, connect.NewRequest(&op25bv1.ListPhasesRequest{}))
	if connect.CodeOf(err) == connect.CodeFailedPrecondition { // there is no policy yet
		return nil
	}
	if err == nil {
		v.Zone = zone(r.Msg.UtcOffset)
	}
	return err
}

type phaseData struct {
	Name, Title, From, Where string
	Current                  bool
	Forecast                 []string // sentences; none if the phase is in force or the controller cannot be asked
	Rules                    []ruleData
}

type ruleData struct{ Name, Action, Service, Remote, Groups, Legs string }

type programmeData struct {
	base
	Policy   string
	Revision uint64
	Phases   []phaseData
}

// programme shows the phases and the traffic that their rules stop.
func (s *Site) programme(v *visit) error {
	ctx, cancel := context.WithTimeout(v.r.Context(), pageWithin)
	defer cancel()
	r, err := v.phase.ListPhases(ctx, connect.NewRequest(&op25bv1.ListPhasesRequest{}))
	if err != nil {
		return err
	}
	v.Title, v.Section, v.Zone = v.T("programme"), "programme", zone(r.Msg.UtcOffset)
	d := programmeData{base: v.base, Policy: r.Msg.Policy, Revision: r.Msg.Revision}
	still := ahead(r.Msg.Phases)
	for i, p := range r.Msg.Phases {
		shown, err := v.phase.ShowPhase(ctx, connect.NewRequest(&op25bv1.ShowPhaseRequest{Phase: p.Name}))
		if err != nil {
			return err
		}
		row := phaseData{Name: p.Name, Title: p.Title, From: "-", Where: v.T("not in force"), Current: p.Everywhere || len(p.InForce) > 0}
		if p.Begins != nil {
			row.From = v.At(p.Begins.AsTime())
		}
		switch {
		case p.Everywhere:
			row.Where = v.T("everywhere")
		case len(p.InForce) > 0:
			var where []string
			for _, f := range p.InForce {
				text := f.Switch
				if len(f.Groups) > 0 {
					text += " (" + strings.Join(f.Groups, ", ") + ")"
				}
				where = append(where, text)
			}
			row.Where = strings.Join(where, ", ")
		}
		for _, rule := range shown.Msg.Rules {
			groups := strings.Join(rule.Groups, ", ")
			if groups == "" {
				groups = v.T("all groups")
			}
			service := rule.Service
			if len(rule.Ports) > 0 {
				service = rule.Service + " (" + strings.Trim(strings.ReplaceAll(fmt.Sprint(rule.Ports), " ", ", "), "[]") + ")"
			}
			row.Rules = append(row.Rules, ruleData{rule.Name, rule.Action, service, rule.Remote, groups, strings.Join(rule.Legs, ", ")})
		}
		if still[i] {
			row.Forecast = v.forecast(ctx, p.Name)
		}
		d.Phases = append(d.Phases, row)
	}
	v.render(http.StatusOK, "programme.html", d)
	return nil
}

type historyRow struct {
	Revision, Who, What string
	At                  time.Time
}

type recordRow struct {
	Number         uint64
	At             time.Time
	Who, What, Why string
}

type changesData struct {
	base
	History []historyRow
	Head    string
	Records []recordRow
}

// changes shows the newest revisions and audit records.
func (s *Site) changes(v *visit) error {
	ctx, cancel := context.WithTimeout(v.r.Context(), pageWithin)
	defer cancel()
	h, err := v.intent.History(ctx, connect.NewRequest(&op25bv1.HistoryRequest{}))
	if err != nil {
		return err
	}
	v.Title, v.Section, v.Zone = v.T("changes"), "changes", zone(h.Msg.UtcOffset)
	d := changesData{base: v.base}
	for _, e := range h.Msg.Entries {
		if date := e.GetDate(); date != nil {
			what := v.T("phase") + " " + date.Phase
			if date.Kind == op25bv1.DateEvent_EXEMPTIONS {
				what = fmt.Sprintf("-%d", date.ExemptionsEnded)
			}
			d.History = append(d.History, historyRow{"-", v.T("date"), what, date.Time.AsTime()})
			continue
		}
		rev := e.GetRevision()
		d.History = append(d.History, historyRow{fmt.Sprint(rev.GetNumber()), rev.GetAuthor(), rev.GetReason(), rev.GetTime().AsTime()})
	}
	records, err := v.audit.ListRecords(ctx, connect.NewRequest(&op25bv1.ListRecordsRequest{}))
	if err != nil {
		return err
	}
	if head := records.Msg.Head; head.GetSeq() > 0 {
		d.Head = fmt.Sprintf("%d %s", head.Seq, head.Hash)
	}
	for _, r := range records.Msg.Records {
		d.Records = append(d.Records, recordRow{r.Seq, r.Time.AsTime(), r.Who, strings.TrimSpace(r.Verb + " " + r.Object), r.Reason})
	}
	v.render(http.StatusOK, "changes.html", d)
	return nil
}

type checkData struct {
	base
	Line, From, To, Port, Mail, When string
	Problem, Text                    string
}

// checkPage shows the support desk's form. After a question, it also shows the answer in the words of op25b
// check.
func (s *Site) checkPage(v *visit) error {
	v.Title, v.Section = v.T("check"), "check"
	d := checkData{base: v.base}
	if v.r.Method == http.MethodPost {
		if !v.session.allows(v.r) {
			return connect.NewError(connect.CodePermissionDenied, errOldForm)
		}
		field := func(name string) string { return strings.TrimSpace(v.r.PostFormValue(name)) }
		d.Line, d.From, d.To, d.Port, d.Mail, d.When = field("line"), field("from"), field("to"), field("port"), field("mail"), field("at")
		ctx, cancel := context.WithTimeout(v.r.Context(), pageWithin)
		defer cancel()
		text, err := v.answer(ctx, d)
		d.Text = text
		if e := (*connect.Error)(nil); errors.As(err, &e) && e.Code() != connect.CodeUnavailable {
			d.Problem = e.Message()
		} else if err != nil {
			return err
		}
	}
	v.render(http.StatusOK, "check.html", d)
	return nil
}

var errOldForm = errors.New("the form is too old: load the page again")

// answer sends the question to the pipeline and renders the answer.
func (v *visit) answer(ctx context.Context, d checkData) (string, error) {
	bad := func(format string, args ...any) (string, error) {
		return "", connect.NewError(connect.CodeInvalidArgument, fmt.Errorf(format, args...))
	}
	from := &op25bv1.CheckFrom{Line: d.Line}
	if d.From != "" {
		addr, err := netip.ParseAddr(d.From)
		if err != nil {
			return bad("address %q: must be an IPv4 or IPv6 address", d.From)
		}
		from.From = addr.String()
	}
	from.LocalAt = d.When
	var b bytes.Buffer
	table := view.Table(&b, view.Options{Now: v.site.cfg.Now, Location: v.Zone, Language: v.Lang})
	if d.Mail != "" {
		r, err := v.check.CheckMail(ctx, connect.NewRequest(&op25bv1.CheckMailRequest{From: from, Address: d.Mail, Language: v.Lang}))
		if err != nil {
			return "", err
		}
		err = table.Mail(r.Msg)
		return b.String(), err
	}
	port, err := strconv.ParseUint(d.Port, 10, 16)
	if err != nil || port == 0 {
		return bad("port %q: must be from 1 to 65535", d.Port)
	}
	r, err := v.check.Check(ctx, connect.NewRequest(&op25bv1.CheckRequest{From: from, To: d.To, Port: uint32(port), Trace: true}))
	if err != nil {
		return "", err
	}
	err = table.Check(r.Msg)
	return b.String(), err
}
