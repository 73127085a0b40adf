package web

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"

	"op25b/internal/auth"
	"op25b/internal/view"
	op25bv1 "op25b/proto/op25b/v1"
)

type checkData struct {
	base
	Ticket, Line, From, Switch, To, Port, Mail, When string
	NeedsTicket                                      bool
	Switches                                         []string      // the switches to choose from; empty if there is no choice
	Problems                                         []said        // why a question has no answer
	Answers                                          []*answerData // about the server and the mailbox, as far as they were asked about and answered
}

// answerData is an answer in words for the customer, with the details for an engineer.
type answerData struct {
	Title    string
	About    string // the time for which the question was answered
	Words    words
	Revision uint64
	Seen     seenData
	Phase    string // the phase in force, with its planned date and since when it is in force; empty if it is not known
	Text     string // the answer as op25b check prints it
	English  bool   // Text has no sentence in another language
	Traces   []traceData
}

// portSMTP is the port with which the form begins. With a mail address alone it means nothing.
const portSMTP = "25"

// checkPage shows the support desk's form. After a question, it also shows the answer.
func (s *Site) checkPage(v *visit) error {
	v.Title, v.Section = v.T("check"), "check"
	ctx, cancel := context.WithTimeout(v.r.Context(), pageWithin)
	defer cancel()
	asked := v.r.Method == http.MethodPost
	if asked && !v.session.allows(v.r) {
		return connect.NewError(connect.CodePermissionDenied, errOldForm)
	}
	if err := v.inZone(ctx); err != nil {
		return err
	}
	d := checkData{NeedsTicket: v.caller.By != auth.ByLoopback, Switches: v.switchesToAsk(ctx), Port: portSMTP}
	if asked {
		field := func(name string) string { return strings.TrimSpace(v.r.PostFormValue(name)) }
		d.Ticket, d.Line, d.From, d.Switch = field("ticket"), field("line"), field("from"), field("switch")
		d.To, d.Port, d.Mail, d.When = field("to"), field("port"), field("mail"), field("at")
		if fault := v.faultOf(d); fault != "" {
			d.Problems = []said{v.said(fault, "")}
		} else if err := v.answers(ctx, &d); err != nil {
			return err
		}
	}
	d.base = v.base
	v.render(http.StatusOK, "check.html", d)
	return nil
}

// switchesToAsk returns the switches to choose from, or nil if there is no choice or if they cannot be listed. A question about a line needs none.
func (v *visit) switchesToAsk(ctx context.Context) []string {
	r, err := v.fleet.ListSwitches(ctx, connect.NewRequest(&op25bv1.ListSwitchesRequest{}))
	if err != nil {
		return nil
	}
	return switchChoice(r.Msg)
}

// faultOf returns what is missing or wrong in a question, in one sentence in the page's language. It is empty if the API can be asked.
func (b base) faultOf(d checkData) string {
	_, badAddr := netip.ParseAddr(d.From)
	port, badPort := strconv.ParseUint(d.Port, 10, 16)
	switch {
	case d.Line == "" && d.From == "":
		return b.T("who is missing")
	case d.From != "" && badAddr != nil:
		return b.T("address is wrong", d.From)
	case d.To == "" && d.Mail == "":
		return b.T("where is missing")
	case d.To == "" && d.Port != "" && d.Port != portSMTP:
		return b.T("server is missing", d.Port)
	case d.To == "":
		return ""
	case d.Port == "":
		return b.T("port is missing")
	case badPort != nil || port == 0:
		return b.T("port is wrong", d.Port)
	}
	return ""
}

var errOldForm = errors.New("the form is too old: load the page again")

// answers adds the answers about the server and the mailbox, as far as the question has them, or the reasons why they have none.
func (v *visit) answers(ctx context.Context, d *checkData) error {
	both := d.To != "" && d.Mail != ""
	for _, ask := range []struct {
		about  string
		title  string
		answer func(context.Context, checkData) (*answerData, error)
	}{{d.To, v.T("answer server"), v.serverAnswer}, {d.Mail, v.T("answer mailbox"), v.mailAnswer}} {
		if ask.about == "" {
			continue
		}
		a, err := ask.answer(ctx, *d)
		switch e := (*connect.Error)(nil); {
		case err == nil:
			if a.Title = v.T("answer"); both {
				a.Title = ask.title
			}
			d.Answers = append(d.Answers, a)
		case errors.As(err, &e) && e.Code() != connect.CodeUnavailable:
			p := v.refusal(e, d.To)
			if !slices.ContainsFunc(d.Problems, func(known said) bool { return known.Said == p.Said }) {
				d.Problems = append(d.Problems, p)
			}
		default:
			return err
		}
	}
	return nil
}

// refusal returns the reason why the API did not answer a question about a server.
func (b base) refusal(e *connect.Error, to string) said {
	for _, detail := range e.Details() {
		value, err := detail.Value()
		if info, ok := value.(*errdetails.ErrorInfo); err == nil && ok && info.Reason == "DNS" {
			return b.said(b.T("no dns", to), "")
		}
	}
	return b.foreign(e.Message())
}

// asked returns who asks about which line, and a view for the text of the answer.
func (v *visit) asked(d checkData, text *bytes.Buffer) (*op25bv1.CheckFrom, view.View) {
	table := view.Table(text, view.Options{Now: v.site.cfg.Now, Location: v.Zone, Language: v.Lang})
	return &op25bv1.CheckFrom{Line: d.Line, From: d.From, Switch: d.Switch, LocalAt: d.When, Ticket: d.Ticket}, table
}

// mailAnswer sends a question about a mailbox to the pipeline.
func (v *visit) mailAnswer(ctx context.Context, d checkData) (*answerData, error) {
	var text bytes.Buffer
	from, table := v.asked(d, &text)
	r, err := v.check.CheckMail(ctx, connect.NewRequest(&op25bv1.CheckMailRequest{From: from, Address: d.Mail, Language: v.Lang}))
	if err != nil {
		return nil, err
	}
	v.Zone = zone(r.Msg.UtcOffset)
	a := &answerData{About: v.about(d.When), Words: v.mailWords(r.Msg), Revision: r.Msg.Revision, Seen: v.seen(r.Msg.Seen)}
	err = table.Mail(r.Msg)
	a.Text = text.String()
	return a, err
}

// serverAnswer sends a question about a server without faults to the pipeline.
func (v *visit) serverAnswer(ctx context.Context, d checkData) (*answerData, error) {
	var text bytes.Buffer
	from, table := v.asked(d, &text)
	port, err := strconv.ParseUint(d.Port, 10, 16)
	if err != nil {
		return nil, err
	}
	r, err := v.check.Check(ctx, connect.NewRequest(&op25bv1.CheckRequest{From: from, To: d.To, Port: uint32(port), Trace: true}))
	if err != nil {
		return nil, err
	}
	v.Zone = zone(r.Msg.UtcOffset)
	a := &answerData{About: v.about(d.When), Words: v.connectionWords(r.Msg, v.storedAt(ctx, r.Msg.Revision)), Revision: r.Msg.Revision, Seen: v.seen(r.Msg.Seen)}
	a.Seen.Switch = r.Msg.Switch
	a.Phase = v.phaseAsked(ctx, r.Msg.Phase)
	a.Traces = foldTraces(r.Msg)
	err = table.Check(r.Msg)
	a.Text, a.English = text.String(), true
	return a, err
}

// phaseAsked names the phase in force of an answer, with its planned date and the time since which it is in force. An activation makes them differ.
func (v *visit) phaseAsked(ctx context.Context, in *op25bv1.PhaseSince) string {
	if in.GetName() == "" {
		return ""
	}
	phases, err := v.phases(ctx)
	planned := "-"
	for _, p := range phases {
		if p.Name == in.Name && p.Begins != nil {
			planned = v.At(p.Begins.AsTime())
		}
	}
	if err != nil || in.Since == nil {
		return in.Name
	}
	return v.T("phase asked", in.Name, planned, v.At(in.Since.AsTime()))
}

// storedAt returns the time at which a revision was stored, or the zero value if it is not known.
func (v *visit) storedAt(ctx context.Context, revision uint64) time.Time {
	r, err := v.intent.Show(ctx, connect.NewRequest(&op25bv1.ShowRequest{Revision: revision, OmitFiles: true}))
	if err != nil || r.Msg.GetRevision().GetTime() == nil {
		return time.Time{}
	}
	return r.Msg.Revision.Time.AsTime()
}

// about returns the time for which a question was answered.
func (b base) about(when string) string {
	if when == "" {
		return b.T("answer now", b.At(b.Now))
	}
	return b.T("answer at", when)
}
