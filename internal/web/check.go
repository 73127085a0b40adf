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

	"op25b/internal/auth"
	"op25b/internal/view"
	op25bv1 "op25b/proto/op25b/v1"
)

type checkData struct {
	base
	Ticket, Line, From, Switch, To, Port, Mail, When string
	NeedsTicket                                      bool
	Switches                                         []string // the switches to choose from; empty if there is no choice
	Problem                                          string
	Foreign                                          bool        // Problem is in English, because the API refused the question
	Answer                                           *answerData // nil without a question or if it was refused
}

// answerData is an answer in words for the customer, with the details for an engineer.
type answerData struct {
	About    string // the time for which the question was answered
	Words    words
	Revision uint64
	Seen     seenData
	Text     string // the answer as op25b check prints it
	English  bool   // Text has no sentence in another language
}

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
	d := checkData{NeedsTicket: v.caller.By != auth.ByLoopback, Switches: v.switchChoice(ctx), Port: "25"}
	if asked {
		field := func(name string) string { return strings.TrimSpace(v.r.PostFormValue(name)) }
		d.Ticket, d.Line, d.From, d.Switch = field("ticket"), field("line"), field("from"), field("switch")
		d.To, d.Port, d.Mail, d.When = field("to"), field("port"), field("mail"), field("at")
		if d.Problem = v.faultOf(d); d.Problem == "" {
			var err error
			d.Answer, err = v.answer(ctx, d)
			if e := (*connect.Error)(nil); errors.As(err, &e) && e.Code() != connect.CodeUnavailable {
				d.Problem, d.Foreign = e.Message(), true
			} else if err != nil {
				return err
			}
		}
	}
	d.base = v.base
	v.render(http.StatusOK, "check.html", d)
	return nil
}

// switchChoice returns the names of the switches, or nil if there is only one or if they cannot be listed. A question about a line needs none.
func (v *visit) switchChoice(ctx context.Context) []string {
	r, err := v.fleet.ListSwitches(ctx, connect.NewRequest(&op25bv1.ListSwitchesRequest{}))
	if err != nil || len(r.Msg.Switches) < 2 {
		return nil
	}
	names := make([]string, len(r.Msg.Switches))
	for i, s := range r.Msg.Switches {
		names[i] = s.Switch
	}
	slices.Sort(names)
	return names
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
	case d.Mail != "":
		return ""
	case d.To == "":
		return b.T("where is missing")
	case d.Port == "":
		return b.T("port is missing")
	case badPort != nil || port == 0:
		return b.T("port is wrong", d.Port)
	}
	return ""
}

var errOldForm = errors.New("the form is too old: load the page again")

// answer sends a question without faults to the pipeline.
func (v *visit) answer(ctx context.Context, d checkData) (*answerData, error) {
	from := &op25bv1.CheckFrom{Line: d.Line, From: d.From, Switch: d.Switch, LocalAt: d.When, Ticket: d.Ticket}
	var b bytes.Buffer
	table := view.Table(&b, view.Options{Now: v.site.cfg.Now, Location: v.Zone, Language: v.Lang})
	if d.Mail != "" {
		r, err := v.check.CheckMail(ctx, connect.NewRequest(&op25bv1.CheckMailRequest{From: from, Address: d.Mail, Language: v.Lang}))
		if err != nil {
			return nil, err
		}
		v.Zone = zone(r.Msg.UtcOffset)
		a := &answerData{About: v.about(d.When), Words: v.mailWords(r.Msg), Revision: r.Msg.Revision, Seen: v.seen(r.Msg.Seen)}
		err = table.Mail(r.Msg)
		a.Text = b.String()
		return a, err
	}
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
	err = table.Check(r.Msg)
	a.Text, a.English = b.String(), true
	return a, err
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
