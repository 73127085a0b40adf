package check

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"op25b/internal/compile"
	"op25b/internal/pipeline"
	"op25b/internal/policy"
)

// Prefixes that contain all addresses. The pipeline refuses prefixes of length 0.
var everywhere = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/1"), netip.MustParsePrefix("128.0.0.0/1"), netip.MustParsePrefix("::/1"), netip.MustParsePrefix("8000::/1"),
}

// leased returns entries that give every address a lease. Exempt addresses keep their class, because their prefixes are longer.
func leased(c *compile.Compiled, lease string) []pipeline.Entry {
	var all []pipeline.Entry
	for class, l := range c.Leases {
		if l.Name != lease {
			continue
		}
		for _, p := range everywhere {
			if e, err := pipeline.SubscriberEntry(p, pipeline.Subscriber{Class: class}); err == nil { // the prefixes are valid
				all = append(all, e)
			}
		}
	}
	return all
}

// leasesThatOpen returns the leases that the subscriber can have and with which a stopped connection would pass.
func (c *Checker) leasesThatOpen(r *Result, s *subscriber, in policy.InForce, server netip.AddrPort, at time.Time) ([]policy.Lease, error) {
	if r.Outcome.Passes() {
		return nil, nil
	}
	var all []policy.Lease
	for _, lease := range c.policy.Leases {
		if !slices.Contains(lease.Opens, r.Remote.Name) || !c.canHave(s, &lease) || s.line != nil && c.exemptBySession(s, at) {
			continue
		}
		l, err := c.load(s.sw.Name, in, at, lease.Name)
		if err != nil {
			return nil, err
		}
		if v := l.judged(s, r.From, server, false); v.outcome.Passes() {
			all = append(all, lease)
		}
	}
	return all, nil
}

// ByLogin returns the lease that a login gives to a line of a group, if the connection is stopped without it and passes with it. A line gets the
// first lease of the policy that is for its group.
func (r *Result) ByLogin(p *policy.Policy, group string) (l policy.Lease, opens bool) {
	if r == nil {
		return l, false
	}
	i := slices.IndexFunc(p.Leases, func(l policy.Lease) bool { return l.ForGroup(group) })
	if i < 0 {
		return l, false
	}
	return p.Leases[i], slices.ContainsFunc(r.leases, func(x policy.Lease) bool { return x.Name == p.Leases[i].Name })
}

// canHave reports whether a lease can be granted to the subscriber.
func (c *Checker) canHave(s *subscriber, l *policy.Lease) bool {
	switch {
	case s.line != nil:
		return l.ForGroup(s.line.Group)
	case !s.from.IsValid(): // any address
		return s.sw.AddressLeases && l.Addresses
	}
	return s.sw.AddressLeases && c.leases().Check(s.from, l) == nil
}

// leaseNote says that the connection passes after a login.
func leaseNote(s *subscriber, l policy.Lease) string {
	login, of := "a POP3 or IMAP login", "the line"
	if l.TLS == policy.TLSRequired {
		login += " inside TLS"
	}
	if s.line == nil {
		of = "the address"
	}
	return fmt.Sprintf("with lease %q the connection passes: %s opens it to %s for %v, and further logins for at most %v", l.Name, login, of, l.For, l.Cap)
}
