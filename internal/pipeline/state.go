// Package pipeline is the typed Go view of p4src/op25b.p4, and the only package that knows the name or the id of a table, a key, an
// action or a counter of it.
//
// It turns a State, the desired content of a switch, into entries, and knows the meaning of an entry. internal/compile decides the state,
// internal/reconcile the order of writes, and internal/p4rt writes.
package pipeline

import (
	"net/netip"
	"sync"
)

// Numbers that the policy assigns and the pipeline matches. The pipeline assumes the zero value where no entry matches: the default line group, any
// other server, an ordinary subscriber.
type (
	Port      uint16 // v1model port number, 9 bits
	VID       uint16 // IEEE 802.1Q VLAN id, 12 bits; 0 is untagged
	Session   uint16 // PPPoE session id (RFC 2516); 0 is no session
	LineGroup uint8
	LineIndex uint16 // 14 bits; 0 is a line without an entry
	Class     uint8  // of a remote or a subscriber's address
	Service   uint8  // 0 is "not mail"
	Epoch     uint8  // 0 is never given to a rule set
	RuleID    uint8
	MAC       [6]byte
)

// The largest numbers.
const (
	MaxPort      Port      = 510    // 9 bits, of which v1model takes 511 for "drop"
	MaxVID       VID       = 4094   // IEEE 802.1Q section 9.6 reserves 4095
	MaxSession   Session   = 0xfffe // RFC 2516 section 4 reserves 0xffff
	MaxLineIndex LineIndex = 1<<14 - 1
)

// Rule ids of the pipeline itself; see p4src/define.p4. A policy's rules are FirstRule to LastRule.
const (
	RuleNone          RuleID = 0 // no rule was looked up: not mail; never counted
	RuleFailClosed    RuleID = 1 // port 25, and no entry matched
	FirstRule         RuleID = 2
	LastRule          RuleID = 247
	RuleLaterFragment RuleID = 251 // a TCP fragment without ports, if a line group does not let it pass
	RuleTinyFragment  RuleID = 252 // TCP cut so that its ports are not in the first fragment
	RuleUndetermined  RuleID = 253 // what cannot be parsed within the bounds
	RuleSpoofed       RuleID = 254 // a source address that is not the line's
)

// Services that stand for frames whose ports cannot be read. A policy's services are 1 to LastService.
const (
	LastService          Service = 247
	ServiceLaterFragment Service = 254
	ServiceUndetermined  Service = 255
)

// A PortRole is the side of the network that a line or port is on.
type PortRole uint8

// The roles, as the pipeline numbers them.
const (
	Access  PortRole = 0
	Network PortRole = 1
)

// A Leg is the direction of a TCP segment relative to the subscriber together with the end that the mail port is on.
type Leg uint8

// The legs. UpDst is the classic rule: a subscriber's segment to a server's port.
const (
	UpDst   Leg = 1
	DownSrc Leg = 2
	DownDst Leg = 3
	UpSrc   Leg = 4
)

// A VerdictAction is what happens to a segment that a verdict entry matches.
type VerdictAction uint8

// The verdicts.
const (
	Permit  VerdictAction = 1
	Monitor VerdictAction = 2 // passes, and is counted under the rule that would drop it
	Drop    VerdictAction = 3
	Limit   VerdictAction = 4 // new connections pass at the line's rate
	Reject  VerdictAction = 5 // a drop with an ICMP error, administratively prohibited, to the subscriber

	LastVerdict = Reject
)

// A LineKey identifies a line on its switch. A line without Session has every frame of its port and VLANs, in a PPPoE session or not, except
// sessions with their own line.
type LineKey struct {
	Port     Port // an access port
	OuterVID VID
	InnerVID VID
	Session  Session
}

// A Line is the group and the index of a line.
type Line struct {
	Group LineGroup
	Index LineIndex // of the line's counters; not 0
}

// A VLANKey is the tags of a frame.
type VLANKey struct{ OuterVID, InnerVID VID }

// A SourceCheck is what happens to a line's packets with a source address that is not bound to the line.
type SourceCheck uint8

// The checks, with the numbers of their verdicts. Without one, sources are not checked.
const (
	SourceMonitor = SourceCheck(Monitor)
	SourceDrop    = SourceCheck(Drop)
)

// A SourceKey binds an address range to a line.
type SourceKey struct {
	Line   LineIndex
	Prefix netip.Prefix // masked
}

// A LimitKey is one direction of a line's new connections.
type LimitKey struct {
	Line LineIndex
	From PortRole // the side that the opening segment comes from
}

// A Rate is a token bucket of packets. P4Runtime's meters count whole packets a second, so no rate is below one.
type Rate struct {
	PerSecond uint32 // at least 1
	Burst     uint32 // at least 1
}

// RejectFrom has the source addresses of the ICMP errors that reject packets. A packet whose family has no address here is dropped without
// an ICMP error.
type RejectFrom struct{ IPv4, IPv6 netip.Addr }

// A ServiceKey matches the ports of a TCP segment, on its way from Role's side.
type ServiceKey struct {
	Role             PortRole
	SrcPort, DstPort PortMatch
	Handshake        Handshake
}

// A Handshake is the part of the TCP handshake that a segment is; the zero value, in a match, is any segment.
type Handshake uint8

// The parts that a match can ask for. Only a server sends a SYN-ACK, and only a client a SYN, which tells the two apart where both ports
// may be a server's.
const (
	SYN    Handshake = 1 // SYN set and ACK clear
	SYNACK Handshake = 2
)

// A Subscriber is the class of an address on the subscribers' side.
type Subscriber struct {
	Class Class     // at least 1
	Line  LineIndex // the only line to which the class applies; 0 is any
}

// A PortMatch is one TCP port, or any: the zero value.
type PortMatch struct {
	Port  uint16
	Exact bool
}

// A ServiceValue is the leg and the service that a ServiceKey stands for. Of two entries that match, the larger Priority (at least 1) wins.
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
	Priority        int32 // at least 1; of two entries that match, the larger wins
}

// A Match is one value, or any: the zero value.
type Match[T ~uint8] struct {
	Value T
	Set   bool
}

// Exactly matches one value.
func Exactly[T ~uint8](v T) Match[T] { return Match[T]{Value: v, Set: true} }

// A Verdict is what a rule does, and the id under which it is counted.
type Verdict struct {
	Action VerdictAction
	Rule   RuleID
}

// A BridgePort is where a MAC address is.
type BridgePort struct {
	Port Port
	Role PortRole
}

// A State is the desired content of a switch, without the epoch of its verdicts, which is chosen when they are written.
type State struct {
	// Shared has what the state has in common with the states of other switches. It may be nil.
	Shared *Shared

	Ports       map[Port]PortRole // a port that is not in it is an access port
	Lines       map[LineKey]Line
	Services    map[ServiceKey]ServiceValue
	Remotes     map[netip.Prefix]Class      // IPv4 and IPv6, masked
	Subscribers map[netip.Prefix]Subscriber // IPv4 and IPv6, masked
	Verdicts    map[VerdictKey]Verdict
	// SynOnly makes the verdicts drop and reject stop only new connections: the drain of a rule set that has just come into force.
	SynOnly bool
	// Staged are rule sets that may come into force next, the likeliest first. The switch keeps as many as it has room for, so that one MODIFY puts
	// one of them in force.
	Staged []map[VerdictKey]Verdict

	SourceChecks map[LineGroup]SourceCheck
	Sources      map[SourceKey]struct{} // checked for lines of the groups in SourceChecks
	Limits       map[LimitKey]Rate      // a line without one lets no new connection pass under the verdict Limit
	RejectFrom   RejectFrom

	Bridge map[MAC]BridgePort
	// LinePorts are the access ports of tags that only one line has: the way to stations that Bridge does not have.
	LinePorts map[VLANKey]Port
	// NetworkPorts and AllPorts are the flood groups, in ascending order.
	NetworkPorts, AllPorts []Port
}

// A Shared has what the states of several switches have in common: services, remotes, subscribers and source checks of one policy. Its entries
// are made once, and it must not be changed afterwards. Other fields of its State are ignored.
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

// allowed returns the entries, or ErrInvalid if a contract does not allow one.
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
