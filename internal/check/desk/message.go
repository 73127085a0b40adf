package desk

import (
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"op25b/internal/check"
	"op25b/internal/check/mailbox"
	op25bv1 "op25b/proto/op25b/v1"
)

// answerMessage is an answer about a connection as the API says it.
func answerMessage(a *check.Answer) (*op25bv1.CheckResponse, error) {
	m := &op25bv1.CheckResponse{
		Outcome: string(a.Outcome), Best: string(a.Best), Passes: a.Outcome.Passes(), Line: a.Line, LineGroup: named(a.Group), Switch: a.Switch,
		To: a.To, Port: uint32(a.Port), At: stamp(a.At), Phase: since(a.Phase), Notes: a.Notes,
	}
	for i := range a.Results {
		r, err := resultMessage(&a.Results[i])
		if err != nil {
			return nil, err
		}
		m.Results = append(m.Results, r)
	}
	var text strings.Builder
	if err := a.WriteText(&text); err != nil {
		return nil, err
	}
	m.Text = text.String()
	return m, nil
}

func resultMessage(r *check.Result) (*op25bv1.CheckResult, error) {
	m := &op25bv1.CheckResult{
		From: r.From.String(), To: r.To.String(), Outcome: string(r.Outcome), Leg: string(r.Leg), Service: r.Service, Remote: named(r.Remote),
		Since: since(r.Since), Next: change(r.Next),
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
		var text strings.Builder
		if err := t.WriteText(&text); err != nil {
			return nil, err
		}
		m.Trace = &op25bv1.CheckTrace{Frame: t.Frame, ReplyFrame: t.ReplyFrame, Text: text.String()}
	}
	return m, nil
}

// mailMessage is an answer about a mailbox as the API says it.
func mailMessage(a *mailbox.Answer, language string) (*op25bv1.CheckMailResponse, error) {
	m := &op25bv1.CheckMailResponse{
		Domain: a.Domain, Kind: a.Kind, Provider: named(a.Provider), Under: a.Under, Status: string(a.Status), MailProgram: string(a.MailProgram),
		Next: change(a.Next), Published: a.Published, Looked: a.Looked,
	}
	for _, s := range a.Settings {
		m.Settings = append(m.Settings, &op25bv1.MailSetting{
			Host: s.Host, Port: uint32(s.Port), Encryption: s.Encryption, Authentication: s.Auth, Note: s.Note, Status: string(s.Status),
		})
	}
	for _, s := range a.Steps {
		m.Steps = append(m.Steps, &op25bv1.MailStep{En: s.En, Ja: s.Ja})
	}
	if language != "ja" {
		language = "en"
	}
	var text strings.Builder
	if err := a.WriteText(&text, language); err != nil {
		return nil, err
	}
	m.Text = text.String()
	return m, nil
}

func named(n check.Named) *op25bv1.Named {
	if n == (check.Named{}) {
		return nil
	}
	return &op25bv1.Named{Name: n.Name, Title: n.Title}
}

func since(p check.Phase) *op25bv1.PhaseSince {
	return &op25bv1.PhaseSince{Name: p.Name, Title: p.Title, Since: stamp(p.Since)}
}

func change(c *check.Change) *op25bv1.CheckNext {
	if c == nil {
		return nil
	}
	return &op25bv1.CheckNext{Phase: since(c.Phase), Outcome: string(c.Outcome), Rule: c.Rule}
}

// stamp is a moment, absent if it is none.
func stamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}
