package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// A Lease lets a subscriber reach classes of own servers for some minutes after a POP3 or IMAP login. It is the POP before SMTP of 2006.
//
// A line or an address that has a lease is in a subscriber class of the lease's own, and rules with Subscriber Leased match that class. No
// rule can open a server outside for it.
type Lease struct {
	Name string `yaml:"name"`
	// Opens names the remote classes that the lease opens. All of them are the ISP's own.
	Opens []string `yaml:"opens"`
	// For is how long a login opens them. Cap is how long logins can renew the lease, counted from the first of them.
	For Duration `yaml:"for"`
	Cap Duration `yaml:"cap"`
	// Groups are the line groups whose lines can have the lease. An empty list means every line of the inventory.
	Groups []string `yaml:"groups,omitempty"`
	// TLS specifies which logins count. The default is TLSOptional.
	TLS LeaseTLS `yaml:"tls,omitempty"`
	// Addresses specifies that an address outside all lines can have the lease too, on the switches with Switch.AddressLeases.
	Addresses bool `yaml:"addresses,omitempty"`
	// Except lists addresses that never get the lease by Addresses, at most MaxExcept prefixes. A login from a NAT or a proxy of the ISP says nothing
	// about the customer behind it.
	Except []netip.Prefix `yaml:"except,omitempty"`
}

// Limits on leases.
const (
	// MaxLeases is the largest number of leases of a policy. Each lease takes verdict entries of its own.
	MaxLeases = 16
	// MaxAddressLeases is the largest number of leases of addresses of one family. Each switch with Switch.AddressLeases has room for them.
	MaxAddressLeases = 8192
	// MaxExcept is the largest number of prefixes in Lease.Except.
	MaxExcept = 256
)

// The bounds of Lease.For and Lease.Cap. A mail program that polls less than once a minute would lose a shorter lease between two logins. A
// lease that outlives a day would be an exemption without an owner.
const (
	MinLease = Duration(time.Minute)
	MaxLease = Duration(24 * time.Hour)
)

// ForGroup reports whether the lines of a group can have the lease. The group "" means unnamed lines, whose addresses are outside all lines.
func (l Lease) ForGroup(group string) bool {
	return len(l.Groups) == 0 || slices.Contains(l.Groups, group) || group == "" && l.Addresses
}

// Among returns those of the given line groups whose lines can have the lease. Nil groups mean every line. every is true if that is also the
// result.
func (l Lease) Among(groups []string) (among []string, every bool) {
	switch {
	case groups == nil && len(l.Groups) == 0:
		return nil, true
	case groups == nil && l.Addresses:
		return append(slices.Clone(l.Groups), ""), false
	case groups == nil:
		return l.Groups, false
	}
	return slices.DeleteFunc(slices.Clone(groups), func(g string) bool { return !l.ForGroup(g) }), false
}

// A Duration is the length of a lease, in whole seconds.
type Duration time.Duration

// ParseDuration parses a duration such as 10m, 90s or 1h30m. It returns ErrDuration unless the duration is a positive number of whole seconds.
func ParseDuration(text string) (Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 || d%time.Second != 0 {
		return 0, fmt.Errorf("%w %q: a duration is written as in 10m, 90s or 1h30m", ErrDuration, text)
	}
	return Duration(d), nil
}

// String returns the duration without units that are 0: "10m".
func (d Duration) String() string {
	text := time.Duration(d).String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// MarshalYAML returns the duration as text, for strict.Encode.
func (d Duration) MarshalYAML() (any, error) { return d.String(), nil }

// A LeaseTLS specifies whether a login without TLS grants a lease.
type LeaseTLS string

// The values of LeaseTLS. The zero value means TLSOptional.
const (
	TLSOptional LeaseTLS = "optional"
	TLSRequired LeaseTLS = "required"
)

// valid reports whether the value is empty or known.
func (t LeaseTLS) valid() bool { return t == "" || t == TLSOptional || t == TLSRequired }

// A Subscriber specifies which subscribers of its lines a rule matches. The zero value means all of them.
type Subscriber string

// Leased matches subscribers with a lease that opens the rule's remote class. It also matches exempt subscribers. They cannot have a lease,
// because an address has a single class, and a customer must not lose the way to own servers by an exemption.
const Leased Subscriber = "leased"

// Leased reports whether the rule matches only subscribers with a lease.
func (r PhaseRule) Leased() bool { return r.Subscriber == Leased }

// Lease returns the lease with the given name, or nil.
func (p *Policy) Lease(name string) *Lease { return byName(p.Leases, name) }

// LeasesOf returns the leases with which a subscriber matches a rule for leased subscribers.
func (p *Policy) LeasesOf(r PhaseRule) []Lease {
	var of []Lease
	for _, l := range p.Leases {
		among, every := l.Among(r.Groups)
		if slices.Contains(l.Opens, r.Remote) && (every || len(among) > 0) {
			of = append(of, l)
		}
	}
	return of
}

// Holders returns LeasesOf, preceded by a Lease without a name that stands for the exempt subscribers whom the rule matches. They are in the
// line groups of any of the leases.
func (p *Policy) Holders(r PhaseRule) []Lease {
	leases := p.LeasesOf(r)
	if len(leases) == 0 {
		return nil
	}
	var exempt Lease
	every := false
	for _, l := range leases {
		every = every || len(l.Groups) == 0
		exempt.Addresses = exempt.Addresses || l.Addresses
		for _, g := range l.Groups {
			if !slices.Contains(exempt.Groups, g) {
				exempt.Groups = append(exempt.Groups, g)
			}
		}
	}
	if every {
		exempt.Groups = nil
	}
	return append([]Lease{exempt}, leases...)
}

// leasedEntries returns the number of verdict entries of a rule for leased subscribers on one leg.
func (p *Policy) leasedEntries(r PhaseRule) int {
	n := 0
	for _, l := range p.Holders(r) {
		if among, every := l.Among(r.Groups); every {
			n++
		} else {
			n += len(among)
		}
	}
	return n
}
