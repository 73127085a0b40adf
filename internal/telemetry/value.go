package telemetry

import "time"

// counterNames are the collected interface counters, by their names in openconfig-interfaces.
var counterNames = [...]string{
	"in-pkts", "in-octets", "in-discards", "in-errors", "out-pkts", "out-octets", "out-discards", "out-errors", "interface-transitions",
}

// numCounters is the number of interface counters.
const numCounters = len(counterNames)

// These are the positions of the interface counters in Interface.Counters.
const (
	InPkts = iota
	InOctets
	InDiscards
	InErrors
	OutPkts
	OutOctets
	OutDiscards
	OutErrors
	Transitions
)

// An Outcome is the fate of a line's mail traffic, as the augmentation op25b-filter reports it.
type Outcome int

// These are the outcomes, in the order of LineCount. Unsolicited counts the SYN-ACKs from port 25 that answer no SYN of the line.
const (
	Passed Outcome = iota
	Monitored
	Stopped
	Unsolicited
	numOutcomes int = iota
)

var outcomeNames = [numOutcomes]string{"passed", "monitored", "stopped", "unsolicited"}

// String returns the prefix of the leaf names in the module op25b-filter.
func (o Outcome) String() string { return outcomeNames[o] }

// A Count is a number of packets and their octets.
type Count struct{ Packets, Octets uint64 }

// Plus returns the sum of two counts.
func (c Count) Plus(d Count) Count { return Count{c.Packets + d.Packets, c.Octets + d.Octets} }

// A Reading is a copy of the values of one target.
//
// The counts begin at the target's first reported values and never decrease. While the target does not restart, they equal the reported
// values.
type Reading struct {
	// Hostname, Software and Boot are leaves of /system/state. They are empty or zero if the target does not report them. Boot is the
	// time at which the counters began.
	Hostname, Software string
	Boot               time.Time
	Interfaces         []Interface // ordered by name
	// Legs has the counts of the rules by epoch and leg. Lines has the counts of the lines. Both are ordered by key.
	Legs  []LegCount
	Lines []LineCount
	// Rejected is the number of values of known leaves that could not be read, such as a counter of "many". FirstRejected describes the
	// first one.
	Rejected      int
	FirstRejected string
}

// An Interface has the state and the counters of one interface, as the target reports them.
type Interface struct {
	Name       string
	Port       uint32 // the P4Runtime port from state/id; 0 if not reported
	IfIndex    uint32 // 0 if not reported
	Oper       string // "UP", "DOWN" or another value of the model; empty if not reported
	Admin      string // likewise
	LastChange time.Time
	// Counters is in the order of the constants InPkts to Transitions. Reported is true for those that the target reports.
	Counters [numCounters]uint64
	Reported [numCounters]bool
	ACL      []ACLCount // ordered by key
	// At is the target's timestamp of the newest counters, and Seen is their arrival time by the collector's clock. Both are zero if
	// there are no counters.
	At, Seen time.Time
}

// An ACLKey identifies an entry of an ingress ACL set.
type ACLKey struct {
	Set        string // set-name
	Type       string // the identity without its module, such as ACL_MIXED
	SequenceID uint32
}

// An ACLCount has the counts of an ACL entry on one interface.
type ACLCount struct {
	ACLKey
	Count
}

// A LegKey identifies the counts of a rule on a leg in an epoch.
type LegKey struct {
	Epoch uint8
	Leg   string // ANY, UP_DST, DOWN_SRC, DOWN_DST or UP_SRC
	Rule  uint32 // the rule id
}

// A LegCount has the counts of one LegKey.
type LegCount struct {
	LegKey
	Count
}

// A LineCount has the counts of the line with this index on the switch, by outcome.
type LineCount struct {
	Line     uint32
	Outcomes [numOutcomes]Count
}

// Interface returns the interface with the given name, or nil if there is none.
func (r *Reading) Interface(name string) *Interface {
	for i := range r.Interfaces {
		if r.Interfaces[i].Name == name {
			return &r.Interfaces[i]
		}
	}
	return nil
}

// Entry returns the counts of an entry of the named set on the interface. It ignores the type of the set.
func (in *Interface) Entry(set string, sequenceID uint32) (Count, bool) {
	for _, e := range in.ACL {
		if e.Set == set && e.SequenceID == sequenceID {
			return e.Count, true
		}
	}
	return Count{}, false
}
