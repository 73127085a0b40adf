package openconfig

import (
	"context"
	"time"
)

// A Source provides the data of the gNMI server, such as the embedded switch, or an agent beside a switch without gNMI. Its methods are
// called from many goroutines at once, because every subscriber reads and watches separately.
type Source interface {
	// Snapshot returns the current state, with at least the requested parts. It may omit the other parts, because some are expensive to
	// read. The server does not modify the result.
	Snapshot(ctx context.Context, parts Parts) (*State, error)
	// Watch calls changed when anything other than a running counter may have changed, such as an interface, its state, or the set of ACL
	// entries. Watch also calls changed once at the start, so a caller that reads after every call misses no change. changed never blocks.
	// Watch returns nil when ctx ends.
	Watch(ctx context.Context, changed func()) error
}

// Parts is a set of parts of a State. The system, the name of the ACL set, the rules, and the interfaces without their ACL counters belong
// to no part, because every Snapshot contains them.
type Parts uint8

// These are the parts of a State.
const (
	PartACL   Parts = 1 << iota // Interface.ACL
	PartLines                   // State.Lines
	PartLegs                    // State.Legs
	AllParts  = PartACL | PartLines | PartLegs
)

// State is a switch's state and counters.
type State struct {
	// System is nil if nothing is known about the target itself. /system is then not served.
	System *System
	// ACLSet is the name of the ACL set that the pipeline applies on ingress of every interface, which is the set-name of openconfig-acl. If
	// ACLSet is empty, the pipeline has no such set, and /acl is not served.
	ACLSet string
	// Rules describes entries of the ACL set, ordered by sequence id. A switch does not have the names of rules, so its Rules is empty. The
	// server sums the counters of an entry over the interfaces, whether the entry is described or not.
	Rules      []Rule
	Interfaces []Interface
	// Lines holds the subscriber lines whose counters are not all zero, ordered by id.
	Lines []Line
	// Legs holds the counters by rule set and direction, ordered by epoch, leg and sequence id.
	Legs []LegEntry
}

// A System is the state of the target itself, with the names of openconfig-system. An empty or zero field is unknown, and is not served.
type System struct {
	Hostname, SoftwareVersion string
	// BootTime is the time at which the counters began. A newer BootTime means that the counters have restarted from 0.
	BootTime time.Time
	// Clock is the target's time at the Snapshot.
	Clock time.Time
}

// A Rule describes an entry of the ACL set.
type Rule struct {
	SequenceID  uint32
	Description string // not served if empty, which means unknown
	Action      Action // not served if empty, which means unknown
}

// An Action is the treatment of the packets of an ACL entry, as openconfig-acl spells it.
type Action string

// The actions.
const (
	ActionAccept Action = "ACCEPT"
	ActionDrop   Action = "DROP"   // the packet is dropped without an answer
	ActionReject Action = "REJECT" // the packet is dropped, and an ICMP error is sent
)

// An Interface is one port of the switch, with the names of openconfig-interfaces.
type Interface struct {
	Name    string // /interfaces/interface[name]
	Port    uint32 // the P4Runtime port number, /interfaces/interface/state/id of openconfig-p4rt
	IfIndex uint32 // state/ifindex, the kernel's index; 0 if the kernel does not have the link, and then not served
	// Oper is the operational state; empty means OperUnknown. Admin is the administrative state. An empty Admin means unknown, and is not
	// served.
	Oper  OperStatus
	Admin AdminStatus
	// LastChange is the time at which Oper last changed. A zero time means unknown, and is not served.
	LastChange time.Time
	// LastClear is the time at which the counters restarted because the interface was created anew. A zero time means that they have not
	// restarted.
	LastClear time.Time
	// Transitions is the number of changes of Oper to or from UP, as interface-transitions counts them. Nil means unknown.
	Transitions *uint64
	// Counters is nil if the frames of this link are not counted. The counters are then omitted instead of served as zero.
	Counters *InterfaceCounters
	// ACL holds the counters of the ingress ACL set that the pipeline applies on this interface, ordered by sequence id.
	ACL []ACLEntry
}

// An OperStatus is the operational state of an interface (RFC 8343 and RFC 2863), as openconfig-interfaces spells it.
type OperStatus string

// These are the operational states.
const (
	OperUp             OperStatus = "UP"
	OperDown           OperStatus = "DOWN"
	OperTesting        OperStatus = "TESTING"
	OperUnknown        OperStatus = "UNKNOWN"
	OperDormant        OperStatus = "DORMANT"
	OperNotPresent     OperStatus = "NOT_PRESENT"      // the interface does not exist at present
	OperLowerLayerDown OperStatus = "LOWER_LAYER_DOWN" // an interface below this one is down
)

// An AdminStatus is the administrative state of an interface.
type AdminStatus string

// These are the administrative states.
const (
	AdminUp   AdminStatus = "UP"
	AdminDown AdminStatus = "DOWN"
)

// InterfaceCounters has the 64-bit counters of openconfig-interfaces, in frames and octets since the switch started.
type InterfaceCounters struct {
	InPkts, InOctets, InDiscards, InErrors     uint64
	OutPkts, OutOctets, OutDiscards, OutErrors uint64
	// Absent is the set of counters that are unknown. They are omitted instead of served as zero.
	Absent CounterSet
}

// A CounterSet is a set of interface counters.
type CounterSet uint8

// These are the interface counters, in the order of InterfaceCounters.
const (
	InPkts CounterSet = 1 << iota
	InOctets
	InDiscards
	InErrors
	OutPkts
	OutOctets
	OutDiscards
	OutErrors
	AllCounters CounterSet = 1<<8 - 1
)

// An ACLEntry has the counters of one rule of the pipeline on one interface.
type ACLEntry struct {
	SequenceID     uint32 // the rule id
	MatchedPackets uint64
	MatchedOctets  uint64
}

// A Tally counts packets and their octets.
type Tally struct{ Packets, Octets uint64 }

// A Line has the counters of one subscriber line's mail traffic, by outcome (module op25b-filter).
type Line struct {
	ID                         uint32
	Passed, Monitored, Stopped Tally
	// Unsolicited counts SYN-ACKs without a SYN. These packets are also included in one of the other counts.
	Unsolicited Tally
}

// A LegEntry has the counters of one rule in one rule set for one leg (module op25b-filter).
type LegEntry struct {
	Epoch      uint8 // the rule set
	Leg        Leg
	SequenceID uint32 // the rule id
	Matched    Tally
}

// A Leg is the direction and role of a packet of mail traffic. LegAny is used for a rule that applies to every leg.
type Leg uint8

// These are the legs, with the numbers that the pipeline uses.
const (
	LegAny     Leg = iota
	LegUpDst       // from the line, to the server's port
	LegDownSrc     // to the line, from the server's port
	LegDownDst     // to the line, to the line's server port
	LegUpSrc       // from the line, from the line's server port
	legs
)

// String returns the name of the leg in the module op25b-filter.
func (l Leg) String() string {
	names := [legs]string{"ANY", "UP_DST", "DOWN_SRC", "DOWN_DST", "UP_SRC"}
	if l >= legs {
		return ""
	}
	return names[l]
}
