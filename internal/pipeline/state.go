// Package pipeline is the typed Go view of p4src/op25b.p4. No other package uses the names and ids of the program's tables, keys, actions
// and counters.
//
// The package converts a State, which is the desired content of a switch, to entries, and defines the meaning of entries. Package compile
// computes states, package reconcile orders the writes, and package p4rt sends them.
package pipeline

import (
	"net/netip"
	"sync"
)

// The types of the numbers that entries assign and match. If no entry matches, the pipeline uses zero: the unnamed line's group, servers
// in no class, or a subscriber without an exemption.
type (
	Port      uint16 // a v1model port number, 9 bits
	VID       uint16 // an IEEE 802.1Q VLAN id, 12 bits; 0 means untagged
	Session   uint16 // a PPPoE session id (RFC 2516); 0 means no session
	LineGroup uint8
	LineIndex uint16 // 14 bits; 0 means an unnamed line
	Class     uint8  // the class of a remote or a subscriber address
	Service   uint8  // 0 means "not mail"
	Epoch     uint8  // 0 is never assigned to a rule set
	RuleID    uint8
	MAC       [6]byte

	// A ClockSecond is a second of a switch's clock, 28 bits. It has 2^20 microseconds, because a data plane cannot divide. A clock starts at 0
	// when the switch starts, and again after 2^28 seconds, which are 8.9 years. Therefore, of two seconds, the one that lies less than 2^27
	// seconds after the other is the later.
	ClockSecond uint32
)

// The largest valid numbers.
const (
	MaxPort      Port      = 509    // 9 bits; 510 is the CPU port, and v1model uses 511 for "drop"
	CPUPort      Port      = 510    // packet-outs and packet-ins; no line, station or flood group may have it
	MaxVID       VID       = 4094   // IEEE 802.1Q section 9.6 reserves 4095
	MaxSession   Session   = 0xfffe // RFC 2516 section 4 reserves 0xffff
	MaxLineIndex LineIndex = 1<<14 - 1

	MaxClockSecond ClockSecond = 1<<28 - 1
)

// The ids of the rules that are built into the pipeline, as in p4src/define.p4. The rules of a policy have the ids FirstRule to LastRule.
const (
	RuleNone          RuleID = 0 // no rule was looked up, because the frame is not mail; never counted
	RuleFailClosed    RuleID = 1 // port 25 traffic that no rule matches
	FirstRule         RuleID = 2
	LastRule          RuleID = 247
	RuleLaterFragment RuleID = 251 // a later fragment that the line group's knob monitors or drops
	RuleTinyFragment  RuleID = 252 // a TCP fragment that ends before the ports or could overwrite them
	RuleUndetermined  RuleID = 253 // a frame that the pipeline cannot parse
	RuleSpoofed       RuleID = 254 // a source address that is not bound to the line
)

// The service numbers of frames whose ports cannot be read. The services of a policy have the numbers 1 to LastService.
const (
	LastService          Service = 247
	ServiceLaterFragment Service = 254
	ServiceUndetermined  Service = 255
)

// A PortRole is the side of the network, access or network, to which a port leads.
type PortRole uint8

// The roles, with their numbers in the pipeline.
const (
	Access  PortRole = 0
	Network PortRole = 1
)

// A Leg combines a TCP segment's direction, relative to the subscriber, with the end (source or destination) that has the service's port.
type Leg uint8

// The legs. UpDst is what classic port 25 blocking covers: segments from a subscriber to a server's port.
const (
	UpDst   Leg = 1
	DownSrc Leg = 2
	DownDst Leg = 3
	UpSrc   Leg = 4
)

// A VerdictAction is the action on segments that match a verdict entry.
type VerdictAction uint8

// The verdicts.
const (
	Permit  VerdictAction = 1
	Monitor VerdictAction = 2 // passes segments and counts those that Drop would stop
	Drop    VerdictAction = 3
	Limit   VerdictAction = 4 // passes new connections up to the line's rate
	Reject  VerdictAction = 5 // drops segments and reports "administratively prohibited" to the subscriber by an ICMP error

	LastVerdict = Reject
)

// A LineKey identifies a line on its switch. If Session is 0, every frame of the port and VLANs belongs to the line, except frames in
// PPPoE sessions that have a line of their own.
type LineKey struct {
	Port     Port // an access port
	OuterVID VID
	InnerVID VID
	Session  Session
}

// A Line contains the group and the index that an entry assigns to a line.
type Line struct {
	Group LineGroup
	Index LineIndex // the index of the line's counters; not 0
}

// A VLANKey contains the VLAN ids of a frame's tags.
type VLANKey struct{ OuterVID, InnerVID VID }

// A SourceCheck is the action on packets whose source address is not bound to their line.
type SourceCheck uint8

// The source checks, which have the numbers of the corresponding verdicts. The sources of a group without a SourceCheck are not checked.
const (
	SourceMonitor = SourceCheck(Monitor)
	SourceDrop    = SourceCheck(Drop)
)

// A SourceKey binds an address range to a line.
type SourceKey struct {
	Line   LineIndex
	Prefix netip.Prefix // masked
}

// A LimitKey identifies a line and the direction of its new connections.
type LimitKey struct {
	Line LineIndex
	From PortRole // the side that sends the opening segment
}

// A Rate is a token bucket of packets. The lowest rate is 1, because P4Runtime's meters count whole packets per second.
type Rate struct {
	PerSecond uint32 // at least 1
	Burst     uint32 // at least 1
}

// RejectFrom contains the source addresses of the ICMP errors for rejected packets. If a packet's family has no address, the packet is
// dropped without an ICMP error.
type RejectFrom struct{ IPv4, IPv6 netip.Addr }

// A ServiceKey matches on the ports of a TCP segment that arrives from the side Role.
type ServiceKey struct {
	Role             PortRole
	SrcPort, DstPort PortMatch
	Handshake        Handshake
}

// A Handshake is the part of the TCP handshake to which a segment belongs. In a match, the zero value matches any segment.
type Handshake uint8

// The parts of the handshake on which an entry can match. They identify the server if both ports of a segment may be a server's, because
// only a server sends a SYN-ACK and only a client sends a SYN.
const (
	SYN    Handshake = 1 // SYN set and ACK clear
	SYNACK Handshake = 2
)

// A Subscriber is the class of a subscriber's address.
type Subscriber struct {
	Class Class       // at least 1
	Line  LineIndex   // the only line to which the class applies; 0 means every line
	Until ClockSecond // the clock second from which on the class does not apply; 0 means that it has no end
}

// A PortMatch matches one TCP port. The zero value matches any port.
type PortMatch struct {
	Port  uint16
	Exact bool
}

// A ServiceValue is the leg and the service of segments that match a ServiceKey. If several entries match, the largest Priority decides.
// Priority must be at least 1.
type ServiceValue struct {
	Leg      Leg
	Service  Service
	Priority int32
}

// A VerdictKey is the match of a rule's entry. A field that is not Set matches any value.
type VerdictKey struct {
	Group           Match[LineGroup]
	Leg             Match[Leg]
	Service         Match[Service]
	RemoteClass     Match[Class]
	SubscriberClass Match[Class]
	Priority        int32 // at least 1; if several entries match, the largest priority decides
}

// A Match matches one value. The zero value matches any value.
type Match[T ~uint8] struct {
	Value T
	Set   bool
}

// Exactly returns a Match of the value v.
func Exactly[T ~uint8](v T) Match[T] { return Match[T]{Value: v, Set: true} }

// A Verdict is the action of a rule and the id under which the rule's segments are counted.
type Verdict struct {
	Action VerdictAction
	Rule   RuleID
}

// A BridgePort is the port behind which a MAC address is reachable, and the port's role.
type BridgePort struct {
	Port Port
	Role PortRole
}

// A State is the desired content of a switch. It does not include the epoch of the verdicts, which is chosen when they are written.
type State struct {
	// Shared is the content that the states of several switches have in common. It may be nil.
	Shared *Shared

	Ports       map[Port]PortRole // ports that are not listed are access ports
	Lines       map[LineKey]Line
	Services    map[ServiceKey]ServiceValue
	Remotes     map[netip.Prefix]Class      // by IPv4 or IPv6 prefix, masked
	Subscribers map[netip.Prefix]Subscriber // by IPv4 or IPv6 prefix, masked
	Verdicts    map[VerdictKey]Verdict
	// SynOnly enables the drain: the verdicts Drop and Reject stop only new connections, so that open connections can end by themselves.
	SynOnly bool
	// Staged lists rule sets that may come into force next, the most likely first. The switch keeps as many of them as it has room for,
	// and one MODIFY can then put any of them in force.
	Staged []map[VerdictKey]Verdict

	SourceChecks map[LineGroup]SourceCheck
	Sources      map[SourceKey]struct{} // checked only for lines of the groups in SourceChecks
	Limits       map[LimitKey]Rate      // the verdict Limit passes no new connections of a line that is not listed
	RejectFrom   RejectFrom

	Bridge map[MAC]BridgePort
	// LinePorts maps VLAN tags that occur on only one access port to that port. It serves frames to stations that are not in Bridge.
	LinePorts map[VLANKey]Port
	// NetworkPorts and AllPorts are the ports of the two flood groups, in ascending order.
	NetworkPorts, AllPorts []Port

	// Sessions is the room for entries that depend on sessions and leases, which are not in the State. It has no entries of its own.
	Sessions SessionRoom
}

// A SessionRoom is the largest number of entries that sessions and leases need on a switch, in each table of one address family.
type SessionRoom struct {
	Sources     int // entries that bind addresses to lines
	Subscribers int // entries of exempt lines
	Leases      int // entries of leases, in the same tables as those of exempt lines
}

// A Shared is the content that the states of several switches have in common: the services, remotes, subscribers and source checks of one
// policy. The other fields of its State are ignored. Its entries are computed once, so it must not be changed after its first use.
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

// allowed returns the entries of s. It returns ErrInvalid if the contract does not allow one of them.
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
