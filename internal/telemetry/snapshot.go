package telemetry

import (
	"maps"
	"time"
)

// A Counter is the last reported value of one 64-bit counter. A zero Counter means that the target has not reported it.
type Counter struct {
	Value uint64
	At    time.Time // time of the value by the target's clock, for rates
	Seen  time.Time // time of arrival by the client's clock, for ages
}

// Known reports whether the target has reported the counter.
func (c Counter) Known() bool { return !c.Seen.IsZero() }

// Age returns how long ago the value arrived; 0 for an unknown counter.
func (c Counter) Age(now time.Time) time.Duration {
	if !c.Known() {
		return 0
	}
	return now.Sub(c.Seen)
}

// Counters are the interface counters of openconfig-interfaces, in frames and bytes.
type Counters struct {
	InPkts, InOctets, InDiscards, InErrors     Counter
	OutPkts, OutOctets, OutDiscards, OutErrors Counter
}

// An ACLKey names an ACL entry of one interface.
type ACLKey struct {
	Set        string // set-name
	Type       string // the identity without its module: ACL_MIXED
	SequenceID uint32
}

// An ACLEntry holds the counters of an ACL entry on one interface.
type ACLEntry struct{ Packets, Octets Counter }

// An Interface holds the state and counters that a target reports for one interface.
type Interface struct {
	Name     string
	Port     uint32 // the P4Runtime port, state/id; 0 if not reported
	IfIndex  uint32 // 0 if not reported
	Oper     string // "UP", "DOWN" or another value of the model; empty if not reported
	Counters Counters
	ACL      map[ACLKey]ACLEntry // entries of the ingress ACL sets
}

// Entry returns the counters of an entry of the named set. The type of the set is ignored.
func (in *Interface) Entry(set string, sequenceID uint32) (ACLEntry, bool) {
	for k, e := range in.ACL {
		if k.Set == set && k.SequenceID == sequenceID {
			return e, true
		}
	}
	return ACLEntry{}, false
}

// A Snapshot holds the values that a target has reported, by interface name. It is immutable.
type Snapshot struct {
	Interfaces map[string]*Interface
	// Rejected counts the values of known leaves that could not be read (a counter of "many"), and the counters of list entries without a
	// name. FirstRejected describes the first rejected value.
	Rejected      int
	FirstRejected string
}

// all returns pointers to the counters, in the order of counterLeaves.
func (c *Counters) all() [8]*Counter {
	return [8]*Counter{&c.InPkts, &c.InOctets, &c.InDiscards, &c.InErrors, &c.OutPkts, &c.OutOctets, &c.OutDiscards, &c.OutErrors}
}

// counterLeaves returns the openconfig-interfaces names of the counters, in the order of Counters.all.
func counterLeaves() [8]string {
	return [8]string{"in-pkts", "in-octets", "in-discards", "in-errors", "out-pkts", "out-octets", "out-discards", "out-errors"}
}

func (in *Interface) clone() *Interface {
	c := *in
	c.ACL = maps.Clone(in.ACL)
	return &c
}

// empty reports whether the interface has no known value.
func (in *Interface) empty() bool {
	return in.Port == 0 && in.IfIndex == 0 && in.Oper == "" && in.Counters == Counters{} && len(in.ACL) == 0
}
