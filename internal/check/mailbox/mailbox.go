package mailbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"op25b/internal/check"
	"op25b/internal/lang"
	"op25b/internal/policy"
)

// An Asker answers questions about connections. *check.Checker implements it.
type Asker interface {
	Ask(ctx context.Context, q check.Question) (*check.Answer, error)
}

var _ Asker = (*check.Checker)(nil)

// A Checker answers questions about mailboxes. It is safe for concurrent use as long as its fields are not modified.
type Checker struct {
	Directory *Directory
	// Connections determines whether the servers can be reached.
	Connections Asker
	// Policy lists the remote classes and the ISP's own relays. If Policy is nil, the ISP's own mailboxes require a host in the directory,
	// and the effect on a server without a known address is Undetermined.
	Policy *policy.Policy
	// Servers contains the result of Representatives for Policy. If it is nil, each question computes it.
	Servers []Representative
	// MX finds mail exchangers. If MX is nil, domains that are not in the directory are unknown.
	MX MXResolver
}

// A Question asks for the effect on a mailbox that is used from a line. The fields other than Address and Provider have the same meaning as
// in check.Question.
type Question struct {
	// Address is the mail address. If Provider is set, Address is ignored.
	Address string
	// Provider is the name of a provider in the directory, for a question about any mailbox of the provider.
	Provider string
	Line     string
	From     netip.Addr
	Switch   string
	At       time.Time
	Phase    string
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
	Domain   string `json:"domain"`
	Kind     string `json:"kind"`
	Provider Named  `json:"provider,omitzero"`
	// Under is the name of the directory entry that matched the domain or its mail exchanger. It is empty if the entry is for the domain
	// itself.
	Under string `json:"under,omitempty"`
	// Status is the effect on a browser or an app for webmail, and on a mail program otherwise. Status is never Unaffected if one of the
	// Settings does not pass.
	Status Effect `json:"status"`
	// MailProgram is the effect on a mail program that sends on port 25.
	MailProgram Effect `json:"mailProgram"`
	// Stopped is the outcome that stops a mail program on port 25, with its rule and the phase that began it. It is nil unless MailProgram is
	// Affected. If the servers are not known, Stopped is the outcome since which every server has been stopped.
	Stopped *check.Result `json:"-"`
	// Settings lists the settings for mail programs, in order of preference. It is empty for a webmail provider that is not known to offer any.
	Settings []Setting `json:"settings,omitempty"`
	// Next is the next change that will stop port 25 if it passes now.
	Next *check.LaterOutcome `json:"next,omitempty"`
	// Published is the URL of the page on which the provider publishes its settings. Looked is the date on which the directory was
	// compared with that page; it is empty if this has never been done.
	Published string `json:"published,omitempty"`
	// Help is the URL of the provider's page for customers, if Published is a page for others. It may be empty.
	Help   string `json:"help,omitempty"`
	Looked string `json:"looked,omitempty"`
}

// A Named is the name of a provider in the directory and its title, which may be absent.
type Named struct {
	Name  string    `json:"name"`
	Title lang.Text `json:"title,omitzero"`
}

// A Setting describes a server for outgoing mail. The server requires SMTP authentication (RFC 4954).
type Setting struct {
	Host     string    `json:"host,omitempty"`     // empty if the directory has no host
	HostFrom string    `json:"hostFrom,omitempty"` // where the customer finds the host: HostFromContract, HostFromDomain, or empty
	Port     uint16    `json:"port"`
	TLS      string    `json:"tls,omitempty"` // TLSImplicit or TLSStart; empty if the provider's page names none
	Auth     string    `json:"authentication"`
	Note     lang.Text `json:"note,omitzero"`
	Status   Effect    `json:"status"` // Unaffected if a connection with this setting passes
	// AfterLogin is the zero value unless the setting is Affected and passes after a login to a mailbox of the ISP.
	AfterLogin AfterLogin `json:"afterLogin,omitzero"`
}

// AfterLogin says for how long a connection passes after a login over POP3 or IMAP, and whether the login must use TLS.
type AfterLogin struct {
	Lasts policy.Duration `json:"lasts"`
	TLS   bool            `json:"tls,omitempty"`
}

// Encryption returns the name that most mail programs have for the setting's TLS, or nothing if TLS is empty.
func (s Setting) Encryption() string {
	switch s.TLS {
	case TLSImplicit:
		return "SSL/TLS"
	case TLSStart:
		return "STARTTLS"
	}
	return ""
}

const webPort = 443

// Ask answers a question. It returns ErrAddress if the mail address is invalid, ErrProvider if the directory does not have the provider, and
// the errors of check.Checker.Ask except ErrResolve and ErrFamily. If one of these two errors occurs for a server, the effect is Undetermined,
// unless the address of the server makes no difference.
//
// A server's address is looked up only if the answer depends on it, and mail exchangers only if the directory does not have the domain.
func (c *Checker) Ask(ctx context.Context, q Question) (*Answer, error) {
	s := &asking{ctx: ctx, checker: c, q: q, verdicts: map[uint16]everywhere{}, logins: map[uint16]AfterLogin{}}
	a, p, err := s.found()
	if err != nil {
		return nil, err
	}
	s.own = p != nil && p.Kind == KindOwn
	switch {
	case p != nil && p.Submission.Host != "":
		s.hosts = func() []string { return []string{p.Submission.Host} }
	case s.own:
		s.hosts = c.relays
	case q.Provider != "":
		s.hosts = func() []string { return nil }
	}
	a.MailProgram = s.all(uint16(policy.PortSMTP))
	a.Next, a.Stopped = s.next, s.stopped
	a.Settings = s.settings(p)
	a.Status = a.MailProgram
	if a.Kind == AnswerWebmail {
		a.Status = s.all(webPort)
	}
	for _, setting := range a.Settings {
		a.Status = worse(a.Status, setting.Status)
	}
	if s.err != nil {
		return nil, s.err
	}
	return a, nil
}

// found begins an answer with the provider of the question, which is nil if it is not known.
func (s *asking) found() (*Answer, *Provider, error) {
	c := s.checker
	if s.q.Provider != "" {
		for i := range c.Directory.Providers {
			if p := &c.Directory.Providers[i]; p.Name == s.q.Provider {
				return answerOf(p, ""), p, nil
			}
		}
		return nil, nil, fmt.Errorf("%w %q: the directory does not have it", ErrProvider, s.q.Provider)
	}
	domain, err := domainOf(s.q.Address)
	if err != nil {
		return nil, nil, err
	}
	s.hosts = sync.OnceValue(func() []string { return exchangers(s.ctx, c.MX, domain) })
	p, under := c.Directory.provider(domain, s.hosts)
	a := answerOf(p, domain)
	if p != nil && under != domain {
		a.Under = shown(under)
	}
	return a, p, nil
}

// answerOf begins an answer about a mailbox of a provider, which may be nil.
func answerOf(p *Provider, domain string) *Answer {
	a := &Answer{Domain: shown(domain), Kind: AnswerUnknown}
	if p == nil {
		return a
	}
	a.Kind = map[string]string{KindOwn: AnswerOwn, KindWebmail: AnswerWebmail, KindProvider: AnswerProvider}[p.Kind]
	a.Provider, a.Published, a.Help = Named{p.Name, p.Title}, p.Published, p.Help
	if !p.Looked.IsZero() {
		a.Looked = p.Looked.String()
	}
	return a
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

// relays returns one address in each prefix of the ISP's own relays.
func (c *Checker) relays() []string {
	if c.Policy == nil {
		return nil
	}
	var out []string
	for _, r := range c.Policy.Remotes {
		for _, p := range r.Prefixes {
			if !r.Ours() {
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
	// hosts returns the servers of the mailbox, by name or address. own is true for a mailbox of the ISP, whose servers can be its own relays.
	hosts    func() []string
	own      bool
	verdicts map[uint16]everywhere // by port
	next     *check.LaterOutcome   // the first change that will stop a connection that passes now
	stopped  *check.Result         // the outcome that stops a connection
	logins   map[uint16]AfterLogin // by port, if a login opens it
	err      error                 // the first error that the Asker returned
}

// An everywhere is what applies to a port of servers in every remote class. The ISP's own relays count only for mailboxes of the ISP, because
// no other provider's servers have their addresses.
type everywhere struct {
	effect Effect // Undetermined if it differs between the classes
	same   bool   // true if the effect, and the next change to another effect, are the same for every class
	// next is the change after which the last class is stopped, and stopped the outcome since which every class has been stopped.
	next    *check.LaterOutcome
	stopped *check.Result
}

// all checks a port on the servers of the mailbox. It returns Affected if any server is stopped, Unaffected if no server is stopped and at
// least one passes, and Undetermined otherwise. It looks servers up only if their addresses make a difference.
func (s *asking) all(port uint16) Effect {
	e := s.everywhere(port)
	if e.same {
		return s.apply(e)
	}
	hosts := s.hosts()
	if len(hosts) == 0 {
		return s.apply(e)
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

// apply takes the effect on every server.
func (s *asking) apply(e everywhere) Effect {
	if e.effect == Affected && s.stopped == nil {
		s.stopped = e.stopped
	}
	if e.effect == Unaffected && e.next != nil && (s.next == nil || e.next.Since.Before(s.next.Since)) {
		s.next = e.next
	}
	return e.effect
}

func (s *asking) one(host string, port uint16) Effect {
	answer, err := s.ask(host, port)
	switch {
	case errors.Is(err, check.ErrResolve):
		return s.apply(s.everywhere(port))
	case errors.Is(err, check.ErrFamily):
		return Undetermined
	case err != nil:
		s.err = cmp.Or(s.err, err)
		return Undetermined
	case !answer.Outcome.Passes():
		if s.stopped == nil {
			s.stopped = answer.Worst()
		}
		if l, opens := answer.Worst().ByLogin(s.checker.Policy, answer.Group.Name); opens {
			s.logins[port] = AfterLogin{l.For, l.TLS == policy.TLSRequired}
		}
		return Affected
	}
	if n := stopping(answer); n != nil && (s.next == nil || n.Since.Before(s.next.Since)) {
		s.next = n
	}
	return Unaffected
}

func (s *asking) ask(host string, port uint16) (*check.Answer, error) {
	return s.checker.Connections.Ask(s.ctx, check.Question{Line: s.q.Line, From: s.q.From, Switch: s.q.Switch, At: s.q.At, Phase: s.q.Phase, To: host, Port: port})
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

// everywhere checks a port on a server in each remote class. If the effect is the same for all of them, it does not depend on a server's
// address.
func (s *asking) everywhere(port uint16) everywhere {
	if e, done := s.verdicts[port]; done {
		return e
	}
	e := everywhere{same: true}
	asked, all := 0, true // all is true if every class has a change that stops it
	servers := s.checker.servers()
	if s.own {
		servers = append(servers, s.checker.relays()...)
	}
	for _, addr := range servers {
		answer, err := s.ask(addr, port)
		switch {
		case errors.Is(err, check.ErrFamily): // the line has no address of this family
			continue
		case err != nil:
			s.err = cmp.Or(s.err, err)
			return everywhere{effect: Undetermined}
		}
		effect, n := Affected, stopping(answer)
		if answer.Outcome.Passes() {
			effect = Unaffected
		} else if x := answer.Worst(); x != nil && (e.stopped == nil || x.Since.Since.After(e.stopped.Since.Since)) {
			e.stopped = x
		}
		if asked++; asked > 1 {
			e.same = e.same && effect == e.effect && sameTime(n, e.next)
			if effect != e.effect {
				e.effect = Undetermined
			}
		} else {
			e.effect = effect
		}
		all = all && n != nil
		if n != nil && (e.next == nil || n.Since.After(e.next.Since)) {
			e.next = n
		}
	}
	e.effect, e.same = cmp.Or(e.effect, Undetermined), e.same && asked > 0
	if !all {
		e.next = nil
	}
	s.verdicts[port] = e
	return e
}

func sameTime(a, b *check.LaterOutcome) bool {
	return a == nil && b == nil || a != nil && b != nil && a.Since.Equal(b.Since)
}

// settings returns the settings in the directory. If the directory has none, it returns the two ports that every provider should offer
// (RFC 8314 section 3.3, RFC 6409). A webmail provider may offer none, because its mailboxes can be used without a mail program.
func (s *asking) settings(p *Provider) []Setting {
	if p != nil && p.Kind == KindWebmail && !p.Submission.given() {
		return nil
	}
	of := Submission{Ports: []SubmissionPort{{policy.PortSubmissions, TLSImplicit}, {policy.PortSubmission, TLSStart}}}
	if p != nil && p.Submission.given() {
		of = p.Submission
	}
	out := make([]Setting, 0, len(of.Ports))
	for _, port := range of.Ports {
		x := Setting{Host: of.Host, HostFrom: of.HostFrom, Port: uint16(port.Port), TLS: port.TLS, Auth: "SMTP AUTH", Note: of.Note, Status: s.all(uint16(port.Port))}
		if x.Status == Affected {
			x.AfterLogin = s.logins[x.Port]
		}
		out = append(out, x)
	}
	return out
}
