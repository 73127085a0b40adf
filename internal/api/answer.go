package api

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"op25b/internal/check"
	"op25b/internal/check/desk"
	"op25b/internal/check/mailbox"
	"op25b/internal/lang"
	"op25b/internal/policy"
	"op25b/internal/view"
	op25bv1 "op25b/proto/op25b/v1"
)

// Questions answers questions about connections and mailboxes. It is implemented by *desk.Desk.
type Questions interface {
	Connection(ctx context.Context, s desk.Source, q check.Question) (*check.Answer, error)
	Mailbox(ctx context.Context, s desk.Source, q mailbox.Question) (*mailbox.Answer, error)
	// Subject returns the names of the line and the switch that a question is about. line is empty for an unnamed line.
	Subject(s desk.Source, q check.Question) (line, sw string, err error)
}

var _ Questions = (*desk.Desk)(nil)

// AnswerCheck answers a CheckService.Check request from the documents of a source. Its errors have connect codes.
// AnswerCheck does not set CheckResponse.text, because the caller may add notes first; see textOf.
func AnswerCheck(ctx context.Context, d Questions, s desk.Source, q *op25bv1.CheckRequest) (*op25bv1.CheckResponse, error) {
	if q.Port == 0 || q.Port > 65535 {
		return nil, asConnectError(fmt.Errorf("%w: port %d: TCP ports are 1 to 65535, as in 25, 465 or 587", check.ErrQuestion, q.Port))
	}
	ask, err := question(q.From, s.Bundle.Policy)
	if err != nil {
		return nil, asConnectError(err)
	}
	ask.To, ask.Port, ask.Trace = q.To, uint16(q.Port), q.Trace
	a, err := d.Connection(ctx, s, ask)
	if err != nil {
		return nil, asConnectError(err)
	}
	m := answerMessage(a)
	if m.Advice, err = adviceFor(ctx, d, s, ask, a); err != nil {
		return nil, asConnectError(err)
	}
	m.Revision, m.UtcOffset = s.Revision, s.Bundle.Policy.UTCOffset.String()
	return m, nil
}

// AnswerCheckMail answers a CheckService.CheckMail request from the documents of a source. Its errors have connect codes.
func AnswerCheckMail(ctx context.Context, d Questions, s desk.Source, q *op25bv1.CheckMailRequest) (*op25bv1.CheckMailResponse, error) {
	m, err := answerMail(ctx, d, s, q)
	if err != nil {
		return nil, err
	}
	return m, setMailText(m, q)
}

// answerMail is AnswerCheckMail without CheckMailResponse.text, because the caller adds to the answer first; see setMailText.
func answerMail(ctx context.Context, d Questions, s desk.Source, q *op25bv1.CheckMailRequest) (*op25bv1.CheckMailResponse, error) {
	ask, err := question(q.From, s.Bundle.Policy)
	if err != nil {
		return nil, asConnectError(err)
	}
	a, err := d.Mailbox(ctx, s, mailbox.Question{Address: q.Address, Line: ask.Line, From: ask.From, Switch: ask.Switch, At: ask.At, Phase: ask.Phase})
	if err != nil {
		return nil, asConnectError(err)
	}
	m := mailMessage(a)
	m.Revision, m.UtcOffset = s.Revision, s.Bundle.Policy.UTCOffset.String()
	m.Steps = view.MailSteps(m)
	return m, nil
}

// setMailText sets the text of an answer in the language of the question.
func setMailText(m *op25bv1.CheckMailResponse, q *op25bv1.CheckMailRequest) error {
	l, known := lang.Find(q.Language)
	if !known {
		l = lang.English
	}
	var err error
	m.Text, err = textOf(string(l), func(v view.View) error { return v.Mail(m) })
	return asConnectError(err)
}

// textOf returns the text of an answer as the command line prints it. If the answer has no UTC offset, times are in UTC.
func textOf(language string, show func(view.View) error) (string, error) {
	var b strings.Builder
	err := show(view.Table(&b, view.Options{Now: time.Now, Location: time.UTC, Language: language}))
	return b.String(), err
}

// question converts the fields that are common to both requests: the line or address, the switch, the phase and the time.
func question(f *op25bv1.CheckFrom, p *policy.Policy) (check.Question, error) {
	q := check.Question{Line: f.GetLine(), Switch: f.GetSwitch(), Phase: f.GetPhase()}
	if text := strings.TrimSpace(f.GetFrom()); text != "" {
		addr, err := netip.ParseAddr(text)
		if err != nil {
			return q, fmt.Errorf("%w: from %q: must be an IPv4 or IPv6 address, such as 192.0.2.11", check.ErrQuestion, text)
		}
		q.From = addr
	}
	switch at := f.GetAt(); {
	case at != nil && f.GetLocalAt() != "":
		return q, fmt.Errorf("%w: at and local_at: give only one of them", check.ErrQuestion)
	case at != nil:
		if err := at.CheckValid(); err != nil {
			return q, fmt.Errorf("%w: at: %w", check.ErrQuestion, err)
		}
		q.At = at.AsTime()
	case f.GetLocalAt() != "":
		var err error
		if q.At, err = localTime(f.LocalAt, p.UTCOffset); err != nil {
			return q, err
		}
	}
	return q, nil
}

// localTime parses a date or a time in the UTC offset of a policy.
func localTime(text string, offset policy.Offset) (time.Time, error) {
	for _, form := range []string{time.DateOnly, "2006-01-02 15:04", time.DateTime} {
		if at, err := time.ParseInLocation(form, text, offset.Location()); err == nil {
			return at, nil
		}
	}
	return time.Time{}, fmt.Errorf("%w: local_at %q: must be a day or a time, such as 2006-07-01 or 2006-07-01 12:00", check.ErrQuestion, text)
}

// answerMessage converts an answer about a connection to a message.
func answerMessage(a *check.Answer) *op25bv1.CheckResponse {
	m := &op25bv1.CheckResponse{
		Outcome: string(a.Outcome), Best: string(a.Best), Passes: a.Outcome.Passes(), Line: a.Line, LineGroup: namedMessage(a.Group), Switch: a.Switch,
		To: a.To, Port: uint32(a.Port), At: stamp(a.At), Phase: sinceMessage(a.Phase), Notes: a.Notes,
	}
	for i := range a.Results {
		m.Results = append(m.Results, resultMessage(&a.Results[i]))
	}
	return m
}

func resultMessage(r *check.Result) *op25bv1.CheckResult {
	m := &op25bv1.CheckResult{
		From: r.From.String(), To: r.To.String(), Outcome: string(r.Outcome), Leg: string(r.Leg), Service: r.Service, Remote: namedMessage(r.Remote),
		Since: sinceMessage(r.Since), Next: nextMessage(r.Next),
	}
	if rule := r.Rule; rule != nil {
		m.Rule = &op25bv1.CheckRule{Id: uint32(rule.ID), Name: rule.Name, Action: string(rule.Action), Text: rule.Text}
	}
	if e := r.Exemption; e != nil {
		m.Exemption = &op25bv1.CheckExemption{Line: e.Line, Expires: stamp(e.Expires), Owner: e.Owner, Reason: e.Reason, Ticket: e.Ticket}
		if e.Prefix.IsValid() {
			m.Exemption.Prefix = e.Prefix.String()
		}
	}
	if t := r.Trace; t != nil {
		m.Trace = &op25bv1.CheckTrace{Frame: t.Frame, ReplyFrame: t.ReplyFrame, Text: t.String()}
	}
	return m
}

// mailMessage converts an answer about a mailbox to a message without the steps for the user.
func mailMessage(a *mailbox.Answer) *op25bv1.CheckMailResponse {
	m := &op25bv1.CheckMailResponse{
		Domain: a.Domain, Kind: a.Kind, Under: a.Under, Status: string(a.Status), MailProgram: string(a.MailProgram),
		Next: nextMessage(a.Next), Published: a.Published, Looked: a.Looked, Help: a.Help,
	}
	if p := a.Provider; p.Name != "" {
		m.Provider = &op25bv1.MailProvider{Name: p.Name, Title: textMessage(p.Title)}
	}
	for _, s := range a.Settings {
		x := &op25bv1.MailSetting{
			Host: s.Host, HostFrom: s.HostFrom, Port: uint32(s.Port), Encryption: s.Encryption(), Authentication: s.Auth, Note: textMessage(s.Note), Status: string(s.Status),
		}
		if l := s.AfterLogin; l.Lasts > 0 {
			x.AfterLogin = &op25bv1.AfterLogin{Lasts: durationpb.New(time.Duration(l.Lasts)), Tls: l.TLS}
		}
		m.Settings = append(m.Settings, x)
	}
	return m
}

// textMessage converts a text in both languages. It returns nil if the text is absent.
func textMessage(t lang.Text) *op25bv1.Text {
	if t.IsZero() {
		return nil
	}
	return &op25bv1.Text{En: t.EN, Ja: t.JA}
}

func namedMessage(n check.Named) *op25bv1.Named {
	if n == (check.Named{}) {
		return nil
	}
	return &op25bv1.Named{Name: n.Name, Title: n.Title}
}

func sinceMessage(p check.Phase) *op25bv1.PhaseSince {
	return &op25bv1.PhaseSince{Name: p.Name, Title: p.Title, Since: stamp(p.Since)}
}

func nextMessage(c *check.LaterOutcome) *op25bv1.CheckNext {
	if c == nil {
		return nil
	}
	return &op25bv1.CheckNext{Phase: sinceMessage(c.Phase), Outcome: string(c.Outcome), Rule: c.Rule}
}
