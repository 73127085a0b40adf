// Package pipeline is the typed Go view of p4src/op25b.p4, and the only package that knows the name or the id of a table, a key, an
// action or a counter of it.
//
// It turns a State, what a switch should hold, into P4Runtime entities and back. It does not decide what a switch should hold (policy
// does), nor in which order to write it (reconcile), nor how (p4rt).
package pipeline

import (
	"net/netip"
)

// Numbers that the policy gives out and the pipeline matches on. The zero value of each is what the pipeline assumes where no entry
// says otherwise: the default line group, any other server, an ordinary subscriber.
type (
	Port      uint16 // v1model port number, 9 bits
	VID       uint16 // IEEE 802.1Q VLAN id, 12 bits; 0 is untagged
	LineGroup uint8
	LineIndex uint16
	Class     uint8 // of a remote or a subscriber's address
	Service   uint8 // 0 is "not mail"
	Epoch     uint8 // 0 is never given to a rule set
	RuleID    uint8
	MAC       [6]byte
)

// Rule ids that the pipeline itself gives; see p4src/define.p4. A policy's rules start at FirstRule.
const (
	RuleNone       RuleID = 0 // no rule was asked: not mail; never counted
	RuleFailClosed RuleID = 1 // mail port 25 of a subscriber that no entry matched, or a malformed packet
	FirstRule      RuleID = 2
	LastRule       RuleID = 255
)

// A Role is the side of the network that a line or port is on.
type Role uint8

// The roles, as the pipeline numbers them.
const (
	Access  Role = 0
	Network Role = 1
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
)

// A LineKey says by what a line is known on its switch.
type LineKey struct {
	Port     Port
	OuterVID VID
	InnerVID VID
}

// A Line is what is behind a LineKey.
type Line struct {
	Role  Role
	Group LineGroup
	Index LineIndex
}

// A ServiceKey matches the ports of a TCP segment, on its way from Role's side.
type ServiceKey struct {
	Role             Role
	SrcPort, DstPort PortMatch
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
	Role Role
}

// A State is all that a switch should hold, but for the epoch that its verdicts stand in, which is chosen when they are written.
type State struct {
	Lines       map[LineKey]Line
	Services    map[ServiceKey]ServiceValue
	Remotes     map[netip.Prefix]Class // IPv4 and IPv6, masked
	Subscribers map[netip.Prefix]Class // IPv4 and IPv6, masked
	Verdicts    map[VerdictKey]Verdict
	Bridge      map[MAC]BridgePort
	// NetworkPorts and AllPorts are the flood groups, in ascending order.
	NetworkPorts, AllPorts []Port
}
