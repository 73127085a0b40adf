package policy

import (
	"fmt"
	"slices"
	"strings"

	"op25b/internal/strict"
)

// leases checks that each lease opens own servers only, and for a bounded time.
func (v *validator) leases() {
	p := v.p
	if len(p.Leases) > MaxLeases {
		v.inPolicy(at("leases", MaxLeases, ""), fmt.Sprintf("there are %d leases", len(p.Leases)), fmt.Sprintf("a policy can have %d: let one lease open several classes", MaxLeases))
	}
	v.named(p.src, Names(p.Leases), pathTo("leases", "name"), "lease")
	for i, l := range p.Leases {
		path := at("leases", i, "")
		v.leaseOpens(l, path+".opens")
		v.leaseGroups(l, path+".groups")
		v.leaseExcept(l, path+".except")
		valid := fmt.Sprintf("it must be a duration from %v to %v", MinLease, MaxLease)
		forValid := l.For >= MinLease && l.For <= MaxLease
		if !forValid {
			v.inPolicy(path+".for", fmt.Sprintf("lease %q is for %v", l.Name, l.For), valid)
		}
		switch {
		case l.Cap < MinLease || l.Cap > MaxLease:
			v.inPolicy(path+".cap", fmt.Sprintf("lease %q has cap: %v", l.Name, l.Cap), valid)
		case forValid && l.Cap < l.For:
			v.inPolicy(path+".cap", fmt.Sprintf("lease %q has cap: %v, and is for %v", l.Name, l.Cap, l.For),
				"the cap ends a lease that logins renew, and cannot be shorter than one login opens: give at least the duration of for")
		}
		if !l.TLS.valid() {
			v.inPolicy(path+".tls", fmt.Sprintf("lease %q has tls: %s", l.Name, l.TLS), "it must be "+l.TLS.Accepts())
		}
	}
}

// leaseOpens checks the remote classes that a lease opens.
func (v *validator) leaseOpens(l Lease, path string) {
	if len(l.Opens) == 0 {
		v.inPolicy(path, fmt.Sprintf("lease %q opens nothing", l.Name), "name the classes of your own servers that it opens")
	}
	for j, name := range l.Opens {
		classPath := at(path, j, "")
		switch remote := v.p.Remote(name); {
		case remote == nil:
			v.inPolicy(classPath, fmt.Sprintf("unknown remote class %q", name), strict.Nearest(name, Names(v.p.Remotes), "remote classes"))
		case !remote.Ours():
			v.inPolicy(classPath, fmt.Sprintf("lease %q opens class %q, which is not your own", l.Name, name),
				"a login here says nothing about servers outside: a lease opens classes with own: true or relay: true only")
		}
		if slices.Contains(l.Opens[:j], name) {
			v.inPolicy(classPath, fmt.Sprintf("lease %q opens class %q twice", l.Name, name), "keep one")
		}
	}
}

// leaseGroups checks the line groups whose lines can have a lease.
func (v *validator) leaseGroups(l Lease, path string) {
	if l.Groups != nil && len(l.Groups) == 0 {
		v.inPolicy(path, fmt.Sprintf("lease %q is for no line group", l.Name), "name groups, or leave the key out for every line")
	}
	for j, g := range l.Groups {
		groupPath := at(path, j, "")
		if v.p.LineGroup(g) == nil {
			v.inPolicy(groupPath, fmt.Sprintf("unknown line group %q", g), strict.Nearest(g, Names(v.p.LineGroups), "line groups"))
		}
		if slices.Contains(l.Groups[:j], g) {
			v.inPolicy(groupPath, fmt.Sprintf("line group %q is in lease %q twice", g, l.Name), "keep one")
		}
	}
}

// leaseExcept checks the addresses that never get a lease.
func (v *validator) leaseExcept(l Lease, path string) {
	switch {
	case l.Except != nil && !l.Addresses:
		v.inPolicy(path, fmt.Sprintf("lease %q has except, and is for lines only", l.Name), "except is for leases with addresses: true: remove one of the keys, or add the other")
	case len(l.Except) > MaxExcept:
		v.inPolicy(at(path, MaxExcept, ""), fmt.Sprintf("lease %q has %d prefixes in except", l.Name, len(l.Except)), fmt.Sprintf("it can have %d: give shorter prefixes that contain several", MaxExcept))
	}
	for j, prefix := range l.Except {
		v.prefix(v.p.src, at(path, j, ""), prefix, "no address would get the lease")
		if slices.Contains(l.Except[:j], prefix) {
			v.inPolicy(at(path, j, ""), fmt.Sprintf("prefix %v is in except of lease %q twice", prefix, l.Name), "keep one")
		}
	}
}

// leasedRule checks that a rule for leased subscribers opens own servers, and that a lease can match it. It reports whether the rule is valid.
func (v *validator) leasedRule(r PhaseRule, path string) bool {
	p := v.p
	remote := p.Remote(r.Remote)
	if remote == nil && !r.ForAnyRemote() {
		return false // another check reports the unknown class
	}
	opening := slices.IndexFunc(p.Leases, func(l Lease) bool { return slices.Contains(l.Opens, r.Remote) })
	mistaken := slices.ContainsFunc(p.Leases, func(l Lease) bool { // another check reports the lease, which may be the one that is meant
		return len(l.Opens) == 0 || slices.ContainsFunc(l.Opens, func(name string) bool { c := p.Remote(name); return c == nil || !c.Ours() })
	})
	leg := slices.IndexFunc(r.Legs, func(leg Leg) bool { return leg == DownDst || leg == UpSrc })
	switch {
	case r.Subscriber != Leased:
		v.inPolicy(path+".subscriber", fmt.Sprintf("rule %q is for subscriber %q", r.Name, r.Subscriber), "it must be "+r.Subscriber.Accepts()+"; leave the key out for every subscriber")
	case r.Action != Permit:
		v.inPolicy(path+".action", fmt.Sprintf("rule %q is for leased subscribers and has action: %s", r.Name, r.Action), "a lease opens, and closes nothing: it must be permit")
	case r.ForAnyRemote():
		v.inPolicy(path+".remote", fmt.Sprintf("rule %q is for leased subscribers and for every server", r.Name), "a lease opens own servers only: name the class with remote")
	case !remote.Ours():
		v.inPolicy(path+".remote", fmt.Sprintf("rule %q is for leased subscribers and for class %q, which is not your own", r.Name, r.Remote),
			"a login here says nothing about servers outside: name a class with own: true or relay: true")
	case leg >= 0:
		v.inPolicy(at(path+".legs", leg, ""), fmt.Sprintf("rule %q is for leased subscribers on leg %s", r.Name, r.Legs[leg]),
			"a lease opens the way from a line to own servers, not to servers behind the line: keep up_dst and down_src")
	case opening < 0 && mistaken:
		return false
	case opening < 0:
		v.inPolicy(path+".remote", fmt.Sprintf("rule %q is for leased subscribers, and no lease opens class %q", r.Name, r.Remote), "add the class to opens of a lease")
	case len(p.LeasesOf(r)) == 0:
		v.inPolicy(path+".groups", fmt.Sprintf("rule %q is for leased subscribers of %s, and no lease that opens class %q is for them", r.Name, strings.Join(r.Groups, ", "), r.Remote),
			fmt.Sprintf("add them to groups of lease %q, or name other groups", p.Leases[opening].Name))
	default:
		return true
	}
	return false
}

// leasedNeed names the leases among what makes a phase need verdict entries, if it has rules for leased subscribers.
func (v *validator) leasedNeed(ph *Phase) string {
	if slices.ContainsFunc(ph.Rules, PhaseRule.Leased) {
		return ", and a rule for leased subscribers takes that for each lease and once more"
	}
	return ""
}
