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
	KindPolicy    = "Policy"
	KindInventory = "Inventory"
)

// AnyRemote in a rule means every server.
const AnyRemote = "any"

// A Policy has the rules for the mail traffic of lines, and the dates from which they are in force.
//
// Line groups, services, remote classes and rules are identified by name; compile.Number gives each its number on the switches. Only the order of
// phases, and of the rules of a phase, has a meaning.
type Policy struct {
	Name string `yaml:"name"`
	// UTCOffset determines when the days of the policy begin and end: "+09:00" for Japan. The default is UTC.
	UTCOffset  Offset      `yaml:"utcOffset,omitempty"`
	LineGroups []LineGroup `yaml:"lineGroups"`
	Services   []Service   `yaml:"services"`
	Remotes    []Remote    `yaml:"remotes"`
	// NAT64 has the prefixes through which IPv6-only lines reach IPv4 servers. Each IPv4 prefix of a class also applies through each of them.
	// Nil means that it is not given, an empty list that there is no NAT64: see Bundle.NAT64Unsaid.
	NAT64      []NAT64     `yaml:"nat64,omitempty"`
	Exemptions []Exemption `yaml:"exemptions,omitempty"`
	Phases     []Phase     `yaml:"phases"`

	src strict.Document
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
	// Relay marks the ISP's own relays: mail to them passes in every phase.
	Relay    bool           `yaml:"relay,omitempty"`
	Prefixes []netip.Prefix `yaml:"prefixes"`
	// Within names the classes whose prefixes may contain prefixes of this class. The longest prefix wins in the switch, so the inner prefix
	// takes its addresses from the outer class. Validate refuses this without Within.
	Within []string `yaml:"within,omitempty"`
}

// An Exemption permits the addresses of one line, or of one prefix, to send to any server on port 25 until a date.
type Exemption struct {
	// Line names a line of the inventory, whose prefixes are exempt on the line's switch. Either Line or Prefix is set.
	Line string `yaml:"line,omitempty"`
	// Prefix is exempt on every switch.
	Prefix netip.Prefix `yaml:"prefix,omitempty"`
	// Owner, Reason and Expires are required. Validate checks them and gives the reason, which a missing key would not.
	Owner  string `yaml:"owner,omitempty"`
	Reason string `yaml:"reason,omitempty"`
	Ticket string `yaml:"ticket,omitempty"`
	// Expires is the last day on which the exemption is in force.
	Expires Date `yaml:"expires,omitempty"`
	// Review is the day from which a reminder asks whether the exemption is still needed, not after Expires. See ReviewsDue.
	Review Date `yaml:"review,omitempty"`
}

// A Phase is the set of rules in force from its date until that of the next phase.
type Phase struct {
	Name      string `yaml:"name"`
	Title     string `yaml:"title,omitempty"`
	Effective Date   `yaml:"effective"`
	// SynOnly is the drain: the phase's rules drop or reject only new connections. Segments without SYN of open connections pass, and are
	// counted under the rule. The drain does not apply to the standing rules and the line groups' knobs.
	SynOnly bool        `yaml:"synOnly,omitempty"`
	Rules   []PhaseRule `yaml:"rules"`
}

// A PhaseRule decides about the segments of a service between lines and servers. The first matching rule of a phase decides.
//
// A name has one id, and one counter, in all phases of a policy. The action, the line groups and the legs may change between phases; the service
// and the remote class may not.
type PhaseRule struct {
	Name string `yaml:"name"`
	// Groups are the line groups that the rule applies to. The default is every line, including unnamed lines.
	Groups  []string `yaml:"groups,omitempty"`
	Service string   `yaml:"service"`
	// Remote is a class of servers. The default is AnyRemote.
	Remote string `yaml:"remote,omitempty"`
	// Legs are the legs that the rule applies to. See Leg for the default. Only the service of port 25 has other legs than UpDst.
	Legs   []Leg  `yaml:"legs,omitempty"`
	Action Action `yaml:"action"`
}

// ForAnyRemote reports whether the rule applies to every server.
func (r PhaseRule) ForAnyRemote() bool { return r.Remote == "" || r.Remote == AnyRemote }

// An Action is the verdict of a rule on the segments that it matches.
type Action string

// The actions.
const (
	Permit  Action = "permit"
	Monitor Action = "monitor" // lets pass, and counts what Drop would have stopped
	// Limit passes new connections at the rate of the line's group, and all other segments. Unnamed lines have no rate: their new
	// connections are dropped.
	Limit Action = "limit"
	// Reject answers a line's new connection with an ICMP error (type 3 code 13, ICMPv6 type 1 code 1: administratively prohibited), at
	// most three per line and second. Everything else is dropped without an answer: other segments, other legs than UpDst, and all segments
	// on a switch without an address of the packet's family in RejectFrom.
	Reject Action = "reject"
	Drop   Action = "drop"
)

// stops reports whether an action stops any segment.
func (a Action) stops() bool { return a == Limit || a == Reject || a == Drop }

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

// PhaseAt returns the last phase that has begun at t by its date. ok is false before the first one begins.
func (p *Policy) PhaseAt(t time.Time) (ph *Phase, ok bool) {
	i := p.begun(t)
	if i < 0 {
		return nil, false
	}
	return &p.Phases[i], true
}

// Phase returns the phase with a name.
func (p *Policy) Phase(name string) (ph *Phase, ok bool) {
	for i := range p.Phases {
		if p.Phases[i].Name == name {
			return &p.Phases[i], true
		}
	}
	return nil, false
}

// Begins returns the moment from which a phase is in force by its date: the start of the day at the policy's UTC offset.
func (p *Policy) Begins(ph *Phase) time.Time { return ph.Effective.start(p.UTCOffset) }

// Ends returns the moment at which an exemption ends: the end of its last day at the policy's UTC offset.
func (p *Policy) Ends(e *Exemption) time.Time { return e.Expires.next().start(p.UTCOffset) }

// ReviewsDue returns the exemptions in force whose day of review has come, in the order of the policy. BITAG (Port Blocking, 2013) asks operators to
// review their exceptions regularly.
func (p *Policy) ReviewsDue(now time.Time) []Exemption {
	var due []Exemption
	for i := range p.Exemptions {
		e := &p.Exemptions[i]
		if !e.Review.IsZero() && !now.Before(e.Review.start(p.UTCOffset)) && !p.Ended(e, now) {
			due = append(due, *e)
		}
	}
	return due
}

// Rule returns the rule with a name.
func (ph *Phase) Rule(name string) (r PhaseRule, ok bool) {
	i := slices.IndexFunc(ph.Rules, func(r PhaseRule) bool { return r.Name == name })
	if i < 0 {
		return PhaseRule{}, false
	}
	return ph.Rules[i], true
}

// LineGroup returns the line group with a name, or nil.
func (p *Policy) LineGroup(name string) *LineGroup {
	return byName(p.LineGroups, name)
}

// Service returns the service with a name, or nil.
func (p *Policy) Service(name string) *Service { return byName(p.Services, name) }

// Remote returns the remote class with a name, or nil.
func (p *Policy) Remote(name string) *Remote { return byName(p.Remotes, name) }

// Ended reports whether an exemption has ended.
func (p *Policy) Ended(e *Exemption, now time.Time) bool { return !now.Before(p.Ends(e)) }

// ForGroup reports whether a rule applies to the lines of a group; "" means unnamed lines.
func (r PhaseRule) ForGroup(group string) bool {
	return len(r.Groups) == 0 || group != "" && slices.Contains(r.Groups, group)
}
