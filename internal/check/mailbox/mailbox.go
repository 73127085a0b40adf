package mailbox

import (
	"cmp"
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

// A Checker answers questions about mailboxes. It is safe for concurrent use as long as its fields are not modified.
type Checker struct {
	Directory *Directory
	// Connections determines whether the servers can be reached.
	Connections Asker
	// Policy lists the remote classes and the ISP's own relays. If Policy is nil, the ISP's own mailboxes require a host in the directory,
	// and the effect on a server without a known address is Undetermined.
	Policy *policy.Policy
	// MX finds mail exchangers. If MX is nil, domains that are not in the directory are unknown.
	MX MXResolver
}

// A Question asks for the effect on a mailbox that is used from a line. The fields other than Address have the same meaning as in
// check.Question.
type Question struct {
	Address string
	Line    string
	From    netip.Addr
	Switch  string
	At      time.Time
	Phase   string
}

// An Effect is the effect of closing port 25 on a mailbox.
type Effect string

// The effects of closing port 25.
const (
	Unaffected   Effect = "unaffected"
	Affected     Effect = "affected"
	Undetermined Effect = "undetermined" // the effect depends on the address of a server, and the address was not found
)

// The kinds of answers: one for each kind of provider, and one for unknown providers.
const (
	AnswerOwn      = "own"
	AnswerWebmail  = "webmail-or-app"
	AnswerProvider = "provider"
	AnswerUnknown  = "unknown"
)

// An Answer describes the effect on a mailbox and the settings to use. It contains the domain of the mail address but not its local part.
type Answer struct {
	Domain   string      `json:"domain"`
	Kind     string      `json:"kind"`
	Provider check.Named `json:"provider,omitzero"`
	// Under is the name of the directory entry that matched the domain or its mail exchanger. It is empty if the entry is for the domain
	// itself.
	Under string `json:"under,omitempty"`
	// Status is the effect on the usual way of using the mailbox: a browser or an app for webmail, and a mail program otherwise. Status
	// is never Unaffected if one of the Settings does not pass.
	Status Effect `json:"status"`
	// MailProgram is the effect on a mail program that sends on port 25.
	MailProgram Effect `json:"mailProgram"`
	// Settings lists the settings for mail programs, in order of preference. It is empty for a webmail provider that is not known to offer any.
	Settings []Setting `json:"settings,omitempty"`
	// Next is the next change that will stop port 25 if it passes now. It is nil for webmail.
	Next *check.LaterOutcome `json:"next,omitempty"`
	// Published is the URL of the page on which the provider publishes its settings. Looked is the date on which the directory was
	// compared with that page; it is empty if this has never been done.
	Published string `json:"published,omitempty"`
	Looked    string `json:"looked,omitempty"`
}

// A Setting describes a server for outgoing mail. The server requires SMTP authentication (RFC 4954).
type Setting struct {
	Host       string `json:"host,omitempty"` // empty if the directory has no host
	Port       uint16 `json:"port"`
	Encryption string `json:"encryption"` // SSL/TLS or STARTTLS
	Auth       string `json:"authentication"`
	Note       string `json:"note,omitempty"`
	Status     Effect `json:"status"` // Unaffected if a connection with this setting passes
}

// maxMX is the limit on the number of a domain's mail exchangers that are checked.
const maxMX = 3

const webPort = 443

// Ask answers a question. It returns ErrAddress if the mail address is invalid, and the errors of check.Checker.Ask except ErrResolve and
// ErrFamily. If one of these two errors occurs for a server, the effect is Undetermined, unless the address of the server makes no difference.
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

// worse returns the worse of two effects. From worst to best, the effects are Affected, Undetermined and Unaffected.
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
		return nil // the provider then stays unknown
	}
	var hosts []string
	for _, mx := range found {
		if host, fault := domainName(mx.Host); fault == "" && len(hosts) < maxMX {
			hosts = append(hosts, host)
		}
	}
	return hosts
}

// relays returns one address in each prefix of the ISP's own relays.
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
			out = append(out, inside(p).String())
		}
	}
	return out
}

// An asking is the state of one question while it is being answered.
type asking struct {
	ctx     context.Context
	checker *Checker
	q       Question
	next    *check.LaterOutcome // the first change that will stop a connection that passes now
	err     error               // the first error that the Asker returned
}

// all checks a port on several hosts. It returns Affected if any host is stopped, Unaffected if no host is stopped and at least one
// passes, and Undetermined otherwise.
func (s *asking) all(hosts []string, port uint16) Effect {
	if len(hosts) == 0 {
		return s.anywhere(port)
	}
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
	case errors.Is(err, check.ErrResolve):
		return s.anywhere(port)
	case errors.Is(err, check.ErrFamily):
		return Undetermined
	case err != nil:
		if s.err == nil {
			s.err = err
		}
		return Undetermined
	case !answer.Outcome.Passes():
		return Affected
	}
	if n := stopping(answer); n != nil && (s.next == nil || n.Since.Before(s.next.Since)) {
		s.next = n
	}
	return Unaffected
}

// stopping returns the first change that will stop a connection that passes now, or nil.
func stopping(a *check.Answer) (first *check.LaterOutcome) {
	for i := range a.Results {
		if n := a.Results[i].Next; n != nil && !n.Outcome.Passes() && (first == nil || n.Since.Before(first.Since)) {
			first = n
		}
	}
	return first
}

// anywhere checks a port on a server whose address is not known. If the outcome is the same for a server in each remote class, it does not
// depend on the address. The ISP's own relays are left out, because their addresses are known. anywhere returns Undetermined if the outcome
// differs. The next change is the one after which the last class is stopped.
func (s *asking) anywhere(port uint16) Effect {
	var effect Effect
	var last *check.LaterOutcome
	all := true // every class has a change that stops it
	for _, addr := range s.checker.servers() {
		q := check.Question{Line: s.q.Line, From: s.q.From, Switch: s.q.Switch, At: s.q.At, Phase: s.q.Phase, To: addr.String(), Port: port}
		answer, err := s.checker.Connections.Ask(s.ctx, q)
		switch {
		case errors.Is(err, check.ErrFamily): // the line has no address of this family
			continue
		case err != nil:
			s.err = cmp.Or(s.err, err)
			return Undetermined
		}
		e := Affected
		if answer.Outcome.Passes() {
			e = Unaffected
		}
		if effect != "" && e != effect {
			return Undetermined
		}
		effect = e
		n := stopping(answer)
		all = all && n != nil
		if n != nil && (last == nil || n.Since.After(last.Since)) {
			last = n
		}
	}
	if effect == Unaffected && all && last != nil && (s.next == nil || last.Since.Before(s.next.Since)) {
		s.next = last
	}
	return cmp.Or(effect, Undetermined)
}

// settings returns the settings in the directory. If the directory has none, it returns the two ports that every provider should offer
// (RFC 8314 section 3.3, RFC 6409). A webmail provider may offer none, because its mailboxes can be used without a mail program.
func (s *asking) settings(p *Provider, hosts []string) []Setting {
	if p != nil && p.Kind == KindWebmail && p.Submission.Host == "" {
		return nil
	}
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
