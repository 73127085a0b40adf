package openconfig

import (
	"context"
	"time"
)

// A Source is where the gNMI server reads from: the embedded switch, or an agent beside a switch that has no gNMI of its own.
// Its methods are called from many goroutines at once: every subscriber reads, and watches, for itself.
type Source interface {
	// Snapshot returns the counters as they are now. The server never writes to what it got.
	Snapshot(ctx context.Context) (*State, error)
	// Watch calls changed each time something other than a running counter may have changed (an interface came or went, or
	// its state, or an ACL entry appeared), until ctx ends; then it returns nil. It calls changed once as soon as it watches,
	// so that whoever reads on every call misses nothing. changed never blocks.
	Watch(ctx context.Context, changed func()) error
}

// State is what a switch tells about itself.
type State struct {
	// ACLSet is the name of the ACL set that the pipeline applies on ingress of every interface, the set-name of
	// openconfig-acl. Empty: the pipeline has none (or none is loaded), and no /acl is served.
	ACLSet     string
	Interfaces []Interface
}

// An Interface is one port of the switch, as openconfig-interfaces names it.
type Interface struct {
	Name    string // /interfaces/interface[name]
	Port    uint32 // the P4Runtime port number, /interfaces/interface/state/id of openconfig-p4rt
	IfIndex uint32 // state/ifindex: the kernel's index; 0 on a link that the kernel does not know, and not served then
	// Oper is the operational state; empty means OperUnknown. Admin is the administrative state; empty where nobody says, and not served then.
	Oper  OperStatus
	Admin AdminStatus
	// LastChange is when Oper changed last; zero where that is not known, and not served then.
	LastChange time.Time
	// LastClear is when the counters began anew, because the interface was made anew; zero where they have not.
	LastClear time.Time
	// Counters is nil where nothing counts the frames of this link: its counters are absent then, rather than zero.
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
	OperNotPresent     OperStatus = "NOT_PRESENT"      // there is no such interface now
	OperLowerLayerDown OperStatus = "LOWER_LAYER_DOWN" // the interface that this one is on is down
)

// An AdminStatus is what an operator wants of an interface.
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

// An ACLEntry is one rule of the pipeline as it was met on one interface.
type ACLEntry struct {
	SequenceID     uint32 // the rule id
	MatchedPackets uint64
	MatchedOctets  uint64
}
