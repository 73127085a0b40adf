// Package mailbox determines how closing port 25 affects a mailbox: whether the mailbox can still be used from a line as before, and
// which settings to use instead.
//
// A directory maps domains to providers. Package check determines whether the servers can be reached, so that this package never
// recommends settings that the policy blocks. The package opens no connection to a provider.
package mailbox

import (
	"fmt"
	"slices"
	"strings"

	"op25b/internal/lang"
	"op25b/internal/policy"
	"op25b/internal/strict"
)

// Kind is the document kind of a directory.
const Kind = "Providers"

// The kinds of providers.
const (
	KindOwn      = "own"      // the ISP's own mailboxes
	KindWebmail  = "webmail"  // mailboxes that are used in a browser or an app, or with a mail program
	KindProvider = "provider" // mailboxes that are used with mail programs
)

// The encryption methods (RFC 8314).
const (
	TLSImplicit = "implicit" // TLS from the first byte
	TLSStart    = "starttls" // TLS after the STARTTLS command
)

// The places where a customer finds the host of a provider whose customers use different hosts.
const (
	HostFromContract = "contract" // the papers of the contract or the provider's control panel name the host
	HostFromDomain   = "domain"   // the host follows from the domain of the mail address, as the provider's page describes
)

// A Directory lists mail providers.
type Directory struct {
	Providers []Provider `yaml:"providers"`

	byDomain, byMX map[string]*Provider
}

// A Provider is a mail provider with the domains of its mailboxes. A domain includes all its subdomains.
type Provider struct {
	Name string `yaml:"name"`
	// Title is the name that the provider itself uses in each language. It may be absent.
	Title   lang.Text `yaml:"title,omitempty"`
	Kind    string    `yaml:"kind"`
	Domains []string  `yaml:"domains,omitempty"`
	// MX lists the domains of the provider's mail exchangers. They identify customers who use their own domains.
	MX []string `yaml:"mx,omitempty"`
	// Submission is empty if no settings for mail programs are known. Only the ISP itself and webmail providers may have none.
	Submission Submission `yaml:"submission,omitempty"`
	// Help is the URL of the provider's page for customers, if Published is a page for others, such as developers. It may be absent.
	Help string `yaml:"help,omitempty"`
	// Published is the URL of the page on which the provider publishes its settings. Looked is the date on which this entry was last
	// compared with that page.
	Published string      `yaml:"published,omitempty"`
	Looked    policy.Date `yaml:"looked,omitempty"`
}

// A Submission is the server to which customers send outgoing mail. It requires authentication (RFC 4954).
type Submission struct {
	Host string `yaml:"host,omitempty"`
	// HostFrom is set instead of Host if the customers of the provider use different hosts, as those of a rental server do. The entry then
	// requires Published, because the page tells the customer more.
	HostFrom string           `yaml:"hostFrom,omitempty"`
	Ports    []SubmissionPort `yaml:"ports"`
	// Note is a short remark about the settings, without a full stop. It may be absent.
	Note lang.Text `yaml:"note,omitempty"`
}

// given reports whether the directory has settings. A valid submission without ports is empty.
func (s *Submission) given() bool { return len(s.Ports) > 0 }

// A SubmissionPort is a port of a submission server with the encryption method that the port requires.
type SubmissionPort struct {
	Port policy.TCPPort `yaml:"port"`
	// TLS is empty if the page of the provider names the port, but no encryption.
	TLS string `yaml:"tls,omitempty"`
}

// Load reads a directory. The error is a strict.Faults that lists every fault with its file, line and remedy.
func Load(f strict.File) (*Directory, error) {
	d := &Directory{byDomain: map[string]*Provider{}, byMX: map[string]*Provider{}}
	doc, err := strict.Decode(f, Kind, d)
	if err != nil {
		return nil, err
	}
	v := validator{doc: doc}
	if err := v.Run(func() { v.providers(d) }); err != nil {
		return nil, err
	}
	return d, nil
}

// A validator checks a directory.
type validator struct {
	strict.Collector
	doc strict.Document
}

func (v *validator) fault(path, what, way string) {
	v.Add(strict.Fault{Pos: v.doc.At(path), Path: path, What: what, Way: way, Kind: ErrDirectory})
}

// providers checks every provider and indexes its names.
func (v *validator) providers(d *Directory) {
	names := map[string]bool{}
	for i := range d.Providers {
		p := &d.Providers[i]
		path := fmt.Sprintf("providers[%d]", i)
		if p.Name == "" || names[p.Name] {
			v.fault(path+".name", fmt.Sprintf("provider name %q is empty or given twice", p.Name), "give each its own")
		}
		names[p.Name] = true
		v.provider(p, path)
		v.index(d.byDomain, p, p.Domains, path+".domains")
		v.index(d.byMX, p, p.MX, path+".mx")
	}
}

func (v *validator) provider(p *Provider, path string) {
	kinds := []string{KindOwn, KindWebmail, KindProvider}
	if !slices.Contains(kinds, p.Kind) {
		v.fault(path+".kind", fmt.Sprintf("unknown kind %q", p.Kind), strict.Nearest(p.Kind, kinds, "kinds"))
	}
	if len(p.Domains)+len(p.MX) == 0 {
		v.fault(path, fmt.Sprintf("provider %q has neither domains nor mx", p.Name), "no mailbox would be found to be its: give domains, mx, or both")
	}
	v.text(p.Title, path+".title")
	v.submission(p, path)
}

func (v *validator) submission(p *Provider, path string) {
	s := &p.Submission
	v.text(s.Note, path+".submission.note")
	if s.Host == "" && s.HostFrom == "" && !s.given() {
		if p.Kind == KindProvider {
			v.fault(path, fmt.Sprintf("provider %q has no submission", p.Name), "there is nothing to tell its customers: give host and ports, or leave the provider out")
		}
		return
	}
	switch {
	case s.HostFrom == "":
		if host, fault := domainName(s.Host); fault != "" {
			v.fault(path+".submission.host", fmt.Sprintf("submission host %q: %s", s.Host, fault), "give a name such as smtp.example.jp")
		} else {
			s.Host = host
		}
	case s.Host != "":
		v.fault(path+".submission.hostFrom", fmt.Sprintf("submission of provider %q has both host and hostFrom", p.Name),
			"hostFrom is for a host that differs from customer to customer: keep one")
	case s.HostFrom != HostFromContract && s.HostFrom != HostFromDomain:
		v.fault(path+".submission.hostFrom", fmt.Sprintf("unknown place %q", s.HostFrom), strict.Nearest(s.HostFrom, []string{HostFromContract, HostFromDomain}, "places"))
	case p.Published == "":
		v.fault(path+".submission.hostFrom", fmt.Sprintf("provider %q has hostFrom, but no page", p.Name), "the page tells the customer where the host is named: give published")
	}
	if !s.given() {
		v.fault(path+".submission.ports", fmt.Sprintf("submission of provider %q has no ports", p.Name), "give one such as {port: 587, tls: starttls}")
	}
	for i, port := range s.Ports {
		at := fmt.Sprintf("%s.submission.ports[%d]", path, i)
		if port.TLS != "" && port.TLS != TLSImplicit && port.TLS != TLSStart {
			v.fault(at+".tls", fmt.Sprintf("unknown encryption %q", port.TLS), strict.Nearest(port.TLS, []string{TLSImplicit, TLSStart}, "known"))
		}
		if port.Port == policy.PortSMTP {
			v.fault(at+".port", "port 25 is no submission port", "it is the one that is closed: give 587 or 465")
		}
	}
}

// text checks a text, which may be absent.
func (v *validator) text(t lang.Text, path string) {
	if !t.IsZero() {
		t.Check(path, v.fault)
	}
}

// index maps each name to its provider. A name must not belong to two providers, and must not be a domain below which a registry assigns
// names.
func (v *validator) index(by map[string]*Provider, p *Provider, names []string, path string) {
	for i, name := range names {
		at := fmt.Sprintf("%s[%d]", path, i)
		domain, fault := domainName(name)
		switch {
		case fault != "":
			v.fault(at, fmt.Sprintf("domain %q: %s", name, fault), "give a name such as example.jp")
		case registry(domain):
			v.fault(at, fmt.Sprintf("domain %q is a registry's", name), "everybody under it would be this provider's customer: give the provider's own")
		case by[domain] != nil:
			v.fault(at, fmt.Sprintf("domain %q is also in provider %q", name, by[domain].Name), "keep one")
		default:
			by[domain] = p
		}
	}
}

// registry reports whether a registry such as JPRS assigns names directly below a domain.
func registry(domain string) bool {
	first, rest, ok := strings.Cut(domain, ".")
	second := []string{"ne", "or", "co", "ac", "go", "gr", "ad", "ed", "lg"} // the domains of registries below .jp
	return !ok || rest == "jp" && slices.Contains(second, first)
}
