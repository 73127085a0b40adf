package openconfig

import (
	"context"
	"time"
)

// A Source is the data source of the gNMI server: the embedded switch, or an agent beside a switch without gNMI. Its methods are called
// from many goroutines at once: every subscriber reads and watches separately.
type Source interface {
	// Snapshot returns the current counters. The server does not write to the result.
	Snapshot(ctx context.Context) (*State, error)
	// Watch calls changed when anything other than a running counter may have changed: an interface, its state, or the set of ACL entries.
	// Watch returns nil when ctx ends. It also calls changed once at the start, so a caller that reads after every call misses no change.
	// changed never blocks.
	Watch(ctx context.Context, changed func()) error
}

// State is a switch's state and counters.
type State struct {
	// ACLSet is the name of the ACL set that the pipeline applies on ingress of every interface, the set-name of openconfig-acl. If ACLSet
	// is empty, the pipeline has no such set, and /acl is not served.
	ACLSet     string
	Interfaces []Interface
}

// An Interface is one port of the switch, as openconfig-interfaces names it.
type Interface struct {
	Name    string // /interfaces/interface[name]
	Port    uint32 // the P4Runtime port number, /interfaces/interface/state/id of openconfig-p4rt
	IfIndex uint32 // state/ifindex: the kernel's index; 0 if the kernel does not know the link, and then not served
	// Oper is the operational state; empty means OperUnknown. Admin is the administrative state; empty means unknown, and an unknown state
	// is not served.
	Oper  OperStatus
	Admin AdminStatus
	// LastChange is when Oper last changed. A zero time means unknown, and is not served.
	LastChange time.Time
	// LastClear is when the counters restarted because the interface was created anew. A zero time means that they have not restarted.
	LastClear time.Time
	// Counters is nil if the frames of this link are not counted. The counters are then not served, rather than served as zero.
	Counters *InterfaceCounters
	// ACL holds the counters of the ingress ACL set that the pipeline applies on this interface, by sequence id.
	ACL []ACLEntry
}

// An OperStatus is the operational state of an interface, by RFC 8343 and RFC 2863, as openconfig-interfaces spells it.
type OperStatus string

// The operational states.
const (
	OperUp             OperStatus = "UP"
	OperDown           OperStatus = "DOWN"
	OperTesting        OperStatus = "TESTING"
	OperUnknown        OperStatus = "UNKNOWN"
	OperDormant        OperStatus = "DORMANT"
	OperNotPresent     OperStatus = "NOT_PRESENT"      // the interface does not exist now
	OperLowerLayerDown OperStatus = "LOWER_LAYER_DOWN" // an interface below this one is down
)

// An AdminStatus is the administrative state of an interface.
type AdminStatus string

// The administrative states.
const (
	AdminUp   AdminStatus = "UP"
	AdminDown AdminStatus = "DOWN"
)

// InterfaceCounters are the 64-bit counters of openconfig-interfaces, in frames and bytes since the switch came up.
type InterfaceCounters struct {
	InPkts, InOctets, InDiscards, InErrors     uint64
	OutPkts, OutOctets, OutDiscards, OutErrors uint64
}

// An ACLEntry is the counters of one rule of the pipeline on one interface.
type ACLEntry struct {
	SequenceID     uint32 // the rule id
	MatchedPackets uint64
	MatchedOctets  uint64
}
