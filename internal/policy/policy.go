package policy

import (
	"net/netip"
	"slices"
	"time"

	"op25b/internal/pipeline"
	"op25b/internal/strict"
)

// The kinds of document.
const (
	KindPolicy     = "Policy"
	KindInventory  = "Inventory"
	KindExemptions = "Exemptions"
)

// AnyRemote in a rule matches every server.
const AnyRemote = "any"

// A Policy defines the rules for mail traffic between lines and servers, and the dates from which they are in force.
//
// Line groups, services, remote classes, leases and rules are identified by name; compile.Number assigns the numbers that switches use. Order
// matters only among the phases and among the rules of a phase.
type Policy struct {
	Name string `yaml:"name"`
	// UTCOffset determines when the days of the policy begin and end; for Japan it is "+09:00". The default is UTC.
	UTCOffset  Offset      `yaml:"utcOffset,omitempty"`
	LineGroups []LineGroup `yaml:"lineGroups"`
	Services   []Service   `yaml:"services"`
	Remotes    []Remote    `yaml:"remotes"`
	// NAT64 lists the prefixes through which IPv6-only lines reach IPv4 servers. Each IPv4 prefix of a remote class also matches its
	// embedding in each NAT64 prefix. Nil means unspecified, and an empty list means that NAT64 is not used. See Bundle.NAT64Unsaid.
	NAT64 []NAT64 `yaml:"nat64,omitempty"`
	// Exemptions are in a document of their own, of kind Exemptions. Load orders them by CompareExemptions.
	Exemptions []Exemption `yaml:"-"`
	// Leases lists what a login can open, at most MaxLeases.
	Leases []Lease `yaml:"leases,omitempty"`
	Phases []Phase `yaml:"phases"`

	src        strict.Document
	exemptSrc  strict.Document
	exemptKept bool // whether the exemptions are not in the files that were loaded
}

// A Service is a TCP service, identified by its server ports.
type Service struct {
	Name  string    `yaml:"name"`
	Ports []TCPPort `yaml:"ports"`
}

// A TCPPort is a TCP port number, 1 to 65535.
type TCPPort uint16

// A Remote is a class of servers on the network side, identified by their addresses.
type Remote struct {
	Name  string `yaml:"name"`
	Title string `yaml:"title,omitempty"`
	// Relay marks the class of the ISP's own relays. Mail to relays passes in every phase.
	Relay bool `yaml:"relay,omitempty"`
	// Own marks the class of the ISP's own mail servers: relays and mailboxes. Mail to them passes as it passes to relays, except for the
	// services that a phase leaves out of its OwnServices.
	Own      bool           `yaml:"own,omitempty"`
	Prefixes []netip.Prefix `yaml:"prefixes"`
	// Within names the classes whose prefixes may contain prefixes of this class. An address belongs to the class of the longest prefix
	// that contains it. Validate refuses nested prefixes that Within does not allow.
	Within []string `yaml:"within,omitempty"`
}

// Ours reports whether the servers of the class belong to the ISP.
func (r Remote) Ours() bool { return r.Relay || r.Own }

// A Phase is a set of rules that is in force from the phase's date until the date of the next phase.
type Phase struct {
	Name      string `yaml:"name"`
	Title     string `yaml:"title,omitempty"`
	Effective Moment `yaml:"effective"`
	// EffectiveFor has other dates for some line groups. The first phase has none.
	EffectiveFor []GroupDate `yaml:"effectiveFor,omitempty"`
	// SynOnly enables the drain: the phase's rules drop or reject only new connections. Segments without SYN belong to open connections;
	// they pass and are counted under the rule. The drain does not apply to the standing rules or to the line groups' knobs.
	SynOnly bool `yaml:"synOnly,omitempty"`
	// OwnServices names the services that reach own servers without a rule. The phase's rules for own servers decide all other services; these
	// rules precede the standing rules. Nil means that every service reaches own servers.
	OwnServices []string    `yaml:"ownServices,omitempty"`
	Rules       []PhaseRule `yaml:"rules"`
}

// A GroupDate is the date from which a phase is in force for the lines of some groups, instead of the phase's own.
type GroupDate struct {
	Groups    []string `yaml:"groups"`
	Effective Moment   `yaml:"effective"`
}

// A PhaseRule decides what happens to a service's segments between lines and servers. The first rule of a phase that matches a segment
// decides.
//
// Rules with the same name in several phases share one id and one counter. They must have the same service, remote class and subscriber, but
// may differ in action, line groups and legs.
type PhaseRule struct {
	Name string `yaml:"name"`
	// Groups are the line groups to which the rule applies. An empty list means every line, including unnamed lines.
	Groups []string `yaml:"groups,omitempty"`
	// Subscriber restricts the rule to some of the lines' subscribers.
	Subscriber Subscriber `yaml:"subscriber,omitempty"`
	Service    string     `yaml:"service"`
	// Remote is the name of a remote class. The default is AnyRemote.
	Remote string `yaml:"remote,omitempty"`
	// Legs are the legs to which the rule applies. Type Leg describes the default. Only a rule for the service with port 25 may have legs
	// other than UpDst.
	Legs   []Leg  `yaml:"legs,omitempty"`
	Action Action `yaml:"action"`
}

// ForAnyRemote reports whether the rule applies to every server.
func (r PhaseRule) ForAnyRemote() bool { return r.Remote == "" || r.Remote == AnyRemote }

// An Action is a rule's verdict on the segments that it matches.
type Action string

// The actions.
const (
	Permit  Action = "permit"
	Monitor Action = "monitor" // passes segments and counts those that Drop would stop
	// Limit passes new connections up to the line group's rate, and all segments of open connections. Unnamed lines have no rate, so their
	// new connections are dropped.
	Limit Action = "limit"
	// Reject answers a line's new connection with an ICMP error that reports it as administratively prohibited (ICMP type 3 code 13, ICMPv6
	// type 1 code 1). A line gets at most three errors per second. All other segments are dropped without an ICMP error. These are segments
	// of open connections, segments on legs other than UpDst, and segments of a family without an address in the switch's RejectFrom.
	Reject Action = "reject"
	Drop   Action = "drop"
)

// stops reports whether an action can stop a segment.
func (a Action) stops() bool { return a == Limit || a == Reject || a == Drop }

// LeavesOut reports whether the phase has OwnServices without the service, so that rules decide whether the service reaches own servers.
func (ph *Phase) LeavesOut(service string) bool {
	return ph.OwnServices != nil && !slices.Contains(ph.OwnServices, service)
}

// Code returns the pipeline's code of an action; ok is false for an unknown action.
func (a Action) Code() (v pipeline.VerdictAction, ok bool) {
	switch a {
	case Permit:
		return pipeline.Permit, true
	case Monitor:
		return pipeline.Monitor, true
	case Limit:
		return pipeline.Limit, true
	case Reject:
		return pipeline.Reject, true
	case Drop:
		return pipeline.Drop, true
	}
	return 0, false
}

// PhaseAt returns the last phase that has begun by its own date at time t. ok is false if no phase has begun.
func (p *Policy) PhaseAt(t time.Time) (ph *Phase, ok bool) {
	i := p.begun("", t)
	if i < 0 {
		return nil, false
	}
	return &p.Phases[i], true
}

// Phase returns the phase with the given name.
func (p *Policy) Phase(name string) (ph *Phase, ok bool) {
	for i := range p.Phases {
		if p.Phases[i].Name == name {
			return &p.Phases[i], true
		}
	}
	return nil, false
}

// Begins returns the moment at which a phase comes into force by its date, at the policy's UTC offset, for lines whose group has no other date.
func (p *Policy) Begins(ph *Phase) time.Time { return ph.Effective.Start(p.UTCOffset) }

// BeginsFor returns the moment at which a phase comes into force by its date for the lines of a group. The group "" means unnamed lines.
func (p *Policy) BeginsFor(ph *Phase, group string) time.Time {
	return ph.effective(group).Start(p.UTCOffset)
}

// effective returns the date of a phase for the lines of a group.
func (ph *Phase) effective(group string) Moment {
	for _, d := range ph.EffectiveFor {
		if group != "" && slices.Contains(d.Groups, group) {
			return d.Effective
		}
	}
	return ph.Effective
}

// A Beginning is a moment at which a phase comes into force by a date.
type Beginning struct {
	At    time.Time
	Phase *Phase
	// Groups are the line groups that have this date of their own. It is nil for the phase's own date.
	Groups []string
}

// Beginnings returns the moments at which the policy's phases come into force by date, in order.
func (p *Policy) Beginnings() []Beginning {
	var all []Beginning
	for i := range p.Phases {
		ph := &p.Phases[i]
		all = append(all, Beginning{p.Begins(ph), ph, nil})
		for _, d := range ph.EffectiveFor {
			all = append(all, Beginning{d.Effective.Start(p.UTCOffset), ph, d.Groups})
		}
	}
	slices.SortStableFunc(all, func(a, b Beginning) int { return a.At.Compare(b.At) })
	return all
}

// Ends returns the moment at which an exemption expires: the end of its last day at the policy's UTC offset.
func (p *Policy) Ends(e *Exemption) time.Time { return e.Expires.next().Start(p.UTCOffset) }

// ReviewsDue returns the exemptions in force whose review day has come, in the policy's order. BITAG (Port Blocking, 2013) asks operators
// to review their exceptions regularly.
func (p *Policy) ReviewsDue(now time.Time) []Exemption {
	var due []Exemption
	for i := range p.Exemptions {
		e := &p.Exemptions[i]
		if !e.Review.IsZero() && !now.Before(e.Review.Start(p.UTCOffset)) && !p.Ended(e, now) {
			due = append(due, *e)
		}
	}
	return due
}

// Rule returns the rule with the given name.
func (ph *Phase) Rule(name string) (r PhaseRule, ok bool) {
	i := slices.IndexFunc(ph.Rules, func(r PhaseRule) bool { return r.Name == name })
	if i < 0 {
		return PhaseRule{}, false
	}
	return ph.Rules[i], true
}

// ForOwn reports whether a rule names a class of own servers. Such rules precede the standing rules.
func (p *Policy) ForOwn(r PhaseRule) bool {
	remote := p.Remote(r.Remote)
	return remote != nil && remote.Own
}

// LineGroup returns the line group with the given name, or nil.
func (p *Policy) LineGroup(name string) *LineGroup {
	return byName(p.LineGroups, name)
}

// Service returns the service with the given name, or nil.
func (p *Policy) Service(name string) *Service { return byName(p.Services, name) }

// Remote returns the remote class with the given name, or nil.
func (p *Policy) Remote(name string) *Remote { return byName(p.Remotes, name) }

// Ended reports whether an exemption has expired at time now.
func (p *Policy) Ended(e *Exemption, now time.Time) bool { return !now.Before(p.Ends(e)) }

// ForGroup reports whether a rule applies to the lines of a group. The group "" means unnamed lines.
func (r PhaseRule) ForGroup(group string) bool {
	return len(r.Groups) == 0 || group != "" && slices.Contains(r.Groups, group)
}
