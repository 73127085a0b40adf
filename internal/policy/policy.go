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

// AnyRemote, in a rule, is every server, whatever its class.
const AnyRemote = "any"

// A Policy says what happens to the mail traffic of which lines, and from when on.
//
// Line groups, services, remote classes and rules are known by their names: Number gives each the number that it has in the switches, and
// their order means nothing but to a phase's rules.
type Policy struct {
	Name string `yaml:"name"`
	// UTCOffset is where the dates of the policy begin and end: "+09:00" for Japan. Absent, days are UTC's.
	UTCOffset  Offset      `yaml:"utcOffset,omitempty"`
	LineGroups []LineGroup `yaml:"lineGroups"`
	Services   []Service   `yaml:"services"`
	Remotes    []Remote    `yaml:"remotes"`
	// NAT64 are the prefixes through which IPv6-only lines reach IPv4 servers. Every IPv4 prefix of a class counts through each of them too.
	// Nil says nothing, and an empty list that there is no NAT64: see Bundle.NAT64Unsaid.
	NAT64      []NAT64     `yaml:"nat64,omitempty"`
	Exemptions []Exemption `yaml:"exemptions,omitempty"`
	Phases     []Phase     `yaml:"phases"`

	src strict.Document
}

// A Service is a use of TCP, known by its server ports.
type Service struct {
	Name  string    `yaml:"name"`
	Ports []TCPPort `yaml:"ports"`
}

// A TCPPort is a TCP port number, 1 to 65535.
type TCPPort uint16

// A Remote is a class of servers on the network side, known by their addresses.
type Remote struct {
	Name  string `yaml:"name"`
	Title string `yaml:"title,omitempty"`
	// Relay marks the ISP's own relays: mail to them passes in every phase.
	Relay    bool           `yaml:"relay,omitempty"`
	Prefixes []netip.Prefix `yaml:"prefixes"`
	// Within names the other classes that prefixes of this one are carved out of. The longest prefix wins in the switch, so a
	// prefix inside another class's takes its addresses away from that class; without this it is refused as an accident.
	Within []string `yaml:"within,omitempty"`
}

// An Exemption lets the addresses of one line, or of one prefix, send to any server on port 25 until a date.
type Exemption struct {
	// Line names a line of the inventory, whose prefixes are exempt on the switch that the line is on. Either it or Prefix is set.
	Line string `yaml:"line,omitempty"`
	// Prefix is exempt on every switch.
	Prefix netip.Prefix `yaml:"prefix,omitempty"`
	// Owner, Reason and Expires must be there: Validate says why, where a missing key could not.
	Owner  string `yaml:"owner,omitempty"`
	Reason string `yaml:"reason,omitempty"`
	Ticket string `yaml:"ticket,omitempty"`
	// Expires is the last day on which the exemption holds.
	Expires Date `yaml:"expires,omitempty"`
	// Review is the day on which somebody looks whether it is still needed, not after Expires; absent, nobody is reminded. See ReviewsDue.
	Review Date `yaml:"review,omitempty"`
}

// A Phase is the set of rules in force from a date until the next phase's.
type Phase struct {
	Name      string `yaml:"name"`
	Title     string `yaml:"title,omitempty"`
	Effective Date   `yaml:"effective"`
	// SynOnly is the drain: what the phase's rules drop or reject is new connections alone. Segments without SYN of those that are open
	// already pass, and are counted under the rule. The standing rules and the line groups' knobs know no drain.
	SynOnly bool        `yaml:"synOnly,omitempty"`
	Rules   []PhaseRule `yaml:"rules"`
}

// A PhaseRule says what happens to the segments of a service between lines and servers. Of a phase's rules the first that matches decides.
//
// A name stands for one id, and so for one counter, in all phases of a policy: the action, the line groups and the legs may change from
// phase to phase, the service and the remote class may not.
type PhaseRule struct {
	Name string `yaml:"name"`
	// Groups are the line groups that the rule is for. Absent, it is for every line, also for one that no inventory names.
	Groups  []string `yaml:"groups,omitempty"`
	Service string   `yaml:"service"`
	// Remote is a class of servers, or AnyRemote, which is also what its absence means.
	Remote string `yaml:"remote,omitempty"`
	// Legs are the directions that the rule is for: see Leg for what their absence means. Only the service of port 25 has others than UpDst.
	Legs   []Leg  `yaml:"legs,omitempty"`
	Action Action `yaml:"action"`
}

// ForAnyRemote reports whether the rule is for every server.
func (r PhaseRule) ForAnyRemote() bool { return r.Remote == "" || r.Remote == AnyRemote }

// An Action is what a rule does with what it matches.
type Action string

// The actions.
const (
	Permit  Action = "permit"
	Monitor Action = "monitor" // lets pass, and counts what Drop would have stopped
	// Limit lets new connections pass at the rate of the line's group, and what is not a new connection always. A line that no inventory
	// names has no rate: its new connections are dropped.
	Limit Action = "limit"
	// Reject answers a line's new connection with an ICMP error (type 3 code 13, ICMPv6 type 1 code 1: administratively prohibited), at
	// most three a line and second. All else is dropped in silence: other segments, other legs than UpDst, and on a switch without an
	// address of the packet's family in RejectFrom everything.
	Reject Action = "reject"
	Drop   Action = "drop"
)

// stops reports whether an action keeps anything from passing.
func (a Action) stops() bool { return a == Limit || a == Reject || a == Drop }

// Code is the pipeline's name for an action; ok is false for an action that it does not have.
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

// PhaseAt returns the phase in force at t: the last that has begun. Before the first one begins there is none, and ok is false.
func (p *Policy) PhaseAt(t time.Time) (ph *Phase, ok bool) {
	i := p.begun(t)
	if i < 0 {
		return nil, false
	}
	return &p.Phases[i], true
}

// Phase returns the phase of a name.
func (p *Policy) Phase(name string) (ph *Phase, ok bool) {
	for i := range p.Phases {
		if p.Phases[i].Name == name {
			return &p.Phases[i], true
		}
	}
	return nil, false
}

// Begins is the moment from which a phase is in force: the start of its effective date at the policy's UTC offset.
func (p *Policy) Begins(ph *Phase) time.Time { return ph.Effective.start(p.UTCOffset) }

// Ends is the moment from which an exemption no longer holds: the end of the day on which it expires, at the policy's UTC offset.
func (p *Policy) Ends(e *Exemption) time.Time { return e.Expires.next().start(p.UTCOffset) }

// ReviewsDue are the exemptions that hold at a moment and whose day of review has come, in the order of the policy. Operators who block are
// asked to look at their exceptions regularly (BITAG, Port Blocking, 2013).
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

// Rule returns the rule of a name.
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

// Ended reports whether an exemption no longer holds.
func (p *Policy) Ended(e *Exemption, now time.Time) bool { return !now.Before(p.Ends(e)) }

// ForGroup reports whether a rule is for the lines of a group; "" means lines that no inventory names.
func (r PhaseRule) ForGroup(group string) bool {
	return len(r.Groups) == 0 || group != "" && slices.Contains(r.Groups, group)
}
