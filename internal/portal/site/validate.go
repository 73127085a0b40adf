package site

import (
	"fmt"
	"net/mail"
	"net/netip"
	"net/url"
	"regexp"
	"strings"

	"op25b/internal/policy"
	"op25b/internal/strict"
)

// Limits of the lists in a site file.
const (
	maxProxy = 256 // trusted proxies, each of which is compared with each visitor's address
	maxList  = 16  // servers, ports and contacts
	maxNames = 512 // names of the policy's elements
)

var (
	// hostName is the name of a server in DNS form, with at least one dot.
	hostName = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]$`)
	// phoneNumber is a number as people write it.
	phoneNumber = regexp.MustCompile(`^\+?[0-9][0-9 ()-]{3,30}$`)
)

// A validator checks a decoded site file.
type validator struct {
	strict.Collector
	doc strict.Document
}

func (v *validator) fault(path, what, way string) {
	v.Add(strict.Fault{Pos: v.doc.At(path), Path: path, What: what, Way: way, Kind: ErrSite})
}

func (v *validator) site(s *Site) {
	s.Name.Check("name", v.fault)
	v.canonical(s.URL)
	v.page(s.Home, "home")
	v.contact(s.Support, "support")
	v.contact(s.Business, "business")
	if !s.Abuse.IsZero() {
		v.contact(s.Abuse, "abuse")
	}
	v.security(s.Security)
	v.proxies(s.TrustedProxies)
	v.names(s.Names)
	v.server(s.Mail.Outgoing.Host, s.Mail.Outgoing.Ports, "mail.outgoing")
	if len(s.Mail.Incoming) > maxList {
		v.fault("mail.incoming", fmt.Sprintf("there are %d incoming servers", len(s.Mail.Incoming)), fmt.Sprintf("must be at most %d", maxList))
		return
	}
	for i, server := range s.Mail.Incoming {
		v.server(server.Host, server.Ports, fmt.Sprintf("mail.incoming[%d]", i))
	}
}

// names checks the names of the policy's elements. The policy may not have them, because it changes independently.
func (v *validator) names(list []Named) {
	if len(list) > maxNames {
		v.fault("names", fmt.Sprintf("there are %d names", len(list)), fmt.Sprintf("must be at most %d", maxNames))
		return
	}
	seen := map[string]bool{}
	for i, n := range list {
		path := fmt.Sprintf("names[%d]", i)
		key := string(n.Of) + " " + n.Name
		switch {
		case n.Of == "":
			v.fault(path+".of", "the name has no kind of element", "must be "+n.Of.Accepts())
		case n.Name == "":
			v.fault(path+".name", "the name is not of any element", "give the name of the line group, phase or remote class in the policy")
		case seen[key]:
			v.fault(path+".name", fmt.Sprintf("%s %q is given twice", n.Of, n.Name), "keep one")
		}
		seen[key] = true
		n.Title.Check(path+".title", v.fault)
	}
}

// canonical checks the portal's address. Feeds, calendars and security.txt are built from it.
func (v *validator) canonical(text string) {
	u, err := url.Parse(text)
	const way = "must be an address such as https://mail-check.isp.example/, with a slash at its end"
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || !strings.HasSuffix(u.Path, "/"):
		v.fault("url", fmt.Sprintf("url is %q", text), way)
	case u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())):
		v.fault("url", fmt.Sprintf("url %q is not encrypted", text), way+"; http is for loopback only")
	}
}

func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// page checks the address of a page, which may be absent.
func (v *validator) page(text, path string) {
	if u, err := url.Parse(text); text != "" && (err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http") {
		v.fault(path, fmt.Sprintf("%s is %q", path, text), "must be an address such as https://www.isp.example/")
	}
}

func (v *validator) contact(c Contact, path string) {
	if !c.Title.IsZero() {
		c.Title.Check(path+".title", v.fault)
	}
	if c.Page == "" && c.Mail == "" && c.Phone == "" {
		v.fault(path, path+" has no way to reach it", "give page, mail or phone")
	}
	v.page(c.Page, path+".page")
	v.mail(c.Mail, path+".mail")
	if c.Phone != "" && !phoneNumber.MatchString(c.Phone) {
		v.fault(path+".phone", fmt.Sprintf("%s.phone is %q", path, c.Phone), "must be a number such as 0120-000-000 or +81 3 0000 0000")
	}
	if !c.Hours.IsZero() {
		c.Hours.Check(path+".hours", v.fault)
	}
}

// mail checks a mail address, which may be absent.
func (v *validator) mail(text, path string) {
	if a, err := mail.ParseAddress(text); text != "" && (err != nil || a.Address != text || !hostName.MatchString(text[strings.LastIndexByte(text, '@')+1:])) {
		v.fault(path, fmt.Sprintf("%s is %q", path, text), "must be an address such as support@isp.example, without a name")
	}
}

func (v *validator) proxies(list []netip.Prefix) {
	if len(list) > maxProxy {
		v.fault("trustedProxies", fmt.Sprintf("there are %d trusted proxies", len(list)), fmt.Sprintf("must be at most %d", maxProxy))
		return
	}
	for i, p := range list {
		path := fmt.Sprintf("trustedProxies[%d]", i)
		switch {
		case p != p.Masked():
			v.fault(path, fmt.Sprintf("prefix %v has host bits", p), fmt.Sprintf("did you mean %v or %v?", p.Masked(), netip.PrefixFrom(p.Addr(), p.Addr().BitLen())))
		case p.Bits() == 0:
			v.fault(path, fmt.Sprintf("prefix %v contains every address", p), "every visitor could then choose the line that is looked at: give the proxies' own addresses")
		}
	}
}

func (v *validator) server(host string, ports []Port, path string) {
	if !hostName.MatchString(host) || len(host) > 253 {
		v.fault(path+".host", fmt.Sprintf("%s.host is %q", path, host), "must be a name in small letters such as mail.isp.example")
	}
	if len(ports) == 0 || len(ports) > maxList {
		v.fault(path+".ports", fmt.Sprintf("%s has %d ports", path, len(ports)), fmt.Sprintf("must be 1 to %d, each with its encryption as in {port: 465, tls: implicit}", maxList))
		return
	}
	for i, port := range ports {
		if port.Port == policy.PortSMTP {
			v.fault(fmt.Sprintf("%s.ports[%d].port", path, i), fmt.Sprintf("%s has the port %d", path, port.Port),
				fmt.Sprintf("it is for servers among themselves: mail programs send to %d or %d", policy.PortSubmissions, policy.PortSubmission))
		}
	}
}
