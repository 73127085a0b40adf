package mailbox

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"

	"op25b/internal/check"
	"op25b/internal/policy"
)

// An Asker answers questions about connections. *check.Checker implements it.
type Asker interface {
	Ask(ctx context.Context, q check.Question) (*check.Answer, error)
}

var _ Asker = (*check.Checker)(nil)

// An MXResolver finds the mail exchangers of a domain. *net.Resolver implements it.
type MXResolver interface {
	LookupMX(ctx context.Context, domain string) ([]*net.MX, error)
}

// A Checker answers questions about mailboxes. It is safe for concurrent use if its fields do not change.
type Checker struct {
	Directory *Directory
	// Connections determines whether the servers can be reached.
	Connections Asker
	// Policy lists the ISP's own relays. If Policy is nil, the ISP's own mailboxes need a host in the directory.
	Policy *policy.Policy
	// MX finds mail exchangers. If MX is nil, domains that the directory does not list stay unknown.
	MX MXResolver
}

// A Question is about a mailbox that is used from a line. The line is given as in check.Question.
type Question struct {
	Address string
	Line    string
	From    netip.Addr
	Switch  string
	At      time.Time
	Phase   string
}

// An Effect is the effect of closing port 25.
type Effect string

// The effects.
const (
	Unaffected   Effect = "unaffected"
	Affected     Effect = "affected"
	Undetermined Effect = "undetermined" // the address of a server was not found, or the directory has no server
)

// The kinds of answer: the kinds of provider, and unknown.
const (
	AnswerOwn      = "own"
	AnswerWebmail  = "webmail-or-app"
	AnswerProvider = "provider"
	AnswerUnknown  = "unknown"
)

// An Answer is the effect on a mailbox and the settings to use. An Answer has the domain of the address, but not the address.
type Answer struct {
	Domain   string      `json:"domain"`
	Kind     string      `json:"kind"`
	Provider check.Named `json:"provider,omitzero"`
	// Under is the name in the directory that matched Domain or its mail exchanger, if that name is not Domain itself.
	Under string `json:"under,omitempty"`
	// Status is the effect on the usual way to use the mailbox: browser or app for webmail, and a mail program otherwise. Status is never
	// Unaffected if a setting below does not pass.
	Status Effect `json:"status"`
	// MailProgram is the effect on a mail program that sends on port 25.
	MailProgram Effect `json:"mailProgram"`
	// Settings are for mail programs, the best first.
	Settings []Setting `json:"settings,omitempty"`
	// Next is the change that will stop port 25, if it passes now.
	Next *check.LaterOutcome `json:"next,omitempty"`
	// Published is the provider's page with its settings. Looked is the day on which the directory was compared with that page; empty if
	// never.
	Published string `json:"published,omitempty"`
	Looked    string `json:"looked,omitempty"`
}

// A Setting is a server for outgoing mail, with SMTP authentication (RFC 4954).
type Setting struct {
	Host       string `json:"host,omitempty"` // empty if the directory has no host
	Port       uint16 `json:"port"`
	Encryption string `json:"encryption"` // SSL/TLS or STARTTLS
	Auth       string `json:"authentication"`
	Note       string `json:"note,omitempty"`
	Status     Effect `json:"status"` // Unaffected if a connection with this setting passes
}

// maxMX is the most mail exchangers of a domain that are checked.
const maxMX = 3

const webPort = 443

// Ask answers a question. It returns ErrAddress for an invalid mail address, and the errors of check.Checker.Ask except ErrResolve and
// ErrFamily. For a server with one of these two errors, the effect is Undetermined.
func (c *Checker) Ask(ctx context.Context, q Question) (*Answer, error) {
	domain, err := domainOf(q.Address)
	if err != nil {
		return nil, err
	}
	a := &Answer{Domain: shown(domain), Kind: AnswerUnknown}
	p, under := find(c.Directory.byDomain, domain)
	mx := c.mx(ctx, domain)
	for _, host := range mx {
		if p == nil {
			p, under = find(c.Directory.byMX, host)
		}
	}
	hosts := mx
	if p != nil {
		a.Kind = map[string]string{KindOwn: AnswerOwn, KindWebmail: AnswerWebmail, KindProvider: AnswerProvider}[p.Kind]
		a.Provider = check.Named{Name: p.Name, Title: p.Title}
		a.Published = p.Published
		if under != domain {
			a.Under = shown(under)
		}
		if !p.Looked.IsZero() {
			a.Looked = p.Looked.String()
		}
		switch {
		case p.Submission.Host != "":
			hosts = []string{p.Submission.Host}
		case p.Kind == KindOwn:
			hosts = c.relays()
		}
	}
	s := &asking{ctx: ctx, checker: c, q: q}
	a.MailProgram = s.all(hosts, uint16(policy.PortSMTP))
	a.Next = s.next
	a.Settings = s.settings(p, hosts)
	a.Status = a.MailProgram
	if a.Kind == AnswerWebmail {
		a.Status, a.Next = s.all(hosts, webPort), nil
	}
	for _, setting := range a.Settings {
		a.Status = worse(a.Status, setting.Status)
	}
	if s.err != nil {
		return nil, s.err
	}
	return a, nil
}

// worse returns the worse of two effects: Affected is the worst, followed by Undetermined and Unaffected.
func worse(a, b Effect) Effect {
	for _, s := range []Effect{Affected, Undetermined} {
		if a == s || b == s {
			return s
		}
	}
	return Unaffected
}

func (c *Checker) mx(ctx context.Context, domain string) []string {
	if c.MX == nil {
		return nil
	}
	found, err := c.MX.LookupMX(ctx, domain)
	if err != nil {
		return nil // the domain stays unknown
	}
	var hosts []string
	for _, mx := range found {
		if host, fault := domainName(mx.Host); fault == "" && len(hosts) < maxMX {
			hosts = append(hosts, host)
		}
	}
	return hosts
}

// relays returns one address of each prefix of the ISP's own relays.
func (c *Checker) relays() []string {
	if c.Policy == nil {
		return nil
	}
	var out []string
	for _, r := range c.Policy.Remotes {
		for _, p := range r.Prefixes {
			if !r.Relay {
				continue
			}
			addr := p.Addr()
			if next := addr.Next(); !p.IsSingleIP() && p.Contains(next) {
				addr = next
			}
			out = append(out, addr.String())
		}
	}
	return out
}

// An asking holds the state while one question is answered.
type asking struct {
	ctx     context.Context
	checker *Checker
	q       Question
	next    *check.LaterOutcome // the first change that will stop a passing connection
	err     error               // the first error of the Asker
}

// all checks one port on several hosts. If one host is stopped, the result is Affected. Hosts that are not found matter only if no other
// host passes.
func (s *asking) all(hosts []string, port uint16) Effect {
	passed := false
	for _, host := range hosts {
		switch s.one(host, port) {
		case Affected:
			return Affected
		case Unaffected:
			passed = true
		}
	}
	if passed {
		return Unaffected
	}
	return Undetermined
}

func (s *asking) one(host string, port uint16) Effect {
	q := check.Question{Line: s.q.Line, From: s.q.From, Switch: s.q.Switch, At: s.q.At, Phase: s.q.Phase, To: host, Port: port}
	answer, err := s.checker.Connections.Ask(s.ctx, q)
	switch {
	case errors.Is(err, check.ErrResolve) || errors.Is(err, check.ErrFamily):
		return Undetermined
	case err != nil:
		if s.err == nil {
			s.err = err
		}
		return Undetermined
	case !answer.Outcome.Passes():
		return Affected
	}
	for i := range answer.Results {
		if n := answer.Results[i].Next; n != nil && !n.Outcome.Passes() && (s.next == nil || n.Since.Before(s.next.Since)) {
			s.next = n
		}
	}
	return Unaffected
}

// settings returns the settings of the directory, or the two ports that every provider should have (RFC 8314 section 3.3, RFC 6409).
func (s *asking) settings(p *Provider, hosts []string) []Setting {
	ports, host, note := []SubmissionPort{{policy.PortSubmissions, TLSImplicit}, {policy.PortSubmission, TLSStart}}, "", ""
	if p != nil && p.Submission.Host != "" {
		ports, host, note = p.Submission.Ports, p.Submission.Host, p.Submission.Note
	}
	out := make([]Setting, 0, len(ports))
	for _, port := range ports {
		encryption := "SSL/TLS"
		if port.TLS == TLSStart {
			encryption = "STARTTLS"
		}
		out = append(out, Setting{host, uint16(port.Port), encryption, "SMTP AUTH", note, s.all(hosts, uint16(port.Port))})
	}
	return out
}
