// Package site reads the site file of the customers' portal: what the ISP says about itself. The file has the ISP's name, the contacts for
// customers, businesses and security researchers, the portal's address, its trusted proxies, and the names of the ISP's own mail servers.
//
// The package is pure: it opens no file, and has no clock.
package site

import (
	"cmp"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"op25b/internal/lang"
	"op25b/internal/policy"
	"op25b/internal/strict"
)

// Kind is the document kind of a site file.
const Kind = "Site"

// MaxFile is the maximum size of a site file in bytes.
const MaxFile = 64 << 10

// A Site is the content of a site file.
type Site struct {
	// Name is the name under which customers know the ISP.
	Name lang.Text `yaml:"name"`
	// URL is the portal's address. It ends with a slash, and has the scheme https unless it is on loopback.
	URL string `yaml:"url"`
	// Home is the address of the ISP's own web site.
	Home string `yaml:"home,omitempty"`
	// Support is whom customers ask. Business is whom businesses ask about exemptions and fixed addresses.
	Support  Contact `yaml:"support"`
	Business Contact `yaml:"business"`
	// Abuse is whom others tell about unwanted mail from the ISP's lines.
	Abuse    Contact  `yaml:"abuse,omitempty"`
	Security Security `yaml:"security"`
	// TrustedProxies lists the addresses from which X-Forwarded-For is believed. It is empty if visitors connect directly.
	TrustedProxies []netip.Prefix `yaml:"trustedProxies,omitempty"`
	Mail           Mail           `yaml:"mail"`
	// Names has the names of the policy's elements for customers, in both languages. An element that is not here has the title of the policy.
	Names []Named `yaml:"names,omitempty"`
}

// A Named is the name of an element of the policy for customers.
type Named struct {
	Of    Element   `yaml:"of"`
	Name  string    `yaml:"name"`
	Title lang.Text `yaml:"title"`
}

// An Element is a kind of element of the policy.
type Element string

// The elements of the policy that customers see.
const (
	LineGroup Element = "lineGroup"
	Phase     Element = "phase"
	Remote    Element = "remote"
)

func elements() []Element { return []Element{LineGroup, Phase, Remote} }

// Accepts lists the elements.
func (Element) Accepts() string { return strict.OneOf(elements()) }

// Parse parses an element.
func (e *Element) Parse(text string) error { return strict.ParseWord(e, text, elements()) }

// Title returns the name of an element of the policy in a language, or an empty string if the site file does not have it.
func (s *Site) Title(of Element, name string, l lang.Language) string {
	for i := range s.Names {
		if n := &s.Names[i]; n.Of == of && n.Name == name {
			return n.Title.In(l)
		}
	}
	return ""
}

// A Contact tells how to reach a part of the ISP. It has at least one of Page, Mail and Phone.
type Contact struct {
	Title lang.Text `yaml:"title,omitempty"`
	Page  string    `yaml:"page,omitempty"`
	Mail  string    `yaml:"mail,omitempty"`
	// Phone is the number as it is written for people. The hours are given with it.
	Phone string    `yaml:"phone,omitempty"`
	Hours lang.Text `yaml:"hours,omitempty"`
}

// IsZero reports whether the contact is absent.
func (c Contact) IsZero() bool { return c == Contact{} }

// Mail has the ISP's own mail servers, as customers enter them in a mail program.
type Mail struct {
	Outgoing Outgoing   `yaml:"outgoing"`
	Incoming []Incoming `yaml:"incoming,omitempty"`
	// EncryptionSince is the day from which the servers require encryption and authentication. It is zero if they do not.
	EncryptionSince policy.Date `yaml:"encryptionSince,omitempty"`
}

// Outgoing is the server for outgoing mail (RFC 6409). A mail program uses one of its ports; Preferred has their order.
type Outgoing struct {
	Host  string `yaml:"host"`
	Ports []Port `yaml:"ports"`
}

// Preferred returns the ports with those of implicit TLS first, which RFC 8314 section 3.3 prefers, and otherwise in the order of the file.
func (o Outgoing) Preferred() []Port {
	return slices.SortedStableFunc(slices.Values(o.Ports), func(a, b Port) int { return cmp.Compare(a.TLS.Rank(), b.TLS.Rank()) })
}

// Incoming is a server for incoming mail, with its ports in order of preference.
type Incoming struct {
	Protocol Protocol `yaml:"protocol"`
	Host     string   `yaml:"host"`
	Ports    []Port   `yaml:"ports"`
}

// A Port is a TCP port with the encryption that it requires.
type Port struct {
	Port policy.TCPPort `yaml:"port"`
	TLS  TLS            `yaml:"tls"`
}

// A Protocol is the protocol of a server for incoming mail.
type Protocol string

// The protocols of servers for incoming mail.
const (
	IMAP Protocol = "imap"
	POP3 Protocol = "pop3"
)

func protocols() []Protocol { return []Protocol{IMAP, POP3} }

// Accepts lists the protocols.
func (Protocol) Accepts() string { return strict.OneOf(protocols()) }

// Parse parses a protocol.
func (p *Protocol) Parse(text string) error { return strict.ParseWord(p, text, protocols()) }

// TLS is the way in which a connection is encrypted (RFC 8314).
type TLS string

// The ways in which a connection is encrypted.
const (
	Implicit TLS = "implicit" // TLS from the first byte
	StartTLS TLS = "starttls" // TLS after the STARTTLS command
)

func ways() []TLS { return []TLS{Implicit, StartTLS} }

// Name returns the name that most mail programs have for the way.
func (t TLS) Name() string {
	if t == StartTLS {
		return "STARTTLS"
	}
	return "SSL/TLS"
}

// Rank orders the ways by preference (RFC 8314 section 3.3): the best has the lowest.
func (t TLS) Rank() int { return slices.Index(ways(), t) }

// Accepts lists the ways.
func (TLS) Accepts() string { return strict.OneOf(ways()) }

// Parse parses a way.
func (t *TLS) Parse(text string) error { return strict.ParseWord(t, text, ways()) }

var (
	_ strict.Scalar = (*Protocol)(nil)
	_ strict.Scalar = (*TLS)(nil)
	_ strict.Scalar = (*Element)(nil)
)

// Load reads a site file. The error is a strict.Faults of one of that package's kinds, or of ErrSite.
func Load(f strict.File) (*Site, error) {
	if len(f.Data) > MaxFile {
		return nil, strict.Faults{{Pos: strict.Pos{File: f.Name}, Kind: ErrSite, What: fmt.Sprintf("the file has %d bytes", len(f.Data)), Way: fmt.Sprintf("must be at most %d", MaxFile)}}
	}
	s := &Site{}
	doc, err := strict.Decode(f, Kind, s)
	if err != nil {
		return nil, err
	}
	v := validator{doc: doc}
	if err := v.Run(func() { v.site(s) }); err != nil {
		return nil, err
	}
	return s, nil
}

// Host returns the host of the portal's address, without a port.
func (s *Site) Host() string {
	u, err := url.Parse(s.URL)
	if err != nil {
		return "" // Load refuses such an address
	}
	return strings.ToLower(u.Hostname())
}
