// Package pipeline is the typed Go view of p4src/op25b.p4. Only this package knows the names and ids of its tables, keys, actions and
// counters.
//
// The package converts a State, the desired content of a switch, to entries, and defines the meaning of an entry. internal/compile
// computes the state, internal/reconcile orders the writes, and internal/p4rt sends them.
package pipeline

import (
	"net/netip"
	"sync"
)

// Numbers that the policy assigns and the pipeline matches. The pipeline uses the zero value if no entry matches: the default line group,
// any other server, or an ordinary subscriber.
type (
	Port      uint16 // v1model port number, 9 bits
	VID       uint16 // IEEE 802.1Q VLAN id, 12 bits; 0 is untagged
	Session   uint16 // PPPoE session id (RFC 2516); 0 is no session
	LineGroup uint8
	LineIndex uint16 // 14 bits; 0 means that the line has no entry
	Class     uint8  // class of a remote or a subscriber address
	Service   uint8  // 0 means "not mail"
	Epoch     uint8  // 0 is never assigned to a rule set
	RuleID    uint8
	MAC       [6]byte
)

// The largest valid numbers.
const (
	MaxPort      Port      = 510    // 9 bits; v1model uses 511 for "drop"
	MaxVID       VID       = 4094   // IEEE 802.1Q section 9.6 reserves 4095
	MaxSession   Session   = 0xfffe // RFC 2516 section 4 reserves 0xffff
	MaxLineIndex LineIndex = 1<<14 - 1
)

// Rule ids of the pipeline itself; see p4src/define.p4. The rules of a policy have the ids FirstRule to LastRule.
const (
	RuleNone          RuleID = 0 // no rule was looked up because the frame is not mail; never counted
	RuleFailClosed    RuleID = 1 // port 25, but no entry matched
	FirstRule         RuleID = 2
	LastRule          RuleID = 247
	RuleLaterFragment RuleID = 251 // a TCP fragment without ports that the line group does not let pass
	RuleTinyFragment  RuleID = 252 // a TCP segment fragmented so that its ports are not in the first fragment
	RuleUndetermined  RuleID = 253 // a frame that cannot be parsed within the bounds
	RuleSpoofed       RuleID = 254 // a source address that does not belong to the line
)

// Services of frames whose ports cannot be read. The services of a policy are 1 to LastService.
const (
	LastService          Service = 247
	ServiceLaterFragment Service = 254
	ServiceUndetermined  Service = 255
)

// A PortRole is the side of the network, access or network, that a line or port is on.
type PortRole uint8

// The roles, with their numbers in the pipeline.
const (
	Access  PortRole = 0
	Network PortRole = 1
)

// A Leg combines the direction of a TCP segment, relative to the subscriber, with the end that the mail port is on.
type Leg uint8

// The legs. UpDst is the classic rule: a segment from a subscriber to a server's port.
const (
	UpDst   Leg = 1
	DownSrc Leg = 2
	DownDst Leg = 3
	UpSrc   Leg = 4
)

// A VerdictAction is the action on a segment that matches a verdict entry.
type VerdictAction uint8

// The verdicts.
const (
	Permit  VerdictAction = 1
	Monitor VerdictAction = 2 // passes and is counted under the rule that would drop it
	Drop    VerdictAction = 3
	Limit   VerdictAction = 4 // new connections pass up to the line's rate
	Reject  VerdictAction = 5 // drops and sends an ICMP error, administratively prohibited, to the subscriber

	LastVerdict = Reject
)

// A LineKey identifies a line on its switch. A line without Session has every frame of its port and VLANs, inside or outside a PPPoE
// session, except the frames of sessions that have their own line.
type LineKey struct {
	Port     Port // an access port
	OuterVID VID
	InnerVID VID
	Session  Session
}

// A Line is the group and the index of a line.
type Line struct {
	Group LineGroup
	Index LineIndex // index of the line's counters; not 0
}

// A VLANKey holds the VLAN tags of a frame.
type VLANKey struct{ OuterVID, InnerVID VID }

// A SourceCheck is the action on packets with a source address that is not bound to their line.
type SourceCheck uint8

// The source checks, with the numbers of their verdicts. Sources of a group without a SourceCheck are not checked.
const (
	SourceMonitor = SourceCheck(Monitor)
	SourceDrop    = SourceCheck(Drop)
)

// A SourceKey binds an address range to a line.
type SourceKey struct {
	Line   LineIndex
	Prefix netip.Prefix // masked
}

// A LimitKey identifies one direction of a line's new connections.
type LimitKey struct {
	Line LineIndex
	From PortRole // the side that sends the opening segment
}

// A Rate is a token bucket of packets. P4Runtime's meters count whole packets per second, so the lowest rate is 1.
type Rate struct {
	PerSecond uint32 // at least 1
	Burst     uint32 // at least 1
}

// RejectFrom holds the source addresses of the ICMP errors that reject packets. If the address for a packet's family is missing, the
// packet is dropped without an ICMP error.
type RejectFrom struct{ IPv4, IPv6 netip.Addr }

// A ServiceKey matches the ports of a TCP segment that comes from the side Role.
type ServiceKey struct {
	Role             PortRole
	SrcPort, DstPort PortMatch
	Handshake        Handshake
}

// A Handshake is the part of the TCP handshake that a segment belongs to. In a match, the zero value matches any segment.
type Handshake uint8

// The parts of the handshake that a match can select. They distinguish server and client if both ports may be a server's: only a server
// sends a SYN-ACK, and only a client sends a SYN.
const (
	SYN    Handshake = 1 // SYN set and ACK clear
	SYNACK Handshake = 2
)

// A Subscriber is the class of a subscriber's address.
type Subscriber struct {
	Class Class     // at least 1
	Line  LineIndex // the only line to which the class applies; 0 means every line
}

// A PortMatch matches one TCP port. The zero value matches any port.
type PortMatch struct {
	Port  uint16
	Exact bool
}

// A ServiceValue is the leg and the service of segments that match a ServiceKey. If two entries match, the larger Priority (at least 1)
// wins.
type ServiceValue struct {
	Leg      Leg
	Service  Service
	Priority int32
}

// A VerdictKey is the match of one rule. A field that is not Set matches anything.
type VerdictKey struct {
	Group           Match[LineGroup]
	Leg             Match[Leg]
	Service         Match[Service]
	RemoteClass     Match[Class]
	SubscriberClass Match[Class]
	Priority        int32 // at least 1; if two entries match, the larger priority wins
}

// A Match matches one value. The zero value matches any value.
type Match[T ~uint8] struct {
	Value T
	Set   bool
}

// Exactly returns a Match for one value.
func Exactly[T ~uint8](v T) Match[T] { return Match[T]{Value: v, Set: true} }

// A Verdict is the action of a rule and the id under which the rule is counted.
type Verdict struct {
	Action VerdictAction
	Rule   RuleID
}

// A BridgePort is the port at which a MAC address is reachable, and its role.
type BridgePort struct {
	Port Port
	Role PortRole
}

// A State is the desired content of a switch. A State does not include the epoch of its verdicts, which is chosen when they are written.
type State struct {
	// Shared holds the content that the state has in common with the states of other switches. It may be nil.
	Shared *Shared

	Ports       map[Port]PortRole // a port that is not listed is an access port
	Lines       map[LineKey]Line
	Services    map[ServiceKey]ServiceValue
	Remotes     map[netip.Prefix]Class      // IPv4 and IPv6, masked
	Subscribers map[netip.Prefix]Subscriber // IPv4 and IPv6, masked
	Verdicts    map[VerdictKey]Verdict
	// SynOnly enables the drain: the verdicts drop and reject stop only new connections, so that open connections can end.
	SynOnly bool
	// Staged lists rule sets that may come into force next, the likeliest first. The switch keeps as many of them as it has room for, so
	// that one MODIFY can put one of them in force.
	Staged []map[VerdictKey]Verdict

	SourceChecks map[LineGroup]SourceCheck
	Sources      map[SourceKey]struct{} // the check applies to lines of the groups in SourceChecks
	Limits       map[LimitKey]Rate      // a line without a rate lets no new connection pass under the verdict Limit
	RejectFrom   RejectFrom

	Bridge map[MAC]BridgePort
	// LinePorts maps tags that only one line has to the access port of the line. Frames to stations that are not in Bridge use this port.
	LinePorts map[VLANKey]Port
	// NetworkPorts and AllPorts are the ports of the flood groups, in ascending order.
	NetworkPorts, AllPorts []Port
}

// A Shared holds the content that the states of several switches have in common: services, remotes, subscribers and source checks of one
// policy. Its entries are computed once, and it must not be changed afterwards. Other fields of its State are ignored.
type Shared struct {
	State State

	once sync.Once
	all  []Entry
	err  error

	mu       sync.Mutex // guards verdicts
	verdicts map[*Contract]error
}

func (s *Shared) entries() ([]Entry, error) {
	s.once.Do(func() {
		common := &State{Services: s.State.Services, Remotes: s.State.Remotes, Subscribers: s.State.Subscribers, SourceChecks: s.State.SourceChecks}
		b := &builder{entries: make([]Entry, 0, common.size())}
		b.state(common)
		s.all, s.err = b.done()
	})
	return s.all, s.err
}

// allowed returns the entries. It returns ErrInvalid if the contract does not allow one of them.
func (s *Shared) allowed(c *Contract) ([]Entry, error) {
	all, err := s.entries()
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	err, asked := s.verdicts[c]
	if !asked {
		if s.verdicts == nil {
			s.verdicts = map[*Contract]error{}
		}
		err = c.Allows(all)
		s.verdicts[c] = err
	}
	return all, err
}
