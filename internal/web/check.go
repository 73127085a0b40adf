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

	"connectrpc.com/connect"

	"op25b/internal/auth"
	"op25b/internal/view"
	op25bv1 "op25b/proto/op25b/v1"
)

type checkData struct {
	base
	Ticket, Line, From, To, Port, Mail, When string
	NeedsTicket                              bool
	Problem                                  string
	Answer                                   *answerData // nil without a question or if it was refused
}

// answerData is an answer in words for the customer, with the details for an engineer.
type answerData struct {
	About    string // the time for which the question was answered
	Words    words
	Revision uint64
	Seen     seenData
	Text     string // the answer as op25b check prints it
}

// checkPage shows the support desk's form. After a question, it also shows the answer.
func (s *Site) checkPage(v *visit) error {
	v.Title, v.Section = v.T("check"), "check"
	d := checkData{base: v.base, NeedsTicket: v.caller.By != auth.ByLoopback}
	if v.r.Method == http.MethodPost {
		if !v.session.allows(v.r) {
			return connect.NewError(connect.CodePermissionDenied, errOldForm)
		}
		field := func(name string) string { return strings.TrimSpace(v.r.PostFormValue(name)) }
		d.Ticket, d.Line, d.From, d.To, d.Port, d.Mail, d.When = field("ticket"), field("line"), field("from"), field("to"), field("port"), field("mail"), field("at")
		ctx, cancel := context.WithTimeout(v.r.Context(), pageWithin)
		defer cancel()
		var err error
		d.Answer, err = v.answer(ctx, d)
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

// answer sends the question to the pipeline.
func (v *visit) answer(ctx context.Context, d checkData) (*answerData, error) {
	bad := func(format string, args ...any) (*answerData, error) {
		return nil, connect.NewError(connect.CodeInvalidArgument, fmt.Errorf(format, args...))
	}
	from := &op25bv1.CheckFrom{Line: d.Line, LocalAt: d.When, Ticket: d.Ticket}
	if d.From != "" {
		addr, err := netip.ParseAddr(d.From)
		if err != nil {
			return bad("address %q: must be an IPv4 or IPv6 address", d.From)
		}
		from.From = addr.String()
	}
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
	if err != nil || port == 0 {
		return bad("port %q: must be from 1 to 65535", d.Port)
	}
	r, err := v.check.Check(ctx, connect.NewRequest(&op25bv1.CheckRequest{From: from, To: d.To, Port: uint32(port), Trace: true}))
	if err != nil {
		return nil, err
	}
	v.Zone = zone(r.Msg.UtcOffset)
	a := &answerData{About: v.about(d.When), Words: v.connectionWords(r.Msg), Revision: r.Msg.Revision, Seen: v.seen(r.Msg.Seen)}
	a.Seen.Switch = r.Msg.Switch
	err = table.Check(r.Msg)
	a.Text = b.String()
	return a, err
}

// about returns the time for which a question was answered.
func (b base) about(when string) string {
	if when == "" {
		return b.T("answer now", b.At(b.Now))
	}
	return b.T("answer at", when)
}
