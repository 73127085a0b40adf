package openconfig

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// aclType is the identity in openconfig-acl for a set that matches on more than one layer. The pipeline's rules match IPv4, IPv6 and the
// VLAN tags of the line.
const aclType = "ACL_MIXED"

// addState adds the leaves of a State. It leaves out unknown values.
func (b *builder) addState(st *State) {
	b.open("interfaces")
	for i := range st.Interfaces {
		b.addInterface(&st.Interfaces[i])
	}
	b.close()
	if st.ACLSet != "" {
		b.open("acl")
		b.addACL(st)
		b.close()
	}
	if st.System != nil {
		b.open("system")
		b.open("state")
		b.addSystem(st.System)
		b.close()
		b.close()
	}
}

func (b *builder) addSystem(sys *System) {
	if sys.Hostname != "" {
		b.text("hostname", sys.Hostname)
	}
	if !sys.Clock.IsZero() {
		b.text("current-datetime", sys.Clock.UTC().Format(time.RFC3339Nano))
	}
	if !sys.BootTime.IsZero() {
		b.number("boot-time", uint64(sys.BootTime.UnixNano()))
	}
	if sys.SoftwareVersion != "" {
		b.text("software-version", sys.SoftwareVersion)
	}
}

func (b *builder) addInterface(in *Interface) {
	b.entry("interface", textKey(in.Name))
	b.open("state")
	b.text("name", in.Name)
	if in.IfIndex != 0 {
		b.number("ifindex", uint64(in.IfIndex))
	}
	if in.Admin != "" {
		b.text("admin-status", string(in.Admin))
	}
	b.text("oper-status", string(cmp.Or(in.Oper, OperUnknown)))
	if !in.LastChange.IsZero() {
		b.number("last-change", uint64(in.LastChange.UnixNano()))
	}
	const lowest, highest = 1, 4294967039 // the range of openconfig-p4rt's id; P4Runtime reserves 0 and the ports above the range
	if in.Port >= lowest && in.Port <= highest {
		b.number("id", uint64(in.Port))
	}
	if in.Counters != nil || in.Transitions != nil {
		b.open("counters")
		b.addCounters(in)
		b.close()
	}
	b.close()
	b.close()
}

func (b *builder) addCounters(in *Interface) {
	if c := in.Counters; c != nil {
		for _, n := range [...]struct {
			in    CounterSet
			name  string
			value uint64
		}{
			{InOctets, "in-octets", c.InOctets},
			{InPkts, "in-pkts", c.InPkts},
			{InDiscards, "in-discards", c.InDiscards},
			{InErrors, "in-errors", c.InErrors},
			{OutOctets, "out-octets", c.OutOctets},
			{OutPkts, "out-pkts", c.OutPkts},
			{OutDiscards, "out-discards", c.OutDiscards},
			{OutErrors, "out-errors", c.OutErrors},
		} {
			if c.Absent&n.in == 0 {
				b.number(n.name, n.value)
			}
		}
		if !in.LastClear.IsZero() {
			b.number("last-clear", uint64(in.LastClear.UnixNano()))
		}
	}
	if in.Transitions != nil {
		b.number("interface-transitions", *in.Transitions)
	}
}

// addACL adds the ACL set as a whole, and its counters on each interface.
func (b *builder) addACL(st *State) {
	b.open("state")
	b.text("counter-capability", "INTERFACE_AGGREGATE")
	b.close()
	b.open("acl-sets")
	b.entry("acl-set", textKey(st.ACLSet), textKey(aclType))
	b.open("state")
	b.text("name", st.ACLSet)
	b.text("type", aclType)
	b.close()
	b.addRules(st)
	b.addLines(st.Lines)
	b.addLegs(st.Legs)
	b.close()
	b.close()
	b.open("interfaces")
	for i := range st.Interfaces {
		b.addInterfaceACL(&st.Interfaces[i], st.ACLSet)
	}
	b.close()
}

// addRules adds the entries that are described or have counted packets, ordered by sequence id. Their counters are the sums over the
// interfaces.
func (b *builder) addRules(st *State) {
	if b.sums == nil {
		b.sums = make(map[uint32]Tally)
	}
	clear(b.sums)
	for i := range st.Interfaces {
		for _, e := range st.Interfaces[i].ACL {
			t := b.sums[e.SequenceID]
			b.sums[e.SequenceID] = Tally{t.Packets + e.MatchedPackets, t.Octets + e.MatchedOctets}
		}
	}
	rules := make(map[uint32]*Rule, len(st.Rules))
	for i := range st.Rules {
		r := &st.Rules[i]
		rules[r.SequenceID] = r
		if _, counted := b.sums[r.SequenceID]; !counted {
			b.sums[r.SequenceID] = Tally{} // an entry without packets is also served
		}
	}
	b.open("acl-entries")
	for _, id := range slices.Sorted(maps.Keys(b.sums)) {
		b.entry("acl-entry", numberKey(id))
		b.addRule(id, rules[id], b.sums[id])
		b.close()
	}
	b.close()
}

// addRule adds one entry of the set. r is nil if the entry is not described.
func (b *builder) addRule(id uint32, r *Rule, sum Tally) {
	if r != nil {
		b.open("config")
		b.number("sequence-id", uint64(id))
		if r.Description != "" {
			b.text("description", r.Description)
		}
		b.close()
	}
	b.open("state")
	b.number("sequence-id", uint64(id))
	if r != nil && r.Description != "" {
		b.text("description", r.Description)
	}
	b.number("matched-packets", sum.Packets)
	b.number("matched-octets", sum.Octets)
	b.close()
	if r == nil || r.Action == "" {
		return
	}
	b.open("actions")
	for _, name := range []string{"config", "state"} {
		b.open(name)
		b.text("forwarding-action", string(r.Action))
		b.close()
	}
	b.close()
}

func (b *builder) addLines(lines []Line) {
	if len(lines) == 0 {
		return
	}
	b.open("lines")
	for i := range lines {
		l := &lines[i]
		b.entry("line", numberKey(l.ID))
		b.open("state")
		b.number("id", uint64(l.ID))
		b.number("passed-packets", l.Passed.Packets)
		b.number("passed-octets", l.Passed.Octets)
		b.number("monitored-packets", l.Monitored.Packets)
		b.number("monitored-octets", l.Monitored.Octets)
		b.number("stopped-packets", l.Stopped.Packets)
		b.number("stopped-octets", l.Stopped.Octets)
		b.number("unsolicited-packets", l.Unsolicited.Packets)
		b.number("unsolicited-octets", l.Unsolicited.Octets)
		b.close()
		b.close()
	}
	b.close()
}

// addLegs adds the entries whose legs are defined in the module op25b-filter.
func (b *builder) addLegs(entries []LegEntry) {
	if len(entries) == 0 {
		return
	}
	b.open("leg-entries")
	for _, l := range entries {
		if l.Leg >= legs {
			continue
		}
		b.entry("leg-entry", numberKey(uint32(l.Epoch)), textKey(l.Leg.String()), numberKey(l.SequenceID))
		b.open("state")
		b.number("epoch", uint64(l.Epoch))
		b.text("leg", l.Leg.String())
		b.number("sequence-id", uint64(l.SequenceID))
		b.number("matched-packets", l.Matched.Packets)
		b.number("matched-octets", l.Matched.Octets)
		b.close()
		b.close()
	}
	b.close()
}

func (b *builder) addInterfaceACL(in *Interface, setName string) {
	b.entry("interface", textKey(in.Name))
	b.open("state")
	b.text("id", in.Name)
	b.close()
	b.open("ingress-acl-sets")
	b.entry("ingress-acl-set", textKey(setName), textKey(aclType))
	b.open("state")
	b.text("set-name", setName)
	b.text("type", aclType)
	b.close()
	b.open("acl-entries")
	for i := range in.ACL {
		e := &in.ACL[i]
		b.entry("acl-entry", numberKey(e.SequenceID))
		b.open("state")
		b.number("sequence-id", uint64(e.SequenceID))
		b.number("matched-packets", e.MatchedPackets)
		b.number("matched-octets", e.MatchedOctets)
		b.close()
		b.close()
	}
	b.close()
	b.close()
	b.close()
	b.close()
}
