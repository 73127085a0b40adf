package auth

import (
	"cmp"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"unicode"

	"op25b/internal/strict"
)

// CallbackPath is the path of the page to which the OpenID Provider sends a person back.
const CallbackPath = "/signin/callback"

// Names of claims in an ID token that are used unless the access file names others.
const (
	DefaultNameClaim   = "preferred_username"
	DefaultGroupsClaim = "groups"
)

// OIDC configures the sign-in by an OpenID Provider (OpenID Connect Core 1.0) on the NOC's page. The zero value means that there is none. Its
// YAML is
//
//	oidc:
//	  name: ISP login
//	  issuer: https://login.isp.example/realms/noc
//	  clientID: op25b
//	  clientSecretFile: /etc/op25b/oidc.secret
//	  groups:
//	    - {group: noc-operators, role: operator}
type OIDC struct {
	// Name is the provider's name on the page. It defaults to the host of the issuer.
	Name string `yaml:"name,omitempty"`
	// Issuer is the issuer identifier, a URL.
	Issuer string `yaml:"issuer"`
	// CA is the PEM file with the authorities that verify the provider's certificate. By default, those of the host do.
	CA string `yaml:"ca,omitempty"`
	// ClientID is the identifier of the page at the provider. ClientSecretFile is a file with its secret; it is empty for a public client.
	ClientID         string `yaml:"clientID"`
	ClientSecretFile string `yaml:"clientSecretFile,omitempty"`
	// Redirect is the URL of the page's CallbackPath. It defaults to the address at which the browser requests the page.
	Redirect string `yaml:"redirect,omitempty"`
	// Scopes are requested in addition to openid, profile and email.
	Scopes []string `yaml:"scopes,omitempty"`
	// NameClaim and GroupsClaim are the claims in the ID token with the person's name and groups.
	NameClaim   string `yaml:"nameClaim,omitempty"`
	GroupsClaim string `yaml:"groupsClaim,omitempty"`
	// Groups maps groups to roles.
	Groups []Group `yaml:"groups"`
}

// A Group gives the members of a group at the OpenID Provider a role.
type Group struct {
	Group string `yaml:"group"`
	Role  Role   `yaml:"role"`
}

// Used reports whether there is a sign-in by an OpenID Provider.
func (o *OIDC) Used() bool { return o.Issuer != "" }

// Title returns the provider's name for people.
func (o *OIDC) Title() string {
	if u, err := url.Parse(o.Issuer); err == nil && o.Name == "" {
		return u.Host
	}
	return o.Name
}

// Provider identifies the provider and the meaning of its claims. If it changes, earlier sign-ins are no longer valid.
func (o *OIDC) Provider() string {
	return strings.Join([]string{o.Issuer, o.ClientID, o.nameClaim(), o.groupsClaim()}, "\x00")
}

func (o *OIDC) nameClaim() string   { return cmp.Or(o.NameClaim, DefaultNameClaim) }
func (o *OIDC) groupsClaim() string { return cmp.Or(o.GroupsClaim, DefaultGroupsClaim) }

// Claims returns the names of the claims with the person's name and groups.
func (o *OIDC) Claims() (name, groups string) { return o.nameClaim(), o.groupsClaim() }

// role returns the highest role of the given groups.
func (o *OIDC) role(groups []string) Role {
	best := None
	for _, g := range o.Groups {
		if slices.Contains(groups, g.Group) && g.Role.May(best) {
			best = g.Role
		}
	}
	return best
}

// A Person is somebody whom an OpenID Provider has authenticated.
type Person struct {
	// Name is the person's name at the provider; see PersonName.
	Name string
	// Groups are the person's groups at the time of the sign-in.
	Groups []string
	// Provider is the result of OIDC.Provider at the time of the sign-in.
	Provider string
}

// byOIDC follows the name of a person in records and logs. Without it, a person could choose the name of a token's holder at the provider.
const byOIDC = " by OIDC"

// PersonName returns an error if a name from an OpenID Provider cannot be the name of a person. Names are at most 240 bytes of printable
// text.
func PersonName(name string) error {
	const most = 240 // leaves room for byOIDC
	switch {
	case name == "" || len(name) > most:
		return fmt.Errorf("the name has %d bytes; must be 1 to %d", len(name), most)
	case strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }):
		return fmt.Errorf("the name %q has characters that cannot be printed", name)
	}
	return nil
}

// Person returns the identity of a person with the role that the person's groups have in the current access file. It returns ErrUnknown if the
// file no longer has the provider with which the person signed in.
func (a *Grants) Person(p Person) (Caller, error) {
	if !a.OIDC.Used() || a.OIDC.Provider() != p.Provider {
		return Caller{}, fmt.Errorf("%w: the access file no longer has the OpenID Provider with which %s signed in", ErrUnknown, p.Name)
	}
	return Caller{Who: p.Name + byOIDC, Role: a.OIDC.role(p.Groups), By: ByOIDC}, nil
}

// Limits on the texts of OIDC, in bytes, and on its lists.
const (
	maxTitle  = 64
	maxURL    = 1024
	maxScopes = 16
)

// oidc checks the sign-in by an OpenID Provider.
func (v *validator) oidc(o *OIDC) {
	if len(o.Name) > maxTitle || strings.ContainsFunc(o.Name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		v.fault("oidc.name", fmt.Sprintf("name %q has %d bytes", o.Name, len(o.Name)), fmt.Sprintf("must be at most %d bytes of printable text", maxTitle))
	}
	if u, ok := secureURL(o.Issuer); !ok || u.RawQuery != "" {
		v.fault("oidc.issuer", fmt.Sprintf("issuer %q is not usable", o.Issuer), "must be an https URL without a query, such as https://login.isp.example/realms/noc; http is only for this host")
	}
	if o.ClientID == "" || len(o.ClientID) > maxWho {
		v.fault("oidc.clientID", fmt.Sprintf("clientID has %d bytes", len(o.ClientID)), fmt.Sprintf("must be 1 to %d", maxWho))
	}
	if u, ok := secureURL(o.Redirect); o.Redirect != "" && (!ok || u.RawQuery != "" || u.Path != CallbackPath) {
		v.fault("oidc.redirect", fmt.Sprintf("redirect %q is not usable", o.Redirect), "must be an https URL of the page with the path "+CallbackPath+", such as https://noc.isp.example"+CallbackPath)
	}
	if len(o.Scopes) > maxScopes {
		v.fault("oidc.scopes", fmt.Sprintf("%d scopes", len(o.Scopes)), fmt.Sprintf("must be at most %d", maxScopes))
	}
	for i, s := range o.Scopes {
		if s == "" || len(s) > maxWho || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '"' || r == '\\' }) { // RFC 6749 section 3.3
			v.fault(fmt.Sprintf("oidc.scopes[%d]", i), fmt.Sprintf("scope %q is not usable", s), fmt.Sprintf("must be 1 to %d printable ASCII characters without spaces, quotes and backslashes", maxWho))
		}
	}
	for _, claim := range []struct{ key, name string }{{"nameClaim", o.NameClaim}, {"groupsClaim", o.GroupsClaim}} {
		if len(claim.name) > maxWho {
			v.fault("oidc."+claim.key, fmt.Sprintf("%s has %d bytes", claim.key, len(claim.name)), fmt.Sprintf("must be at most %d", maxWho))
		}
	}
	if len(o.Groups) == 0 {
		v.fault("oidc.groups", "oidc has no group", "give at least one, such as {group: noc-operators, role: operator}: otherwise nobody who signs in has a role")
	}
	first := make(map[string]string)
	for i, g := range o.Groups {
		path := fmt.Sprintf("oidc.groups[%d]", i)
		if g.Group == "" || len(g.Group) > maxWho {
			v.fault(strict.Join(path, "group"), fmt.Sprintf("group %q has %d bytes", g.Group, len(g.Group)), fmt.Sprintf("must be 1 to %d", maxWho))
		}
		switch g.Role {
		case Portal:
			v.fault(strict.Join(path, "role"), fmt.Sprintf("group %q has the role portal", g.Group), "must be viewer, operator or admin: the customers' portal uses a token or a certificate")
		case Lease:
			v.fault(strict.Join(path, "role"), fmt.Sprintf("group %q has the role lease", g.Group), "must be viewer, operator or admin: a program that grants leases uses a token or a certificate")
		case Reporter:
			v.fault(strict.Join(path, "role"), fmt.Sprintf("group %q has the role reporter", g.Group), "must be viewer, operator or admin: a DHCP server uses a token or a certificate")
		}
		if at, twice := first[g.Group]; twice {
			v.fault(strict.Join(path, "group"), fmt.Sprintf("group %q is listed twice", g.Group), "the first is at "+v.doc.Place(at)+": keep one")
			continue
		}
		first[g.Group] = path
	}
}

// secureURL parses a URL of https without user information and fragment. It also accepts http to a loopback address.
func secureURL(text string) (*url.URL, bool) {
	u, err := url.Parse(text)
	if err != nil || len(text) > maxURL || u.Hostname() == "" || u.User != nil || u.Fragment != "" || u.Opaque != "" {
		return nil, false
	}
	addr, err := netip.ParseAddr(u.Hostname())
	loopback := u.Hostname() == "localhost" || err == nil && addr.IsLoopback()
	return u, u.Scheme == "https" || u.Scheme == "http" && loopback
}
