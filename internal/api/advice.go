package api

import (
	"context"
	"errors"

	"op25b/internal/check"
	"op25b/internal/check/desk"
	"op25b/internal/check/mailbox"
	"op25b/internal/policy"
	op25bv1 "op25b/proto/op25b/v1"
)

const (
	maxOwnServers  = 4 // the classes of own servers in an advice
	maxOwnPrefixes = 8 // the prefixes of each
)

// adviceFor returns what helps a line whose port 25 is stopped, or will be. It is nil if an answer is about something else. q is the question.
func adviceFor(ctx context.Context, d Questions, s desk.Source, q check.Question, a *check.Answer) (*op25bv1.CheckAdvice, error) {
	worst := a.Worst()
	if a.Port != uint16(policy.PortSMTP) || worst == nil {
		return nil, nil
	}
	q.At, q.Trace = a.At, false
	if a.Outcome.Passes() {
		if worst.Next == nil || worst.Next.Outcome.Passes() {
			return nil, nil
		}
		q.At = worst.Next.Since
	}
	advice := &op25bv1.CheckAdvice{Exemption: exemptionOf(s.Bundle, a)}
	classes := map[string]*op25bv1.OwnServers{}
	for _, r := range mailbox.Representatives(s.Bundle.Policy) {
		if r.Class == nil || !r.Class.Ours() || classes[r.Class.Name] != nil || len(classes) == maxOwnServers {
			continue
		}
		own, err := ownServers(ctx, d, s, q, r)
		if err != nil {
			return nil, err
		}
		if own != nil {
			classes[r.Class.Name] = own
			advice.OwnServers = append(advice.OwnServers, own)
		}
	}
	return advice, nil
}

// ownServers returns a class of own servers with the ports that a line reaches. It is nil if the line reaches none.
func ownServers(ctx context.Context, d Questions, s desk.Source, q check.Question, r mailbox.Representative) (*op25bv1.OwnServers, error) {
	own := &op25bv1.OwnServers{Name: r.Class.Name, Title: r.Class.Title}
	for _, p := range r.Class.Prefixes[:min(len(r.Class.Prefixes), maxOwnPrefixes)] {
		own.Prefixes = append(own.Prefixes, p.String())
	}
	q.To = r.Addr.String()
	for _, port := range []policy.TCPPort{policy.PortSMTP, policy.PortSubmissions, policy.PortSubmission} {
		q.Port = uint16(port)
		a, err := d.Connection(ctx, s, q)
		switch {
		case errors.Is(err, check.ErrFamily):
			return nil, nil
		case err != nil:
			return nil, err
		case a.Outcome.Passes():
			own.Ports = append(own.Ports, uint32(port))
		}
	}
	if len(own.Ports) == 0 {
		return nil, nil
	}
	return own, nil
}

// exemptionOf reports whether the line of an answer can have an exemption; see CheckAdvice.exemption.
func exemptionOf(b *policy.Bundle, a *check.Answer) string {
	sw, known := b.Inventory.Switch(a.Switch)
	if !known || a.Line == "" {
		return ""
	}
	for i := range sw.Lines {
		if l := &sw.Lines[i]; l.Name == a.Line {
			return string(l.Exemptible(sw, b.Policy.LineGroup(l.Group)))
		}
	}
	return ""
}
